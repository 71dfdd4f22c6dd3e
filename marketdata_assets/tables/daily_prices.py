"""The merged prices that are published: each column, and what it is reckoned from.

Here belongs the declaration of the one table, with the SQL of its columns over the vendor's tables.
How these are joined, and which rows are held back, belongs to the asset.
"""

from dataclasses import replace
from typing import NamedTuple

from marketdata_assets.tables.declaration import YUAN, Column, Table, flag, number
from marketdata_assets.tables.names import is_of_the_day, marks
from marketdata_assets.tables.stocks import (
    ADJ_FACTOR,
    DAILY_BASIC,
    DAILY_KLINE,
    PRICE_LIMITS,
    STOCK_LIST,
)


class Merged(NamedTuple):
    """A column, its SQL over tables by their names, and the columns that it is reckoned from."""

    column: Column
    sql: str
    sources: tuple[tuple[Table, str], ...]


def _as_it_is(name: str, table: Table, column: str) -> Merged:
    """A column of `table`, published as `name`."""
    nullable = name not in ("code", "date", "close")
    renamed = replace(table[column], name=name, nullable=nullable)
    return Merged(renamed, f"{table.name}.{column}", ((table, column),))


# The columns that the dataset has had from the beginning, in their order.
ORIGINAL = (
    _as_it_is("code", DAILY_KLINE, "ts_code"),
    _as_it_is("date", DAILY_KLINE, "trade_date"),
    *(_as_it_is(name, DAILY_KLINE, name) for name in ("open", "high", "low", "close")),
    _as_it_is("prev_close", DAILY_KLINE, "pre_close"),
    _as_it_is("quote_rate", DAILY_KLINE, "pct_chg"),
    _as_it_is("volume", DAILY_KLINE, "vol"),
    _as_it_is("turnover", DAILY_KLINE, "amount"),
    _as_it_is("high_limit", PRICE_LIMITS, "up_limit"),
    _as_it_is("low_limit", PRICE_LIMITS, "down_limit"),
    *(_as_it_is(name, DAILY_BASIC, name) for name in DAILY_BASIC.column_names[3:]),
    *(
        _as_it_is(name, STOCK_LIST, name)
        for name in ("name", "area", "industry", "market", "exchange", "list_date")
    ),
)
ORIGINAL_COLUMNS = tuple(merged.column.name for merged in ORIGINAL)

ADDED = (
    Merged(
        number(
            "avg_price",
            YUAN,
            "mean price: turnover × 10 / volume; NULL where nothing traded",
            "均价：成交额×10/成交量，无成交时为空",
        ),
        # 千元 over 手.
        f"CASE WHEN {DAILY_KLINE.name}.vol > 0 "
        f"THEN {DAILY_KLINE.name}.amount * 10 / {DAILY_KLINE.name}.vol END",
        ((DAILY_KLINE, "amount"), (DAILY_KLINE, "vol")),
    ),
    _as_it_is("adj_factor", ADJ_FACTOR, "adj_factor"),
    Merged(
        flag(
            "is_st",
            "ST, *ST, SST or S*ST in the name of the day; NULL where only a later name is known",
            "当日简称是否带 ST、*ST、SST、S*ST；仅知其后简称时为空",
        ),
        f"CASE WHEN {is_of_the_day(f'{STOCK_LIST.name}.')} "
        f"THEN {marks(f'{STOCK_LIST.name}.name').st} END",
        ((STOCK_LIST, "name"), (STOCK_LIST, "name_since"), (STOCK_LIST, "names_as_of")),
    ),
)

DAILY_PRICES_LINEAGE = (*ORIGINAL, *ADDED)

# Prices that an adjustment moves; the limits are the exchange's, and stay.
ADJUSTED_COLUMNS = ("open", "high", "low", "close", "prev_close", "avg_price")

DAILY_PRICES = Table(
    name="daily_prices",
    doc="Bars, limits, indicators, names and factors of the day in one row a share, as published.",
    doc_zh="每股一行的合并行情：日线、涨跌停、指标、名称与复权因子，即对外发布的口径。",
    key=("date", "code"),
    columns=tuple(merged.column for merged in DAILY_PRICES_LINEAGE),
    date_column="date",
)
