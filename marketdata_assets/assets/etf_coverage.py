"""The ledger of funds: which listed fund has a bar on which day, and why not."""

import dagster as dg
import duckdb
import pyarrow.compute as pc

from marketdata_assets.assets.asset_arguments import Group, daily
from marketdata_assets.assets.complete_days import complete_days, tables_of
from marketdata_assets.assets.etf_premium import premiums
from marketdata_assets.assets.lookback import premiums_before
from marketdata_assets.checks import fund_ledger, premium
from marketdata_assets.checks.excuses import excuses_in
from marketdata_assets.checks.sessions import calendar_around
from marketdata_assets.storage.io_manager import FetchedDays, LakeResource, by_day, tell_of_day
from marketdata_assets.tables import ETF_COVERAGE, ETF_KLINE, ETF_LIST, ETF_NAV

Relation = duckdb.DuckDBPyRelation


@dg.asset(**daily(ETF_COVERAGE, Group.FUNDS, kinds={"duckdb", "parquet"}))
def etf_coverage(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    etf_kline: Relation,
    etf_nav: Relation,
    etf_list: Relation,
) -> FetchedDays:
    stored = lake.open()
    excuses = excuses_in(stored.root)
    tables = (ETF_KLINE, ETF_NAV, ETF_LIST)
    days = complete_days(context, ETF_COVERAGE, stored, tables)
    kline, navs, funds = tables_of(tables, (etf_kline, etf_nav, etf_list), days).values()
    before = premiums_before(stored, days[0])
    sessions = calendar_around(days, pc.unique(before["trade_date"]).to_pylist())
    # A bar that is held is a bar: only what no table has is missing.
    judged = premium.check_inputs(premiums(kline, navs, funds), navs, funds, before, sessions)
    rows = fund_ledger.fund_coverage(kline, funds, judged, sessions, excuses)
    for day, counts in fund_ledger.summary(rows).items():
        tell_of_day(context, day, counts)
    return FetchedDays([], by_day(ETF_COVERAGE, rows))
