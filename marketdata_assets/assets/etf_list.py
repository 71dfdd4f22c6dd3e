"""The exchange-listed funds of a day, rebuilt for past days from listing and delisting dates.

As with shares, the vendor knows names only as they are now: see `names_as_of`. It does not tell
the dates of every fund; one that may or may not have been listed is in the list and says so.
"""

import datetime as dt

import dagster as dg
import pyarrow as pa

from marketdata_assets.assets.asset_arguments import fetched_daily
from marketdata_assets.assets.quality_gate import Checked
from marketdata_assets.assets.universe import NAMES_AS_OF, universe_days, with_earlier_names
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.storage.bounded_duckdb import brief_duckdb
from marketdata_assets.storage.io_manager import LakeResource, conform
from marketdata_assets.tables import ETF_LIST
from marketdata_assets.tables.declaration import Chain

CHANGING = ("name", "management", "fund_type", "invest_type", "benchmark")


@dg.asset(**fetched_daily(ETF_LIST, Chain.FUNDS))
def etf_list(
    context: dg.AssetExecutionContext, tushare: TushareResource, lake: LakeResource
) -> Checked:
    yield from universe_days(context, ETF_LIST, tushare.fund_basic, universe_on, lake.open())


def universe_on(
    funds: pa.Table, day: dt.date, known_on: dt.date, stored: pa.Table | None
) -> pa.Table:
    """The funds of `day`; names and classes that were stored nearer to it stay."""
    return with_earlier_names(ETF_LIST, CHANGING, listed_on(funds, day, known_on), stored)


def listed_on(funds: pa.Table, day: dt.date, known_on: dt.date) -> pa.Table:
    """The funds listed on `day`: from `list_date` to the day before `delist_date`.

    `funds` has the columns of FUND_BASIC, the result those of ETF_LIST. A fund whose date of
    listing, or of delisting though it has left, is not told has a NULL in `is_listed` on every
    day that the other date allows. One that is only being issued is not listed.
    """
    with brief_duckdb() as connection:
        connection.register("funds", funds)
        universe = connection.sql(
            f"""
            SELECT
                *,
                $day::DATE AS trade_date,
                $known_on::DATE AS {NAMES_AS_OF},
                CASE WHEN list_date IS NOT NULL AND (status <> 'D' OR delist_date IS NOT NULL)
                     THEN true END AS is_listed
            FROM funds
            WHERE status <> 'I'
                AND coalesce(list_date <= $day, true)
                AND coalesce(delist_date > $day, true)
            """,
            params={"day": day, "known_on": known_on},
        )
        return conform(ETF_LIST, universe.to_arrow_table())
