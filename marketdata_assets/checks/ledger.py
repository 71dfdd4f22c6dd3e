"""The ledger of completeness: for every share and day, which tables have it and why not.

Here belongs the SQL that explains every missing row. The table is `tables.COVERAGE`.

A share that trades is expected in every table; one that is listed and not suspended for the whole
day is expected to trade. Indicators are not expected where the vendor has none: of Beijing shares
before 2024; limits not before 2007-01-04.
"""

import datetime as dt

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.checks.declaring import Check
from marketdata_assets.tables import COVERAGE, PRICE_LIMITS

Relation = duckdb.DuckDBPyRelation

FIRST_BEIJING_INDICATORS = dt.date(2024, 1, 2)

COMPLETE = Check(
    "complete",
    "Every share that is listed and not suspended has a row in every table, and no other has.",
    "在市且未全天停牌的股票在每张表中都有一行，其余没有。",
    "reason IN ('unexplained', 'late upstream')",
    ("missing", "reason"),
)


def coverage(
    stocks: Relation,
    kline: Relation,
    limits: Relation,
    basic: Relation,
    factors: Relation,
    suspensions: Relation,
    listed_before: pa.Table,
    days: pa.Table,
) -> Relation:
    """The rows of COVERAGE for the days of `days` (LEDGER_DAYS).

    `listed_before` (LISTED_BEFORE) are the shares listed on the session before the first day, or
    none where that is not known. Until the next session opens (`may_be_late`) what is missing may
    still be published.
    """
    rows = kline.query(
        "kline",
        f"""
        WITH universe AS (
            SELECT ts_code, trade_date FROM stocks
            UNION ALL SELECT ts_code, trade_date FROM listed_before
        ),
        codes AS (
            SELECT ts_code, trade_date FROM stocks
            UNION SELECT ts_code, trade_date FROM kline
            UNION SELECT ts_code, trade_date FROM factors
            UNION SELECT ts_code, trade_date FROM basic
            UNION SELECT ts_code, days.trade_date FROM universe
                JOIN days ON session_before = universe.trade_date
        ),
        found AS (
            SELECT
                codes.trade_date,
                codes.ts_code,
                stocks.ts_code IS NOT NULL AS listed,
                was.ts_code IS NOT NULL AS was_listed,
                halted.ts_code IS NOT NULL AS suspended,
                kline.ts_code IS NOT NULL AS daily_kline,
                limits.ts_code IS NOT NULL AS price_limits,
                basic.ts_code IS NOT NULL AS daily_basic,
                factors.ts_code IS NOT NULL AS adj_factor,
                may_be_late
            FROM codes
            JOIN days USING (trade_date)
            LEFT JOIN stocks USING (ts_code, trade_date)
            LEFT JOIN universe AS was
                ON was.ts_code = codes.ts_code AND was.trade_date = days.session_before
            LEFT JOIN kline USING (ts_code, trade_date)
            LEFT JOIN limits USING (ts_code, trade_date)
            LEFT JOIN basic USING (ts_code, trade_date)
            LEFT JOIN factors USING (ts_code, trade_date)
            LEFT JOIN (
                FROM suspensions WHERE suspend_type = 'S' AND suspend_timing IS NULL
            ) AS halted USING (ts_code, trade_date)
        ),
        explained AS (
            SELECT
                *,
                concat_ws(', ',
                    if(daily_kline AND NOT listed, 'stock_list', NULL),
                    if(listed AND NOT daily_kline, 'daily_kline', NULL),
                    if(daily_kline AND NOT price_limits
                        AND trade_date >= DATE '{PRICE_LIMITS.first_date}', 'price_limits', NULL),
                    if(daily_kline AND NOT daily_basic AND (ts_code NOT LIKE '%.BJ'
                        OR trade_date >= DATE '{FIRST_BEIJING_INDICATORS}'), 'daily_basic', NULL),
                    if(daily_kline AND NOT adj_factor, 'adj_factor', NULL)
                ) AS missing
            FROM found
        )
        SELECT
            {", ".join(COVERAGE.column_names[:-1])},
            CASE
                WHEN daily_kline AND suspended THEN 'unexplained'
                WHEN daily_kline AND missing = '' THEN NULL
                WHEN listed AND NOT daily_kline AND suspended THEN 'suspended'
                WHEN NOT listed AND NOT daily_kline AND NOT daily_basic AND was_listed
                    THEN 'delisted'
                WHEN NOT listed AND NOT daily_kline AND NOT daily_basic AND NOT was_listed
                    THEN 'not yet listed'
                WHEN may_be_late THEN 'late upstream'
                ELSE 'unexplained'
            END AS reason
        FROM explained
        """,
    )
    assert rows is not None
    return rows


def summary(ledger: Relation) -> dict[dt.date, dict[str, int]]:
    """For every day, how many shares are complete, and how many are not for which reason."""
    reasons = ("suspended", "delisted", "not yet listed", "late upstream", "unexplained")
    counts = ", ".join(f"count(*) FILTER (reason = '{reason}')" for reason in reasons)
    counted = ledger.aggregate(f"trade_date, count(*) FILTER (reason IS NULL), {counts}")
    names = ("complete", *reasons)
    return {day: dict(zip(names, numbers, strict=True)) for day, *numbers in counted.fetchall()}


def missing_in(ledger: pa.Table) -> frozenset[str]:
    """The tables that lack rows without a good reason in a day's ledger."""
    is_gap = pc.is_in(ledger["reason"], pa.array(["unexplained", "late upstream"]))
    gaps = ledger.filter(is_gap)
    tables = {name for text in gaps["missing"].to_pylist() for name in text.split(", ") if name}
    contradicted = pc.any(gaps["suspended"]).as_py()
    return frozenset(tables | ({"suspensions", "daily_kline"} if contradicted else set()))
