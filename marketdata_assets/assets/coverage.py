"""The ledger of completeness: which share is in which table on which day, and why not."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence

import dagster as dg
import duckdb
import pyarrow as pa

from marketdata_assets.assets.asset_arguments import Group, daily
from marketdata_assets.assets.complete_days import complete_days, parts_of, tables_of
from marketdata_assets.assets.lookback import lookback
from marketdata_assets.checks import ledger
from marketdata_assets.checks.days import CHECKED_TOGETHER, side_by_side
from marketdata_assets.checks.excuses import excuses_in
from marketdata_assets.checks.running import read_once
from marketdata_assets.storage.io_manager import FetchedDays, LakeResource, by_day, tell_of_day
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import COVERAGE

Relation = duckdb.DuckDBPyRelation


@dg.asset(**daily(COVERAGE, Group.QUALITY, kinds={"duckdb", "parquet"}))
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
    inputs = (stock_list, daily_kline, price_limits, daily_basic, adj_factor, suspensions)
    days = complete_days(context, COVERAGE, stored, CHECKED_TOGETHER)
    explained = (
        day
        for part in parts_of(days)
        for day in _explained_days(context, stored, tables_of(CHECKED_TOGETHER, inputs, part), part)
    )
    return FetchedDays([], explained)


def _explained_days(
    context: dg.AssetExecutionContext,
    lake: Lake,
    tables: Mapping[str, Relation],
    days: Sequence[dt.date],
) -> Iterator[tuple[dt.date, pa.Table]]:
    excuses = excuses_in(lake.root)
    now = dt.datetime.now(dt.UTC)
    together = side_by_side(days, tables, lookback(lake, days[0]), now, excuses)
    rows = read_once(ledger.coverage(together.facts, excuses))
    for day, counts in ledger.summary(rows).items():
        tell_of_day(context, day, counts)
    return by_day(COVERAGE, rows)
