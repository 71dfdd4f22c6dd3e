"""Every table once: its columns, types, units, key, source and first day, in two languages.

Here belong declarations only, a file a kind of table; they drive the casting of answers, the
storage, the column schemas in Dagster's UI, the comments in the catalog and the dataset card. How
a table is fetched, computed or stored belongs to `resources`, `assets` and `storage`.
"""

from marketdata_assets.tables.block_trades import BLOCK_TRADES
from marketdata_assets.tables.coverage import COVERAGE, ETF_COVERAGE
from marketdata_assets.tables.daily_prices import DAILY_PRICES, DAILY_PRICES_LINEAGE
from marketdata_assets.tables.declaration import Column, Source, Table
from marketdata_assets.tables.dividends import DIVIDENDS
from marketdata_assets.tables.findings import FINDINGS
from marketdata_assets.tables.fund_share import FUND_SHARE
from marketdata_assets.tables.funds import (
    ETF_KLINE,
    ETF_LIST,
    ETF_NAV,
    ETF_PREMIUM,
    FUND_BASIC,
    FUND_NAV,
)
from marketdata_assets.tables.indices import INDEX_DAILY, INDEX_WEIGHT
from marketdata_assets.tables.instrument_histories import (
    BOND_BARS,
    FUND_BARS,
    FUTURES_BARS,
    FUTURES_MAINS,
    GLOBAL_BARS,
    HONG_KONG_BARS,
    INDEX_BARS,
    INDUSTRY_BARS,
    INSTRUMENT_HISTORY,
    SHARE_BARS,
    US_BARS,
)
from marketdata_assets.tables.limit_list import LIMIT_LIST
from marketdata_assets.tables.margin_detail import MARGIN_DETAIL
from marketdata_assets.tables.moneyflow import MONEYFLOW
from marketdata_assets.tables.name_changes import NAME_CHANGES
from marketdata_assets.tables.reference_data import ADJ_FACTOR, SUSPENSIONS
from marketdata_assets.tables.restatements import RESTATEMENTS
from marketdata_assets.tables.stock_st import STOCK_ST
from marketdata_assets.tables.stocks import (
    DAILY_BASIC,
    DAILY_KLINE,
    PRICE_LIMITS,
    STOCK_BASIC,
    STOCK_LIST,
    TRADE_CALENDAR,
)
from marketdata_assets.tables.suspended import SUSPENDED
from marketdata_assets.tables.top_list import TOP_LIST

__all__ = [
    "ADJ_FACTOR",
    "BOND_BARS",
    "COVERAGE",
    "DAILY_BASIC",
    "DAILY_KLINE",
    "DAILY_PRICES",
    "DAILY_PRICES_LINEAGE",
    "ETF_COVERAGE",
    "ETF_KLINE",
    "ETF_LIST",
    "ETF_NAV",
    "ETF_PREMIUM",
    "FINDINGS",
    "FUND_BARS",
    "FUND_BASIC",
    "FUND_NAV",
    "FUTURES_BARS",
    "FUTURES_MAINS",
    "GLOBAL_BARS",
    "HONG_KONG_BARS",
    "INDEX_BARS",
    "INDUSTRY_BARS",
    "INSTRUMENT_HISTORY",
    "NAME_CHANGES",
    "PRICE_LIMITS",
    "RESTATEMENTS",
    "SHARE_BARS",
    "STOCK_BASIC",
    "STOCK_LIST",
    "STORED_TABLES",
    "SUSPENDED",
    "SUSPENSIONS",
    "TRADE_CALENDAR",
    "US_BARS",
    "Column",
    "Source",
    "Table",
]

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
