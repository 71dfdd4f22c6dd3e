"""Which shares are under special treatment on a day, as the vendor lists them.

Here belongs the declaration alone. What the list and the names of the day say of each other is
`checks.st_shares`.

Source: Tushare Pro `stock_st`, from 2016 on, for accounts of 3,000 points.
"""

import datetime as dt

from marketdata_assets.tables.checking import Mass, row_count
from marketdata_assets.tables.declaration import Chain, Source, Table, text
from marketdata_assets.tables.stocks import TRADE_DATE, TS_CODE

STOCK_ST = Table(
    name="stock_st",
    doc="The shares that are ST or *ST on the day.",
    doc_zh="当日的 ST、*ST 股票。",
    key=("trade_date", "ts_code"),
    columns=(
        TS_CODE,
        TRADE_DATE,
        text("name", "short name, with its marks", "证券简称"),
        text("type", "kind of treatment: ST", "类型"),
        text("type_name", "kind of treatment in words: 风险警示板", "类型名称"),
    ),
    date_column="trade_date",
    first_date=dt.date(2016, 1, 4),
    source=Source("stock_st", row_cap=1_000, published_at=dt.time(9, 20), points=3_000),
    sparse=("name", "type", "type_name"),
    # Most marks come and go in the days around the first of May, but never half of them at once.
    row_count=row_count(Mass(0.5, 20)),
    chain=Chain.EXTRAS,
)
