"""A running server over the small market, and the resource that asks it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from marketdata_assets_tests.resources.serving import (
    WakefulTushare,
    any_context,
    serving,
    tushare_at,
)
from marketdata_assets_tests.resources.spoiling import HUGE
from marketdata_assets_tests.small_market import SmallMarket, many_codes
from marketdata_sandbox.server import TushareServer


@pytest.fixture(scope="session", autouse=True)
def _instance_disposed_in_time() -> Iterator[None]:
    yield
    any_context.cache_clear()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server(market: SmallMarket) -> Iterator[TushareServer]:
    """Answers on the evening of `serving.DAY`."""
    with serving(market) as server:
        yield server


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of all tests; nothing is written to the user's own."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def tushare(server: TushareServer, state: Path) -> Iterator[WakefulTushare]:
    with tushare_at(server, state) as tushare:
        yield tushare


@pytest.fixture(scope="session")
def huge_market() -> SmallMarket:
    return SmallMarket(many_codes(HUGE))
