"""Eight clients slice a series for a minute while its newest day is written and refreshed.

Every answer is checked: it has each day of its generation once. An error in a client ends the
benchmark. `series` runs this on its store.
"""

import datetime as dt
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import duckdb

from benchmarks.latency import Latency, summary
from benchmarks.measuring import show
from benchmarks.synthetic import code_of, write_day
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import Series, refresh
from marketdata_assets.tables import DAILY_PRICES

CLIENTS, SECONDS, CODES = 8, 60, 800


def write(root: str, day: dt.date, codes: int, seconds: float) -> int:
    """Write a day anew and refresh, again and again; the number of refreshes."""
    lake, count, until = Lake(Path(root), "benchmark"), 0, time.monotonic() + seconds
    with duckdb.connect() as connection:
        while time.monotonic() < until:
            write_day(lake, connection, day, codes)
            refresh(lake, DAILY_PRICES)
            count += 1
    return count


def slice_on(root: str, client: int, start: dt.date, seconds: float) -> tuple[list[float], int]:
    """Milliseconds of every slice, looking for a newer generation included; torn answers."""
    series, taken, torn = Series.open(Path(root), DAILY_PRICES), [], 0
    until, number = time.monotonic() + seconds, client
    while time.monotonic() < until:
        number = (number + 7) % CODES
        began = time.perf_counter()
        series = series.newest()
        rows = series.slice(code_of(number), start, None, ["date", "close", "volume"])
        taken.append((time.perf_counter() - began) * 1e3)
        torn += rows["date"].to_pylist() != [day for day in series.days if day >= start]
    return taken, torn


def readers_under_a_writer(root: str, days: list[dt.date], codes: int) -> None:
    """Slices over `days`, of which the last one is written anew all the time."""
    with ProcessPoolExecutor(CLIENTS + 1, mp_context=get_context("spawn")) as pool:
        writer = pool.submit(write, root, days[-1], codes, SECONDS)
        clients = [pool.submit(slice_on, root, n, days[0], SECONDS) for n in range(CLIENTS)]
        answers = [client.result() for client in clients]
        refreshes = writer.result()
    taken = [milliseconds for one, _ in answers for milliseconds in one]
    latency: Latency = summary(taken)
    show(
        f"{CLIENTS} clients for {SECONDS} s while {refreshes} refreshes are published",
        ("answers", "torn", "p50 / p95 in ms", "slowest"),
        [
            (
                f"{len(taken):,}",
                str(sum(torn for _, torn in answers)),
                latency.in_words(),
                f"{max(taken):,.0f}",
            )
        ],
    )
