"""Exchange-listed funds (ETFs, LOFs, closed-end funds, REITs): list, bars, NAVs and premiums.

Here belong declarations only. The first day is that of the first Chinese ETF, 510050.SH.
"""

import datetime as dt
from dataclasses import replace

from marketdata_assets.tables.declaration import (
    LOTS,
    MANY_BARS,
    PERCENT,
    PRICES,
    THOUSAND_YUAN,
    YUAN,
    Chain,
    Check,
    Mass,
    Outcome,
    Source,
    Table,
    day,
    flag,
    number,
    row_count,
    text,
    units,
    values_present,
)
from marketdata_assets.tables.stocks import TRADE_DATE, TS_CODE

FIRST_FUND_DATE = dt.date(2005, 2, 23)
YUAN_A_SHARE = "yuan a fund share"
FUND_ROW_COUNT = row_count(
    Mass(0.25, 20),
    ": funds end in numbers, and not every one trades every day",
    "，基金可能成批终止，也未必每日成交",
)
# Five yuan of value and half a 手 of volume are allowed for: what they can move the mean price.
_ROUNDING_OF_MEAN_PRICE = "(0.05 + 0.5 * high) / vol + 1e-6 * high"

FUND_BASIC = Table(
    name="fund_basic",
    doc="Every exchange-listed fund there ever was, as the vendor knows it when asked.",
    doc_zh="全部场内基金（含已摘牌）的基础信息，为调用时刻的口径。",
    key=("ts_code",),
    columns=(
        TS_CODE,
        text("name", "short name", "基金简称"),
        text("management", "management company", "管理人"),
        text("fund_type", "股票型, 债券型, 混合型, 货币市场型, REITs, …", "投资类型"),
        text("invest_type", "style, the vendor's classes", "投资风格"),
        text("benchmark", "benchmark of performance", "业绩比较基准"),
        text("status", "L listed, D delisted, I being issued", "存续状态"),
        text("market", "E: on an exchange", "市场，E为场内"),
        day("list_date", "first trading day", "上市日期"),
        day("delist_date", "day of delisting", "退市日期"),
    ),
    date_column=None,
    source=Source("fund_basic", row_cap=15_000),
)

ETF_LIST = Table(
    name="etf_list",
    doc="The exchange-listed funds of the day, by listing and delisting date (no survivorship "
    "bias).",
    doc_zh="当日在市的全部场内基金，按上市与退市日期还原，无幸存者偏差。",
    columns=(
        TRADE_DATE,
        *(c for c in FUND_BASIC.columns if c.name not in ("status", "market", "delist_date")),
        flag(
            "is_listed",
            "true; NULL: may have been listed, the vendor does not tell the day it came or left",
            "在市；供应商未给出上市或退市日期、无法判断时为空",
        ),
        day(
            "names_as_of", "day on which name and classes were known", "名称与分类的获知日期", False
        ),
    ),
    first_date=FIRST_FUND_DATE,
    source=FUND_BASIC.source,
    checks=(
        Check(
            "listing_facts",
            "Every fund has a name and the code of an exchange. A number that was used twice has "
            "seven digits.",
            "每只基金都有名称与交易所代码；重复使用的代码为七位数字。",
            "coalesce(trim(name), '') = '' "
            r"OR NOT regexp_matches(ts_code, '^\d{6,7}\.(SH|SZ|BJ)$')",
            ("name",),
            mass=Mass(0.05, 20),
        ),
    ),
    row_count=FUND_ROW_COUNT,
)

_BARS = (
    number("open", YUAN, "first price; NULL: did not trade", "开盘价，无成交为空"),
    number("high", YUAN, "highest price; NULL: did not trade", "最高价，无成交为空"),
    number("low", YUAN, "lowest price; NULL: did not trade", "最低价，无成交为空"),
    number("close", YUAN, "last price", "收盘价"),
    number("pre_close", YUAN, "previous close, adjusted on ex-dates", "除权昨收价"),
)
_VOLUMES = (
    number("vol", LOTS, "traded volume", "成交量"),
    number("amount", THOUSAND_YUAN, "traded value", "成交额"),
)
_PCT_CHG = number("pct_chg", PERCENT, "change over pre_close", "涨跌幅")

ETF_KLINE = Table(
    name="etf_kline",
    doc="Unadjusted daily bars of every exchange-listed fund of the day.",
    doc_zh="当日全部场内基金的未复权日线。",
    columns=(
        TS_CODE,
        TRADE_DATE,
        *_BARS,
        number("change", YUAN, "close minus pre_close", "涨跌额"),
        _PCT_CHG,
        *_VOLUMES,
    ),
    first_date=FIRST_FUND_DATE,
    source=Source(
        "fund_daily",
        row_cap=2_000,
        published_at=dt.time(16, 0),
        takes_ranges=True,
        points=5_000,
    ),
    checks=(
        # Funds that did not trade have a close alone.
        *values_present(("pre_close", "change", "pct_chg", "vol", "amount")),
        Check(
            "positive_prices",
            "Prices are above zero; volume and value are not negative, and go together.",
            "价格大于零；成交量与成交额非负，且同有同无。",
            " OR ".join(f"{name} <= 0" for name in PRICES)
            + " OR vol < 0 OR amount < 0 OR (vol = 0 AND amount > 0) OR (vol >= 1 AND amount = 0)",
            ("open", "high", "low", "close", "pre_close", "vol", "amount"),
            outcome=Outcome.HELD,
            mass=MANY_BARS,
        ),
        Check(
            "ohlc_order",
            "The low is the lowest and the high the highest of the four prices; what was traded "
            "has all four.",
            "最低价不高于、最高价不低于开盘与收盘价；有成交者四价齐全。",
            "low > least(open, close) OR high < greatest(open, close) OR low > high "
            "OR (vol > 0 AND (open IS NULL OR high IS NULL OR low IS NULL))",
            ("open", "high", "low", "close", "vol"),
            outcome=Outcome.HELD,
            mass=MANY_BARS,
        ),
        units(_ROUNDING_OF_MEAN_PRICE),
        Check(
            "change_recomputed",
            "change is close minus pre_close, within half of the last digit of a price.",
            "涨跌额等于收盘价减昨收价（误差不超过最小价位的一半）。",
            "abs(change - (close - pre_close)) > 0.0005 + 1e-9",
            ("close", "pre_close", "change"),
            mass=MANY_BARS,
        ),
        Check(
            "pct_chg_recomputed",
            "pct_chg is change over pre_close in percent, with two decimals at least.",
            "涨跌幅等于涨跌额除以昨收价，至少两位小数。",
            "pre_close > 0 AND abs(pct_chg - (close - pre_close) / pre_close * 100) "
            "> 0.00505 + 1e-9",
            ("close", "pre_close", "pct_chg"),
            mass=MANY_BARS,
        ),
    ),
    row_count=FUND_ROW_COUNT,
    chain=Chain.FUNDS,
)

_UNIT_NAV = number(
    "unit_nav",
    YUAN_A_SHARE,
    "net asset value; NULL also where the vendor's rows contradict each other",
    "单位净值，供应商多行相互矛盾时亦为空",
)
_NAVS = (
    day("ann_date", "day of publication", "公告日期"),
    _UNIT_NAV,
    number(
        "accum_nav",
        YUAN_A_SHARE,
        "net asset value plus all dividends; NULL also where the vendor's rows contradict each "
        "other",
        "累计净值，供应商多行相互矛盾时亦为空",
    ),
    number(
        "adj_nav",
        YUAN_A_SHARE,
        "net asset value, adjusted; NULL also where the vendor's rows contradict each other",
        "复权单位净值，供应商多行相互矛盾时亦为空",
    ),
    text("update_flag", "1 where the vendor has amended the row", "更新标识"),
)
_NAV_DATE = day(
    "nav_date", "day of the value, which need not trade", "净值日期，可为非交易日", False
)

FUND_NAV = Table(
    name="fund_nav",
    doc="Net asset values of one calendar day, as the vendor tells them.",
    doc_zh="某一自然日的基金净值（供应商口径）。",
    key=("nav_date", "ts_code"),
    columns=(TS_CODE, _NAV_DATE, *_NAVS),
    date_column="nav_date",
    first_date=FIRST_FUND_DATE,
    # A day has fewer exchange-listed funds than a page has rows; pages are a safeguard.
    source=Source("fund_nav", row_cap=10_500, page_size=8_000),
)

ETF_NAV = Table(
    name="etf_nav",
    doc="Net asset values of exchange-listed funds. Those of a day without trading, as at the end "
    "of a year, are with the next trading day.",
    doc_zh="场内基金净值。非交易日（如年末）的净值归入其后第一个交易日。",
    key=("trade_date", "ts_code", "nav_date"),
    columns=(TRADE_DATE, *FUND_NAV.columns),
    first_date=FIRST_FUND_DATE,
    source=replace(FUND_NAV.tushare, of_calendar_days=True),
    checks=(
        Check(
            "positive_nav",
            "Net asset values are there and above zero. There is none either where the vendor's "
            "rows contradict each other.",
            "单位净值存在且大于零；供应商多行相互矛盾时视为缺失。",
            "unit_nav IS NULL OR unit_nav <= 0",
            ("nav_date", "unit_nav"),
            outcome=Outcome.HELD,
            mass=Mass(0.05, 20),
        ),
    ),
    chain=Chain.FUNDS,
)

ETF_PREMIUM = Table(
    name="etf_premium",
    doc="Bar, net asset value and premium of every exchange-listed fund: close over unit_nav of "
    "the same day, minus one. A value that is missing is never replaced by an earlier one.",
    doc_zh="场内基金的日线、净值与折溢价率：同日收盘价/单位净值-1，净值缺失时不以前值填充。",
    columns=(
        TRADE_DATE,
        TS_CODE,
        text("name", "short name; NULL: not in etf_list", "基金简称，不在列表中为空"),
        *_BARS,
        _PCT_CHG,
        *_VOLUMES,
        number("unit_nav", YUAN_A_SHARE, "net asset value of the day", "当日单位净值"),
        day("nav_ann_date", "day on which unit_nav was published", "净值公告日期"),
        number("premium", "ratio", "close / unit_nav - 1; 0.05 is 5 %", "折溢价率，0.05即5%"),
        text(
            "no_premium",
            "why premium is NULL: nav not published, or nav on another scale (a money market "
            "fund quoted at 100 with a value of 1), or price and nav do not fit (a split told on "
            "one side only); NULL: there is a premium",
            "无折溢价率的原因：净值未公布，净值口径不同（货币基金），或价格与净值不匹配（仅一方已拆分）；"
            "有折溢价率时为空",
        ),
    ),
    first_date=FIRST_FUND_DATE,
)
