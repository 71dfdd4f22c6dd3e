"""What the platform remembers of the data themselves: values that were different before.

Here belong declarations only.
"""

from dataclasses import replace

from marketdata_assets.tables.declaration import Table, moment, text
from marketdata_assets.tables.stocks import TRADE_DATE, TS_CODE

RESTATEMENTS = Table(
    name="restatements",
    doc="Every value of a trading day that was replaced by another one after it was stored.",
    doc_zh="每个交易日入库之后被修订的数值:修订前、修订后、首次获知与被替换的时间。",
    key=("trade_date", "table_name", "ts_code", "column_name", "replaced_at"),
    columns=(
        replace(TRADE_DATE, doc="trading day that was restated", doc_zh="被修订的交易日"),
        text("table_name", "table that was restated", "被修订的表", False),
        TS_CODE,
        text("column_name", "column; empty for a whole row", "字段;整行时为空", False),
        text("kind", "changed, or for a whole row added or removed", "修订类型", False),
        text("old", "value before, exact, in the column's unit; NULL was missing", "修订前"),
        text("new", "value after, exact, in the column's unit; NULL is missing", "修订后"),
        moment("first_seen", "since when the old state was known", "旧值首次获知时间", False),
        moment("replaced_at", "until when the old state was true", "被替换时间", False),
    ),
    date_column="trade_date",
    may_be_empty=True,
)
