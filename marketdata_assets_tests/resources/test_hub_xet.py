"""Publishing through xet: the client's own library, over a folder that stands for its storage.

The client decides for or against xet once, when it is imported: each publisher here is a process
of its own.
"""

import itertools
import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from marketdata_assets.assets.hf_dataset import publish_days
from marketdata_assets.resources.publisher import Outcome, Publication
from marketdata_assets.storage.lake import Lake
from marketdata_assets_tests.hub_emulator import faults
from marketdata_assets_tests.hub_emulator.protocol import HubProtocol
from marketdata_assets_tests.hub_emulator.server import HubServer
from marketdata_assets_tests.hub_emulator.store import HubStore
from marketdata_assets_tests.hub_emulator.xet import XetContent
from marketdata_assets_tests.hubs import REPO, TOKEN
from marketdata_assets_tests.publishing.prices import SHARES, store
from marketdata_assets_tests.resources.hub_publishing import (
    DAYS,
    FIRST,
    NEW,
    ORIGIN,
    hub_resource,
    marker,
    published_keys,
    titles,
)

PUBLISH = """
import datetime as dt, json, sys
from pathlib import Path
from marketdata_assets.assets.hf_dataset import in_words, metadata_of, publish_days
from marketdata_assets.resources.hub_errors import HubError
from marketdata_assets.storage.lake import Lake
from marketdata_assets_tests.resources.hub_publishing import ORIGIN, hub_resource

class At:
    url = sys.argv[1]

root, work, bound, days = Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4]), sys.argv[5:]
hub = hub_resource(At, work, bound_seconds=bound)
try:
    done = publish_days(hub, Lake(root, ORIGIN), [dt.date.fromisoformat(day) for day in days])
    told = {name: value.value for name, value in metadata_of(done, len(days)).items()}
    print(json.dumps({**told, "words": in_words(done)}))
except HubError as error:
    print(json.dumps({"error": type(error).__name__, "text": str(error)}))
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HubServer]:
    store = HubStore(tmp_path / "hub")
    store.create(REPO)
    protocol = HubProtocol(store, TOKEN, 1_000, XetContent(tmp_path / "cas"))
    with HubServer(protocol).running() as server:
        yield server


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path, ORIGIN)
    store(lake, DAYS)
    return lake


def publish(
    server: HubServer, lake: Lake, days: list, work: str = "work", bound: float = 60
) -> dict[str, Any]:
    """What a publisher of its own process tells of its publication."""
    env = {**os.environ, "HF_HUB_DISABLE_XET": "0", "HF_HOME": str(lake.root / "home")}
    arguments = [server.url, str(lake.root), str(lake.root / work), str(bound), *map(str, days)]
    run = subprocess.run(
        [sys.executable, "-c", PUBLISH, *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert run.returncode == 0, run.stderr
    assert TOKEN not in run.stdout + run.stderr
    told: dict[str, Any] = json.loads(run.stdout)
    return told


def publish_by_lfs(server: HubServer, lake: Lake, days: list) -> Publication:
    return publish_days(hub_resource(server, lake.root / "lfs"), lake, days)


def test_days_are_published_and_read_again_through_xet(server: HubServer, lake: Lake) -> None:
    told = publish(server, lake, FIRST)
    files = server.protocol.store.at(REPO, "main").files
    sizes = sum(entry.size for path, entry in files.items() if path != ".gitattributes")
    assert server.protocol.xet.bytes_stored > 0
    # What was counted is not called all that was sent.
    assert told["bytes of changed files"] == sizes
    assert "bytes sent" not in told
    assert 0 < told["bytes sent besides those of xet"] <= server.bytes_received
    assert f"{sizes:,} bytes large" in told["words"]
    assert told["words"].endswith("bytes sent besides those of xet")

    server.requests.clear()
    told = publish(server, lake, [NEW], work="elsewhere")
    assert told["outcome"] == "committed"
    assert {"xet token", "resolve", "preupload", "commit"} <= set(server.stages())
    assert not {"upload", "batch", "download"} & set(server.stages())
    assert len(titles(server)) == 2
    assert published_keys(server.protocol.store) == list(itertools.product(DAYS, sorted(SHARES)))
    assert marker(server.protocol.store) == f"{NEW:%Y%m%d}"
    assert publish_by_lfs(server, lake, [NEW]).outcome is Outcome.ALREADY_THERE


def test_a_storage_that_never_answers_is_given_up_in_time(server: HubServer, lake: Lake) -> None:
    publish_by_lfs(server, lake, FIRST)
    never = threading.Event()
    server.faults = {"xet token": deque([faults.done_late(never)] * 20)}
    told = publish(server, lake, [NEW], bound=6)
    never.set()
    assert told["error"] == "BoundReached"
    assert "xet token" in server.stages()
    assert len(titles(server)) == 1
    assert publish_by_lfs(server, lake, [NEW]).outcome is Outcome.COMMITTED
    assert len(titles(server)) == 2


def test_no_file_that_xet_writes_holds_the_token(server: HubServer, lake: Lake) -> None:
    publish_by_lfs(server, lake, FIRST)
    server.faults = {"xet token": deque([faults.refusal(503, f"token {TOKEN}")])}
    assert publish(server, lake, [NEW])["outcome"] == "committed"
    written = [path for path in lake.root.rglob("*") if path.is_file()]
    assert any("home" in path.parts for path in written)
    for path in written:
        assert TOKEN.encode() not in path.read_bytes(), path
