"""Days of the simulated exchange as they would be stored.

Here belongs data that behave like a market. Data whose size alone matters are in `synthetic`.
"""

import datetime as dt

import pyarrow as pa

from marketdata_assets.assets.lists import listed_shares
from marketdata_assets.checks.days import CHECKED_TOGETHER
from marketdata_assets.resources.tushare_answers import typed_table, whole_day
from marketdata_assets.tables import STOCK_BASIC, STOCK_LIST, Table
from marketdata_sandbox.market.exchange import SimulatedExchange


def tables_of(exchange: SimulatedExchange, day: dt.date) -> dict[str, pa.Table]:
    """The fetched tables of `day` by name, with the names that were known on it."""
    tables = {}
    for table in CHECKED_TOGETHER:
        if table is STOCK_LIST:
            stocks = _typed(STOCK_BASIC, exchange.stock_basic(day))
            tables[table.name] = listed_shares(stocks, day, known_on=day)
        elif day < table.first_date:
            tables[table.name] = table.schema.empty_table()
        else:
            data = _typed(table, getattr(exchange, table.tushare.call)(day))
            tables[table.name] = whole_day(table, data, day, {"trade_date": f"{day:%Y%m%d}"})
    return tables


def _typed(table: Table, columns: dict[str, list[object]]) -> pa.Table:
    return typed_table(table, list(columns), list(zip(*columns.values(), strict=True)), {})
