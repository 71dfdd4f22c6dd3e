"""The jobs that make no day of the chains.

Those that do are of `chains`; when a job runs belongs to `evenings` and the sensors.
"""

import dagster as dg

from marketdata_assets.assets.price_series import SERIES
from marketdata_assets.assets.trade_calendar import trade_calendar

calendar_check = dg.define_asset_job(
    "calendar_check",
    selection=dg.AssetSelection.assets(trade_calendar),
    description="Fetches the vendor's calendar and fails if the partitions disagree with it.",
    # At 20:35 and 20:40, to be out of the evening's way.
    op_retry_policy=dg.RetryPolicy(max_retries=2, delay=300),
    tags={"dagster/max_runtime": "1500"},
)

series_refresh = dg.define_asset_job(
    "series_refresh",
    selection=dg.AssetSelection.assets(*SERIES.values()),
    description="Brings the copies that slices are read from to what is stored.",
    tags={"dagster/max_runtime": "3600"},
)
