"""Adjustment factors of all listed shares: one `adj_factor` call a day."""

import dagster as dg

from marketdata_assets.assets.declaring import fetched_daily
from marketdata_assets.assets.door import Checked
from marketdata_assets.assets.fetching import fetched_days
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.tables import ADJ_FACTOR


@dg.asset(**fetched_daily(ADJ_FACTOR))
def adj_factor(
    context: dg.AssetExecutionContext, tushare: TushareResource, lake: LakeResource
) -> Checked:
    yield from fetched_days(context, ADJ_FACTOR, tushare, lake.open())
