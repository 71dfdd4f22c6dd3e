"""The shares listed on a day, with the names of the day, rebuilt for past days.

Who was listed is told by listing and delisting dates, and what it was called by the days of the
vendor's names. Where these are not told, `name_since` is NULL and the name is the one known on
`names_as_of`; as is everything else that changes. What was stored nearer to the day is not
overwritten by what is known later.
"""

import datetime as dt
from typing import NamedTuple

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.assets.asset_arguments import fetched_daily
from marketdata_assets.assets.quality_gate import Checked
from marketdata_assets.assets.share_names import (
    NAME_INTERVALS,
    name_intervals,
    told_otherwise,
    with_names_of,
    without_name_of,
)
from marketdata_assets.assets.universe import NAMES_AS_OF, universe_days, with_earlier_names
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.resources.tushare_errors import NoPermission, QuotaExhausted
from marketdata_assets.storage.io_manager import LakeResource, conform
from marketdata_assets.tables import STOCK_LIST
from marketdata_assets.tables.declaration import Chain
from marketdata_assets.trading_calendar import SHANGHAI

CODES_SHOWN = 5
CHANGING = ("name", "area", "industry", "market", "name_since")


class Shares(NamedTuple):
    """Every share ever listed (STOCK_BASIC), and what it was called when (NAME_INTERVALS)."""

    stocks: pa.Table
    names: pa.Table


@dg.asset(**fetched_daily(STOCK_LIST, Chain.STOCKS))
def stock_list(
    context: dg.AssetExecutionContext, tushare: TushareResource, lake: LakeResource
) -> Checked:
    def shares() -> Shares:
        stocks = tushare.stock_basic()
        return Shares(stocks, _names(context, tushare, stocks))

    yield from universe_days(context, STOCK_LIST, shares, universe_on, lake.open())


def _names(
    context: dg.AssetExecutionContext, tushare: TushareResource, stocks: pa.Table
) -> pa.Table:
    """NAME_INTERVALS that `stocks` do not contradict; none for an account that may not ask for
    them: no day waits for a name."""
    try:
        names = name_intervals(tushare.name_changes())
    except (NoPermission, QuotaExhausted) as refused:
        context.log.warning(
            f"{STOCK_LIST.name}: the names of past days are not told, so those of today are stored "
            f"where none is yet; name_since is NULL. {refused}"
        )
        return NAME_INTERVALS.empty_table()
    today = dt.datetime.now(SHANGHAI).date()
    if codes := told_otherwise(names, stocks, today):
        more = " …" if len(codes) > CODES_SHOWN else ""
        context.log.warning(
            f"{STOCK_LIST.name}: namechange and stock_basic tell different names of "
            f"{len(codes)} share(s) today: {', '.join(codes[:CODES_SHOWN])}{more}. Since when they "
            "have the later one is not known, so the last name of namechange is not used."
        )
    return without_name_of(names, codes, today)


def universe_on(
    shares: Shares, day: dt.date, known_on: dt.date, stored: pa.Table | None
) -> pa.Table:
    """The shares of `day`, with the names of that day where they are told.

    Of the rest what was `stored` nearer to it stays.
    """
    listed = listed_on(shares.stocks, day, known_on)
    listed = with_earlier_names(STOCK_LIST, CHANGING, listed, stored)
    return with_names_of(shares.names, listed, day)


def listed_on(stocks: pa.Table, day: dt.date, known_on: dt.date) -> pa.Table:
    """The shares of `stocks` listed on `day`: from `list_date` to the day before `delist_date`.

    `stocks` has the columns of STOCK_BASIC, the result those of STOCK_LIST, with the names of
    `known_on`. A share whose `list_date` is not told, or whose `delist_date` is not told though it
    has left, is listed on no day: on which it was is unknown, and for ever is wrong.
    """
    listed = pc.less_equal(stocks["list_date"], pa.scalar(day))
    has_left = pc.fill_null(pc.equal(stocks["list_status"], "D"), False)
    delisted = pc.coalesce(pc.less_equal(stocks["delist_date"], pa.scalar(day)), has_left)
    universe = stocks.filter(pc.and_not(listed, delisted))
    for name, value in (("trade_date", day), (NAMES_AS_OF, known_on), ("name_since", None)):
        repeated = pa.repeat(pa.scalar(value, pa.date32()), len(universe))
        universe = universe.append_column(name, repeated)
    return conform(STOCK_LIST, universe)
