"""Checks of the merged prices: the vendor's tables against each other and against the day before.

Here belongs what takes more than one table to prove of a bar; `check_inputs` lays the tables side
by side. Who is missing where is `ledger`.

Sources: the trading rules of SSE, SZSE and BSE; the vendor's documentation; limits of a real day
of 5,393 shares, all of which come out exactly; 2.4 million real bars of 2005 to 2022.
"""

from marketdata_assets.checks.twins import PUBLISHED_ONCE
from marketdata_assets.tables.checking import Check, Mass, Outcome
from marketdata_assets.tables.name_marks import is_of_the_day, marks

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
        "除权除息日多数复权因子发生变化,并非上一交易日的因子。",
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
        "没有两个在市代码(或两个不在市代码)的行情完全相同。",
        "same_bar_as IS NOT NULL AND left_out IS NULL",
        ("same_bar_as", "close", "vol", "amount"),
        mass=Mass(0.05, 50),
    ),
    Check(
        PUBLISHED_ONCE,
        "A change of code can leave the same past under both codes: it is merged under the one "
        "that is listed, or of the two the code of the day.",
        "代码变更后,同一历史可能出现在新旧两个代码之下:合并时只保留在市(或当日有效)的代码。",
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
