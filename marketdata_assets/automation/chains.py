"""What is made of a trading day, each chain once: its datasets, job and hours, and what it lacks.

Here belong the chains; that of a table that is fetched as it is stands in its declaration. The
schedules and sensors made of a chain are `evenings`.

Partitions come from the assets: all of a chain's share `TRADING_DAYS`. A run may take 6 hours, by
`dagster.yaml`.
"""

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from marketdata_assets import timetable
from marketdata_assets.assets.coverage import coverage, etf_coverage, suspended
from marketdata_assets.assets.daily_prices import daily_prices
from marketdata_assets.assets.etf_premium import etf_premium
from marketdata_assets.assets.fetched_tables import fetched
from marketdata_assets.assets.findings import findings
from marketdata_assets.assets.hf_dataset import hf_dataset
from marketdata_assets.assets.lists import etf_list, stock_list
from marketdata_assets.assets.restatements import restatements
from marketdata_assets.automation import day_runs
from marketdata_assets.automation.day_runs import Lacking
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_PRICES, ETF_PREMIUM, Table
from marketdata_assets.tables.declaration import Chain
from marketdata_assets.timetable import Hours

# For a vendor that can't be reached: again after 10 minutes, 20 more and 30 more. Whoever
# shares the pool asks the same, and waits with it. A day that is not published yet is no such case:
# its run ends, as that of a hub's outage, and `evenings` asks for it again. Materializing by hand
# fails at once instead, for somebody is waiting.
RETRY_OUTAGE = dg.RetryPolicy(max_retries=3, delay=600, backoff=dg.Backoff.LINEAR)


@dataclass(frozen=True)
class DayChain:
    """What is made of a trading day in one run.

    `assets` are its datasets, `shared` one of another chain that is made once more; `result` is
    the table that is missing where a day was not made. `evening` are the hours in Shanghai at which
    the day is made, and what is late is asked for again. `lacking` says what days lack.
    """

    name: Chain
    doc: str
    assets: tuple[dg.AssetsDefinition, ...]
    shared: tuple[dg.AssetsDefinition, ...]
    result: Table
    evening: Hours
    lacking: Callable[
        [dg.DagsterInstance, Lake, Sequence[dt.date], Collection[str]],
        Lacking,
    ]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of its datasets."""
        return tuple(asset.key.path[-1] for asset in self.assets)

    @property
    def made_together(self) -> tuple[dg.AssetsDefinition, ...]:
        return (*self.assets, *self.shared)

    @cached_property
    def job(self) -> UnresolvedAssetJobDefinition:
        return dg.define_asset_job(
            self.name.value,
            selection=dg.AssetSelection.assets(*self.made_together),
            description=f"{self.doc}; also to backfill with.",
            op_retry_policy=RETRY_OUTAGE,
        )


STOCKS = DayChain(
    Chain.STOCKS,
    "A trading day from Tushare to the published dataset",
    assets=(
        stock_list,
        *fetched(Chain.STOCKS),
        coverage,
        suspended,
        daily_prices,
        findings,
        restatements,
        hf_dataset,
    ),
    shared=(),
    result=DAILY_PRICES,
    evening=timetable.STOCKS,
    lacking=day_runs.of_stocks,
)
FUNDS = DayChain(
    Chain.FUNDS,
    "Bars, net asset values and premiums of all listed funds",
    assets=(etf_list, *fetched(Chain.FUNDS), etf_coverage, etf_premium),
    shared=(findings,),
    result=ETF_PREMIUM,
    evening=timetable.FUNDS,
    lacking=day_runs.of_funds,
)
CHAINS = (STOCKS, FUNDS)
