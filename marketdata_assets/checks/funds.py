"""Checks of exchange-listed funds: lists, bars and values by themselves, premiums over all three.

Here belongs what must hold of funds. Funds have no adjustment factor, so their pre_close is not
compared with the session before.

Sources: the exchanges' rules; the vendor's documentation of each call; the premiums of ETFs, LOFs,
closed-end funds and REITs, graded ones included, which reach several hundred percent.
"""

import duckdb
import pyarrow as pa

from marketdata_assets.checks.bars import units
from marketdata_assets.checks.declaring import Check
from marketdata_assets.tables import ETF_KLINE, ETF_LIST, ETF_NAV

Relation = duckdb.DuckDBPyRelation

# Half a yuan of value and half a 手 of volume are allowed for: what they can move the mean price.
_ROUNDING_OF_MEAN_PRICE = "(0.005 + 0.5 * high) / vol + 1e-6 * high"
_IS_ETF = r"regexp_matches(ts_code, '^(5[12368]\d{4}\.SH|159\d{3}\.SZ)$')"

FUND_CHECKS: dict[str, tuple[Check, ...]] = {
    ETF_LIST.name: (
        Check(
            "listing_facts",
            "Every fund has a name and the code of an exchange.",
            "每只基金都有名称与交易所代码。",
            r"trim(name) = '' OR NOT regexp_matches(ts_code, '^\d{6}\.(SH|SZ|BJ)$')",
            ("name",),
        ),
    ),
    ETF_KLINE.name: (
        Check(
            "positive_prices",
            "Prices are above zero; volume and value are not negative, and go together.",
            "价格大于零；成交量与成交额非负，且同有同无。",
            "least(open, high, low, close, pre_close) <= 0 OR vol < 0 OR amount < 0 "
            "OR (vol = 0 AND amount > 0) OR (vol >= 1 AND amount = 0)",
            ("open", "high", "low", "close", "pre_close", "vol", "amount"),
        ),
        Check(
            "ohlc_order",
            "The low is the lowest and the high the highest of the four prices; what was traded "
            "has all four.",
            "最低价不高于、最高价不低于开盘与收盘价；有成交者四价齐全。",
            "low > least(open, close) OR high < greatest(open, close) "
            "OR (vol > 0 AND (open IS NULL OR high IS NULL OR low IS NULL))",
            ("open", "high", "low", "close", "vol"),
        ),
        units(_ROUNDING_OF_MEAN_PRICE),
        Check(
            "change_recomputed",
            "change is close minus pre_close, within half of the last digit of a price.",
            "涨跌额等于收盘价减昨收价（误差不超过最小价位的一半）。",
            "abs(change - (close - pre_close)) > 0.0005 + 1e-9",
            ("close", "pre_close", "change"),
        ),
        Check(
            "pct_chg_recomputed",
            "pct_chg is change over pre_close in percent, with two decimals at least.",
            "涨跌幅等于涨跌额除以昨收价，至少两位小数。",
            "abs(pct_chg - (close - pre_close) / pre_close * 100) > 0.005 + 1e-9",
            ("close", "pre_close", "pct_chg"),
        ),
    ),
    ETF_NAV.name: (
        Check(
            "positive_nav",
            "Net asset values are above zero.",
            "单位净值大于零。",
            "unit_nav <= 0",
            ("nav_date", "unit_nav"),
        ),
    ),
}

FUND_ROW_COUNT = Check(
    "row_count",
    "The day has as many rows as the session before, but for a quarter: funds end in numbers, "
    "and not every one trades every day.",
    "当日行数不少于上一交易日的四分之三（基金可能成批终止，也未必每日成交）。",
    # Counted by `rows_lost`, not row by row.
    wrong="false",
    shown=(),
    tolerance=0.25,
)

PREMIUM_CHECKS: tuple[Check, ...] = (
    Check(
        "premium_within_bounds",
        "ETFs trade between 40 % below and 80 % above their value, all others between 80 % below "
        "and 400 % above: beyond that, price and value do not belong together.",
        "ETF折溢价率在-40%至+80%之间，其他场内基金在-80%至+400%之间；超出则价格与净值不匹配。",
        f"CASE WHEN {_IS_ETF} THEN premium NOT BETWEEN -0.4 AND 0.8 "
        "ELSE premium NOT BETWEEN -0.8 AND 4 END",
        ("name", "close", "unit_nav", "premium"),
    ),
    Check(
        "not_repeated",
        "A bar is not that of the session before. What trades less than 1,000 手 may repeat "
        "itself.",
        "当日行情不与上一交易日完全相同（成交不足1000手者除外）。",
        "vol >= 1000 AND close = close_before AND open = open_before AND vol = vol_before "
        "AND amount = amount_before",
        ("close", "vol", "amount"),
        tolerance=0.01,
    ),
    Check(
        "navs_not_repeated",
        "Most net asset values differ from those of the session before.",
        "多数净值与上一交易日不同。",
        "unit_nav = nav_before",
        ("unit_nav",),
        tolerance=0.5,
    ),
    Check(
        "navs_published",
        "Most funds have published a net asset value.",
        "多数基金已公布净值。",
        "unit_nav IS NULL",
        ("name", "close"),
        tolerance=0.3,
        blocking=False,
    ),
    Check(
        "fund_is_listed",
        "Every fund that has a bar is in the list.",
        "有行情的基金均在列表中。",
        "name IS NULL",
        ("close",),
        blocking=False,
    ),
)


def with_session_before(premiums: Relation, before: pa.Table) -> Relation:
    """Every row of `premiums` with bar and value of the fund's row before, NULL where unknown.

    Both hold ETF_PREMIUM; `before` is the session right before the first day, or empty.
    """
    rows = premiums.query(
        "premiums",
        """
        SELECT * EXCLUDE (is_before)
        FROM (
            SELECT
                *,
                lag(open) OVER fund AS open_before,
                lag(close) OVER fund AS close_before,
                lag(vol) OVER fund AS vol_before,
                lag(amount) OVER fund AS amount_before,
                lag(unit_nav) OVER fund AS nav_before
            FROM (
                SELECT *, false AS is_before FROM premiums
                UNION ALL BY NAME
                SELECT *, true AS is_before FROM before
            )
            WINDOW fund AS (PARTITION BY ts_code ORDER BY trade_date)
        )
        WHERE NOT is_before
        """,
    )
    assert rows is not None
    return rows
