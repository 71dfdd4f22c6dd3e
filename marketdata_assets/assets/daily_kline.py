"""Unadjusted daily bars: one `daily` call a day returns every share that traded."""

import dagster as dg

from marketdata_assets.assets.declaring import fetched_daily
from marketdata_assets.assets.door import Checked
from marketdata_assets.assets.fetching import fetched_days
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.tables import DAILY_KLINE


@dg.asset(**fetched_daily(DAILY_KLINE))
def daily_kline(
    context: dg.AssetExecutionContext, tushare: TushareResource, lake: LakeResource
) -> Checked:
    yield from fetched_days(context, DAILY_KLINE, tushare, lake.open())
