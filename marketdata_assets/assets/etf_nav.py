"""Net asset values of funds: one `fund_nav` call for every calendar day since the last session.

A day is stored with what is published of it. Funds that invest abroad publish a day later: their
rows come when the day is asked for again.
"""

import dagster as dg

from marketdata_assets.assets.declaring import fetched_daily
from marketdata_assets.assets.door import Checked
from marketdata_assets.assets.fetching import fetched_days
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.tables import ETF_NAV


@dg.asset(**fetched_daily(ETF_NAV))
def etf_nav(
    context: dg.AssetExecutionContext, tushare: TushareResource, lake: LakeResource
) -> Checked:
    yield from fetched_days(context, ETF_NAV, tushare, lake.open())
