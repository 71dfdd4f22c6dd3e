"""Checks of the merged prices: the vendor's tables against each other and against the day before.

Here belongs what takes more than one table to prove of a bar or of a name, and the SQL that lays
the tables side by side: a row a bar, with the bar before. Who is missing where is `ledger`.

After a change of code the vendor serves the same past under both: `twins` are the same bar under
two codes, for a company that is there twice is twice in every sum. A share in its delisting period
may be in the vendor's list of ST shares or not.

Sources: the trading rules of SSE, SZSE and BSE; the vendor's documentation; limits of a real day
of 5,393 shares, all of which come out exactly; 2.4 million real bars of 2005 to 2022.
"""

import duckdb
import pyarrow as pa

from marketdata_assets.checks.excuses import Excuses, quoted
from marketdata_assets.checks.ledger import CHANGED_CODES
from marketdata_assets.instruments.code_changes import CODE_CHANGES
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.tables.declaration import Check, Mass, Outcome
from marketdata_assets.tables.names import is_of_the_day, marks

Relation = duckdb.DuckDBPyRelation

PUBLISHED_ONCE = "published_once"
# Of so little volume two shares may have the same bar by chance.
SMALL_VOLUME = 100
PAIRS = pa.schema(
    [
        ("trade_date", pa.date32()),
        *((name, pa.string()) for name in ("first_code", "last_code", "left_out")),
    ]
)


# What the vendor writes for "no limit": 10000.0 up to 999999.999 and 0.01 or less; 0 and 0 of some
# shares that are halted.
_NO_LIMIT = "(up_limit >= 9999.99 AND down_limit <= 0.01)"
# No price is as large; what is can't be counted in cents.
_CENTS = "if(abs(pre_close) < 1e9, CAST(round(pre_close * 100) AS BIGINT), NULL)"
_IS_BSE = "ts_code LIKE '%.BJ'"
_IS_STAR = "(ts_code LIKE '688%' OR ts_code LIKE '689%')"
_IS_CHINEXT = "ts_code[1:3] IN ('300', '301', '302')"
_IS_MAIN = f"NOT ({_IS_BSE} OR {_IS_STAR} OR {_IS_CHINEXT})"
_MARKS = marks("name")
# A share that is not reformed has had the limits of ST since 2007-01-08.
_HAS_LIMITS_OF_ST = f"({_MARKS.st} OR ({_MARKS.unreformed} AND trade_date >= DATE '2007-01-08'))"
_NAME_IS_OF_THE_DAY = is_of_the_day()


def _limits_are(percent: str, down_percent: str | None = None) -> str:
    """Both limits at `percent` of pre_close, in whole cents: half up, on the BSE toward it.

    A limit is at least one cent away from pre_close.
    """
    up = f"({_CENTS} * (100 + {percent}) + if({_IS_BSE}, 0, 50)) // 100"
    down = f"({_CENTS} * (100 - {down_percent or percent}) + if({_IS_BSE}, 99, 50)) // 100"
    return (
        f"(TRY_CAST(round(up_limit * 100) AS BIGINT) = greatest({up}, {_CENTS} + 1) "
        f"AND TRY_CAST(round(down_limit * 100) AS BIGINT) = least({down}, {_CENTS} - 1))"
    )


_RATE_OF_BOARD = (
    f"CASE WHEN {_IS_BSE} THEN 30 WHEN {_IS_STAR} THEN 20 "
    f"WHEN {_IS_CHINEXT} AND trade_date >= DATE '2020-08-24' THEN 20 ELSE 10 END"
)
# Nobody knows who resumed where the session before is not there.
_RESUMED = (
    "(before_known AND (session_before_traded IS NULL OR session_before_traded < session_before))"
)
_IS_FIRST_DAY = f"(list_date = trade_date OR {_MARKS.first_day})"
# Listings, resumptions and the opening of a delisting period trade without a limit. A name that is
# not of the day may lack the mark of the last of these.
_MAY_BE_UNLIMITED = (
    f"(list_date >= fifth_session_back OR {_IS_FIRST_DAY} OR {_RESUMED} OR {_MARKS.delisting} "
    f"OR NOT coalesce({_NAME_IS_OF_THE_DAY}, false))"
)
_LEGAL_LIMITS = (
    f"({_NO_LIMIT} AND {_MAY_BE_UNLIMITED}) OR {_limits_are(f'({_RATE_OF_BOARD})')} "
    f"OR ({_IS_MAIN} AND trade_date < DATE '2026-07-06' AND {_limits_are('5')}) "
    f"OR (list_date = trade_date AND {_limits_are('44', '36')})"
)
# Trades of these days know no limit, whatever is told: first days before 2014, and the first day
# after a reform or a restructuring, for which the exchange makes no ex-price.
_IS_BEYOND_RULES = (
    f"(({_IS_FIRST_DAY} AND trade_date < DATE '2014-01-01') "
    f"OR ({_RESUMED} AND factor IS DISTINCT FROM factor_before))"
)
_RATIO_OF_FACTORS = "(factor / factor_before)"
_RATIO_OF_PRICES = "(close_before / pre_close)"
_ROUNDING_OF_RATIO = "2 * (5e-4 + 0.006 / least(pre_close, close_before))"
_IS_OFF = f"abs({_RATIO_OF_FACTORS} / {_RATIO_OF_PRICES} - 1) > {_ROUNDING_OF_RATIO}"

PRICE_CHECKS: tuple[Check, ...] = (
    Check(
        "within_limits",
        "No price of the day lies beyond its limits.",
        "当日价格不超出涨跌停。",
        f"(high > up_limit + 1e-6 OR low < down_limit - 1e-6) AND NOT {_IS_BEYOND_RULES}",
        ("high", "low", "up_limit", "down_limit"),
        mass=Mass(0.01, 50),
    ),
    Check(
        "limits_recomputed",
        "Limits are pre_close and a percentage that is legal for the board and the day, rounded "
        "half up (toward pre_close on the BSE); none only on listings, resumptions, delistings.",
        "涨跌停由昨收价按板块比例四舍五入（北交所向昨收价截断）得出；仅上市初期、复牌、退市整理可无涨跌停。",
        f"up_limit IS NOT NULL AND pre_close > 0 AND NOT coalesce({_LEGAL_LIMITS}, false)",
        ("name", "pre_close", "up_limit", "down_limit"),
        mass=Mass(0.01, 50),
    ),
    Check(
        "limits_agree_with_name",
        "On the main board 5 % goes with ST in the name of that day, and 10 % without.",
        "主板名称带 ST 者涨跌幅 5%，否则 10%（按当日名称）。",
        f"{_IS_MAIN} AND {_NAME_IS_OF_THE_DAY} AND trade_date < DATE '2026-07-06' "
        # A delisting period keeps the rate of the share's last mark.
        f"AND NOT {_MARKS.delisting} AND ("
        f"({_HAS_LIMITS_OF_ST} AND {_limits_are('10')} AND NOT {_limits_are('5')}) OR "
        f"(NOT {_HAS_LIMITS_OF_ST} AND {_limits_are('5')} AND NOT {_limits_are('10')}))",
        ("name", "pre_close", "up_limit", "down_limit"),
        mass=Mass(0.01, 50),
        # Names come from a call of their own: however many are wrong, no price is.
        of_mass=Outcome.FLAGGED,
    ),
    Check(
        "pre_close_continues",
        "pre_close is the close of the session before, or differs from it as the adjustment "
        "factor says. After a halt the two may move apart: a reform or a restructuring has no "
        "ex-price.",
        "昨收价等于上一交易日收盘价；除权除息日与复权因子的变化一致。股改、重组后复牌首日可不一致。",
        "pre_close > 0 AND close_before > 0 AND factor > 0 AND factor_before > 0 AND "
        # A dividend may be too small for the factor's decimals.
        "CASE WHEN factor = factor_before THEN abs(pre_close / close_before - 1) > 7e-4 "
        f"WHEN {_RESUMED} THEN false "
        f"ELSE {_IS_OFF} END",
        ("pre_close", "close_before", "factor", "factor_before"),
        mass=Mass(0.005, 20),
    ),
    Check(
        "factors_move",
        "On ex-dates most factors change: they are not those of the session before.",
        "除权除息日多数复权因子发生变化，并非上一交易日的因子。",
        "factor = factor_before",
        ("pre_close", "close_before", "factor"),
        outcome=Outcome.REFUSED,
        mass=Mass(0.5, 3),
        among="abs(pre_close / close_before - 1) > 7e-4 AND session_before_traded = session_before",
    ),
    Check(
        "factor_without_gap",
        "The adjustment factor changes only where pre_close does.",
        "复权因子仅在昨收价除权时变化。",
        f"factor <> factor_before AND abs(pre_close - close_before) < 1e-6 AND NOT {_RESUMED} "
        f"AND NOT ({_IS_OFF})",
        ("pre_close", "close_before", "factor", "factor_before"),
    ),
    Check(
        "not_repeated",
        "A bar is not that of the session before.",
        "当日行情不与上一交易日完全相同。",
        "vol >= 100 AND close = close_before AND open = open_before AND vol = vol_before "
        "AND amount = amount_before",
        ("close", "vol", "amount"),
        mass=Mass(0.01, 20),
    ),
    Check(
        "one_code_a_company",
        "No two codes that are listed, and no two that are not, have the same bar.",
        "没有两个在市代码（或两个不在市代码）的行情完全相同。",
        "same_bar_as IS NOT NULL AND left_out IS NULL",
        ("same_bar_as", "close", "vol", "amount"),
        mass=Mass(0.05, 50),
    ),
    Check(
        PUBLISHED_ONCE,
        "A change of code can leave the same past under both codes: it is merged under the one "
        "that is listed, or of the two the code of the day.",
        "代码变更后，同一历史可能出现在新旧两个代码之下：合并时只保留在市（或当日有效）的代码。",
        "left_out = ts_code",
        ("same_bar_as", "close", "vol", "amount"),
        outcome=Outcome.HELD,
        mass=Mass(0.05, 50),
    ),
    Check(
        "indicators_agree",
        "The indicators' close is the bar's, turnover_rate is vol over float_share, market values "
        "are close times shares.",
        "每日指标与行情一致：收盘价、换手率、总市值、流通市值。",
        "basic_close <> close OR (float_share > 0 AND abs(turnover_rate - vol / float_share) "
        "> 0.00005 + 1e-6) OR (close * total_share > 0 "
        "AND abs(total_mv / (close * total_share) - 1) > 1e-6) OR (close * float_share > 0 "
        "AND abs(circ_mv / (close * float_share) - 1) > 1e-6)",
        ("close", "basic_close", "vol", "turnover_rate", "float_share", "total_mv"),
        mass=Mass(0.02, 50),
    ),
)


ST_CHECKS: tuple[Check, ...] = (
    Check(
        "names_agree",
        "A share is in the list of ST shares exactly when its name of that day has the mark.",
        "股票在 ST 名单中，当且仅当其当日简称带有 ST 标记。",
        "is_in_the_list <> has_the_mark",
        ("name", "name_since", "is_in_the_list"),
        mass=Mass(0.02, 50),
        of_mass=Outcome.FLAGGED,
    ),
)

BEFORE = (
    "factor_before",
    "open_before",
    "close_before",
    "vol_before",
    "amount_before",
    "session_before_traded",
)


def check_inputs(
    kline: Relation,
    limits: Relation,
    basic: Relation,
    stocks: Relation,
    factors: Relation,
    pairs: pa.Table,
    bars_before: pa.Table,
    sessions: pa.Table,
) -> Relation:
    """Every bar of `kline` with limits, indicators, listing, factor, and the bar before.

    `bars_before` (BARS_BEFORE) has of every share the last bar before the first day; `sessions`
    (SESSIONS) a row for every day of `kline`, where `fifth_session_back` is the earliest listing
    day of a share in its first five sessions. What another table lacks is NULL, and so is what is
    not known of the bar before: all of it where a session between is missing. `before_known` says
    whether the session before is there. `same_bar_as` is another code with the same bar, and
    `left_out` which of the two is not merged (PAIRS).
    """
    known = ", ".join(
        f"if(session_before_traded >= known_since, {name}, NULL) AS {name}" for name in BEFORE
    )
    rows = kline.query(
        "kline",
        f"""
        WITH bars AS (
            SELECT kline.*, factors.adj_factor, false AS is_before
            FROM kline LEFT JOIN factors USING (ts_code, trade_date)
            UNION ALL BY NAME
            SELECT *, true AS is_before FROM bars_before
        ),
        followed AS (
            SELECT
                *,
                adj_factor AS factor,
                lag(adj_factor) OVER share AS factor_before,
                lag(open) OVER share AS open_before,
                lag(close) OVER share AS close_before,
                lag(vol) OVER share AS vol_before,
                lag(amount) OVER share AS amount_before,
                lag(trade_date) OVER share AS session_before_traded
            FROM bars
            WINDOW share AS (PARTITION BY ts_code ORDER BY trade_date)
        )
        SELECT
            followed.* EXCLUDE (is_before, adj_factor, {", ".join(BEFORE)}),
            {known},
            known_since <= session_before AS before_known,
            up_limit, down_limit,
            basic.close AS basic_close, turnover_rate, total_share, float_share,
            total_mv, circ_mv,
            name, name_since, names_as_of, market, list_date,
            session_before, fifth_session_back,
            if(followed.ts_code = first_code, last_code, first_code) AS same_bar_as,
            left_out
        FROM followed
        LEFT JOIN limits USING (ts_code, trade_date)
        LEFT JOIN basic USING (ts_code, trade_date)
        LEFT JOIN stocks USING (ts_code, trade_date)
        LEFT JOIN pairs ON pairs.trade_date = followed.trade_date
            AND followed.ts_code IN (first_code, last_code)
        JOIN sessions USING (trade_date)
        WHERE NOT is_before
        """,
    )
    assert rows is not None
    return rows


def twins(kline: Relation, stocks: Relation, excuses: Excuses) -> pa.Table:
    """Pairs of codes with the same bar (PAIRS).

    The code that the list of the day does not know is left out; where it knows both or none, that
    of a declared change which is not the code of the day; of others none, and `left_out` is NULL.
    """
    changes = ", ".join(
        f"({quoted(one.old)}, {quoted(one.new)}, DATE '{one.first_day}')" for one in CODE_CHANGES
    )
    pardoned = excuses.condition(DAILY_PRICES.name, PUBLISHED_ONCE)
    rows = kline.query(
        "kline",
        f"""
        WITH pairs AS (
            SELECT trade_date, min(ts_code) AS first_code, max(ts_code) AS last_code
            FROM kline WHERE vol >= {SMALL_VOLUME}
            GROUP BY trade_date, open, high, low, close, vol, amount
            HAVING min(ts_code) <> max(ts_code)
        ),
        known AS (
            SELECT pairs.*,
                first.ts_code IS NOT NULL AS first_listed,
                last.ts_code IS NOT NULL AS last_listed,
                if(pairs.trade_date < since, new_code, old_code) AS not_of_the_day
            FROM pairs
            LEFT JOIN stocks AS first
                ON first.ts_code = first_code AND first.trade_date = pairs.trade_date
            LEFT JOIN stocks AS last
                ON last.ts_code = last_code AND last.trade_date = pairs.trade_date
            LEFT JOIN (VALUES {changes}) AS changes (old_code, new_code, since)
                ON least(old_code, new_code) = first_code
                AND greatest(old_code, new_code) = last_code
        ),
        decided AS (
            SELECT *, CASE
                WHEN first_listed AND NOT last_listed THEN last_code
                WHEN last_listed AND NOT first_listed THEN first_code
                ELSE not_of_the_day
            END AS ts_code
            FROM known
        )
        SELECT trade_date, first_code, last_code, if({pardoned}, NULL, ts_code) AS left_out
        FROM decided
        """,
    )
    assert rows is not None
    return rows.to_arrow_table().cast(PAIRS)


def left_out_rows(pairs: pa.Table) -> str:
    """The SQL condition of bars that are not merged, as another code has them."""
    decided = pairs.select(["trade_date", "left_out"]).drop_null().to_pylist()
    rows = ", ".join(f"(DATE '{one['trade_date']}', {quoted(one['left_out'])})" for one in decided)
    return f"((trade_date, ts_code) IN ({rows}))" if rows else "false"


def st_inputs(stocks: Relation, st_shares: Relation) -> Relation:
    """Every share of `stocks` (STOCK_LIST) whose name is of the day, beside STOCK_ST.

    Left out are shares in their delisting period, and those that have changed their code: the two
    tables may know them by different ones.
    """
    mark = marks("stocks.name")
    rows = stocks.query(
        "stocks",
        f"""
        SELECT
            stocks.trade_date,
            stocks.ts_code,
            stocks.name,
            name_since,
            st_shares.ts_code IS NOT NULL AS is_in_the_list,
            {mark.st} AS has_the_mark
        FROM stocks LEFT JOIN st_shares USING (ts_code, trade_date)
        WHERE {is_of_the_day("stocks.")}
            AND NOT {mark.delisting}
            AND stocks.ts_code NOT IN ({CHANGED_CODES})
        """,
    )
    assert rows is not None
    return rows
