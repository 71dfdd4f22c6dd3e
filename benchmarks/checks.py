"""What the checks cost: one day and a year of the whole market, judged as the assets judge it.

BENCH_CHECKS_DAYS says how many sessions make the stretch; 243 are a year.
"""

import datetime as dt
import os
import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa

from benchmarks.measuring import console, in_own_process, show
from marketdata_assets.assets.before import bars_before, ledger_days, listed_before, sessions
from marketdata_assets.assets.stock_list import listed_on
from marketdata_assets.checks import ledger
from marketdata_assets.checks.evidence import evidence
from marketdata_assets.checks.fetched import fetched_checks
from marketdata_assets.checks.judging import judge
from marketdata_assets.checks.prices import PRICE_CHECKS
from marketdata_assets.partitions import BACKFILL_POLICY
from marketdata_assets.resources.tushare_answers import typed_table
from marketdata_assets.sandbox.market.exchange import SimulatedExchange
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import (
    ADJ_FACTOR,
    DAILY_BASIC,
    DAILY_KLINE,
    PRICE_LIMITS,
    STOCK_BASIC,
    STOCK_LIST,
    SUSPENSIONS,
    Table,
)
from marketdata_assets.trading_calendar import sessions_between

COUNT = int(os.environ.get("BENCH_CHECKS_DAYS", "243"))
DAYS = sessions_between(dt.date(2023, 1, 1), dt.date(2024, 12, 31))[-COUNT - 1 :]
BY_DAY = (DAILY_KLINE, PRICE_LIMITS, DAILY_BASIC, ADJ_FACTOR, SUSPENSIONS)


def simulated_lake(root: str) -> int:
    """The fetched tables of all days; the number of bars."""
    exchange, lake, bars = SimulatedExchange(), Lake(Path(root), "benchmark"), 0
    for day in DAYS:
        for table in BY_DAY:
            data = _typed(table, getattr(exchange, table.tushare.call)(day))
            stored = lake.write(table, day, data)
            bars += stored.rows if table is DAILY_KLINE else 0
        stocks = _typed(STOCK_BASIC, exchange.stock_basic(day))
        lake.write(STOCK_LIST, day, listed_on(stocks, day, day))
    return bars


def _typed(table: Table, columns: dict[str, list[object]]) -> pa.Table:
    return typed_table(table, list(columns), list(zip(*columns.values(), strict=True)), {})


def judge_all(root: str, days: list[dt.date]) -> int:
    """Every check of every day, in the ranges of a backfill; the number of findings that fail."""
    lake, failing = Lake(Path(root), "benchmark"), 0
    step = BACKFILL_POLICY.max_partitions_per_run or len(days)
    for start in range(0, len(days), step):
        failing += _judge_range(lake, days[start : start + step])
    return failing


def _judge_range(lake: Lake, days: list[dt.date]) -> int:
    tables = (STOCK_LIST, *BY_DAY)
    with duckdb.connect(config={"memory_limit": "400MB"}) as connection:
        connection.execute("SET enable_progress_bar = false")
        findings = [
            finding
            for table in tables
            for day in days
            for finding in judge(
                table.name, connection.from_arrow(lake.read(table, day)), fetched_checks(table)
            )
        ]
        stocks, kline, limits, basic, factors, halts = (
            connection.read_parquet([str(path) for path in lake.paths(table, days)])
            for table in tables
        )
        covered = ledger.coverage(
            stocks,
            kline,
            limits,
            basic,
            factors,
            halts,
            listed_before(lake, days[0]),
            ledger_days(days, dt.datetime.now(dt.UTC)),
        )
        findings += judge("daily_prices", covered, [ledger.COMPLETE])
        rows = evidence(
            kline, limits, basic, stocks, factors, bars_before(lake, days[0]), sessions(days)
        )
        findings += judge("daily_prices", rows, PRICE_CHECKS)
    return sum(finding.blocks for finding in findings)


def main() -> None:
    with tempfile.TemporaryDirectory() as root:
        bars = in_own_process(simulated_lake, root).result
        console.print(f"judging {len(DAYS) - 1} days, {bars:,} bars …")
        one = in_own_process(judge_all, root, DAYS[-1:])
        all_days = in_own_process(judge_all, root, DAYS[1:])
    show(
        "all checks of all tables",
        ("", "seconds", "peak MB", "days refused"),
        [
            (name, f"{m.seconds:.1f}", f"{m.peak_megabytes:.0f}", str(m.result))
            for name, m in (("one day", one), (f"{len(DAYS) - 1} days", all_days))
        ],
    )


if __name__ == "__main__":
    main()
