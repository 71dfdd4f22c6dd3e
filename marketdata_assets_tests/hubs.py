"""Local hubs for tests, and the real client against them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from marketdata_assets.resources.hub_client import bounded, hub_api
from marketdata_assets.resources.time_bound import Bound
from marketdata_assets_tests.hub_emulator.protocol import HubProtocol
from marketdata_assets_tests.hub_emulator.server import HubServer
from marketdata_assets_tests.hub_emulator.store import HubStore

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TOKEN = "hf_secretsecretsecret5f2a"
REPO = "someone/prices"


@contextmanager
def hub_at(
    root: Path, token: str | None = TOKEN, regular_at_most: int = 1_000
) -> Iterator[HubServer]:
    """A hub over a folder; small files are LFS already, so that few bytes test much."""
    store = HubStore(root)
    store.create(REPO)
    with HubServer(HubProtocol(store, token, regular_at_most)).running() as server:
        yield server


@contextmanager
def client_of(server: HubServer, token: str = TOKEN, seconds: float = 60) -> Iterator["HfApi"]:
    api = hub_api(server.url, token)
    with bounded(Bound(seconds)):
        yield api
