"""Threads share a reader while days and histories are written again and series are refreshed."""

import datetime as dt
import random
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pyarrow as pa

from marketdata_assets.serving.answers import CrossSection
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.serving.table_rows import NoSuchDay
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import DayNotInSeries, refresh
from marketdata_assets.tables import DAILY_PRICES, INSTRUMENT_HISTORY
from marketdata_assets_tests.publishing.prices import prices_of
from marketdata_assets_tests.serving.stored import SESSIONS, history_of

CODES = ["000001.SZ", "300750.SZ", "600000.SH", "688981.SH"]
READERS = 8
VERSIONS = 12
PATIENCE_SECONDS = 180


def constant(rows: pa.Table, columns: list[str], value: float) -> pa.Table:
    for name in columns:
        same = pa.array([value] * len(rows), pa.float64())
        rows = rows.set_column(rows.column_names.index(name), rows.schema.field(name), same)
    return rows


def write(lake: Lake, version: int, days: list[dt.date]) -> None:
    """Days and a history on which every price is the version."""
    for day in days:
        rows = constant(prices_of(day, CODES), ["open", "close"], float(version))
        lake.write(DAILY_PRICES, day, rows)
    history = constant(history_of("HSI", SESSIONS), ["open", "close"], float(version))
    lake.write(INSTRUMENT_HISTORY, "HSI", history)


def write_versions(root: Path) -> None:
    """The writer, a process of its own: restated and removed days, one generation after another."""
    lake, chance = Lake(root, "test"), random.Random(8)
    for version in range(1, VERSIONS + 1):
        write(lake, version, chance.sample(SESSIONS[1:], 5))
        lake.path(DAILY_PRICES, chance.choice(SESSIONS[1:])).unlink(missing_ok=True)
        write(lake, version, SESSIONS[:1])
        refresh(lake, DAILY_PRICES)


def read(
    reader: PriceReader, number: int, is_over: threading.Event
) -> tuple[set[int], list[float]]:
    """A reader: the generations it saw, and how long its slices took."""
    chance, generations, seconds = random.Random(number), [0], []
    histories = [0]
    while not is_over.wait(0.005):
        began = time.perf_counter()
        found = reader.ohlcv(chance.choice(CODES), columns=["date", "open", "close"])
        seconds.append(time.perf_counter() - began)
        assert found.generation is not None
        # Nobody is told of a generation before the one that somebody else has been told of.
        assert found.generation >= generations[-1]
        generations.append(found.generation)
        assert found.rows["open"].equals(found.rows["close"])

        section = a_section(reader, chance)
        assert section.rows["code"].to_pylist() == CODES
        assert len(set(section.rows["close"].to_pylist())) == 1, "a day of two versions"

        history = reader.ohlcv("HSI", columns=["close"])
        assert history.rows.num_rows == len(SESSIONS)
        assert len(set(history.rows["close"].to_pylist())) == 1
        assert (history.generation or 0) >= histories[-1]
        histories.append(history.generation or 0)
    return set(generations[1:]), seconds


def a_section(reader: PriceReader, chance: random.Random) -> CrossSection:
    """Of a day that is there: which are, may change between the question and the answer."""
    series = reader.series(DAILY_PRICES)
    assert series is not None
    while True:
        try:
            return reader.cross_section(chance.choice(series.days), ["code", "close"])
        except (DayNotInSeries, NoSuchDay):
            series = reader.series(DAILY_PRICES) or series


def test_a_day_is_whole_or_absent_for_every_reader(
    processes: ForkServerContext, tmp_path: Path
) -> None:
    lake = Lake(tmp_path, "test")
    write(lake, 0, SESSIONS)
    refresh(lake, DAILY_PRICES)
    reader, is_over = PriceReader(tmp_path), threading.Event()
    with ThreadPoolExecutor(READERS) as threads, ProcessPoolExecutor(1, processes) as pool:
        readers = [threads.submit(read, reader, n, is_over) for n in range(READERS)]
        try:
            pool.submit(write_versions, tmp_path).result(PATIENCE_SECONDS)
        finally:
            is_over.set()
        seen = [reader.result(PATIENCE_SECONDS) for reader in readers]
    assert len(set().union(*(generations for generations, _ in seen))) > 3
    assert all(seconds for _, seconds in seen)
    assert reader.ohlcv("600000.SH", SESSIONS[0], SESSIONS[0]).rows["close"].to_pylist() == [
        float(VERSIONS)
    ]
