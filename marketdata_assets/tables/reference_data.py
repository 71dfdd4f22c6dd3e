"""What proves and adjusts prices: factors for splits and dividends, and who was suspended.

Here belong declarations only.
"""

import datetime as dt

from marketdata_assets.tables.checking import MANY_ROWS, Check
from marketdata_assets.tables.declaration import Chain, Source, Table, number, text
from marketdata_assets.tables.stocks import ROW_COUNT, TRADE_DATE, TS_CODE

ADJ_FACTOR = Table(
    name="adj_factor",
    doc="Cumulative adjustment factor of every listed A-share, suspended ones included.",
    doc_zh="全部在市A股(含停牌)的累计复权因子。",
    key=("trade_date", "ts_code"),
    columns=(
        TS_CODE,
        TRADE_DATE,
        number(
            "adj_factor",
            "ratio",
            "grows from 1 at listing by previous close over pre_close on every ex-date",
            "复权因子,上市日为1,除权除息日按前收盘价与除权昨收价之比增长",
        ),
    ),
    date_column="trade_date",
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
    doc_zh="当日停牌(全天或盘中)与复牌的股票。",
    # A share can be halted twice within a day, so the timing tells rows apart.
    key=("trade_date", "ts_code", "suspend_type", "suspend_timing"),
    columns=(
        TS_CODE,
        TRADE_DATE,
        text("suspend_timing", "hours of the halt, 09:30-10:00; NULL: the whole day", "停牌时段"),
        text("suspend_type", "S suspended, R resumed", "停复牌类型", False),
    ),
    date_column="trade_date",
    source=Source("suspend_d", row_cap=5_000, published_at=dt.time(9, 15), takes_ranges=True),
    may_be_empty=True,
    chain=Chain.STOCKS,
)
