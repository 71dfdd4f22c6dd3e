"""The ledger of completeness: which share is in which table on which day, and why not."""

import datetime as dt

import dagster as dg
import duckdb

from marketdata_assets.assets.before import listed_before
from marketdata_assets.assets.declaring import daily
from marketdata_assets.checks import ledger
from marketdata_assets.checks.sessions import ledger_days
from marketdata_assets.partitions import days_of
from marketdata_assets.storage.io_manager import LakeResource
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
) -> Relation:
    days = days_of(context.partition_keys)
    rows = ledger.coverage(
        stock_list,
        daily_kline,
        price_limits,
        daily_basic,
        adj_factor,
        suspensions,
        listed_before(lake.open(), days[0]),
        ledger_days(days, dt.datetime.now(dt.UTC)),
    )
    for day, counts in ledger.summary(rows).items():
        context.add_asset_metadata(counts, partition_key=day.isoformat())
    return rows
