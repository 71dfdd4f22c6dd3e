"""Checks of the vendor's tables, each by itself, before a day of them is stored.

Here belongs what a row can be proved wrong by without looking at another table. That keys occur
once, that every row is of the day asked for and that no column is missing is refused already
where answers are read.

Sources: the exchanges' rules; the vendor's documentation of each call; a real day of 5,393 rows
on which every statement holds.
"""

import datetime as dt

from marketdata_assets.checks.bars import units
from marketdata_assets.checks.declaring import Check, Finding
from marketdata_assets.checks.funds import FUND_CHECKS, FUND_ROW_COUNT
from marketdata_assets.tables import (
    ADJ_FACTOR,
    DAILY_BASIC,
    DAILY_KLINE,
    ETF_KLINE,
    ETF_LIST,
    ETF_NAV,
    PRICE_LIMITS,
    STOCK_LIST,
    Table,
)

# Volumes have two decimals of a 手, values three of 千元: what rounding can move the mean price.
_ROUNDING_OF_MEAN_PRICE = "(0.005 + 0.005 * high) / vol + 1e-6 * high"
# Two decimals up to 2018-07-19, four from then on.
_HALF_DIGIT_OF_PCT_CHG = "if(trade_date < DATE '2018-07-20', 0.005, 0.00005)"
NEVER_ZERO = (
    "pe",
    "pe_ttm",
    "pb",
    "ps",
    "ps_ttm",
    "dv_ttm",
    "total_share",
    "float_share",
    "free_share",
    "total_mv",
    "circ_mv",
)

FETCHED_CHECKS: dict[str, tuple[Check, ...]] = {
    STOCK_LIST.name: (
        Check(
            "listing_facts",
            "Every share has a name, and a code and board that belong together.",
            "每只股票都有名称，且代码与板块一致。",
            "trim(name) = '' OR right(ts_code, 3) <> CASE exchange WHEN 'SSE' THEN '.SH' "
            "WHEN 'SZSE' THEN '.SZ' WHEN 'BSE' THEN '.BJ' ELSE '' END",
            ("name", "exchange"),
        ),
    ),
    DAILY_KLINE.name: (
        Check(
            "positive_prices",
            "Prices are above zero; volume and value are both zero or both above.",
            "价格大于零；成交量与成交额同为零或同为正。",
            "least(open, high, low, close, pre_close) <= 0 OR vol < 0 OR amount < 0 "
            "OR (vol = 0) <> (amount = 0)",
            ("open", "high", "low", "close", "pre_close", "vol", "amount"),
        ),
        Check(
            "ohlc_order",
            "The low is the lowest and the high the highest of the four prices.",
            "最低价不高于、最高价不低于开盘与收盘价。",
            "low > least(open, close) OR high < greatest(open, close)",
            ("open", "high", "low", "close"),
        ),
        units(_ROUNDING_OF_MEAN_PRICE),
        Check(
            "change_recomputed",
            "change is close minus pre_close.",
            "涨跌额等于收盘价减昨收价。",
            "abs(change - (close - pre_close)) > 1e-6",
            ("close", "pre_close", "change"),
        ),
        Check(
            "pct_chg_recomputed",
            "pct_chg is change over pre_close in percent: 2 decimals up to 2018-07-19, 4 after.",
            "涨跌幅等于涨跌额除以昨收价：2018-07-19 及以前保留两位小数，之后四位。",
            "abs(pct_chg - (close - pre_close) / pre_close * 100) "
            f"> {_HALF_DIGIT_OF_PCT_CHG} + 1e-9",
            ("close", "pre_close", "pct_chg"),
        ),
    ),
    PRICE_LIMITS.name: (
        Check(
            "limits_ordered",
            "The upper limit is above the lower one, and neither is negative.",
            "涨停价高于跌停价，且均不为负。",
            "up_limit <= down_limit OR down_limit < 0",
            ("up_limit", "down_limit"),
        ),
    ),
    DAILY_BASIC.name: (
        Check(
            "not_zero_filled",
            "What the vendor does not know is NULL; none of these columns is ever zero.",
            "未知值为 NULL；这些列不会为零。",
            " OR ".join(f"{name} = 0" for name in NEVER_ZERO),
            NEVER_ZERO,
        ),
        Check(
            "share_counts_ordered",
            "Free float is within the float, the float within the shares issued.",
            "自由流通股本 ≤ 流通股本 ≤ 总股本。",
            "float_share > total_share OR free_share > float_share",
            ("total_share", "float_share", "free_share"),
        ),
    ),
    ADJ_FACTOR.name: (
        Check(
            "positive_factor",
            "Adjustment factors are above zero.",
            "复权因子大于零。",
            "adj_factor <= 0",
            ("adj_factor",),
        ),
    ),
    **FUND_CHECKS,
}

ROW_COUNT = Check(
    "row_count",
    "The day has as many rows as the session before, but for a few.",
    "当日行数不少于上一交易日（允许少量减少）。",
    # Counted by `rows_lost`, not row by row.
    wrong="false",
    shown=(),
    tolerance=0.02,
)
# Tables of everything that is listed: their size moves by a few rows a day. What trades can
# change by hundreds overnight, when many are suspended; the ledger explains that share by share.
# Values of funds come in over days, so their number says nothing.
COUNTED: dict[str, Check] = {
    STOCK_LIST.name: ROW_COUNT,
    PRICE_LIMITS.name: ROW_COUNT,
    ADJ_FACTOR.name: ROW_COUNT,
    ETF_LIST.name: FUND_ROW_COUNT,
    ETF_KLINE.name: FUND_ROW_COUNT,
}

# Values of funds are never withdrawn in numbers: a later answer with fewer is a cut one.
ROWS_KEPT = Check(
    "rows_kept",
    "A day that is asked for again has as many rows as are stored of it, but for a few. If fewer "
    "are right, move its stored file away and materialize the day again.",
    "重新获取时，当日行数不少于已存行数（允许少量减少）。",
    # Counted by `rows_gone`, not row by row.
    wrong="false",
    shown=(),
    tolerance=0.02,
)
RECOUNTED: dict[str, Check] = {ETF_NAV.name: ROWS_KEPT}


def fetched_checks(table: Table) -> tuple[Check, ...]:
    """All checks of a fetched table."""
    counting = tuple(each[table.name] for each in (COUNTED, RECOUNTED) if table.name in each)
    return FETCHED_CHECKS.get(table.name, ()) + counting


def rows_lost(table: Table, day: dt.date, rows: int, before: int | None) -> list[Finding]:
    """The rows that a day has fewer than the session before had; `before` is None if unknown."""
    if table.name not in COUNTED or before is None or rows >= before:
        return []
    sample = (f"{rows:,} rows after {before:,} on the session before",)
    return [Finding(COUNTED[table.name], table.name, day, before - rows, before, sample)]


def rows_gone(table: Table, day: dt.date, rows: int, stored: int | None) -> list[Finding]:
    """The rows that a day has fewer than are `stored` of the same day; None if none are."""
    if table.name not in RECOUNTED or stored is None or rows >= stored:
        return []
    sample = (f"{rows:,} rows where {stored:,} are stored",)
    return [Finding(RECOUNTED[table.name], table.name, day, stored - rows, stored, sample)]
