"""What the checks cost: one day and a year of the whole market, judged in a backfill's ranges.

BENCH_CHECKS_DAYS says how many sessions make the stretch; 243 are a year.
"""

import datetime as dt
import os
import tempfile
from pathlib import Path

from benchmarks.measuring import console, in_own_process, show
from benchmarks.simulated import tables_of
from marketdata_assets.assets.stored_days import DAYS_TOGETHER, lookback, rows_before
from marketdata_assets.checks.days import CHECKED_TOGETHER, check_merged_days, side_by_side
from marketdata_assets.checks.excuses import NONE
from marketdata_assets.storage.bounded_duckdb import bounded_duckdb
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_KLINE
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.checks.judging import check_fetched_day
from marketdata_sandbox.market.exchange import SimulatedExchange

COUNT = int(os.environ.get("BENCH_CHECKS_DAYS", "243"))
DAYS = sessions_between(dt.date(2023, 1, 1), dt.date(2024, 12, 31))[-COUNT - 1 :]


def simulated_lake(root: str) -> int:
    """The fetched tables of all days; the number of bars."""
    exchange, lake, bars = SimulatedExchange(), Lake(Path(root), "benchmark"), 0
    for day in DAYS:
        tables = tables_of(exchange, day)
        for table in CHECKED_TOGETHER:
            lake.write(table, day, tables[table.name])
        bars += tables[DAILY_KLINE.name].num_rows
    return bars


def judge_all(root: str, days: list[dt.date]) -> int:
    """Every check of every day, read from the lake; the number of refusals."""
    lake, refusing = Lake(Path(root), "benchmark"), 0
    step = DAYS_TOGETHER
    for start in range(0, len(days), step):
        refusing += _judge_range(lake, days[start : start + step])
    return refusing


def _judge_range(lake: Lake, days: list[dt.date]) -> int:
    before = lookback(lake, days[0])
    with bounded_duckdb() as connection:
        findings = [
            finding
            for table in CHECKED_TOGETHER
            for day in days
            for finding in check_fetched_day(
                connection, table, day, lake.read(table, day), rows_before(lake, table, day), NONE
            )
        ]
        stored = {
            table.name: connection.read_parquet([str(path) for path in lake.paths(table, days)])
            for table in CHECKED_TOGETHER
        }
        rows = side_by_side(days, stored, before, dt.datetime.now(dt.UTC), NONE)
        findings += check_merged_days(rows, NONE)
    return sum(finding.refuses for finding in findings)


def main() -> None:
    with tempfile.TemporaryDirectory() as root:
        bars = in_own_process(simulated_lake, root).result
        console.print(f"judging {len(DAYS) - 1} days, {bars:,} bars …")
        one = in_own_process(judge_all, root, DAYS[-1:])
        all_days = in_own_process(judge_all, root, DAYS[1:])
    show(
        f"all checks of all tables; a year has {len(DAYS) - 1} days",
        ("", "seconds", "peak MB", "refusals"),
        [
            (name, f"{m.seconds:.1f}", f"{m.peak_megabytes:.0f}", str(m.result))
            for name, m in (("one day", one), ("a year", all_days))
        ],
    )


if __name__ == "__main__":
    main()
