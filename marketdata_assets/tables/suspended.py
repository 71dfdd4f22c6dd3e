"""Who did not trade though he was listed: what `is_paused` of a share and day is made of.

Here belongs the declaration; how it is made is `assets.suspended`. It is a table of its own because
a share that is halted has no bar, and so no row in `daily_prices`.
"""

import pyarrow as pa

from marketdata_assets.tables.declaration import Column, Table, text
from marketdata_assets.tables.stocks import TRADE_DATE, TS_CODE

SUSPENDED = Table(
    name="suspended",
    doc="Every listed share that has no bar on the day, or was halted for a part of it, and why.",
    doc_zh="当日在市而无行情或盘中停牌的股票及原因。",
    key=("trade_date", "ts_code"),
    columns=(
        TRADE_DATE,
        TS_CODE,
        Column(
            "is_paused",
            pa.bool_(),
            "",
            "true: halted for the whole day; false: for a part of it; NULL: it has no bar, and "
            "whether it traded is not known",
            "全天停牌为真，盘中停牌为假；行情缺失、是否成交不明则为空",
        ),
        text(
            "reason",
            "suspended (by notice), halted (no bar, no notice, and none on the session before), "
            "part of the day, or why a bar is missing: unexplained, late upstream, excused, …",
            "原因：停牌（有公告）、停牌（无公告，上一交易日亦无行情）、盘中停牌，或行情缺失的原因："
            "不明、供应商未更新、豁免等",
            nullable=False,
        ),
        text(
            "suspend_timing",
            "hours of the halts as the vendor tells them, 09:30-10:00; NULL: it tells none",
            "供应商公布的停牌时段；未公布则为空",
        ),
    ),
    date_column="trade_date",
    may_be_empty=True,
)
