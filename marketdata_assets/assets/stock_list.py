"""The shares listed on a day, rebuilt for past days from listing and delisting dates.

The vendor knows names only as they are now. Every row therefore carries `names_as_of`, and names
that were stored nearer to the day are not overwritten by later ones.
"""

import datetime as dt

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.assets.asset_arguments import fetched_daily
from marketdata_assets.assets.quality_gate import Checked
from marketdata_assets.assets.universe import NAMES_AS_OF, universe_days
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.storage.io_manager import LakeResource, conform
from marketdata_assets.tables import STOCK_LIST

CHANGING = ("name", "area", "industry", "market")


@dg.asset(**fetched_daily(STOCK_LIST))
def stock_list(
    context: dg.AssetExecutionContext, tushare: TushareResource, lake: LakeResource
) -> Checked:
    yield from universe_days(
        context, STOCK_LIST, CHANGING, tushare.stock_basic, listed_on, lake.open()
    )


def listed_on(stocks: pa.Table, day: dt.date, known_on: dt.date) -> pa.Table:
    """The shares of `stocks` listed on `day`: from `list_date` to the day before `delist_date`.

    `stocks` has the columns of STOCK_BASIC, the result those of STOCK_LIST. A share whose
    `list_date` is not told, or whose `delist_date` is not told though it has left, is listed on no
    day: on which it was is unknown, and for ever is wrong.
    """
    listed = pc.less_equal(stocks["list_date"], pa.scalar(day))
    has_left = pc.fill_null(pc.equal(stocks["list_status"], "D"), False)
    delisted = pc.coalesce(pc.less_equal(stocks["delist_date"], pa.scalar(day)), has_left)
    universe = stocks.filter(pc.and_not(listed, delisted))
    for name, value in (("trade_date", day), (NAMES_AS_OF, known_on)):
        universe = universe.append_column(name, pa.repeat(pa.scalar(value), len(universe)))
    return conform(STOCK_LIST, universe)
