"""Checks of the vendor's tables, each by itself, before a day of them is stored.

Here belongs what a row can be proved wrong by without looking at another table, and what a table
may lose. That every row is of the day asked for and that no column is missing is refused already
where answers are read.

Sources: the exchanges' rules; the vendor's documentation of each call; 2.4 million real bars of
2005 to 2022 and a real day of 2025, none of which is held or refused.
"""

import datetime as dt

import pyarrow as pa

from marketdata_assets.checks.finding import Finding
from marketdata_assets.checks.funds import FUND_CHECKS
from marketdata_assets.tables import (
    ADJ_FACTOR,
    DAILY_BASIC,
    DAILY_KLINE,
    ETF_KLINE,
    ETF_LIST,
    PRICE_LIMITS,
    STOCK_LIST,
    Table,
)
from marketdata_assets.tables.bar_checks import MANY_BARS, PRICES, units, values_present
from marketdata_assets.tables.checking import Check, Mass, Outcome

# Volumes have two decimals of a 手. Values have three of 千元, in some copies two, and up to 2010
# whole hundreds of yuan: what that can move the mean price.
_ROUNDING_OF_MEAN_PRICE = (
    "(if(trade_date < DATE '2011-01-01', 0.5, 0.05) + 0.005 * high) / vol + 1e-6 * high"
)
# Four decimals from 2018-07-20; before, rounded to four and then to two.
_ROUNDING_OF_PCT_CHG = "if(trade_date < DATE '2018-07-20', 0.00505, 0.00005)"
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
COUNTS = ("close", "total_share", "float_share", "total_mv", "circ_mv")
MANY_ROWS = Mass(0.02, 50)

FETCHED_CHECKS: dict[str, tuple[Check, ...]] = {
    STOCK_LIST.name: (
        Check(
            "listing_facts",
            "Every share has a name, and a code and board that belong together.",
            "每只股票都有名称，且代码与板块一致。",
            "coalesce(trim(name), '') = '' OR right(ts_code, 3) IS DISTINCT FROM CASE exchange "
            "WHEN 'SSE' THEN '.SH' WHEN 'SZSE' THEN '.SZ' WHEN 'BSE' THEN '.BJ' END",
            ("name", "exchange"),
            mass=Mass(0.01, 20),
        ),
    ),
    DAILY_KLINE.name: (
        *values_present(("open", "high", "low", "pre_close", "change", "pct_chg", "vol", "amount")),
        Check(
            "positive_prices",
            "Prices are above zero; volume and value are both zero or both above.",
            "价格大于零；成交量与成交额同为零或同为正。",
            " OR ".join(f"{name} <= 0" for name in PRICES)
            + " OR vol < 0 OR amount < 0 OR (vol = 0) <> (amount = 0)",
            ("open", "high", "low", "close", "pre_close", "vol", "amount"),
            outcome=Outcome.HELD,
            mass=MANY_BARS,
        ),
        Check(
            "ohlc_order",
            "The low is the lowest and the high the highest of the four prices.",
            "最低价不高于、最高价不低于开盘与收盘价。",
            "low > least(open, close) OR high < greatest(open, close) OR low > high",
            ("open", "high", "low", "close"),
            outcome=Outcome.HELD,
            mass=MANY_BARS,
        ),
        units(_ROUNDING_OF_MEAN_PRICE),
        Check(
            "change_recomputed",
            "change is close minus pre_close.",
            "涨跌额等于收盘价减昨收价。",
            "abs(change - (close - pre_close)) > 1e-6",
            ("close", "pre_close", "change"),
            mass=MANY_BARS,
        ),
        Check(
            "pct_chg_recomputed",
            "pct_chg is change over pre_close in percent: to 4 decimals, and up to 2018-07-19 then "
            "to 2.",
            "涨跌幅等于涨跌额除以昨收价：保留四位小数，2018-07-19 及以前再保留两位。",
            "pre_close > 0 AND abs(pct_chg - (close - pre_close) / pre_close * 100) "
            f"> {_ROUNDING_OF_PCT_CHG} + 1e-9",
            ("close", "pre_close", "pct_chg"),
            mass=MANY_BARS,
        ),
    ),
    PRICE_LIMITS.name: (
        Check(
            "limits_ordered",
            "The upper limit is above the lower one, and neither is negative. A share that is "
            "halted may have 0 for both.",
            "涨停价高于跌停价，且均不为负；停牌股票可均为 0。",
            "up_limit IS NULL OR down_limit IS NULL OR down_limit < 0 "
            "OR (up_limit <= down_limit AND NOT (up_limit = 0 AND down_limit = 0))",
            ("up_limit", "down_limit"),
            mass=MANY_ROWS,
        ),
    ),
    DAILY_BASIC.name: (
        Check(
            "counts_present",
            "Close, share counts and market values are there.",
            "收盘价、股本与市值齐全。",
            " OR ".join(f"{name} IS NULL" for name in COUNTS),
            COUNTS,
            mass=Mass(0.05, 50),
        ),
        Check(
            "not_zero_filled",
            "What the vendor does not know is NULL; none of these columns is ever zero.",
            "未知值为 NULL；这些列不会为零。",
            " OR ".join(f"{name} = 0" for name in NEVER_ZERO),
            NEVER_ZERO,
            mass=MANY_ROWS,
        ),
        Check(
            "share_counts_ordered",
            "Free float is within the float, the float within the shares issued, none negative.",
            "自由流通股本 ≤ 流通股本 ≤ 总股本，且均不为负。",
            "float_share > total_share OR free_share > float_share "
            "OR least(total_share, float_share, free_share) < 0",
            ("total_share", "float_share", "free_share"),
            mass=MANY_ROWS,
        ),
    ),
    ADJ_FACTOR.name: (
        Check(
            "positive_factor",
            "Adjustment factors are above zero.",
            "复权因子大于零。",
            "adj_factor IS NULL OR adj_factor <= 0",
            ("adj_factor",),
            mass=MANY_ROWS,
        ),
    ),
    **FUND_CHECKS,
}


def _row_count(lost: Mass, why: str, why_zh: str) -> Check:
    return Check(
        "row_count",
        f"The day has as many rows as the session before, but for a few{why}.",
        f"当日行数不少于上一交易日（允许少量减少{why_zh}）。",
        # Counted by `rows_lost`, not row by row.
        wrong="false",
        shown=(),
        outcome=Outcome.REFUSED,
        mass=lost,
    )


ROW_COUNT = _row_count(Mass(0.02, 20), "", "")
FUND_ROW_COUNT = _row_count(
    Mass(0.25, 20),
    ": funds end in numbers, and not every one trades every day",
    "，基金可能成批终止，也未必每日成交",
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

# What is stored stays when an answer has less: nothing is lost by that, and what the vendor has
# truly removed is gone on the next day too.
ROWS_KEPT = Check(
    "rows_kept",
    "A day that is asked for again has every row that is stored of it. Rows that are absent on "
    "another day too, or that somebody excuses, are given up.",
    "重新获取时,已存的行仍在;次日再次缺失或经豁免后方予删除。",
    # Compared by `rows_gone`, not row by row.
    wrong="false",
    shown=(),
    outcome=Outcome.REFUSED,
    mass=Mass(0.0, 1),
)


def fetched_checks(table: Table) -> tuple[Check, ...]:
    """All checks of a fetched table."""
    counting = (COUNTED[table.name],) if table.name in COUNTED else ()
    return (*FETCHED_CHECKS.get(table.name, ()), *counting, ROWS_KEPT)


def rows_lost(table: Table, day: dt.date, rows: int, rows_before: int | None) -> list[Finding]:
    """What `COUNTED` says of a day with `rows` rows after a session with `rows_before`."""
    if table.name not in COUNTED or not rows_before or rows >= rows_before:
        return []
    sample = (f"{rows_before:,} on the session before",)
    found = Finding(COUNTED[table.name], table.name, day, rows_before - rows, rows_before, sample)
    return [found]


def rows_gone(table: Table, data: pa.Table, stored: pa.Table) -> dict[str, str]:
    """The codes of which `stored` has rows that `data` lacks, each with these rows' keys.

    The hours of a halt may be corrected: that is no other row.
    """
    key = [name for name in table.key if name not in (table.date_column, "suspend_timing")]
    there = {tuple(row.values()) for row in data.select(key).to_pylist()}
    gone: dict[str, str] = {}
    for row in stored.select(key).to_pylist():
        if tuple(row.values()) not in there:
            told = " ".join(str(value) for value in row.values() if value is not None)
            code = row["ts_code"]
            gone[code] = f"{gone[code]}, {told}" if code in gone else told
    return gone
