"""The ledger of completeness: which share is in which table on which day, and why not."""

import datetime as dt

import dagster as dg
import duckdb

from marketdata_assets.assets.asset_arguments import daily
from marketdata_assets.assets.complete_days import complete_days, tables_of
from marketdata_assets.assets.lookback import lookback
from marketdata_assets.checks import ledger
from marketdata_assets.checks.days import CHECKED_TOGETHER, side_by_side
from marketdata_assets.checks.excuses import excuses_in
from marketdata_assets.storage.io_manager import FetchedDays, LakeResource, by_day
from marketdata_assets.tables import COVERAGE

Relation = duckdb.DuckDBPyRelation


@dg.asset(**daily(COVERAGE, "proof", kinds={"duckdb", "parquet"}))
def coverage(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    stock_list: Relation,
    daily_kline: Relation,
    price_limits: Relation,
    daily_basic: Relation,
    adj_factor: Relation,
    suspensions: Relation,
) -> FetchedDays:
    stored = lake.open()
    excuses = excuses_in(stored.root)
    days = complete_days(context, COVERAGE, stored, CHECKED_TOGETHER)
    inputs = (stock_list, daily_kline, price_limits, daily_basic, adj_factor, suspensions)
    tables = tables_of(CHECKED_TOGETHER, inputs, days)
    now = dt.datetime.now(dt.UTC)
    together = side_by_side(days, tables, lookback(stored, days[0]), now, excuses)
    rows = ledger.coverage(together.facts, excuses)
    for day, counts in ledger.summary(rows).items():
        context.add_asset_metadata(counts, partition_key=day.isoformat())
    return FetchedDays([], by_day(COVERAGE, rows))
