"""Price limits of the day: `stk_limit`, paged; days before 2007-01-04 are empty by definition."""

import dagster as dg

from marketdata_assets.assets.declaring import fetched_daily
from marketdata_assets.assets.door import Checked
from marketdata_assets.assets.fetching import fetched_days
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.tables import PRICE_LIMITS


@dg.asset(**fetched_daily(PRICE_LIMITS))
def price_limits(
    context: dg.AssetExecutionContext, tushare: TushareResource, lake: LakeResource
) -> Checked:
    yield from fetched_days(context, PRICE_LIMITS, tushare, lake.open())
