"""A-shares: the vendor's tables of a day, and the list of who is listed.

Here belong declarations only: columns, and what a row can be proved wrong by without looking at
another table; what is merged of them is in `daily_prices`. Any value of the vendor's may be missing
in a single row, so only keys, and what is not the vendor's, may never be NULL.

Sources of the checks: the exchanges' rules; the vendor's documentation of each call; 2.4 million
real bars of 2005 to 2022 and a real day of 2025, none of which is held or refused.
"""

import datetime as dt

import pyarrow as pa

from marketdata_assets.tables.declaration import (
    LOTS,
    MANY_BARS,
    MANY_ROWS,
    PERCENT,
    PRICES,
    TEN_THOUSAND_SHARES,
    TEN_THOUSAND_YUAN,
    THOUSAND_YUAN,
    YUAN,
    Chain,
    Check,
    Column,
    Mass,
    Outcome,
    Source,
    Table,
    day,
    number,
    row_count,
    text,
    units,
    values_present,
)

TS_CODE = text("ts_code", "code with exchange suffix, 600000.SH", "带交易所后缀的代码", False)
TRADE_DATE = day("trade_date", "trading day", "交易日", False)
# Everything that is listed: its number moves by a few a day. What trades can change by hundreds
# overnight, when many are suspended; the ledger explains that share by share.
ROW_COUNT = row_count(Mass(0.02, 20))

TRADE_CALENDAR = Table(
    name="trade_calendar",
    doc="Open and closed days of the Shanghai exchange as the vendor publishes them.",
    doc_zh="上交所交易日历（供应商口径）。",
    key=("cal_date",),
    columns=(
        text("exchange", "exchange", "交易所", False),
        day("cal_date", "calendar day", "自然日", False),
        Column("is_open", pa.int8(), "", "1 on a trading day, else 0", "是否交易", False),
        day("pretrade_date", "previous trading day", "上一个交易日"),
    ),
    date_column=None,
    source=Source("trade_cal", row_cap=13_000),
)

STOCK_BASIC = Table(
    name="stock_basic",
    doc="Every A-share ever listed, as the vendor knows it at the moment of the call.",
    doc_zh="全部A股（含退市、暂停上市）的基础信息，为调用时刻的口径。",
    key=("ts_code",),
    columns=(
        TS_CODE,
        text("symbol", "code without suffix", "代码"),
        text("name", "short name, with ST marks of its day", "证券简称"),
        text("area", "region of the company", "地域"),
        text("industry", "industry, the vendor's classes", "所属行业"),
        text("market", "board: 主板, 创业板, 科创板, 北交所, CDR", "市场类型"),
        text("exchange", "SSE, SZSE or BSE", "交易所"),
        text("list_status", "L listed, D delisted, P paused", "上市状态"),
        day("list_date", "first trading day", "上市日期"),
        day("delist_date", "day of delisting", "退市日期"),
    ),
    date_column=None,
    source=Source("stock_basic", row_cap=6_000),
)

STOCK_LIST = Table(
    name="stock_list",
    doc="The A-shares listed on the day, by listing and delisting date (no survivorship bias), by "
    "the names of that day.",
    doc_zh="当日在市的全部A股，按上市与退市日期还原，无幸存者偏差；名称为当日简称。",
    columns=(
        TRADE_DATE,
        *(c for c in STOCK_BASIC.columns if c.name not in ("list_status", "delist_date")),
        day(
            "names_as_of",
            "day on which area, industry and market were known, and the name where name_since is "
            "NULL",
            "地域、行业、市场的获知日期；name_since 为空时亦为名称的获知日期",
            False,
        ),
        day(
            "name_since",
            "first day of the name, which is that of the day; NULL: not told",
            "当日简称的启用日期；未告知则为空",
        ),
    ),
    source=STOCK_BASIC.source,
    checks=(
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
    row_count=ROW_COUNT,
)

# Volumes have two decimals of a 手. Values have three of 千元, in some copies two, and up to 2010
# whole hundreds of yuan: what that can move the mean price.
_ROUNDING_OF_MEAN_PRICE = (
    "(if(trade_date < DATE '2011-01-01', 0.5, 0.05) + 0.005 * high) / vol + 1e-6 * high"
)
# Four decimals from 2018-07-20; before, rounded to four and then to two.
_ROUNDING_OF_PCT_CHG = "if(trade_date < DATE '2018-07-20', 0.00505, 0.00005)"

DAILY_KLINE = Table(
    name="daily_kline",
    doc="Unadjusted daily bars of every A-share that traded on the day.",
    doc_zh="当日有成交的全部A股未复权日线。",
    columns=(
        TS_CODE,
        TRADE_DATE,
        number("open", YUAN, "first price", "开盘价"),
        number("high", YUAN, "highest price", "最高价"),
        number("low", YUAN, "lowest price", "最低价"),
        number("close", YUAN, "last price", "收盘价"),
        number("pre_close", YUAN, "previous close, adjusted on ex-dates", "除权昨收价"),
        number("change", YUAN, "close minus pre_close", "涨跌额"),
        number("pct_chg", PERCENT, "change over pre_close", "涨跌幅"),
        number("vol", LOTS, "traded volume", "成交量"),
        number("amount", THOUSAND_YUAN, "traded value", "成交额"),
    ),
    source=Source("daily", row_cap=6_000, published_at=dt.time(16, 0), takes_ranges=True),
    checks=(
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
    chain=Chain.STOCKS,
)

PRICE_LIMITS = Table(
    name="price_limits",
    doc="Upper and lower price limits of the day, funds and B shares included.",
    doc_zh="当日涨跌停价格，含基金与B股。",
    columns=(
        TRADE_DATE,
        TS_CODE,
        number("up_limit", YUAN, "upper limit; 99999.99 and above means none", "涨停价"),
        number("down_limit", YUAN, "lower limit; 0.01 and below means none", "跌停价"),
    ),
    first_date=dt.date(2007, 1, 4),
    # The documented cap; the measured one is the page.
    source=Source(
        "stk_limit",
        row_cap=5_800,
        page_size=7_800,
        published_at=dt.time(8, 40),
        takes_ranges=True,
    ),
    checks=(
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
    row_count=ROW_COUNT,
    chain=Chain.STOCKS,
)

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

DAILY_BASIC = Table(
    name="daily_basic",
    doc="Turnover, valuation and share counts of the day (no Beijing shares before 2024).",
    doc_zh="当日换手、估值与股本指标（2024年前无北交所）。",
    columns=(
        TS_CODE,
        TRADE_DATE,
        number("close", YUAN, "last price", "收盘价"),
        number("turnover_rate", PERCENT, "volume over float shares", "换手率"),
        number("turnover_rate_f", PERCENT, "volume over free-float shares", "换手率（自由流通）"),
        number("volume_ratio", "ratio", "volume over its five-day mean", "量比"),
        number("pe", "ratio", "price over earnings; NULL on a loss", "市盈率"),
        number("pe_ttm", "ratio", "price over trailing earnings", "滚动市盈率"),
        number("pb", "ratio", "price over book value", "市净率"),
        number("ps", "ratio", "price over sales", "市销率"),
        number("ps_ttm", "ratio", "price over trailing sales", "滚动市销率"),
        number("dv_ratio", PERCENT, "dividend yield", "股息率"),
        number("dv_ttm", PERCENT, "trailing dividend yield", "滚动股息率"),
        number("total_share", TEN_THOUSAND_SHARES, "shares issued", "总股本"),
        number("float_share", TEN_THOUSAND_SHARES, "tradable shares", "流通股本"),
        number("free_share", TEN_THOUSAND_SHARES, "free-float shares", "自由流通股本"),
        number("total_mv", TEN_THOUSAND_YUAN, "market value", "总市值"),
        number("circ_mv", TEN_THOUSAND_YUAN, "tradable market value", "流通市值"),
    ),
    source=Source("daily_basic", row_cap=6_000, published_at=dt.time(17, 0), takes_ranges=True),
    checks=(
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
    chain=Chain.STOCKS,
)


ADJ_FACTOR = Table(
    name="adj_factor",
    doc="Cumulative adjustment factor of every listed A-share, suspended ones included.",
    doc_zh="全部在市A股（含停牌）的累计复权因子。",
    columns=(
        TS_CODE,
        TRADE_DATE,
        number(
            "adj_factor",
            "ratio",
            "grows from 1 at listing by previous close over pre_close on every ex-date",
            "复权因子，上市日为1，除权除息日按前收盘价与除权昨收价之比增长",
        ),
    ),
    source=Source("adj_factor", row_cap=6_000, published_at=dt.time(9, 15), takes_ranges=True),
    checks=(
        Check(
            "positive_factor",
            "Adjustment factors are above zero.",
            "复权因子大于零。",
            "adj_factor IS NULL OR adj_factor <= 0",
            ("adj_factor",),
            mass=MANY_ROWS,
        ),
    ),
    row_count=ROW_COUNT,
    chain=Chain.STOCKS,
)

SUSPENSIONS = Table(
    name="suspensions",
    doc="Shares suspended on the day, for all of it or a part, and shares that resumed.",
    doc_zh="当日停牌（全天或盘中）与复牌的股票。",
    # A share can be halted twice within a day, so the timing tells rows apart.
    key=("trade_date", "ts_code", "suspend_type", "suspend_timing"),
    columns=(
        TS_CODE,
        TRADE_DATE,
        text("suspend_timing", "hours of the halt, 09:30-10:00; NULL: the whole day", "停牌时段"),
        text("suspend_type", "S suspended, R resumed", "停复牌类型", False),
    ),
    source=Source("suspend_d", row_cap=5_000, published_at=dt.time(9, 15), takes_ranges=True),
    may_be_empty=True,
    chain=Chain.STOCKS,
)
