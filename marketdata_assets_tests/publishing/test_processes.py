"""Publishers that race and publishers that are killed: one commit, every row once."""

import itertools
import os
import random
import signal
import time
from multiprocessing.context import ForkServerContext
from multiprocessing.synchronize import Event
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from marketdata_assets.storage.lake import Lake
from marketdata_assets_tests.conftest import repeats
from marketdata_assets_tests.hub_emulator.server import HubServer
from marketdata_assets_tests.publishing.prices import SHARES, store
from marketdata_assets_tests.resources.hub_publishing import (
    DAYS,
    FIRST,
    NEW,
    ORIGIN,
    hub_resource,
    marker,
    publish,
    published_keys,
    titles,
)

KILLS, PUBLISHERS = repeats(10, 20), 4


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path, ORIGIN)
    store(lake, DAYS)
    return lake


def publish_in_child(url: str, lake: Lake, work: Path, days: list, begun: Event, go: Event) -> None:
    """The child: wait for all the others, publish, and end without ceremony."""

    # What `hub_resource` asks of a server.
    at: Any = SimpleNamespace(url=url)
    begun.set()
    go.wait(60)
    publish(hub_resource(at, work), lake, days)
    os._exit(0)


def assert_complete(hub_server: HubServer) -> None:
    assert published_keys(hub_server.protocol.store) == list(
        itertools.product(DAYS, sorted(SHARES))
    )
    assert marker(hub_server.protocol.store) == f"{DAYS[-1]:%Y%m%d}"


@pytest.mark.parametrize("shared", [False, True], ids=["own folders", "one folder"])
def test_four_publishers_of_the_same_day_make_one_commit(
    shared: bool, processes: ForkServerContext, hub_server: HubServer, lake: Lake, tmp_path: Path
) -> None:
    publish(hub_resource(hub_server, tmp_path / "first"), lake, FIRST)
    go, children = processes.Event(), []
    for number in range(PUBLISHERS):
        work, begun = tmp_path / ("work" if shared else f"work{number}"), processes.Event()
        arguments = (hub_server.url, lake, work, [NEW], begun, go)
        children.append(processes.Process(target=publish_in_child, args=arguments))
        children[-1].start()
        begun.wait(60)
    go.set()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0] * PUBLISHERS
    assert titles(hub_server)[1:] == [f"{NEW} … {NEW}"]
    assert_complete(hub_server)


def test_four_publishers_of_different_stretches_lose_no_day(
    processes: ForkServerContext, hub_server: HubServer, lake: Lake, tmp_path: Path
) -> None:
    publish(hub_resource(hub_server, tmp_path / "first"), lake, [NEW])
    go, children = processes.Event(), []
    for number in range(PUBLISHERS):
        part, begun = FIRST[number::PUBLISHERS], processes.Event()
        arguments = (hub_server.url, lake, tmp_path / f"work{number}", part, begun, go)
        children.append(processes.Process(target=publish_in_child, args=arguments))
        children[-1].start()
        begun.wait(60)
    go.set()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0] * PUBLISHERS
    assert len(titles(hub_server)) == 1 + PUBLISHERS
    assert_complete(hub_server)


@pytest.mark.slow
def test_kills_leave_a_whole_dataset_and_the_next_run_completes_it(
    processes: ForkServerContext, hub_server: HubServer, lake: Lake, tmp_path: Path
) -> None:
    moments, work, store_ = random.Random(20), tmp_path / "work", hub_server.protocol.store
    publish(hub_resource(hub_server, work), lake, FIRST)
    base, takes, killed_at_work = store_.at("someone/prices", "main"), 60.0, 0
    for _ in range(10 * KILLS):
        begun, go = processes.Event(), processes.Event()
        arguments = (hub_server.url, lake, work, [NEW], begun, go)
        child = processes.Process(target=publish_in_child, args=arguments)
        child.start()
        begun.wait(60)
        start = time.monotonic()
        go.set()
        child.join(moments.uniform(0, takes))
        child.kill()
        child.join(60)
        if child.exitcode == 0:
            takes = min(takes, time.monotonic() - start)
        killed_at_work += child.exitcode == -signal.SIGKILL
        keys = published_keys(store_)
        assert len(keys) == len(set(keys))
        assert keys in [list(itertools.product(days, sorted(SHARES))) for days in (FIRST, DAYS)]
        assert marker(store_) == f"{keys[-1][0]:%Y%m%d}"
        if len(keys) == len(DAYS) * len(SHARES):
            # It came through: back to the day before, for the next one to be killed.
            store_.commit("someone/prices", "back", None, base.files)
        if killed_at_work == KILLS:
            break
    assert killed_at_work == KILLS
    publish(hub_resource(hub_server, work), lake, [NEW])
    assert_complete(hub_server)
