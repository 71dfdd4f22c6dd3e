"""The assets of the tables that are fetched day by day as they are: one of each, out of its
declaration.

Here belongs that they exist. How their days are fetched, judged and stored is `fetching`.
"""

import dagster as dg

from marketdata_assets.assets.asset_arguments import fetched_daily
from marketdata_assets.assets.fetching import fetched_days
from marketdata_assets.assets.quality_gate import Checked
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.tables import STORED_TABLES, Table
from marketdata_assets.tables.declaration import Chain


def fetched(chain: Chain) -> list[dg.AssetsDefinition]:
    """The assets of a chain's tables, in the order of their declaration."""
    return [_asset(table, chain) for table in STORED_TABLES.values() if table.chain is chain]


def _asset(table: Table, chain: Chain) -> dg.AssetsDefinition:
    def days(
        context: dg.AssetExecutionContext, tushare: TushareResource, lake: LakeResource
    ) -> Checked:
        yield from fetched_days(context, table, tushare, lake.open())

    asset: dg.AssetsDefinition = dg.asset(**fetched_daily(table, chain))(days)
    return asset
