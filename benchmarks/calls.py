"""How many calls a backfill of all sessions takes, and what bounds real runs.

The whole is planned: the platform's own planner over as many rows as the simulated exchange has on
every session, in runs as a backfill has them. Some sessions of every five years are made in
earnest, over HTTP, from a server that takes two seconds an answer and refuses what is more than the
allowance. BENCH_CALLS_DAYS says how many.
"""

import datetime as dt
import os
import tempfile
import threading
from collections.abc import Mapping, Sequence

import dagster as dg
import pyarrow as pa

from benchmarks.allowance import ALLOWED_PER_MINUTE, LATENCY_SECONDS, CountingProtocol
from benchmarks.measuring import Measured, console, in_own_process, show
from benchmarks.year import MADE, QUIET
from marketdata_assets import environment
from marketdata_assets.definitions import build_definitions
from marketdata_assets.partitions import BACKFILL_POLICY
from marketdata_assets.resources.tushare import CODES_PER_CALL
from marketdata_assets.resources.tushare_days import SESSIONS_LOOKED_AT, SHORT, days_in_order
from marketdata_assets.tables import (
    ADJ_FACTOR,
    DAILY_BASIC,
    DAILY_KLINE,
    PRICE_LIMITS,
    SUSPENSIONS,
    Table,
)
from marketdata_assets.tables.moneyflow import MONEYFLOW
from marketdata_assets.trading_calendar import (
    FIRST_SESSION,
    last_published_session,
    sessions_between,
)
from marketdata_sandbox.habits.vendor import VendorHabits
from marketdata_sandbox.market.exchange import SimulatedExchange
from marketdata_sandbox.server import TushareServer

# With the list of shares, the ledger and the prices merged: the nine tables of shares.
TABLES = (DAILY_KLINE, PRICE_LIMITS, DAILY_BASIC, ADJ_FACTOR, SUSPENSIONS, MONEYFLOW)
CALLS_FOR_THE_LIST = 3
CALLS_AT_MOST, MINUTES_AT_MOST = 17_500, 95
# Of an account with fewer points, which is what is asked of here, and of one with more.
ALLOWANCES = (ALLOWED_PER_MINUTE, 500)
YEARS = (2005, 2010, 2015, 2020, 2025)
DAYS = int(os.environ.get("BENCH_CALLS_DAYS", "20"))

Rows = Mapping[dt.date, int]


class CountingVendor:
    """Answers with as many rows as a session has, and none of their values; counts its calls."""

    calls_in_flight = 11

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._lock = threading.Lock()
        self.calls = 0

    def answers_ranges(self, table: Table) -> bool:
        return True

    def day(self, table: Table, day: dt.date) -> pa.Table:
        calls, is_cut = self._calls(table, self._rows[day])
        self._count(calls + is_cut * -(-self._rows[day] // CODES_PER_CALL))
        return self._table(day)

    def several_days(self, table: Table, days: Sequence[dt.date]) -> dict[dt.date, pa.Table]:
        calls, is_cut = self._calls(table, sum(self._rows[day] for day in days))
        self._count(calls)
        most = max(self._rows[day] for day in days)
        fewest = 1 if table.may_be_empty else SHORT * most
        whole = [day for day in days if self._rows[day] >= fewest and not is_cut]
        return {day: self._table(day) for day in whole}

    def _calls(self, table: Table, rows: int) -> tuple[int, bool]:
        source = table.tushare
        if source.page_size:
            return rows // source.page_size + 1, False
        return 1, rows >= source.row_cap

    def _count(self, calls: int) -> None:
        with self._lock:
            self.calls += calls

    def _table(self, day: dt.date) -> pa.Table:
        return pa.table({"row": pa.nulls(self._rows[day])})


def backfill_calls(table: Table, rows: Rows) -> int:
    """The calls for all the days of `rows`, in runs one after the other."""
    vendor, days = CountingVendor(rows), list(rows)
    for run in runs_of(days):
        at = days.index(run[0])
        before = [rows[day] for day in days[max(0, at - SESSIONS_LOOKED_AT) : at]]
        asked = days_in_order(vendor, table, run, before, ())
        assert [one.day for one in asked] == run
    return vendor.calls


def calls_one_by_one(table: Table, rows: Rows) -> int:
    vendor = CountingVendor(rows)
    for day in rows:
        vendor.day(table, day)
    return vendor.calls


def runs_of(days: list[dt.date]) -> list[list[dt.date]]:
    size = BACKFILL_POLICY.max_partitions_per_run
    assert size
    return [days[at : at + size] for at in range(0, len(days), size)]


def plan(exchange: SimulatedExchange, days: list[dt.date]) -> dict[str, tuple[int, int]]:
    """By dataset, the calls for `days` and those it would take to ask day by day."""
    of_list = CALLS_FOR_THE_LIST * len(runs_of(days))
    planned = {"stock_list": (of_list, of_list)}
    counts = {day: exchange.row_counts(day) for day in days}
    for table in TABLES:
        # A table that the exchange knows nothing of has a row for every share that traded.
        rows = {
            day: of_day.get(table.tushare.call, of_day["daily"])
            for day, of_day in counts.items()
            if day >= table.first_date
        }
        planned[table.name] = (backfill_calls(table, rows), calls_one_by_one(table, rows))
    return planned


def make(
    root: str, url: str, days: list[dt.date], allowed_per_minute: int = ALLOWED_PER_MINUTE
) -> dict[str, dict[str, object]]:
    """One run of the chain; by dataset what it tells of its calls."""
    os.environ["TUSHARE_TOKEN"] = "x"
    env = {
        "MARKETDATA_HOME": root,
        "TUSHARE_TOKEN": "x",
        "TUSHARE_URL": url,
        "TUSHARE_CALLS_PER_MINUTE": str(allowed_per_minute),
    }
    definitions = build_definitions(environment.resources(env))
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            run_config=QUIET,
            asset_selection=[asset.key for asset in MADE],
            instance=instance,
            tags={
                "dagster/asset_partition_range_start": days[0].isoformat(),
                "dagster/asset_partition_range_end": days[-1].isoformat(),
            },
        )
    return {
        event.asset_key.path[-1]: {
            name: value.value for name, value in event.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
        if event.asset_key and "calls" in event.materialization.metadata
    }


def shown(year: int, run: Measured, refused: int, in_a_minute: int) -> tuple[str, ...]:
    told = run.result
    assert isinstance(told, dict)
    bounds = [str(one["bound by"]) for one in told.values()]
    return (
        str(year),
        str(sum(one["calls"] for one in told.values())),
        f"{run.seconds:.0f}",
        f"{run.cpu_seconds:.0f}",
        str(in_a_minute),
        str(refused),
        max(set(bounds), key=bounds.count),
    )


def most_in_a_minute(moments: Sequence[float]) -> int:
    return max(sum(0 <= later - one < 60 for later in moments) for one in moments)


def main() -> None:
    exchange = SimulatedExchange()
    days = sessions_between(FIRST_SESSION, last_published_session())
    planned = plan(exchange, days)
    calls, one_by_one = (sum(pair[n] for pair in planned.values()) for n in (0, 1))
    show(
        f"calls for {len(days):,} sessions, {days[0]} … {days[-1]}",
        ("", "planned", "day by day"),
        [(name, *(f"{count:,}" for count in pair)) for name, pair in planned.items()],
    )
    ratio = f"{one_by_one / calls:.2f}"
    show(
        "in all",
        ("", "planned", "goal", "day by day", "ratio"),
        [
            ("calls", f"{calls:,}", f"{CALLS_AT_MOST:,}", f"{one_by_one:,}", ratio),
            *(
                (
                    f"minutes at {allowed} a minute",
                    f"{calls / allowed:.0f}",
                    f"{MINUTES_AT_MOST * ALLOWED_PER_MINUTE / allowed:.0f}",
                    f"{one_by_one / allowed:.0f}",
                    ratio,
                )
                for allowed in ALLOWANCES
            ),
        ],
    )
    lines = []
    for year in YEARS:
        span = sessions_between(dt.date(year, 3, 1), dt.date(year, 12, 31))[:DAYS]
        protocol = CountingProtocol(VendorHabits(exchange), ALLOWED_PER_MINUTE)
        console.print(f"{len(span)} sessions of {year} …")
        with (
            tempfile.TemporaryDirectory() as root,
            TushareServer(protocol, latency_seconds=LATENCY_SECONDS).running() as server,
        ):
            run = in_own_process(make, root, server.url, span)
            moments = [request.at for request in server.requests]
        lines.append(shown(year, run, protocol.refusals, most_in_a_minute(moments)))
    show(
        f"{DAYS} sessions in one run, {LATENCY_SECONDS:.0f} s a call",
        ("", "calls", "seconds", "s CPU", "most in 60 s", "refused", "bound by"),
        lines,
    )


if __name__ == "__main__":
    main()
