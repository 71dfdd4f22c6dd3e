"""Slices from the series, beside ArcticDB, DuckDB over the day files and the original service.

A lake of 17 M rows: 21 years, 1,300 codes growing to 5,400. Every way answers the same questions
in a process of its own, files in the page cache. BENCH_SERIES_YEARS makes it smaller.

ArcticDB needs an older pandas than the platform: BENCH_ARCTICDB_PYTHON names the Python of an
environment that has `arcticdb` and `pyarrow`. It holds 800 codes: the whole market would not change
its slices.
"""

import datetime as dt
import functools
import json
import multiprocessing
import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.latency import Latency, summary, timed
from benchmarks.measuring import Measured, console, in_own_process, show
from benchmarks.series_readers import readers_under_a_writer
from benchmarks.synthetic import code_of, synthetic_lake, write_day
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import Refreshed, Series, refresh
from marketdata_assets.storage.series.reader import CHECK
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.trading_calendar import sessions_between

YEARS = int(os.environ.get("BENCH_SERIES_YEARS", "21"))
ARCTICDB_PYTHON = os.environ.get("BENCH_ARCTICDB_PYTHON", "")
LAST_YEAR, FIRST_CODES, CODES, ARCTICDB_CODES = 2025, 1_300, 5_400, 800
DAYS = sessions_between(dt.date(LAST_YEAR - YEARS + 1, 1, 1), dt.date(LAST_YEAR, 12, 31))
TEN_YEARS = (max(DAYS[0], dt.date(LAST_YEAR - 9, 1, 1)), DAYS[-1])
ONE_YEAR = (dt.date(LAST_YEAR, 1, 1), DAYS[-1])
COLUMNS = ["date", "open", "high", "low", "close", "volume", "turnover"]
REPEATS, SLOW_REPEATS = 300, 3
ONE, FIFTY, SECTION = "one code × 10 years", "50 codes × 1 year", "one day, all columns"


def some_codes(count: int) -> list[str]:
    """Codes that are there from the first day, far from each other."""
    return [code_of(number * 7 % ARCTICDB_CODES) for number in range(count)]


def fill_lake(root: str) -> int:
    half = len(DAYS) // 2
    middle = (FIRST_CODES + CODES) // 2
    parts = ((root, DAYS[:half], middle, FIRST_CODES), (root, DAYS[half:-1], CODES, middle))
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        return sum(pool.starmap(synthetic_lake, parts))


def add_day(root: str, day: dt.date) -> int:
    with duckdb.connect() as connection:
        return write_day(Lake(Path(root), "benchmark"), connection, day, CODES)


def refresh_series(root: str) -> Refreshed:
    return refresh(Lake(Path(root), "benchmark"), DAILY_PRICES)


def checked_series(root: str) -> Series:
    """The series as a server has it a few seconds after its start."""
    series = Series.open(Path(root), DAILY_PRICES)
    await_check()
    return series


def await_check() -> None:
    for thread in threading.enumerate():
        if thread.name == CHECK:
            thread.join()


def ours(root: str) -> dict[str, Latency]:
    series = checked_series(root)
    codes, days = some_codes(REPEATS), series.days[-REPEATS:]
    return {
        ONE: timed(lambda n: series.slice(codes[n], *TEN_YEARS, COLUMNS), REPEATS),
        FIFTY: timed(lambda n: series.slices(codes[n : n + 50], *ONE_YEAR, COLUMNS), 200),
        SECTION: timed(lambda n: series.cross_section(days[n]), 200),
    }


def ours_as_pandas(root: str) -> dict[str, Latency]:
    series = checked_series(root)
    codes, days = some_codes(REPEATS), series.days[-REPEATS:]
    several = ["code", *COLUMNS]
    return {
        ONE: timed(lambda n: series.slice(codes[n], *TEN_YEARS, COLUMNS).to_pandas(), REPEATS),
        FIFTY: timed(
            lambda n: series.slices(codes[n : n + 50], *ONE_YEAR, several).to_pandas(), 200
        ),
        SECTION: timed(lambda n: series.cross_section(days[n]).to_pandas(), 200),
    }


def opening(root: str) -> dict[str, Latency]:
    opened = []
    for code in some_codes(5):
        began = time.perf_counter()
        series = Series.open(Path(root), DAILY_PRICES)
        series.slice(code, *TEN_YEARS, COLUMNS)
        opened.append((time.perf_counter() - began) * 1e3)
        await_check()
    return {
        "opened, with a first slice": summary(opened),
        "looked for a newer one": timed(lambda _: series.newest(), 1_000),
    }


def plain_duckdb(root: str) -> dict[str, Latency]:
    """The day files of the range as they are, in one connection."""
    lake, codes = Lake(Path(root), "benchmark"), some_codes(50)
    names = ", ".join(COLUMNS)
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")

        def ask(codes: list[str], first: dt.date, last: dt.date) -> object:
            files = [str(lake.path(DAILY_PRICES, day)) for day in DAYS if first <= day <= last]
            relation = connection.sql(
                f"SELECT {names} FROM read_parquet(?) WHERE list_contains(?, code) "
                "ORDER BY code, date",
                params=[files, codes],
            )
            return relation.to_arrow_table()

        def ask_day(number: int) -> object:
            file = str(lake.path(DAILY_PRICES, DAYS[-1 - number]))
            return connection.read_parquet(file).to_arrow_table()

        return {
            ONE: timed(lambda n: ask([codes[n]], *TEN_YEARS), SLOW_REPEATS),
            FIFTY: timed(lambda _: ask(codes, *ONE_YEAR), SLOW_REPEATS),
            SECTION: timed(ask_day, 100),
        }


def records_of(series: Series, code: str) -> list[dict[str, object]]:
    """A code's ten years as the original service keeps them."""
    frame = series.slice(code, *TEN_YEARS, COLUMNS).to_pandas()
    frame["date"] = pd.to_datetime(frame["date"]).dt.strftime("%Y-%m-%d")
    records = json.loads(json.dumps(frame.to_dict(orient="records")))
    assert isinstance(records, list)
    return records


def original(root: str) -> dict[str, Latency]:
    """A code's whole history as records in a cache; each request makes a frame and slices it.

    Fetching, and turning the slice into records again, are left out in its favour.
    """
    cached = functools.cache(functools.partial(records_of, Series.open(Path(root), DAILY_PRICES)))
    start, end = map(pd.Timestamp, TEN_YEARS)

    def ask(code: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        frame = pd.DataFrame(cached(code))
        frame["date"] = pd.to_datetime(frame["date"])
        return frame.set_index("date").sort_index().loc[start:end]

    codes = some_codes(50)
    for code in codes:
        cached(code)
    year = pd.Timestamp(ONE_YEAR[0])
    return {
        ONE: timed(lambda n: ask(codes[n], start, end), 50),
        FIFTY: timed(lambda _: [ask(code, year, end) for code in codes], 10),
    }


def arcticdb(root: str) -> Measured | None:
    """The same questions to a library of one symbol a code, on LMDB."""
    if not ARCTICDB_PYTHON:
        console.print("ArcticDB is left out: BENCH_ARCTICDB_PYTHON names no Python that has it.\n")
        return None
    codes = [code_of(number) for number in range(ARCTICDB_CODES)]
    rows = Series.open(Path(root), DAILY_PRICES).slices(codes)
    history, day = Path(root) / "history.parquet", Path(root) / "day.parquet"
    is_new = pc.equal(rows["date"], pa.scalar(DAYS[-1]))
    pq.write_table(rows.filter(pc.invert(is_new)), history)
    pq.write_table(rows.filter(is_new), day)
    question = {
        "history": str(history),
        "day": str(day),
        "folder": f"{root}/arcticdb",
        "columns": COLUMNS[1:],
        "codes": some_codes(REPEATS),
        "ten_years": [str(moment) for moment in TEN_YEARS],
        "one_year": [str(moment) for moment in ONE_YEAR],
    }
    done = subprocess.run(
        [ARCTICDB_PYTHON, "-m", "benchmarks.arcticdb_library"],
        cwd=Path(__file__).parents[1],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    console.print(
        f"ArcticDB {answer['version']}: one day appended to {len(codes)} symbols in "
        f"{answer['append_seconds']:.1f} s\n"
    )
    latencies = {ONE: Latency(*answer["one"]), FIFTY: Latency(*answer["fifty"])}
    return Measured(latencies, 0, 0, answer["peak_megabytes"])


def main() -> None:
    with tempfile.TemporaryDirectory() as root:
        console.print(f"storing {len(DAYS)} days …")
        rows = fill_lake(root)
        steps = {"rebuilt from nothing": in_own_process(refresh_series, root)}
        in_own_process(add_day, root, DAYS[-1])
        steps["one new day"] = in_own_process(refresh_series, root)
        readers_under_a_writer(root, [day for day in DAYS if day >= ONE_YEAR[0]], CODES)
        in_own_process(add_day, root, DAYS[-100])
        steps["one old day rewritten, or the 21st new one: a year anew"] = in_own_process(
            refresh_series, root
        )
        show_refreshes(rows + CODES, steps)
        ways = {
            "the series, as Arrow": in_own_process(ours, root),
            "the series, as pandas": in_own_process(ours_as_pandas, root),
            "ArcticDB, as pandas": arcticdb(root),
            "DuckDB over the day files": in_own_process(plain_duckdb, root),
            "the original: cached records, a frame, a slice": in_own_process(original, root),
        }
        moments = in_own_process(opening, root).result
    show_slices({name: way for name, way in ways.items() if way})
    assert isinstance(moments, dict)
    console.print(", ".join(f"{name}: {one.in_words()}" for name, one in moments.items()))
    console.print()


def show_refreshes(rows: int, steps: dict[str, Measured]) -> None:
    lines = []
    for name, step in steps.items():
        done = step.result
        assert isinstance(done, Refreshed)
        written = f"{done.written / 1e6:,.0f}"
        lines.append((name, f"{done.seconds:.1f}", f"{step.peak_megabytes:,.0f}", written))
    show(f"refreshing a series of {rows:,} rows", ("", "seconds", "peak MB", "MB written"), lines)


def show_slices(ways: dict[str, Measured]) -> None:
    lines = []
    for name, way in ways.items():
        assert isinstance(way.result, dict)
        answers = [
            way.result[question].in_words() if question in way.result else ""
            for question in (ONE, FIFTY, SECTION)
        ]
        lines.append((name, *answers, f"{way.peak_megabytes:,.0f}"))
    show(
        f"{len(COLUMNS)} columns, p50 / p95 in ms; mapped pages count as memory",
        ("", ONE, FIFTY, SECTION, "peak MB"),
        lines,
    )


if __name__ == "__main__":
    main()
