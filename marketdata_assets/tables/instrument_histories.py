"""Histories by code: the canonical series of any instrument, and the vendor's bars of one code.

Here belong declarations only.
"""

from marketdata_assets.tables.declaration import Source, Table, day, number, text

PRICE = "currency, or points of an index"

INSTRUMENT_HISTORY = Table(
    name="instrument_history",
    doc="The full daily history of every tracked code, unadjusted, each from one source.",
    doc_zh="每个跟踪代码的完整日线历史,不复权,每个代码只来自一个数据源。",
    key=("code", "date"),
    columns=(
        text("code", "canonical code: 600000.SH, HSI, AU.SHF, BTC", "规范代码", False),
        day("date", "trading day of the market, UTC's for coins", "交易日(加密货币为UTC日)", False),
        number("open", PRICE, "first price", "开盘价"),
        number("high", PRICE, "highest price", "最高价"),
        number("low", PRICE, "lowest price", "最低价"),
        number("close", PRICE, "last price", "收盘价", False),
        number("volume", "see volume_unit", "traded volume; NULL where not told", "成交量"),
        number("turnover", "currency", "traded value; NULL where not told", "成交额"),
        text("currency", "of prices and turnover: CNY, USD, …", "计价货币", False),
        text(
            "volume_unit",
            "shares, bonds, contracts or coins",
            "成交量单位:股(份)、张、枚",
            False,
        ),
        text("source", "who the row comes from", "数据源", False),
        text("source_unit", "how the source counts volume and turnover", "数据源的原始单位", False),
        text(
            "main_contract",
            "of a main continuous contract, the one whose bar it is; NULL where not known",
            "主力连续合约当日对应的合约;未知则为空",
        ),
        number(
            "roll_factor",
            "1, or where the main contract changed: close of the old one / close of the new one, "
            "both of the day before; NULL where not known",
            "of a main continuous contract, from the bar before to this one",
            "主力连续合约相对前一日的换月因子:未换月为1,换月为前一日旧合约收盘价/新合约收盘价",
        ),
    ),
    code_column="code",
)


def _bars(call: str, row_cap: int, doc: str, doc_zh: str, amount: str, lots: str = "手") -> Table:
    money = (number("amount", amount, "traded value", "成交额"),) if amount else ()
    return Table(
        name=call,
        doc=doc,
        doc_zh=doc_zh,
        key=("ts_code", "trade_date"),
        columns=(
            text("ts_code", "the vendor's code", "供应商代码", False),
            day("trade_date", "trading day", "交易日", False),
            number("open", PRICE, "first price", "开盘价"),
            number("high", PRICE, "highest price", "最高价"),
            number("low", PRICE, "lowest price", "最低价"),
            number("close", PRICE, "last price", "收盘价"),
            number("vol", lots, "traded volume", "成交量"),
            *money,
        ),
        date_column="trade_date",
        source=Source(call, row_cap),
    )


# What Tushare answers for one code and a range; not stored as it is.
SHARE_BARS = _bars("daily", 6_000, "Bars of one A-share.", "单只A股日线。", "千元")
FUND_BARS = _bars("fund_daily", 2_000, "Bars of one ETF or LOF.", "单只场内基金日线。", "千元")
INDEX_BARS = _bars("index_daily", 8_000, "Bars of one China index.", "单个国内指数日线。", "千元")
FUTURES_BARS = _bars("fut_daily", 2_000, "Bars of one contract.", "单个期货合约日线。", "万元")
FUTURES_MAINS = Table(
    name="fut_mapping",
    doc="Which contract a main continuous one was, day by day.",
    doc_zh="主力连续合约每日对应的月合约。",
    key=("ts_code", "trade_date"),
    columns=(
        text("ts_code", "the vendor's code of the main continuous contract", "连续合约代码", False),
        day("trade_date", "trading day", "交易日", False),
        text("mapping_ts_code", "the contract of that day", "当日对应的合约", False),
    ),
    date_column="trade_date",
    source=Source("fut_mapping", 2_000),
)
BOND_BARS = _bars("cb_daily", 2_000, "Bars of one convertible bond.", "单只可转债日线。", "万元")
HONG_KONG_BARS = _bars(
    "hk_daily", 5_000, "Bars of one Hong Kong share.", "单只港股日线。", "元", lots="股"
)
US_BARS = _bars("us_daily", 6_000, "Bars of one US share.", "单只美股日线。", "", lots="not stated")
INDUSTRY_BARS = _bars(
    "sw_daily", 2_000, "Bars of one Shenwan index.", "单个申万指数日线。", "", lots="not stated"
)
GLOBAL_BARS = _bars(
    "index_global", 4_000, "Bars of one world index.", "单个国际指数日线。", "", lots="not stated"
)
