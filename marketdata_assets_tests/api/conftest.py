"""One stored world and one server for the tests that only read."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from marketdata_assets_tests.api.serving import Client, served
from marketdata_assets_tests.api.stored_world import store_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Where a profile without a token has its folder.
    root = tmp_path_factory.mktemp("world") / "sandbox"
    store_world(root)
    return root


@pytest.fixture(scope="session")
def api(world: Path) -> Iterator[Client]:
    with served(world, default_wait=0.1) as client:
        yield client
