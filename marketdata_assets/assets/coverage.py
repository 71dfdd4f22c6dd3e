"""The ledgers of completeness: which share and which fund has what on which day, and why not.

`suspended` is made of the ledger of shares, which knows why a bar is not there, and of the notices,
which know the hours.
"""

import datetime as dt
from collections.abc import Iterator, Sequence

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.assets.asset_arguments import Group, computed
from marketdata_assets.assets.etf_premium import PREMIUMS_ARE_OF, judged_funds
from marketdata_assets.assets.judged_days import judged_days
from marketdata_assets.assets.stored_days import complete_days, made_ahead, tables_of
from marketdata_assets.checks import ledger
from marketdata_assets.checks.days import CHECKED_TOGETHER
from marketdata_assets.checks.excuses import excuses_in
from marketdata_assets.checks.premium import fund_coverage
from marketdata_assets.storage.bounded_duckdb import brief_duckdb
from marketdata_assets.storage.io_manager import FetchedDays, LakeResource, by_day, tell_of_day
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import COVERAGE, ETF_COVERAGE, SUSPENDED, SUSPENSIONS

Relation = duckdb.DuckDBPyRelation
HALTS_ARE_OF = (COVERAGE, SUSPENSIONS)


@dg.asset(**computed(COVERAGE, Group.QUALITY, CHECKED_TOGETHER))
def coverage(context: dg.AssetExecutionContext, lake: LakeResource) -> FetchedDays:
    stored = lake.open()
    days = complete_days(context, COVERAGE, stored, CHECKED_TOGETHER)
    return FetchedDays([], made_ahead(days, lambda part: _explained_days(context, stored, part)))


def _explained_days(
    context: dg.AssetExecutionContext, lake: Lake, days: Sequence[dt.date]
) -> Iterator[tuple[dt.date, pa.Table]]:
    excuses = excuses_in(lake)
    judged = judged_days(lake, days, excuses, dt.datetime.now(dt.UTC))
    rows = ledger.coverage(judged.facts(), excuses).to_arrow_table()
    with brief_duckdb() as connection:
        counted = ledger.summary(connection.from_arrow(rows))
    for day, counts in counted.items():
        tell_of_day(context, day, counts)
    return by_day(COVERAGE, rows)


@dg.asset(**computed(SUSPENDED, Group.QUALITY, HALTS_ARE_OF))
def suspended(context: dg.AssetExecutionContext, lake: LakeResource) -> FetchedDays:
    stored = lake.open()
    days = complete_days(context, SUSPENDED, stored, HALTS_ARE_OF)
    rows = suspended_shares(*tables_of(stored, HALTS_ARE_OF, days).values())
    # Days without any row included.
    found = dict.fromkeys(days, SUSPENDED.schema.empty_table()) | dict(by_day(SUSPENDED, rows))
    for day, shares in found.items():
        halted = pc.sum(shares["is_paused"]).as_py() or 0
        some_hours = pc.sum(pc.equal(shares["reason"], "part of the day")).as_py() or 0
        counts = {"halted 停牌": halted, "halted for hours 盘中停牌": some_hours}
        tell_of_day(context, day, counts)
    return FetchedDays([], iter(found.items()))


def suspended_shares(covered: Relation, notices: Relation) -> Relation:
    """SUSPENDED out of COVERAGE and SUSPENSIONS.

    The bar is the better evidence: a share that has one was halted for a part of the day at most,
    and only where a notice tells the hours.
    """
    rows = covered.query(
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


@dg.asset(**computed(ETF_COVERAGE, Group.FUNDS, PREMIUMS_ARE_OF))
def etf_coverage(context: dg.AssetExecutionContext, lake: LakeResource) -> FetchedDays:
    stored = lake.open()
    excuses = excuses_in(stored)
    days = complete_days(context, ETF_COVERAGE, stored, PREMIUMS_ARE_OF)
    judged = judged_funds(stored, days, excuses)
    rows = fund_coverage(judged.kline, judged.funds, judged.inputs, judged.sessions, excuses)
    for day, counts in ledger.summary(rows, (ledger.COMPLETE, ledger.UNEXPLAINED)).items():
        tell_of_day(context, day, counts)
    return FetchedDays([], by_day(ETF_COVERAGE, rows))
