"""Whether ranges among faults and kills store what days one by one do: the lakes, file by file.

Some sessions of every five years of the whole market, over HTTP from the simulated exchange with
the real vendor's habits, in runs as a backfill has them. Once by ranges, where every run gets
broken answers and is killed once; and once from a vendor that takes no notice of ranges, so that
every day is asked for by itself. BENCH_RANGES_DAYS says how many sessions, 250 are a whole year,
and BENCH_RANGES_YEARS of which years. It fails where one row of one table differs, and where the
vendor has got more calls in any 60 s than are allowed.
"""

import datetime as dt
import itertools
import json
import multiprocessing
import os
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from benchmarks.allowance import ALLOWED_PER_MINUTE
from benchmarks.calls import YEARS, make, most_in_a_minute, runs_of
from benchmarks.measuring import console, in_own_process, show
from benchmarks.year import MADE
from marketdata_assets.profile import profile_root
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import FINDINGS, STORED_TABLES, Table
from marketdata_assets.trading_calendar import sessions_between
from marketdata_sandbox import faults
from marketdata_sandbox.habits.frequencies import Frequencies
from marketdata_sandbox.habits.vendor import VendorHabits
from marketdata_sandbox.market.exchange import SimulatedExchange
from marketdata_sandbox.protocol import DAY_CALLS, TushareProtocol
from marketdata_sandbox.server import TushareServer

DAYS = int(os.environ.get("BENCH_RANGES_DAYS", "20"))
OF_YEARS = [int(word) for word in os.environ.get("BENCH_RANGES_YEARS", "").split()] or YEARS
TABLES = [STORED_TABLES[name] for asset in MADE if (name := asset.key.path[-1]) in STORED_TABLES]
# A run is killed once so many requests have come; the next one after another number of them.
KILLS = (6, 16, 40)
# Of the vendor that is asked day by day, where nothing depends on it.
UNLIMITED = 5_000


class ByTheDay(TushareProtocol):
    """A vendor that takes no notice of ranges: it answers with the last day."""

    def answer(self, body: bytes) -> bytes:
        request = json.loads(body)
        params = request["params"]
        if request["api_name"] in DAY_CALLS and "end_date" in params:
            del params["start_date"]
            params["trade_date"] = params.pop("end_date")
        return super().answer(json.dumps(request).encode())


def broken_answers() -> dict[str, deque[faults.Fault]]:
    """What goes wrong on the way, each once; `daily` says besides that there is more to come."""

    def with_more_to_come(answer: dict[str, dict[str, object]]) -> None:
        answer["data"]["has_more"] = True

    return {
        "daily": deque([faults.reset(), faults.edited(with_more_to_come)]),
        "stk_limit": deque([faults.truncated()]),
        "daily_basic": deque([faults.html()]),
        "adj_factor": deque([faults.cut()]),
        "moneyflow": deque([faults.status(502, "bad gateway", "text/plain")]),
    }


def make_among_kills(root: str, server: TushareServer, days: list[dt.date]) -> float:
    """CPU seconds a call, of the runs that were not killed."""
    cpu, calls = 0.0, 0
    for run, requests in zip(runs_of(days), itertools.cycle(KILLS), strict=False):
        server.faults = broken_answers()
        before = len(server.requests)
        killed = multiprocessing.get_context("spawn").Process(
            target=make, args=(root, server.url, run)
        )
        killed.start()
        while killed.is_alive() and len(server.requests) - before < requests:
            time.sleep(0.05)
        killed.kill()
        killed.join()
        server.faults = broken_answers()
        before = len(server.requests)
        cpu += in_own_process(make, root, server.url, run).cpu_seconds
        calls += len(server.requests) - before
    return cpu / calls


def make_by_the_day(root: str, url: str, days: list[dt.date]) -> None:
    for run in runs_of(days):
        in_own_process(make, root, url, run, UNLIMITED)


def lake_of(root: str, url: str) -> Lake:
    env = {"MARKETDATA_HOME": root, "TUSHARE_TOKEN": "x", "TUSHARE_URL": url}
    return Lake(profile_root(env), "benchmark: not a real market")


def differing(ours: Lake, theirs: Lake, days: Sequence[dt.date]) -> list[Path]:
    """The files that one of the lakes lacks, or whose rows are others."""
    return [
        ours.path(table, day).relative_to(ours.root)
        for table in TABLES
        for day in days
        if rows_of(ours, table, day) != rows_of(theirs, table, day)
    ]


def rows_of(lake: Lake, table: Table, day: dt.date) -> object:
    rows = lake.read(table, day)
    # When a finding was seen first is another moment in either lake.
    return rows.drop_columns(["first_seen"]) if rows is not None and table is FINDINGS else rows


def main() -> None:
    exchange, lines, failures = SimulatedExchange(), [], []
    for year in OF_YEARS:
        days = sessions_between(dt.date(year, 1, 1), dt.date(year, 12, 31))[:DAYS]
        habits = VendorHabits(exchange, Frequencies.real())
        console.print(f"{len(days)} sessions of {year} …")
        with (
            tempfile.TemporaryDirectory() as root,
            tempfile.TemporaryDirectory() as other,
            TushareServer(TushareProtocol(habits)).running() as server,
            TushareServer(ByTheDay(habits)).running() as by_the_day,
        ):
            cpu_a_call = make_among_kills(root, server, days)
            make_by_the_day(other, by_the_day.url, days)
            ours, theirs = lake_of(root, server.url), lake_of(other, by_the_day.url)
            stored = sum(ours.has(table, day) for table in TABLES for day in days)
            found = differing(ours, theirs, days)
        most = most_in_a_minute([request.at for request in server.requests])
        failures += [f"other rows than by the day: {file}" for file in found]
        if most > ALLOWED_PER_MINUTE:
            failures.append(f"{most} calls in 60 s of {year}")
        lines.append(
            (
                str(year),
                str(len(days)),
                str(len(server.requests)),
                str(len(by_the_day.requests)),
                f"{stored} of {len(TABLES) * len(days)}",
                str(len(found)),
                str(most),
                f"{cpu_a_call:.2f}",
            )
        )
    faults_of_a_run = sum(map(len, broken_answers().values()))
    show(
        f"sessions by ranges, {ALLOWED_PER_MINUTE} calls a minute, every run killed once and "
        f"then made with {faults_of_a_run} faults; and by the day",
        (
            "",
            "sessions",
            "calls",
            "by the day",
            "files",
            "differing",
            "most in 60 s",
            "s CPU a call",
        ),
        lines,
    )
    if failures:
        raise SystemExit("; ".join(failures[:5]))


if __name__ == "__main__":
    main()
