"""Checks of the merged prices: the vendor's tables against each other and against the day before.

Here belongs what takes more than one table to prove; `evidence` lays the tables side by side.
A day that breaks a blocking check is not stored, so nothing downstream ever sees it.

Sources: the trading rules of SSE, SZSE and BSE; the vendor's documentation; limits of a real day
of 5,393 shares, all of which come out exactly.
"""

from marketdata_assets.checks.declaring import Check

_NO_LIMIT = "(up_limit >= 99999 AND down_limit <= 0.01)"
_CENTS = "CAST(round(pre_close * 100) AS BIGINT)"
_IS_BSE = "ts_code LIKE '%.BJ'"
_IS_STAR = "(ts_code LIKE '688%' OR ts_code LIKE '689%')"
_IS_CHINEXT = "ts_code[1:3] IN ('300', '301', '302')"
_IS_MAIN = f"NOT ({_IS_BSE} OR {_IS_STAR} OR {_IS_CHINEXT})"
# ST and *ST; S alone marks a share whose holders have not agreed on the reform of 2005.
_IS_MARKED = r"regexp_matches(name, '^(S|\*ST|ST|S\*ST|SST)[^A-Za-z]')"
_NAME_IS_OF_THE_DAY = "names_as_of <= trade_date"


def _limits_are(percent: str, down_percent: str | None = None) -> str:
    """Both limits at `percent` of pre_close, in whole cents: half up, on the BSE toward it."""
    up = f"({_CENTS} * (100 + {percent}) + if({_IS_BSE}, 0, 50)) // 100"
    down = f"({_CENTS} * (100 - {down_percent or percent}) + if({_IS_BSE}, 99, 50)) // 100"
    return (
        f"(CAST(round(up_limit * 100) AS BIGINT) = {up} "
        f"AND CAST(round(down_limit * 100) AS BIGINT) = {down})"
    )


_RATE_OF_BOARD = (
    f"CASE WHEN {_IS_BSE} THEN 30 WHEN {_IS_STAR} THEN 20 "
    f"WHEN {_IS_CHINEXT} AND trade_date >= DATE '2020-08-24' THEN 20 ELSE 10 END"
)
# Listings, resumptions and the opening of a delisting period trade without a limit.
_MAY_BE_UNLIMITED = (
    "(list_date >= fifth_session_back OR session_before_traded IS NULL "
    "OR session_before_traded < session_before OR contains(name, '退'))"
)
_LEGAL_LIMITS = (
    f"({_NO_LIMIT} AND {_MAY_BE_UNLIMITED}) OR {_limits_are(f'({_RATE_OF_BOARD})')} "
    f"OR ({_IS_MAIN} AND trade_date < DATE '2026-07-06' AND {_limits_are('5')}) "
    f"OR (list_date = trade_date AND {_limits_are('44', '36')})"
)
_RATIO_OF_FACTORS = "(factor / factor_before)"
_RATIO_OF_PRICES = "(close_before / pre_close)"
_ROUNDING_OF_RATIO = "(5e-4 + 0.006 / least(pre_close, close_before))"

PRICE_CHECKS: tuple[Check, ...] = (
    Check(
        "within_limits",
        "No price of the day lies beyond its limits.",
        "当日价格不超出涨跌停。",
        "high > up_limit + 1e-6 OR low < down_limit - 1e-6",
        ("high", "low", "up_limit", "down_limit"),
    ),
    Check(
        "limits_recomputed",
        "Limits are pre_close and a percentage that is legal for the board and the day, rounded "
        "half up (toward pre_close on the BSE); none only on listings, resumptions, delistings.",
        "涨跌停由昨收价按板块比例四舍五入（北交所向昨收价截断）得出；仅上市初期、复牌、退市整理可无涨跌停。",
        f"up_limit IS NOT NULL AND NOT coalesce({_LEGAL_LIMITS}, false)",
        ("name", "pre_close", "up_limit", "down_limit"),
    ),
    Check(
        "limits_agree_with_name",
        "On the main board 5 % goes with ST in the name of that day, and 10 % without.",
        "主板名称带 ST 者涨跌幅 5%，否则 10%（按当日名称）。",
        f"{_IS_MAIN} AND {_NAME_IS_OF_THE_DAY} AND trade_date < DATE '2026-07-06' "
        # A delisting period keeps the rate of the share's last mark.
        "AND NOT contains(name, '退') AND ("
        f"({_IS_MARKED} AND {_limits_are('10')} AND NOT {_limits_are('5')}) OR "
        f"(NOT {_IS_MARKED} AND {_limits_are('5')} AND NOT {_limits_are('10')}))",
        ("name", "pre_close", "up_limit", "down_limit"),
        blocking=False,
    ),
    Check(
        "pre_close_continues",
        "pre_close is the close of the session before, or differs from it as the adjustment "
        "factor says.",
        "昨收价等于上一交易日收盘价；除权除息日与复权因子的变化一致。",
        "close_before IS NOT NULL AND CASE WHEN factor = factor_before "
        "THEN abs(pre_close - close_before) > 1e-6 "
        f"ELSE abs({_RATIO_OF_FACTORS} / {_RATIO_OF_PRICES} - 1) > {_ROUNDING_OF_RATIO} END",
        ("pre_close", "close_before", "factor", "factor_before"),
    ),
    Check(
        "factor_without_gap",
        "The adjustment factor changes only where pre_close does.",
        "复权因子仅在昨收价除权时变化。",
        "close_before IS NOT NULL AND factor <> factor_before "
        "AND abs(pre_close - close_before) < 1e-6",
        ("pre_close", "close_before", "factor", "factor_before"),
        blocking=False,
    ),
    Check(
        "not_repeated",
        "A bar is not that of the session before.",
        "当日行情不与上一交易日完全相同。",
        "vol > 0 AND close = close_before AND open = open_before AND vol = vol_before "
        "AND amount = amount_before",
        ("close", "vol", "amount"),
        tolerance=0.001,
    ),
    Check(
        "indicators_agree",
        "The indicators' close is the bar's, turnover_rate is vol over float_share, market values "
        "are close times shares.",
        "每日指标与行情一致：收盘价、换手率、总市值、流通市值。",
        "basic_close <> close OR abs(turnover_rate - vol / float_share) > 0.00005 + 1e-6 "
        "OR abs(total_mv / (close * total_share) - 1) > 1e-6 "
        "OR abs(circ_mv / (close * float_share) - 1) > 1e-6",
        ("close", "basic_close", "vol", "turnover_rate", "float_share", "total_mv"),
    ),
)
