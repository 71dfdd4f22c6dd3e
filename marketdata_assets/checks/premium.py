"""Checks of exchange-listed funds, over their lists, bars and values together.

Here belongs what must hold of funds, and their ledger: for every fund and day whether it has a bar,
and why not. Funds have no adjustment factor, so their pre_close is not compared with the session
before. The vendor tells no halts of funds: one that traded well on the session before, and is worth
about what it was then, should have traded; one that is worth something else is halted because its
shares are split.

Sources: the exchanges' rules; the vendor's documentation of each call; the premiums of ETFs, LOFs,
closed-end funds and REITs, graded ones included, which reach several hundred percent.
"""

import duckdb
import pyarrow as pa

from marketdata_assets.checks.excuses import Excuses, explained, quoted
from marketdata_assets.checks.ledger import BEFORE_UNKNOWN, EXCUSED, HELD, UNEXPLAINED, held_rows
from marketdata_assets.tables import ETF_COVERAGE, ETF_KLINE, ETF_PREMIUM
from marketdata_assets.tables.declaration import Check, Mass, Outcome

Relation = duckdb.DuckDBPyRelation

_IS_ETF = r"regexp_matches(ts_code, '^(5[12368]\d{4}\.SH|159\d{3}\.SZ)$')"
# What trades so much on one day, in 手, trades on the next one.
MUCH_TRADED = 1_000
OUT_OF_BOUNDS = "price and nav do not fit"
# Of close and unit_nav, where both are known.
IS_OUT_OF_BOUNDS = (
    f"(unit_nav <= 0 OR CASE WHEN {_IS_ETF} THEN close / unit_nav - 1 NOT BETWEEN -0.4 AND 0.8 "
    "ELSE close / unit_nav - 1 NOT BETWEEN -0.8 AND 4 END)"
)

PREMIUM_CHECKS: tuple[Check, ...] = (
    Check(
        "premium_within_bounds",
        "ETFs trade between 40 % below and 80 % above their value, all others between 80 % below "
        "and 400 % above: beyond that, price and value do not belong together.",
        "ETF折溢价率在-40%至+80%之间，其他场内基金在-80%至+400%之间；超出则价格与净值不匹配。",
        f"no_premium = '{OUT_OF_BOUNDS}'",
        ("name", "close", "unit_nav"),
        outcome=Outcome.HELD,
        mass=Mass(0.05, 20),
    ),
    Check(
        "not_repeated",
        "A bar is not that of the session before. What trades less than 1,000 手 may repeat "
        "itself.",
        "当日行情不与上一交易日完全相同（成交不足1000手者除外）。",
        "vol >= 1000 AND close = close_before AND open = open_before AND vol = vol_before "
        "AND amount = amount_before",
        ("close", "vol", "amount"),
        mass=Mass(0.01, 20),
    ),
    Check(
        "navs_not_repeated",
        "Most net asset values differ from those of the session before.",
        "多数净值与上一交易日不同。",
        "unit_nav = nav_before",
        ("unit_nav",),
        outcome=Outcome.REFUSED,
        mass=Mass(0.5, 20),
    ),
    Check(
        "navs_published",
        "Most funds have published a net asset value.",
        "多数基金已公布净值。",
        "unit_nav IS NULL",
        ("name", "close"),
        outcome=Outcome.REFUSED,
        mass=Mass(0.3, 20),
        of_mass=Outcome.FLAGGED,
    ),
    Check(
        "fund_is_listed",
        "Every fund that has a bar is in the list.",
        "有行情的基金均在列表中。",
        "NOT is_listed",
        ("close", "vol"),
        mass=Mass(0.05, 20),
    ),
    Check(
        "bar_missing",
        "A listed fund that traded on the session before, and is worth about what it was then, has "
        "a bar. One that is halted because its shares are split is worth something else.",
        "上一交易日有成交、净值未因拆分而跳变的在市基金有行情。",
        "is_gone AND unit_nav / nav_before BETWEEN 0.8 AND 1.25",
        ("name", "unit_nav", "nav_before", "vol_before"),
        # Graded funds are halted by dozens when their shares are converted.
        mass=Mass(0.06, 60),
    ),
)


def check_inputs(
    premiums: Relation,
    kline: Relation,
    navs: Relation,
    funds: Relation,
    before: pa.Table,
    sessions: pa.Table,
) -> Relation:
    """Every row of `premiums` with what the session before had, and the funds that are gone.

    `premiums` and `before`, which is the session right before the first day or empty, hold
    ETF_PREMIUM, `kline` ETF_KLINE, `navs` ETF_NAV, `funds` ETF_LIST, `sessions` SESSIONS of the
    days. A listed fund that traded then and has no bar now, not one that is held either, `is_gone`.
    What is not known is NULL.
    """
    rows = premiums.query(
        "premiums",
        f"""
        WITH told AS (FROM premiums UNION ALL BY NAME FROM before),
        earlier AS (
            SELECT
                sessions.trade_date, ts_code,
                open AS open_before, close AS close_before, vol AS vol_before,
                amount AS amount_before, unit_nav AS nav_before
            FROM told JOIN sessions ON session_before = told.trade_date
        )
        SELECT premiums.*, earlier.* EXCLUDE (trade_date, ts_code), false AS is_gone,
            funds.ts_code IS NOT NULL AS is_listed
        FROM premiums
        LEFT JOIN earlier USING (trade_date, ts_code)
        LEFT JOIN funds USING (trade_date, ts_code)
        UNION ALL BY NAME
        SELECT earlier.*, funds.name, navs.unit_nav, true AS is_gone, true AS is_listed
        FROM earlier
        JOIN funds USING (trade_date, ts_code)
        ANTI JOIN kline USING (trade_date, ts_code)
        LEFT JOIN (FROM navs WHERE nav_date = trade_date) AS navs USING (trade_date, ts_code)
        WHERE funds.is_listed AND vol_before >= {MUCH_TRADED}
        """,
    )
    assert rows is not None
    return rows


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
                WHEN NOT is_before_known THEN '{BEFORE_UNKNOWN}'
                ELSE 'seldom traded'
            END AS reason
        FROM told
        """,
    )
    assert rows is not None
    return rows.select(", ".join(ETF_COVERAGE.column_names))
