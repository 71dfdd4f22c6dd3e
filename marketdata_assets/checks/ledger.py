"""The ledger of completeness: for every share and day, which tables have it and why not.

Here belongs the SQL that finds every missing row and explains it. The table is `tables.COVERAGE`.

A share that trades is expected in every table; one that is listed and not suspended for the whole
day is expected to trade when it did on the session before. A share that has not traded for longer
is halted, whether or not there is a notice. Where the session before is not stored, nobody knows.
"""

import datetime as dt
from collections.abc import Sequence

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.checks.excuses import Excuses, explained, quoted
from marketdata_assets.instruments.code_changes import CODE_CHANGES
from marketdata_assets.tables import COVERAGE, DAILY_KLINE, DAILY_PRICES, Table
from marketdata_assets.tables.declaration import Check, Mass, Outcome

Relation = duckdb.DuckDBPyRelation

CHANGED_CODES = ", ".join(quoted(code) for one in CODE_CHANGES for code in (one.old, one.new))
OTHER_CODE = "other code"
BEFORE_LISTING = "before listing"
COMPLETE = "complete"
LATE, UNEXPLAINED, HELD, EXCUSED = "late upstream", "unexplained", "held", "excused"
BEFORE_UNKNOWN = "session before not stored"
LACKING = {
    "code_listed": "stock_list",
    "bar_missing": "daily_kline",
    "limits_missing": "price_limits",
    "indicators_missing": "daily_basic",
    "factor_missing": "adj_factor",
}
# The tables that have every share that trades, with the checks that say so.
WITH_EVERY_BAR = {
    LACKING[check]: check for check in ("limits_missing", "indicators_missing", "factor_missing")
}
MANY_SHARES = Mass(0.01, 50)

LEDGER_CHECKS: tuple[Check, ...] = (
    Check(
        "code_listed",
        "Every share that trades is in the list of the day.",
        "有行情的股票均在当日列表中。",
        # Codes whose past is served under another one, and Beijing shares from before their
        # listing, when they traded on the NEEQ.
        "daily_kline AND NOT listed AND NOT has_changed_code "
        "AND NOT (ts_code LIKE '%.BJ' AND NOT was_listed)",
        ("listed", "was_listed", "adj_factor"),
        mass=MANY_SHARES,
    ),
    Check(
        "bar_missing",
        "A listed share that traded on the session before and is not suspended has a bar.",
        "上一交易日有成交、当日在市且未停牌的股票有行情。",
        "listed AND NOT daily_kline AND NOT suspended AND traded_before",
        ("price_limits", "daily_basic", "adj_factor"),
        mass=MANY_SHARES,
    ),
    Check(
        "bars_complete",
        "Nearly all listed shares that are not suspended have a bar, whenever they traded last.",
        "绝大多数在市且未停牌的股票有行情。",
        "listed AND NOT daily_kline AND NOT suspended",
        ("price_limits", "daily_basic", "adj_factor"),
        outcome=Outcome.REFUSED,
        # On the first day that is stored nobody knows who traded before, and hundreds may be
        # halted without a notice.
        mass=Mass(0.12, 50),
    ),
    Check(
        "limits_missing",
        "Every share that trades has price limits.",
        "有行情的股票均有涨跌停价。",
        "daily_kline AND NOT price_limits AND NOT has_changed_code",
        ("listed", "daily_basic", "adj_factor"),
        mass=MANY_SHARES,
    ),
    Check(
        "indicators_missing",
        "Every share that trades has indicators.",
        "有行情的股票均有每日指标。",
        "daily_kline AND NOT daily_basic AND NOT has_changed_code",
        ("listed", "price_limits", "adj_factor"),
        mass=MANY_SHARES,
    ),
    Check(
        "factor_missing",
        "Every share that trades has an adjustment factor.",
        "有行情的股票均有复权因子。",
        "daily_kline AND NOT adj_factor AND NOT has_changed_code",
        ("listed", "price_limits", "daily_basic"),
        mass=MANY_SHARES,
    ),
    Check(
        "suspension_contradicted",
        "A share that is suspended for the whole day has no bar. The bar is the better evidence.",
        "全天停牌的股票没有行情；二者矛盾时以行情为准。",
        "daily_kline AND suspended",
        ("listed", "price_limits", "daily_basic"),
        mass=Mass(0.02, 100),
    ),
    Check(
        "halts_told",
        "Most listed shares that have no bar are suspended: the notices are there.",
        "在市而无行情的股票大多有停牌公告。",
        "listed AND NOT daily_kline AND NOT suspended",
        ("adj_factor",),
        outcome=Outcome.REFUSED,
        mass=Mass(0.9, 5),
        of_mass=Outcome.FLAGGED,
        among="listed AND NOT daily_kline",
    ),
    Check(
        "indicators_without_bar",
        "What has indicators has a bar.",
        "有每日指标的股票有行情。",
        "daily_basic AND NOT daily_kline AND NOT has_changed_code",
        ("listed", "suspended", "adj_factor"),
        mass=Mass(0.05, 100),
    ),
)


def facts(
    stocks: Relation,
    kline: Relation,
    limits: Relation,
    basic: Relation,
    factors: Relation,
    suspensions: Relation,
    pairs: pa.Table,
    bars_before: pa.Table,
    listed_before: pa.Table,
    days: pa.Table,
    excuses: Excuses,
) -> Relation:
    """For every share of `days` (LEDGER_DAYS) what the tables have of it, as yes or no.

    `bars_before` (BARS_BEFORE) and `listed_before` (LISTED_BEFORE) are of the session before the
    first day, or empty where that is not known. `pairs` (PAIRS) are the twins. Until the next
    session opens (`may_be_late`) what is missing may still be published.
    """
    rows = kline.query(
        "kline",
        f"""
        WITH universe AS (
            SELECT ts_code, trade_date FROM stocks
            UNION ALL SELECT ts_code, trade_date FROM listed_before
        ),
        traded AS (
            SELECT ts_code, trade_date FROM kline
            UNION ALL SELECT ts_code, trade_date FROM bars_before
        ),
        codes AS (
            SELECT ts_code, trade_date FROM stocks
            UNION SELECT ts_code, trade_date FROM kline
            UNION SELECT ts_code, trade_date FROM factors
            UNION SELECT ts_code, trade_date FROM basic
            UNION SELECT ts_code, days.trade_date FROM universe
                JOIN days ON session_before = universe.trade_date
        )
        SELECT
            codes.trade_date,
            codes.ts_code,
            stocks.ts_code IS NOT NULL AS listed,
            was.ts_code IS NOT NULL AS was_listed,
            did.ts_code IS NOT NULL AS traded_before,
            coalesce(days.session_before IN (SELECT trade_date FROM traded), false)
                AS is_before_known,
            halted.ts_code IS NOT NULL AS suspended,
            bar.ts_code IS NOT NULL AS daily_kline,
            coalesce(bar.is_held, false) AS is_held,
            limits.ts_code IS NOT NULL AS price_limits,
            basic.ts_code IS NOT NULL AS daily_basic,
            factors.ts_code IS NOT NULL AS adj_factor,
            twin.left_out IS NOT NULL AS is_left_out,
            is_left_out OR codes.ts_code IN ({CHANGED_CODES}) AS has_changed_code,
            may_be_late
        FROM codes
        JOIN days USING (trade_date)
        LEFT JOIN stocks USING (ts_code, trade_date)
        LEFT JOIN universe AS was
            ON was.ts_code = codes.ts_code AND was.trade_date = days.session_before
        LEFT JOIN traded AS did
            ON did.ts_code = codes.ts_code AND did.trade_date = days.session_before
        LEFT JOIN (
            SELECT ts_code, trade_date, {held_rows(excuses)} AS is_held FROM kline
        ) AS bar USING (ts_code, trade_date)
        LEFT JOIN limits USING (ts_code, trade_date)
        LEFT JOIN basic USING (ts_code, trade_date)
        LEFT JOIN factors USING (ts_code, trade_date)
        LEFT JOIN (SELECT DISTINCT trade_date, left_out FROM pairs) AS twin
            ON twin.left_out = codes.ts_code AND twin.trade_date = codes.trade_date
        LEFT JOIN (
            SELECT DISTINCT ts_code, trade_date FROM suspensions
            WHERE suspend_type = 'S' AND (suspend_timing IS NULL OR trim(suspend_timing) = ''
                -- A halt of no width is one of the whole day.
                OR split_part(suspend_timing, '-', 1) = split_part(suspend_timing, '-', 2))
        ) AS halted USING (ts_code, trade_date)
        """,
    )
    assert rows is not None
    return rows


def held_rows(excuses: Excuses, kline: Table = DAILY_KLINE) -> str:
    """The SQL condition of bars that nobody should compute with; no excuse makes up a close."""
    table = kline.name
    held = [
        f"(coalesce({check.wrong}, false) AND NOT ({excuses.condition(table, check.name)}) "
        f"AND NOT ({explained().condition(table, check.name)}))"
        for check in kline.checks
        if check.outcome is Outcome.HELD
    ]
    return f"(close IS NULL OR {' OR '.join(held)})"


def coverage(rows: Relation, excuses: Excuses) -> Relation:
    """The rows of COVERAGE out of `facts`."""
    checks = {check.name: check for check in LEDGER_CHECKS}
    lacks = {name: f"coalesce({checks[name].wrong}, false)" for name in LACKING}
    known = {name: explained().reason(DAILY_PRICES.name, name) for name in LACKING}
    pardoned = {name: excuses.condition(DAILY_PRICES.name, name) for name in LACKING}
    missing = ", ".join(
        f"if({lacks[name]} AND {known[name]} IS NULL AND NOT ({pardoned[name]}), '{table}', NULL)"
        for name, table in LACKING.items()
    )
    reasons = ", ".join(f"if({lacks[name]}, {known[name]}, NULL)" for name in LACKING)
    is_pardoned = " OR ".join(f"({lacks[name]} AND ({pardoned[name]}))" for name in LACKING)
    columns = ", ".join(COVERAGE.column_names[:-2])
    with_reasons = rows.select(
        f"""
        *,
        concat_ws(', ', {missing}) AS missing,
        nullif(array_to_string(list_sort(list_distinct(list_filter(
            [{reasons},
             if(daily_kline AND has_changed_code
                AND NOT (listed AND price_limits AND daily_basic AND adj_factor),
                '{OTHER_CODE}', NULL),
             if(daily_kline AND NOT listed AND NOT was_listed AND NOT has_changed_code
                AND ts_code LIKE '%.BJ', '{BEFORE_LISTING}', NULL)],
            lambda one: one IS NOT NULL))), '; '), '') AS known,
        coalesce({is_pardoned}, false) AS is_pardoned
        """
    )
    return with_reasons.select(
        f"""
        {columns}, missing,
        CASE
            WHEN is_held THEN '{HELD}'
            WHEN is_left_out THEN '{OTHER_CODE}'
            WHEN missing <> '' THEN if(may_be_late, '{LATE}', '{UNEXPLAINED}')
            WHEN known IS NOT NULL THEN known
            WHEN is_pardoned THEN '{EXCUSED}'
            WHEN daily_kline AND suspended THEN 'suspension contradicted'
            WHEN daily_kline THEN NULL
            WHEN listed AND suspended THEN 'suspended'
            -- It may have lost its bar as well.
            WHEN listed AND NOT is_before_known THEN '{BEFORE_UNKNOWN}'
            WHEN listed THEN 'halted'
            WHEN daily_basic THEN 'no bar'
            WHEN was_listed THEN 'delisted'
            ELSE 'not yet listed'
        END AS reason
        """
    )


def summary(
    ledger: Relation, told_always: Sequence[str] = (COMPLETE, LATE, UNEXPLAINED)
) -> dict[dt.date, dict[str, int]]:
    """For every day, how many shares or funds are complete, and how many are not for which reason.

    Those `told_always` are 0 where there is none.
    """
    counted: dict[dt.date, dict[str, int]] = {}
    reasons = ledger.aggregate("trade_date, reason, count(*)").order("trade_date, reason")
    for day, reason, count in reasons.fetchall():
        counted.setdefault(day, dict.fromkeys(told_always, 0))[reason or COMPLETE] = count
    return counted


def lacking_codes(table: Table, data: Relation, bars: pa.Table, excuses: Excuses) -> list[str]:
    """The codes of `bars` (DAILY_KLINE) of which a day of `table`, one of WITH_EVERY_BAR, has no
    row and no good reason: what the ledger will miss."""
    check = WITH_EVERY_BAR[table.name]
    lacking = data.query(
        "there",
        f"""
        SELECT ts_code FROM bars ANTI JOIN there USING (ts_code)
        WHERE ts_code NOT IN ({CHANGED_CODES})
        AND NOT ({explained().condition(DAILY_PRICES.name, check)})
        AND NOT ({excuses.condition(DAILY_PRICES.name, check)})
        ORDER BY ts_code
        """,
    )
    assert lacking is not None
    return [code for (code,) in lacking.fetchall()]


def missing_in(ledger: pa.Table, excuses: Excuses) -> frozenset[str]:
    """The tables that lack rows without a good reason in a day's ledger, and unexcused since."""
    gaps = ledger.filter(pc.not_equal(ledger["missing"], ""))
    check_of = {table: check for check, table in LACKING.items()}
    columns = (gaps[name].to_pylist() for name in ("trade_date", "ts_code", "missing"))
    return frozenset(
        table
        for day, code, tables in zip(*columns, strict=True)
        for table in tables.split(", ")
        if not excuses.covers(DAILY_PRICES.name, check_of[table], day, code)
    )
