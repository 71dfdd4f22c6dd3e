"""The jobs: which assets are made together, and the one retry policy.

Partitions come from the assets: all of a job's assets share `TRADING_DAYS`. When a job runs
belongs to `schedules` and `sensors`. A run may take 6 hours, by `dagster.yaml`, where its job says
nothing else.
"""

import dagster as dg

from marketdata_assets.assets.coverage import coverage
from marketdata_assets.assets.daily_prices import daily_prices
from marketdata_assets.assets.etf_list import etf_list
from marketdata_assets.assets.etf_premium import etf_premium
from marketdata_assets.assets.fetched_tables import fetched
from marketdata_assets.assets.findings import findings
from marketdata_assets.assets.hf_dataset import hf_dataset
from marketdata_assets.assets.price_series import SERIES
from marketdata_assets.assets.restatements import restatements
from marketdata_assets.assets.stock_list import stock_list
from marketdata_assets.assets.trade_calendar import trade_calendar
from marketdata_assets.tables.declaration import Chain

CHAIN = (
    stock_list,
    *fetched(Chain.STOCKS),
    coverage,
    daily_prices,
    findings,
    restatements,
)
ETF_CHAIN = (etf_list, *fetched(Chain.FUNDS), etf_premium)

# For a vendor or a hub that can't be reached: again after 10 minutes, 20 more and 30 more. Whoever
# shares the pool asks the same, and waits with it. A day that is not published yet is no such case:
# its run ends, and `schedules` and `sensors` ask for it again. Materializing by hand fails at once
# instead, for somebody is waiting.
RETRY_OUTAGE = dg.RetryPolicy(max_retries=3, delay=600, backoff=dg.Backoff.LINEAR)

daily_chain = dg.define_asset_job(
    Chain.STOCKS.value,
    selection=dg.AssetSelection.assets(*CHAIN, hf_dataset),
    description="A trading day from Tushare to the published dataset; also to backfill with.",
    op_retry_policy=RETRY_OUTAGE,
)

etf_chain = dg.define_asset_job(
    Chain.FUNDS.value,
    selection=dg.AssetSelection.assets(*ETF_CHAIN, findings),
    description="Bars, net asset values and premiums of all listed funds; also to backfill with.",
    op_retry_policy=RETRY_OUTAGE,
)

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
