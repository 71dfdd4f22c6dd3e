"""Unadjusted daily bars of funds: one `fund_daily` call a day, split by codes where it is cut."""

import dagster as dg

from marketdata_assets.assets.declaring import fetched_daily
from marketdata_assets.assets.door import Checked
from marketdata_assets.assets.fetching import fetched_days
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.tables import ETF_KLINE


@dg.asset(**fetched_daily(ETF_KLINE))
def etf_kline(
    context: dg.AssetExecutionContext, tushare: TushareResource, lake: LakeResource
) -> Checked:
    yield from fetched_days(context, ETF_KLINE, tushare, lake.open())
