"""Turnover, valuation and share counts of the day: one `daily_basic` call a day."""

import dagster as dg

from marketdata_assets.assets.declaring import fetched_daily
from marketdata_assets.assets.door import Checked
from marketdata_assets.assets.fetching import fetched_days
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.tables import DAILY_BASIC


@dg.asset(**fetched_daily(DAILY_BASIC))
def daily_basic(
    context: dg.AssetExecutionContext, tushare: TushareResource, lake: LakeResource
) -> Checked:
    yield from fetched_days(context, DAILY_BASIC, tushare, lake.open())
