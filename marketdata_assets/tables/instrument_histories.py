"""Histories by code: the canonical series of any instrument. Here belongs its declaration only."""

from marketdata_assets.tables.declaration import Table, day, number, text

PRICE = "currency, or points of an index"

INSTRUMENT_HISTORY = Table(
    name="instrument_history",
    doc="The full daily history of every tracked code, unadjusted, each from one source.",
    doc_zh="每个跟踪代码的完整日线历史，不复权，每个代码只来自一个数据源。",
    key=("code", "date"),
    columns=(
        text("code", "canonical code: 600000.SH, HSI, AU.SHF, BTC", "规范代码", False),
        day(
            "date", "trading day of the market, UTC's for coins", "交易日（加密货币为UTC日）", False
        ),
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
            "成交量单位：股（份）、张、枚",
            False,
        ),
        text("source", "who the row comes from", "数据源", False),
        text("source_unit", "how the source counts volume and turnover", "数据源的原始单位", False),
        text(
            "main_contract",
            "of a main continuous contract, the one whose bar it is; NULL where not known",
            "主力连续合约当日对应的合约；未知则为空",
        ),
        number(
            "roll_factor",
            "ratio",
            "of a main continuous contract, from the bar before to this one: 1, or where the main "
            "contract changed, close of the old one / close of the new one, both of the day "
            "before; NULL where not known",
            "主力连续合约相对前一日的换月因子：未换月为1，换月为前一日旧合约收盘价/新合约收盘价",
        ),
    ),
    date_column=None,
    code_column="code",
)
