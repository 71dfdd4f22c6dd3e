"""Suspensions and resumptions: one `suspend_d` call a day, which may have nothing to tell."""

import dagster as dg

from marketdata_assets.assets.declaring import fetched_daily
from marketdata_assets.assets.door import Checked
from marketdata_assets.assets.fetching import fetched_days
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.tables import SUSPENSIONS


@dg.asset(**fetched_daily(SUSPENSIONS))
def suspensions(
    context: dg.AssetExecutionContext, tushare: TushareResource, lake: LakeResource
) -> Checked:
    yield from fetched_days(context, SUSPENSIONS, tushare, lake.open())
