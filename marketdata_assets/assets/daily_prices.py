"""The merged prices: bars, limits, indicators, names and factors, a row a share, as published.

A row that contradicts itself is held: it stays in the vendor's table and is no row here. A day is
refused only when many rows speak against it.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence

import dagster as dg
import duckdb

from marketdata_assets.assets.asset_arguments import Group, daily
from marketdata_assets.assets.complete_days import complete_days, parts_of, tables_of
from marketdata_assets.assets.lookback import lookback
from marketdata_assets.assets.quality_gate import Checked, CheckedDay, QualityGate, check_specs
from marketdata_assets.checks.days import (
    CHECKED_TOGETHER,
    MERGED_CHECKS,
    check_merged_days,
    side_by_side,
)
from marketdata_assets.checks.excuses import excuses_in
from marketdata_assets.checks.ledger import held_rows
from marketdata_assets.checks.running import read_once
from marketdata_assets.checks.twins import left_out_rows
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

COLUMN_LINEAGE = dg.TableColumnLineage(
    {
        merged.column.name: [
            dg.TableColumnDep(dg.AssetKey(table.name), column) for table, column in merged.sources
        ]
        for merged in DAILY_PRICES_LINEAGE
    }
)


@dg.asset(
    **daily(
        DAILY_PRICES,
        Group.PRICES,
        kinds={"duckdb", "parquet"},
        check_specs=check_specs(DAILY_PRICES, MERGED_CHECKS),
        metadata={"dagster/column_lineage": COLUMN_LINEAGE},
        deps=[dg.AssetKey(COVERAGE.name)],
    )
)
def daily_prices(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    stock_list: Relation,
    daily_kline: Relation,
    price_limits: Relation,
    daily_basic: Relation,
    adj_factor: Relation,
    suspensions: Relation,
) -> Checked:
    stored = lake.open()
    inputs = (stock_list, daily_kline, price_limits, daily_basic, adj_factor, suspensions)
    days = complete_days(context, DAILY_PRICES, stored, CHECKED_TOGETHER)
    gate = QualityGate(context, DAILY_PRICES, MERGED_CHECKS, stored)
    merged = (
        day
        for part in parts_of(days)
        for day in _merged_days(context, stored, tables_of(CHECKED_TOGETHER, inputs, part), part)
    )
    yield dg.Output(FetchedDays([], gate.passing(merged)))
    yield from gate.outcomes()


def _merged_days(
    context: dg.AssetExecutionContext,
    lake: Lake,
    tables: Mapping[str, Relation],
    days: Sequence[dt.date],
) -> Iterator[CheckedDay]:
    excuses = excuses_in(lake.root)
    now = dt.datetime.now(dt.UTC)
    together = side_by_side(days, tables, lookback(lake, days[0]), now, excuses)
    findings = check_merged_days(together, excuses)
    kline = tables[DAILY_KLINE.name]
    held_back = f"({held_rows(excuses)} OR {left_out_rows(together.twins)})"
    merged = merge_prices(
        kline.filter(f"NOT {held_back}"),
        tables[PRICE_LIMITS.name],
        tables[DAILY_BASIC.name],
        tables[STOCK_LIST.name],
        tables[ADJ_FACTOR.name],
    )
    prices = read_once(merged)
    held = dict(kline.filter(held_back).aggregate("trade_date, count(*)").fetchall())
    for day, counts in counts_of_days(prices).items():
        facts = {"rows held": held.get(day, 0), **counts}
        tell_of_day(context, day, facts)
    # No generator: what the days are made of is let go before they are stored.
    return (
        CheckedDay(day, data, [finding for finding in findings if finding.day == day])
        for day, data in by_day(DAILY_PRICES, prices.to_arrow_table())
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
