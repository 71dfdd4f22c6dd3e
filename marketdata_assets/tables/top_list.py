"""龙虎榜: the shares whose day the exchanges disclose, why, and what their largest brokers traded.

Source: Tushare Pro `top_list`, from 2005 on. It documents no unit of its amounts, and no hour at
which a day is out: an empty one counts from 21:00 on.
"""

import datetime as dt

from marketdata_assets.tables.checking import Check, Mass, row_count
from marketdata_assets.tables.declaration import (
    PERCENT,
    UNIT_NOT_DOCUMENTED,
    YUAN,
    Chain,
    Source,
    Table,
    number,
    text,
)
from marketdata_assets.tables.stocks import TRADE_DATE, TS_CODE

TOP_LIST = Table(
    name="top_list",
    doc="Shares that were disclosed for unusual trading on the day, a row a reason; a day can have "
    "none.",
    doc_zh="当日龙虎榜,每个上榜理由一行;当日可无数据。",
    key=("trade_date", "ts_code", "reason"),
    columns=(
        TRADE_DATE,
        TS_CODE,
        text("name", "short name", "证券简称"),
        number("close", YUAN, "last price", "收盘价"),
        number("pct_change", PERCENT, "change over pre_close", "涨跌幅"),
        number("turnover_rate", PERCENT, "volume over float shares", "换手率"),
        number("amount", UNIT_NOT_DOCUMENTED, "value of all trades", "总成交额"),
        number("l_sell", UNIT_NOT_DOCUMENTED, "sold by the brokers of the list", "龙虎榜卖出额"),
        number("l_buy", UNIT_NOT_DOCUMENTED, "bought by them", "龙虎榜买入额"),
        number("l_amount", UNIT_NOT_DOCUMENTED, "both together", "龙虎榜成交额"),
        number("net_amount", UNIT_NOT_DOCUMENTED, "bought minus sold", "龙虎榜净买入额"),
        number("net_rate", PERCENT, "net_amount over amount", "龙虎榜净买额占比"),
        number("amount_rate", PERCENT, "l_amount over amount", "龙虎榜成交额占比"),
        number("float_values", UNIT_NOT_DOCUMENTED, "tradable market value", "当日流通市值"),
        text("reason", "why it is on the list", "上榜理由", False),
    ),
    date_column="trade_date",
    source=Source("top_list", row_cap=10_000, published_at=dt.time(21, 0)),
    may_be_empty=True,
    sparse=("turnover_rate", "net_rate", "amount_rate", "float_values"),
    checks=(
        Check(
            "sides_add_up",
            "A row has a close. Bought and sold are not negative; l_amount is their sum and "
            "net_amount their difference, up to rounding.",
            "有收盘价;买入与卖出均不为负,成交额为其和,净买入为其差(允许舍入误差)。",
            "close IS NULL OR least(l_buy, l_sell) < 0 "
            "OR abs(l_amount - (l_buy + l_sell)) > 0.02 + 1e-6 * abs(l_amount) "
            "OR abs(net_amount - (l_buy - l_sell)) > 0.02 + 1e-6 * abs(l_amount)",
            ("close", "l_buy", "l_sell", "l_amount", "net_amount"),
            mass=Mass(0.1, 10),
        ),
    ),
    # Of dozens hardly any are left only where the answer is not whole.
    row_count=row_count(Mass(0.95, 20), ", unless there were few", "，原本很少者除外"),
    chain=Chain.EXTRAS,
)
