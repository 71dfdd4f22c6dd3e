"""The merged prices: bars, limits, indicators and names in one row a share, as published."""

import datetime as dt

import dagster as dg
import duckdb

from marketdata_assets.assets.declaring import daily
from marketdata_assets.tables import (
    DAILY_BASIC,
    DAILY_KLINE,
    DAILY_PRICES,
    DAILY_PRICES_LINEAGE,
    PRICE_LIMITS,
    STOCK_LIST,
)

Relation = duckdb.DuckDBPyRelation


@dg.asset(**daily(DAILY_PRICES, "prices", kinds={"duckdb", "parquet"}))
def daily_prices(
    context: dg.AssetExecutionContext,
    daily_kline: Relation,
    price_limits: Relation,
    daily_basic: Relation,
    stock_list: Relation,
) -> Relation:
    prices = merge_prices(daily_kline, price_limits, daily_basic, stock_list)
    context.add_output_metadata({"dagster/column_lineage": column_lineage()})
    for day, counts in rows_without_partner(prices).items():
        context.add_asset_metadata(counts, partition_key=day.isoformat())
    return prices


def merge_prices(kline: Relation, limits: Relation, basic: Relation, stocks: Relation) -> Relation:
    """Every row of `kline`, with what the other tables know of the same share and day.

    A share that another table lacks keeps its row with NULLs; units stay the vendor's.
    """
    merged = kline.set_alias(DAILY_KLINE.name)
    for table, relation in ((PRICE_LIMITS, limits), (DAILY_BASIC, basic), (STOCK_LIST, stocks)):
        same_share_and_day = (
            f"{DAILY_KLINE.name}.ts_code = {table.name}.ts_code "
            f"AND {DAILY_KLINE.name}.trade_date = {table.name}.trade_date"
        )
        merged = merged.join(relation.set_alias(table.name), same_share_and_day, how="left")
    return merged.select(
        ", ".join(
            f"{table.name}.{column} AS {name}" for name, table, column in DAILY_PRICES_LINEAGE
        )
    )


def rows_without_partner(prices: Relation) -> dict[dt.date, dict[str, int]]:
    """For every day, how many rows found no limits, no indicators and no name."""
    without = {
        "rows without limits": "high_limit IS NULL AND low_limit IS NULL",
        "rows without indicators": "total_mv IS NULL AND turnover_rate IS NULL",
        "rows without name": "name IS NULL",
    }
    counts = ", ".join(f"count(*) FILTER ({condition})" for condition in without.values())
    counted = prices.aggregate(f"date, {counts}").fetchall()
    return {day: dict(zip(without, numbers, strict=True)) for day, *numbers in counted}


def column_lineage() -> dg.TableColumnLineage:
    return dg.TableColumnLineage(
        {
            name: [dg.TableColumnDep(dg.AssetKey(table.name), column)]
            for name, table, column in DAILY_PRICES_LINEAGE
        }
    )
