"""The shares listed on a day, rebuilt for past days from listing and delisting dates.

The vendor knows names only as they are now. Every row therefore carries `names_as_of`, and names
that were stored nearer to the day are not overwritten by later ones.
"""

import datetime as dt
from collections.abc import Iterator

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.assets.declaring import fetched_daily
from marketdata_assets.assets.door import Checked
from marketdata_assets.assets.fetching import failure, through_the_door
from marketdata_assets.partitions import days_of, refuse_open_days
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.resources.tushare_errors import RefusedError
from marketdata_assets.storage.io_manager import FetchedDays, LakeResource, conform
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import STOCK_LIST
from marketdata_assets.trading_calendar import SHANGHAI


@dg.asset(**fetched_daily(STOCK_LIST))
def stock_list(
    context: dg.AssetExecutionContext, tushare: TushareResource, lake: LakeResource
) -> Checked:
    now = dt.datetime.now(dt.UTC)
    days = days_of(context.partition_keys)
    refuse_open_days(days, now)
    try:
        stocks = tushare.stock_basic()
    except RefusedError as refusal:
        raise failure(refusal) from None
    known_on = now.astimezone(SHANGHAI).date()
    universes = FetchedDays([], _universes(stocks, days, known_on, lake.open()))
    yield from through_the_door(context, STOCK_LIST, universes, lake.open())


def _universes(
    stocks: pa.Table, days: list[dt.date], known_on: dt.date, lake: Lake
) -> Iterator[tuple[dt.date, pa.Table]]:
    for day in days:
        listed = listed_on(stocks, day, known_on)
        known, stored = lake.describe(STOCK_LIST, day), lake.read(STOCK_LIST, day)
        if known and stored and known.origin == lake.origin:
            listed = with_earlier_names(listed, stored)
        yield day, listed


def listed_on(stocks: pa.Table, day: dt.date, known_on: dt.date) -> pa.Table:
    """The shares of `stocks` listed on `day`: from `list_date` to the day before `delist_date`.

    `stocks` has the columns of STOCK_BASIC, the result those of STOCK_LIST.
    """
    listed = pc.less_equal(stocks["list_date"], pa.scalar(day))
    delisted = pc.fill_null(pc.less_equal(stocks["delist_date"], pa.scalar(day)), False)
    universe = stocks.filter(pc.and_not(listed, delisted))
    for name, value in (("trade_date", day), ("names_as_of", known_on)):
        universe = universe.append_column(name, pa.repeat(pa.scalar(value), len(universe)))
    return conform(STOCK_LIST, universe)


def with_earlier_names(listed: pa.Table, stored: pa.Table) -> pa.Table:
    """`listed` with what was already known of a share when `stored` was made.

    Name, area, industry and market change with time; what was known nearer to the day is the
    better answer for that day.
    """
    with duckdb.connect() as connection:
        connection.register("listed", listed)
        connection.register("stored", stored)
        merged = connection.sql("""
            SELECT
                listed.* EXCLUDE (name, area, industry, market, names_as_of),
                CASE WHEN known THEN stored.name ELSE listed.name END AS name,
                CASE WHEN known THEN stored.area ELSE listed.area END AS area,
                CASE WHEN known THEN stored.industry ELSE listed.industry END AS industry,
                CASE WHEN known THEN stored.market ELSE listed.market END AS market,
                coalesce(stored.names_as_of, listed.names_as_of) AS names_as_of
            FROM listed
            LEFT JOIN (SELECT *, true AS known FROM stored) AS stored USING (ts_code)
        """)
        return conform(STOCK_LIST, merged.to_arrow_table())
