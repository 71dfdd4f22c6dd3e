"""Every table once: its columns, types, units, key, source and first day, in two languages.

Here belong declarations only, a file a kind of table; they drive the casting of answers, the
storage, the column schemas in Dagster's UI, the comments in the catalog and the dataset card. How
a table is fetched, computed or stored belongs to `resources`, `assets` and `storage`.
"""

from marketdata_assets.tables.daily_prices import DAILY_PRICES, DAILY_PRICES_LINEAGE
from marketdata_assets.tables.declaration import Column, Source, Table
from marketdata_assets.tables.extras import (
    BLOCK_TRADES,
    DIVIDENDS,
    FUND_SHARE,
    LIMIT_LIST,
    MARGIN_DETAIL,
    STOCK_ST,
    TOP_LIST,
)
from marketdata_assets.tables.funds import (
    ETF_KLINE,
    ETF_LIST,
    ETF_NAV,
    ETF_PREMIUM,
    FUND_BASIC,
    FUND_NAV,
)
from marketdata_assets.tables.indices import INDEX_DAILY, INDEX_WEIGHT
from marketdata_assets.tables.instrument_histories import INSTRUMENT_HISTORY
from marketdata_assets.tables.ledgers import (
    COVERAGE,
    ETF_COVERAGE,
    FINDINGS,
    RESTATEMENTS,
    SUSPENDED,
)
from marketdata_assets.tables.moneyflow import MONEYFLOW
from marketdata_assets.tables.names import NAME_CHANGES
from marketdata_assets.tables.stocks import (
    ADJ_FACTOR,
    DAILY_BASIC,
    DAILY_KLINE,
    PRICE_LIMITS,
    STOCK_BASIC,
    STOCK_LIST,
    SUSPENSIONS,
    TRADE_CALENDAR,
)

STORED_TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        TRADE_CALENDAR,
        STOCK_LIST,
        DAILY_KLINE,
        PRICE_LIMITS,
        DAILY_BASIC,
        ADJ_FACTOR,
        SUSPENSIONS,
        MONEYFLOW,
        COVERAGE,
        SUSPENDED,
        DAILY_PRICES,
        FINDINGS,
        RESTATEMENTS,
        INSTRUMENT_HISTORY,
        ETF_LIST,
        ETF_KLINE,
        ETF_NAV,
        ETF_COVERAGE,
        ETF_PREMIUM,
        INDEX_DAILY,
        INDEX_WEIGHT,
        DIVIDENDS,
        LIMIT_LIST,
        TOP_LIST,
        MARGIN_DETAIL,
        BLOCK_TRADES,
        FUND_SHARE,
        STOCK_ST,
    )
}
