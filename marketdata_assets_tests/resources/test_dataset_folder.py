"""A publication into a folder: whole or not at all, whoever is killed, races, or reads then."""

import datetime as dt
import itertools
import os
import random
import signal
import threading
import time
from multiprocessing.context import ForkServerContext
from multiprocessing.synchronize import Event
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from marketdata_assets.assets.hf_dataset import publish_days
from marketdata_assets.publishing import layout
from marketdata_assets.publishing.build import OtherOrigin
from marketdata_assets.publishing.verifying import differences, restore
from marketdata_assets.publishing.workspace import NotAsInManifest
from marketdata_assets.resources.publisher import DatasetFolder, Outcome
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.conftest import repeats
from marketdata_assets_tests.published_folder import dataset_folder, is_whole, keys, marker
from marketdata_assets_tests.publishing.prices import SHARES, prices_of, store
from marketdata_assets_tests.storage.tables_for_tests import flip

DAYS = sessions_between(dt.date(2023, 12, 28), dt.date(2024, 1, 12))
FIRST, NEW = DAYS[:-1], DAYS[-1]
ORIGIN = "Tushare, api.tushare.pro"
KILLS, PUBLISHERS = repeats(10, 20), 4
SHARD = layout.shard(2024)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path, ORIGIN)
    store(lake, DAYS)
    return lake


@pytest.fixture
def folder(lake: Lake) -> DatasetFolder:
    """All days but the last are published."""
    folder = dataset_folder(lake.root)
    publish_days(folder, lake, FIRST)
    return folder


def publish_in_child(lake: Lake, days: list[dt.date], begun: Event, go: Event) -> None:
    """The child: wait for all the others, publish, and end without ceremony."""
    begun.set()
    go.wait(60)
    publish_days(dataset_folder(lake.root), lake, days)
    os._exit(0)


def assert_complete(lake: Lake, days: list[dt.date] = DAYS) -> None:
    assert keys(lake.root) == list(itertools.product(days, sorted(SHARES)))
    assert marker(lake.root) == f"{days[-1]:%Y%m%d}"
    assert is_whole(lake.root)


def found(folder: DatasetFolder, lake: Lake) -> list[str]:
    with folder.opened() as (state, workspace):
        return list(differences(state, lake, workspace))


def test_a_new_day_is_added_and_nothing_else_is_left_in_the_folder(
    folder: DatasetFolder, lake: Lake
) -> None:
    done = publish_days(folder, lake, [NEW])
    assert done.outcome is Outcome.COMMITTED
    assert {layout.CSV, SHARD, layout.MANIFEST, layout.MARKER} <= set(done.files_changed)
    assert layout.shard(2023) not in done.files_changed
    assert_complete(lake)
    assert [path.name for path in (lake.root / "dataset" / ".work").iterdir()] == [".lock"]
    again = publish_days(folder, lake, [NEW])
    assert (again.outcome, again.files_changed) == (Outcome.ALREADY_THERE, [])
    assert again.revision == done.revision


def test_without_the_csv_it_goes_and_comes_back_when_it_is_wanted(
    folder: DatasetFolder, lake: Lake
) -> None:
    csv = lake.root / "dataset" / layout.CSV
    publish_days(folder, lake, [NEW], layout.Choices(csv=False))
    assert not csv.exists()
    assert_complete(lake)
    publish_days(folder, lake, [NEW], layout.Choices(""))
    assert len(csv.read_text("utf-8").splitlines()) == 1 + len(DAYS) * len(SHARES)


def test_what_a_killed_publisher_has_staged_takes_no_room(
    folder: DatasetFolder, lake: Lake
) -> None:
    work = lake.root / "dataset" / ".work"
    (work / "staged" / "data").mkdir(parents=True)
    (work / "staged" / SHARD).write_bytes(b"of a run that was killed")
    assert publish_days(folder, lake, FIRST).outcome is Outcome.ALREADY_THERE
    assert [path.name for path in work.iterdir()] == [".lock"]


def test_a_csv_that_nobody_published_goes_where_none_is_wanted(
    folder: DatasetFolder, lake: Lake
) -> None:
    csv, without = lake.root / "dataset" / layout.CSV, layout.Choices(csv=False)
    publish_days(folder, lake, [NEW], without)
    csv.write_text("put here by hand")
    done = publish_days(folder, lake, [NEW], without)
    assert (done.outcome, done.files_changed) == (Outcome.COMMITTED, [layout.CSV])
    assert not csv.exists()
    assert_complete(lake)


def test_a_csv_in_the_folder_is_taken_over(lake: Lake) -> None:
    csv = lake.root / "dataset" / layout.CSV
    csv.parent.mkdir()
    rows = prices_of(DAYS[0]).to_pandas()
    rows.iloc[::-1].to_csv(csv, index=False)
    done = publish_days(dataset_folder(lake.root), lake, [DAYS[1]])
    assert done.content.adopted is not None
    assert_complete(lake, DAYS[:2])


@pytest.mark.parametrize("path", [SHARD, layout.CSV])
def test_a_file_that_was_changed_by_hand_is_told_and_made_again(
    path: str, folder: DatasetFolder, lake: Lake
) -> None:
    file = lake.root / "dataset" / path
    flip(file, 4_000)
    [line, _] = found(folder, lake)
    assert line.startswith(f"{path} is not what the published manifest says")
    with pytest.raises(NotAsInManifest, match="Delete it and run the publish command"):
        publish_days(folder, lake, [NEW])
    file.unlink()
    publish_days(folder, lake, DAYS)
    assert_complete(lake)
    assert found(folder, lake) == []


def test_the_lake_comes_back_out_of_the_folder(folder: DatasetFolder, lake: Lake) -> None:
    lake.path(DAILY_PRICES, FIRST[2]).unlink()
    with folder.opened() as (state, workspace):
        assert len(list(restore(state, lake, workspace))) == len(FIRST)
    assert lake.days(DAILY_PRICES) == DAYS
    assert found(folder, lake) == [f"{NEW}: in the lake and not published"]


def test_rows_of_another_origin_are_not_mixed_in(folder: DatasetFolder, lake: Lake) -> None:
    with pytest.raises(OtherOrigin):
        publish_days(folder, Lake(lake.root, "sandbox: simulated, not a real market"), [NEW])
    assert_complete(lake, FIRST)


@pytest.mark.parametrize("days", ["the same", "others"])
def test_publishers_that_race_lose_no_day_and_publish_none_twice(
    days: str, processes: ForkServerContext, folder: DatasetFolder, lake: Lake
) -> None:
    store(lake, FIRST[:PUBLISHERS], version=1)
    go, children = processes.Event(), []
    for number in range(PUBLISHERS):
        part = [NEW] if days == "the same" else [FIRST[number], NEW]
        begun = processes.Event()
        child = processes.Process(target=publish_in_child, args=(lake, part, begun, go))
        child.start()
        children.append(child)
        begun.wait(60)
    go.set()
    for child in children:
        child.join(100)
    assert [child.exitcode for child in children] == [0] * PUBLISHERS
    assert_complete(lake)
    restated = [line for line in found(folder, lake) if "others in the lake" in line]
    assert len(restated) == (PUBLISHERS if days == "the same" else 0)


@pytest.mark.slow
def test_kills_leave_a_whole_dataset_and_the_next_run_completes_it(
    processes: ForkServerContext, folder: DatasetFolder, lake: Lake
) -> None:
    moments, takes, killed_at_work = random.Random(20), 60.0, 0
    for version in range(1, 10 * KILLS):
        store(lake, DAYS, version=version)
        begun, go = processes.Event(), processes.Event()
        child = processes.Process(target=publish_in_child, args=(lake, DAYS, begun, go))
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
        # As a reader finds it: every row once, in whole files.
        found_keys = keys(lake.root)
        assert found_keys in [list(itertools.product(d, sorted(SHARES))) for d in (FIRST, DAYS)]
        # As whoever opens it next finds it: of one publication.
        with folder.opened():
            assert is_whole(lake.root)
        assert marker(lake.root) == f"{keys(lake.root)[-1][0]:%Y%m%d}"
        if killed_at_work == KILLS:
            break
    assert killed_at_work == KILLS
    publish_days(folder, lake, DAYS)
    assert_complete(lake)
    assert found(folder, lake) == []


def test_a_publication_that_was_decided_is_finished_by_whoever_comes_next(
    processes: ForkServerContext, folder: DatasetFolder, lake: Lake
) -> None:
    dataset = lake.root / "dataset"
    before = {path: (dataset / path).read_bytes() for path in (SHARD, layout.MANIFEST)}
    publish_days(folder, lake, [NEW])
    # As it lies when the power goes after the first file has taken its place.
    (dataset / ".work" / "ready").mkdir()
    (dataset / layout.MANIFEST).replace(dataset / ".work" / "ready" / layout.MANIFEST)
    (dataset / layout.MANIFEST).write_bytes(before[layout.MANIFEST])
    assert found(folder, lake) == []
    assert_complete(lake)
    # Before it is decided it is nothing.
    (dataset / ".work" / "staged" / "data").mkdir(parents=True)
    (dataset / ".work" / "staged" / SHARD).write_bytes(before[SHARD])
    assert found(folder, lake) == []
    store(lake, [NEW], version=1)
    publish_days(folder, lake, [NEW])
    assert found(folder, lake) == []


def test_whoever_opens_a_file_meanwhile_finds_it_whole_and_every_row_once(
    folder: DatasetFolder, lake: Lake
) -> None:
    shard, over, seen = lake.root / "dataset" / SHARD, threading.Event(), []
    expected = sum(day.year == 2024 for day in FIRST) * len(SHARES)

    def read() -> None:
        while not over.wait(0.01):
            # Opened once, as by most readers: what is replaced meanwhile stays what it was.
            with shard.open("rb") as file:
                rows = pq.read_table(file)
            names = list(zip(rows["date"].to_pylist(), rows["code"].to_pylist(), strict=True))
            seen.append(len(names) == len(set(names)) == expected)

    reader = threading.Thread(target=read)
    reader.start()
    for version in range(1, 9):
        store(lake, FIRST, version=version)
        publish_days(folder, lake, FIRST)
    over.set()
    reader.join(60)
    assert seen
    assert all(seen)
