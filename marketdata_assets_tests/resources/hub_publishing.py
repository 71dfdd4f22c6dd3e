"""A publisher that does not sleep, over a local hub and a small lake."""

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pydantic import PrivateAttr

from marketdata_assets.publishing import layout
from marketdata_assets.publishing.build import build
from marketdata_assets.publishing.layout import Choices
from marketdata_assets.resources.hugging_face import HuggingFaceResource
from marketdata_assets.resources.publisher import Publication
from marketdata_assets.storage.lake import Lake
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.hub_emulator.server import HubServer
from marketdata_assets_tests.hub_emulator.store import HubStore
from marketdata_assets_tests.hubs import REPO, TOKEN

DAYS = sessions_between(dt.date(2024, 1, 2), dt.date(2024, 1, 12))
FIRST, NEW = DAYS[:-1], DAYS[-1]
ORIGIN = "Tushare, api.tushare.pro"


class WakefulHub(HuggingFaceResource):
    """Waits nowhere, and remembers how long it would have."""

    _pauses: list[float] = PrivateAttr(default_factory=list)

    def pause(self, seconds: float) -> None:
        self._pauses.append(seconds)


def hub_resource(server: HubServer, work: Path, **more: Any) -> WakefulHub:
    """A publisher of REPO, which the hub has: as a user makes it before."""
    settings: dict[str, Any] = {
        "endpoint": server.url,
        "repository": REPO,
        "token": TOKEN,
        "work_folder": str(work),
        "bound_seconds": 60,
        "silence_seconds": 20,
    }
    return WakefulHub(**{**settings, **more})


def publish(hub: HuggingFaceResource, lake: Lake, days: list[dt.date]) -> Publication:
    name = hub.repository
    return hub.publish(
        lambda state, workspace: build(state, lake, days, Choices(), workspace, name),
        f"{days[0]} … {days[-1]}",
        [lake.origin],
    )


def titles(server: HubServer) -> list[str]:
    """The commits since the repository was made, oldest first."""
    history = server.protocol.store.history(REPO)
    return [commit.title for commit in history[::-1]][1:]


def published_keys(store: HubStore) -> list[tuple[dt.date, str]]:
    """(date, code) of every published row, in order."""
    files = store.at(REPO, "main").files
    keys: list[tuple[dt.date, str]] = []
    for path in sorted(path for path in files if layout.is_shard(path)):
        rows = pq.read_table(store.blob(files[path].sha256), partitioning=None)
        keys += zip(rows["date"].to_pylist(), rows["code"].to_pylist(), strict=True)
    return keys


def marker(store: HubStore) -> str:
    entry = store.at(REPO, "main").files[".last_update_date"]
    return store.blob(entry.sha256).read_text()
