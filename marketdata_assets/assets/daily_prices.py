"""The merged prices: bars, limits, indicators, names and factors, a row a share, as published.

A row that contradicts itself is held: it stays in the vendor's table and is no row here. A day is
refused only when many rows speak against it.
"""

import datetime as dt
from collections.abc import Iterator, Sequence

import dagster as dg
import duckdb

from marketdata_assets.assets.asset_arguments import Group, column_lineage, computed
from marketdata_assets.assets.judged_days import judged_days
from marketdata_assets.assets.quality_gate import Checked, CheckedDay, QualityGate
from marketdata_assets.assets.stored_days import complete_days, made_ahead
from marketdata_assets.checks.days import CHECKED_TOGETHER, MERGED_CHECKS
from marketdata_assets.checks.excuses import excuses_in
from marketdata_assets.checks.ledger import held_rows
from marketdata_assets.checks.prices import left_out_rows
from marketdata_assets.storage.bounded_duckdb import brief_duckdb
from marketdata_assets.storage.io_manager import FetchedDays, LakeResource, by_day, tell_of_day
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import (
    ADJ_FACTOR,
    COVERAGE,
    DAILY_BASIC,
    DAILY_KLINE,
    DAILY_PRICES,
    DAILY_PRICES_LINEAGE,
    PRICE_LIMITS,
    STOCK_LIST,
)

Relation = duckdb.DuckDBPyRelation


@dg.asset(
    **computed(
        DAILY_PRICES,
        Group.PRICES,
        (*CHECKED_TOGETHER, COVERAGE),
        MERGED_CHECKS,
        metadata=column_lineage({one.column.name: one.sources for one in DAILY_PRICES_LINEAGE}),
    )
)
def daily_prices(context: dg.AssetExecutionContext, lake: LakeResource) -> Checked:
    stored = lake.open()
    days = complete_days(context, DAILY_PRICES, stored, CHECKED_TOGETHER)
    gate = QualityGate(context, DAILY_PRICES, MERGED_CHECKS, stored)
    merged = made_ahead(days, lambda part: _merged_days(context, stored, part))
    yield dg.Output(FetchedDays([], gate.passing(merged)))
    yield from gate.outcomes()


def _merged_days(
    context: dg.AssetExecutionContext, lake: Lake, days: Sequence[dt.date]
) -> Iterator[CheckedDay]:
    excuses = excuses_in(lake)
    tables, judgement, _ = judged_days(lake, days, excuses, dt.datetime.now(dt.UTC))
    kline = tables[DAILY_KLINE.name]
    held_back = f"({held_rows(excuses)} OR {left_out_rows(judgement.twins)})"
    merged = merge_prices(
        kline.filter(f"NOT {held_back}"),
        tables[PRICE_LIMITS.name],
        tables[DAILY_BASIC.name],
        tables[STOCK_LIST.name],
        tables[ADJ_FACTOR.name],
    )
    prices = merged.to_arrow_table()
    held = dict(kline.filter(held_back).aggregate("trade_date, count(*)").fetchall())
    with brief_duckdb() as connection:
        counted = counts_of_days(connection.from_arrow(prices))
    for day, counts in counted.items():
        facts = {"rows held": held.get(day, 0), **counts}
        tell_of_day(context, day, facts)
    # No generator: what the days are made of is let go before they are stored.
    return (
        CheckedDay(day, data, [one for one in judgement.findings if one.day == day])
        for day, data in by_day(DAILY_PRICES, prices)
    )


def merge_prices(
    kline: Relation, limits: Relation, basic: Relation, stocks: Relation, factors: Relation
) -> Relation:
    """Every row of `kline`, with what the other tables know of the same share and day.

    A share that another table lacks keeps its row with NULLs; units stay the vendor's.
    """
    partners = {PRICE_LIMITS: limits, DAILY_BASIC: basic, STOCK_LIST: stocks, ADJ_FACTOR: factors}
    merged = kline.set_alias(DAILY_KLINE.name)
    for table, relation in partners.items():
        same_share_and_day = (
            f"{DAILY_KLINE.name}.ts_code = {table.name}.ts_code "
            f"AND {DAILY_KLINE.name}.trade_date = {table.name}.trade_date"
        )
        merged = merged.join(relation.set_alias(table.name), same_share_and_day, how="left")
    return merged.select(
        ", ".join(f"{merged.sql} AS {merged.column.name}" for merged in DAILY_PRICES_LINEAGE)
    )


def counts_of_days(prices: Relation) -> dict[dt.date, dict[str, int]]:
    """For every day, what closed at its limit, rose and fell, and found no partner to merge with.

    The UI plots them by day.
    """
    numbers = {
        "limit up 涨停": "close = high_limit",
        "limit down 跌停": "close = low_limit",
        "up 上涨": "close > prev_close",
        "down 下跌": "close < prev_close",
        "rows without limits": "high_limit IS NULL AND low_limit IS NULL",
        "rows without indicators": "total_mv IS NULL AND turnover_rate IS NULL",
        "rows without name": "name IS NULL",
        "rows without factor": "adj_factor IS NULL",
    }
    columns = ", ".join(f"count(*) FILTER ({condition})" for condition in numbers.values())
    counted = prices.aggregate(f"date, {columns}").fetchall()
    return {day: dict(zip(numbers, counts, strict=True)) for day, *counts in counted}
