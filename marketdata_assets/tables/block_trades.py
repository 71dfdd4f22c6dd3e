"""大宗交易: single large trades, agreed between two brokers outside the order book.

Source: Tushare Pro `block_trade`. Volume is documented in 万股; the documented examples show value
in 万元, which `amount_recomputed` proves of every row. No hour is documented at which a day is out:
an empty one counts from 21:00 on.
"""

import datetime as dt

from marketdata_assets.tables.checking import Check, Mass, row_count
from marketdata_assets.tables.declaration import (
    TEN_THOUSAND_SHARES,
    TEN_THOUSAND_YUAN,
    YUAN,
    Chain,
    Source,
    Table,
    count,
    number,
    text,
)
from marketdata_assets.tables.stocks import TRADE_DATE, TS_CODE

BLOCK_TRADES = Table(
    name="block_trades",
    doc="Block trades of the day, a row a trade; a day can have none. Trades that are alike in "
    "everything are as many as the vendor tells: whether each was one is not known otherwise.",
    doc_zh="当日大宗交易,每笔一行;当日可无数据。各字段完全相同的交易,笔数以供应商所给为准。",
    key=("trade_date", "ts_code", "number"),
    columns=(
        TS_CODE,
        TRADE_DATE,
        number("price", YUAN, "price", "成交价"),
        number("vol", TEN_THOUSAND_SHARES, "volume", "成交量"),
        number("amount", TEN_THOUSAND_YUAN, "value", "成交金额"),
        text("buyer", "branch that bought", "买方营业部"),
        text("seller", "branch that sold", "卖方营业部"),
        count("number", "1, 2, … of the share's trades, by their values", "序号", False),
    ),
    date_column="trade_date",
    source=Source(
        "block_trade",
        row_cap=1_000,
        published_at=dt.time(21, 0),
        points=300,
        numbered="number",
    ),
    may_be_empty=True,
    checks=(
        Check(
            "amount_recomputed",
            "amount is price × vol, up to the rounding of vol: vol is in 万股 and amount in 万元.",
            "成交金额等于成交价×成交量(允许成交量的舍入误差),证明单位为万股与万元。",
            "price IS NULL OR vol IS NULL OR amount IS NULL OR least(price, vol, amount) <= 0 "
            "OR abs(amount - price * vol) > 0.006 * price + 0.006 + 1e-6 * amount",
            ("price", "vol", "amount"),
            mass=Mass(0.05, 10),
        ),
    ),
    # Of dozens hardly any are left only where the answer is not whole.
    row_count=row_count(Mass(0.95, 20), ", unless there were few", "，原本很少者除外"),
    chain=Chain.EXTRAS,
)
