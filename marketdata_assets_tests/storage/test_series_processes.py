"""Killed refreshes and readers under a writer: what a series answers is whole, whoever is at it."""

import datetime as dt
import os
import random
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.context import ForkServerContext
from multiprocessing.synchronize import Event
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import Series, refresh
from marketdata_assets.storage.series.generation import read_manifest
from marketdata_assets_tests.conftest import repeats
from marketdata_assets_tests.storage.quotes_for_tests import CODES, DAYS, QUOTES, store, whole

INTERRUPTED = repeats(5, 10)
REFRESHES = 25
PATIENCE_SECONDS = 120


def unreferenced(lake: Lake) -> list[str]:
    """Segments and manifests that no reader will ever ask for."""
    folder = lake.root / "series" / "quotes"
    generation, _ = read_manifest(folder)
    known = {segment.file for segment in generation.segments}
    known |= {"generation.json", ".refreshing.lock"}
    return [path.name for path in folder.iterdir() if path.name not in known]


def refresh_and_say_when(root: Path, begun: Event) -> None:
    begun.set()
    refresh(Lake(root, "test"), QUOTES)
    os._exit(0)


def answers(series: Series) -> pa.Table:
    return series.slices(series.codes())


def test_killed_refreshes_leave_a_whole_generation_and_the_next_one_repairs(
    processes: ForkServerContext, lake: Lake
) -> None:
    moments, versions = random.Random(15), iter(range(1, 1_000))
    a_day_of_each_year = [DAYS[0], DAYS[20], DAYS[45]]
    store(lake, DAYS, 0.0)
    refresh(lake, QUOTES)
    served, interrupted, takes = whole(lake), 0, 1.0
    while interrupted < INTERRUPTED:
        generation = Series.open(lake.root, QUOTES).generation
        store(lake, a_day_of_each_year, float(next(versions)))
        begun = processes.Event()
        child = processes.Process(target=refresh_and_say_when, args=(lake.root, begun))
        child.start()
        begun.wait(60)
        start = time.monotonic()
        child.join(moments.uniform(0, takes))
        child.kill()
        child.join(60)
        if child.exitcode == 0:
            takes = time.monotonic() - start
        interrupted += bool(unreferenced(lake))

        series = Series.open(lake.root, QUOTES)
        if series.generation != generation:
            served = whole(lake)
        assert answers(series).equals(served)

    refresh(lake, QUOTES)
    assert answers(Series.open(lake.root, QUOTES)).equals(whole(lake))
    assert unreferenced(lake) == []


def write_and_refresh(root: Path) -> int:
    """The writer: restated, new and removed days, a generation after the other; the last one."""
    lake, chance = Lake(root, "test"), random.Random(40)
    generation = 0
    for version in range(1, REFRESHES + 1):
        store(lake, chance.sample(DAYS[1:], 4), float(version))
        lake.path(QUOTES, chance.choice(DAYS[1:])).unlink(missing_ok=True)
        store(lake, DAYS[:1], float(version))
        generation = refresh(lake, QUOTES).generation
    return generation


def read_until(root: Path, last: int) -> set[int]:
    """A reader: checks every answer until generation `last` is served; the generations it saw."""
    with ThreadPoolExecutor(2) as threads:
        seen = threads.map(lambda number: _read_until(root, last, number), range(2))
        return set().union(*seen)


def _read_until(root: Path, last: int, number: int) -> set[int]:
    series, chance, seen = Series.open(root, QUOTES), random.Random(number), set()
    until = time.monotonic() + PATIENCE_SECONDS
    while series.generation < last and time.monotonic() < until:
        # From the beginning, too: opening may meet files that are just being removed.
        series = series.newest() if chance.random() < 0.7 else Series.open(root, QUOTES)
        seen.add(series.generation)
        rows = answers(series)
        assert torn_days(rows) == []
        assert len(rows) == len(series.days) * len(CODES)
        day = chance.choice(series.days)
        section = series.cross_section(day)
        assert section.num_rows == len(CODES)
        of_day = rows.filter(pc.equal(rows["day"], pa.scalar(day)))
        assert section.equals(of_day)
    return seen


def torn_days(rows: pa.Table) -> list[dt.date]:
    """Days on which not every code is there, or not of one version."""
    days = rows.group_by("day").aggregate(
        [("price", "min"), ("price", "max"), ("symbol", "count_distinct")]
    )
    whole = pc.and_(
        pc.equal(days["price_min"], days["price_max"]),
        pc.equal(days["symbol_count_distinct"], len(CODES)),
    )
    return days.filter(pc.invert(whole))["day"].to_pylist()


def test_readers_meet_whole_days_while_a_writer_refreshes(
    processes: ForkServerContext, lake: Lake
) -> None:
    store(lake, DAYS, 0.0)
    first = refresh(lake, QUOTES).generation
    with ProcessPoolExecutor(3, mp_context=processes) as pool:
        readers = [pool.submit(read_until, lake.root, first + REFRESHES) for _ in range(2)]
        writer = pool.submit(write_and_refresh, lake.root)
        assert writer.result(PATIENCE_SECONDS) == first + REFRESHES
        for reader in readers:
            seen = reader.result(PATIENCE_SECONDS)
            assert max(seen) == first + REFRESHES
            assert len(seen) > 5
    assert unreferenced(lake) == []
    assert answers(Series.open(lake.root, QUOTES)).equals(whole(lake))


def test_two_refreshes_at_once_take_turns(processes: ForkServerContext, lake: Lake) -> None:
    store(lake, DAYS, 0.0)
    with ProcessPoolExecutor(3, mp_context=processes) as pool:
        done = [pool.submit(refresh, lake, QUOTES) for _ in range(3)]
        results = [one.result(PATIENCE_SECONDS) for one in done]
    assert len({result.generation for result in results}) == 1
    assert sorted(bool(result.difference) for result in results) == [False, False, True]
    assert unreferenced(lake) == []
