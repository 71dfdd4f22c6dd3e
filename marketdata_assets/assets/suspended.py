"""Which listed shares have no bar on a day, or were halted for a part of it, and why.

Made of the ledger, which knows why a bar is not there, and of the notices, which know the hours.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.assets.asset_arguments import Group, daily
from marketdata_assets.assets.complete_days import complete_days, tables_of
from marketdata_assets.storage.io_manager import FetchedDays, LakeResource, by_day, tell_of_day
from marketdata_assets.tables import COVERAGE, SUSPENDED, SUSPENSIONS

Relation = duckdb.DuckDBPyRelation


@dg.asset(**daily(SUSPENDED, Group.QUALITY, kinds={"duckdb", "parquet"}))
def suspended(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    coverage: Relation,
    suspensions: Relation,
) -> FetchedDays:
    tables = (COVERAGE, SUSPENSIONS)
    days = complete_days(context, SUSPENDED, lake.open(), tables)
    ledger, notices = tables_of(tables, (coverage, suspensions), days).values()
    rows = suspended_shares(ledger, notices)
    return FetchedDays([], _counted(context, _each_day(days, by_day(SUSPENDED, rows))))


def suspended_shares(ledger: Relation, notices: Relation) -> Relation:
    """SUSPENDED out of COVERAGE and SUSPENSIONS.

    The bar is the better evidence: a share that has one was halted for a part of the day at most,
    and only where a notice tells the hours.
    """
    rows = ledger.query(
        "ledger",
        """
        WITH timings AS (
            -- No NULL: where a file has no other, DuckDB can't plan a comparison of its parts.
            SELECT trade_date, ts_code, coalesce(trim(suspend_timing), '') AS timing FROM notices
            WHERE suspend_type = 'S'
        ),
        halts AS (
            SELECT
                trade_date,
                ts_code,
                string_agg(DISTINCT timing, ', ' ORDER BY timing) FILTER (timing <> '')
                    AS suspend_timing,
                -- A halt of no width is one of the whole day.
                bool_or(split_part(timing, '-', 1) <> split_part(timing, '-', 2)) AS has_hours
            FROM timings GROUP BY ALL
        )
        SELECT
            trade_date,
            ts_code,
            CASE
                WHEN daily_kline THEN false
                WHEN suspended OR reason = 'halted' THEN true
            END AS is_paused,
            if(daily_kline, 'part of the day', reason) AS reason,
            suspend_timing
        FROM ledger LEFT JOIN halts USING (trade_date, ts_code)
        WHERE listed AND (NOT daily_kline OR has_hours)
        """,
    )
    assert rows is not None
    return rows


def _counted(
    context: dg.AssetExecutionContext, days: Iterator[tuple[dt.date, pa.Table]]
) -> Iterator[tuple[dt.date, pa.Table]]:
    """The days as they are; how many shares were halted is told of each, and plotted."""
    for day, rows in days:
        halted = pc.sum(pc.fill_null(rows["is_paused"], False)).as_py() or 0
        some_hours = pc.sum(pc.equal(rows["reason"], "part of the day")).as_py() or 0
        counts = {"halted 停牌": int(halted), "halted for hours 盘中停牌": int(some_hours)}
        tell_of_day(context, day, counts)
        yield day, rows


def _each_day(
    days: Sequence[dt.date], made: Iterable[tuple[dt.date, pa.Table]]
) -> Iterator[tuple[dt.date, pa.Table]]:
    """Every one of `days`, those without any row included."""
    coming = iter(days)
    for day, rows in made:
        for before in coming:
            if before == day:
                break
            yield before, SUSPENDED.schema.empty_table()
        yield day, rows
    for day in coming:
        yield day, SUSPENDED.schema.empty_table()
