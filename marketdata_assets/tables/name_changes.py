"""When a share was given which name, as the vendor tells it at the moment of the call.

Here belongs the declaration alone. What a share was called on a day is `assets.share_names`.

Source: Tushare Pro `namechange`. It filters by the day of announcement. Rows come twice, the end of
a name may be missing where another one has followed, and any value may be missing in a single row,
so that there is no key.
"""

from marketdata_assets.tables.declaration import Source, Table, day, text

NAME_CHANGES = Table(
    name="name_changes",
    doc="Every short name that a share has had, as the vendor knows it at the moment of the call.",
    doc_zh="股票曾用简称,为调用时刻的口径。",
    key=(),
    columns=(
        text("ts_code", "code with exchange suffix, 600000.SH", "带交易所后缀的代码"),
        text("name", "short name, with its marks", "证券简称"),
        day("start_date", "first day of the name", "启用日期"),
        day("end_date", "last day of the name; NULL: until today", "停用日期"),
        day("ann_date", "day of the announcement", "公告日期"),
        text("change_reason", "reason: 改名, ST, 撤销ST, …", "变更原因"),
    ),
    source=Source("namechange", row_cap=10_000),
)
