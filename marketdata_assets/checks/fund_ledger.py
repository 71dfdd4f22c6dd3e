"""The ledger of funds: for every fund and day whether it has a bar, and why not.

Here belongs the SQL that explains what is not there. The table is `tables.ETF_COVERAGE`; which bars
are missing is the check `bar_missing` of `checks.premium`.

The vendor tells no halts of funds. A fund that traded well on the session before, and is worth
about what it was then, should have traded; one that is worth something else is halted because its
shares are split.
"""

import datetime as dt

import duckdb
import pyarrow as pa

from marketdata_assets.checks.excuses import Excuses, explained, quoted
from marketdata_assets.checks.ledger import EXCUSED, HELD, UNEXPLAINED, held_rows
from marketdata_assets.checks.premium import PREMIUM_CHECKS
from marketdata_assets.tables import ETF_COVERAGE, ETF_KLINE, ETF_PREMIUM

Relation = duckdb.DuckDBPyRelation

COMPLETE = "complete"
BAR_MISSING = next(check for check in PREMIUM_CHECKS if check.name == "bar_missing")


def fund_coverage(
    kline: Relation, funds: Relation, judged: Relation, sessions: pa.Table, excuses: Excuses
) -> Relation:
    """The rows of ETF_COVERAGE of the days of `kline` (ETF_KLINE) and `funds` (ETF_LIST).

    `judged` are the inputs of PREMIUM_CHECKS of these days, `sessions` SESSIONS of them with the
    session before the first among those that are known, where it is stored.
    """
    table, check = ETF_PREMIUM.name, BAR_MISSING.name
    rows = kline.query(
        "kline",
        f"""
        WITH codes AS (
            SELECT trade_date, ts_code FROM kline UNION SELECT trade_date, ts_code FROM funds
        ),
        gone AS (
            SELECT
                trade_date, ts_code,
                unit_nav IS NOT NULL AND nav_before IS NOT NULL AS is_worth_known,
                coalesce({BAR_MISSING.wrong}, false) AS lacks_bar,
                {explained().reason(table, check)} AS known,
                {excuses.condition(table, check)} AS is_excused
            FROM judged WHERE is_gone
        ),
        told AS (
            SELECT
                codes.*,
                funds.ts_code IS NOT NULL AS listed,
                bar.ts_code IS NOT NULL AS etf_kline,
                coalesce(bar.vol > 0, false) AS traded,
                coalesce(bar.is_held, false) AS is_held,
                gone.ts_code IS NOT NULL AS is_gone,
                is_gone AND is_worth_known AND NOT lacks_bar AS halted,
                coalesce(lacks_bar, false) AS lacks_bar,
                known,
                coalesce(is_excused, false) AS is_excused,
                coalesce(funds.is_listed, false) AS is_surely_listed,
                coalesce(known_since <= session_before, false) AS is_before_known
            FROM codes
            JOIN sessions USING (trade_date)
            LEFT JOIN funds USING (trade_date, ts_code)
            LEFT JOIN (
                SELECT trade_date, ts_code, vol, {held_rows(excuses, ETF_KLINE)} AS is_held
                FROM kline
            ) AS bar USING (trade_date, ts_code)
            LEFT JOIN gone USING (trade_date, ts_code)
        )
        SELECT
            trade_date, ts_code, listed, etf_kline, traded, coalesce(halted, false) AS halted,
            if(lacks_bar AND NOT etf_kline AND known IS NULL AND NOT is_excused,
                {quoted(ETF_KLINE.name)}, '') AS missing,
            CASE
                WHEN is_held THEN '{HELD}'
                WHEN etf_kline AND NOT listed THEN 'not in the list'
                WHEN traded THEN NULL
                WHEN etf_kline THEN 'did not trade'
                WHEN missing <> '' THEN '{UNEXPLAINED}'
                WHEN lacks_bar THEN coalesce(known, '{EXCUSED}')
                WHEN halted THEN 'halted'
                WHEN is_gone THEN 'value not known'
                WHEN NOT is_surely_listed THEN 'listing not known'
                WHEN NOT is_before_known THEN 'session before not stored'
                ELSE 'seldom traded'
            END AS reason
        FROM told
        """,
    )
    assert rows is not None
    return rows.select(", ".join(ETF_COVERAGE.column_names))


def summary(ledger: Relation) -> dict[dt.date, dict[str, int]]:
    """For every day, how many funds are complete, and how many are not for which reason."""
    counted: dict[dt.date, dict[str, int]] = {}
    reasons = ledger.aggregate("trade_date, reason, count(*)").order("trade_date, reason")
    for day, reason, count in reasons.fetchall():
        counted.setdefault(day, {COMPLETE: 0, UNEXPLAINED: 0})[reason or COMPLETE] = count
    return counted
