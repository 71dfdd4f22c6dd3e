"""Who was listed on a day: shares and funds, rebuilt for past days, by the names of the day.

The vendor has lists only as of today. Who was listed is told by listing and delisting dates, and
what a share was called by the days of the vendor's names. Where these are not told, `name_since` is
NULL and the name is the one known on `names_as_of`; as is everything else that changes, and of
funds all of it. A fund of which the vendor does not tell the dates is in the list and says so. What
was stored nearer to the day is not overwritten by what is known later.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.assets.asset_arguments import failing_at_once, fetched_daily
from marketdata_assets.assets.fetching import days_of_run, through_the_gate
from marketdata_assets.assets.quality_gate import Checked
from marketdata_assets.assets.refusals import is_own
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.resources.tushare_days import FetchedDay
from marketdata_assets.resources.tushare_errors import NoPermission, QuotaExhausted
from marketdata_assets.storage.bounded_duckdb import brief_duckdb
from marketdata_assets.storage.io_manager import LakeResource, conform
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import ETF_LIST, STOCK_LIST, Table
from marketdata_assets.tables.declaration import Chain
from marketdata_assets.trading_calendar import SHANGHAI

CODES_SHOWN = 5
# Every row says so: the day on which what changes with time was known.
NAMES_AS_OF = "names_as_of"
CHANGING_OF_SHARES = ("name", "area", "industry", "market", "name_since")
CHANGING_OF_FUNDS = ("name", "management", "fund_type", "invest_type", "benchmark")
# `name_until` is the last day of the name, NULL where it lasts.
NAME_INTERVALS = pa.schema(
    [
        ("ts_code", pa.string()),
        ("name", pa.string()),
        ("name_since", pa.date32()),
        ("name_until", pa.date32()),
    ]
)

Known = TypeVar("Known")


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

    yield from universe_days(context, STOCK_LIST, shares, shares_of_day, lake.open())


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


def shares_of_day(
    shares: Shares, day: dt.date, known_on: dt.date, stored: pa.Table | None
) -> pa.Table:
    """The shares of `day`, with the names of that day where they are told.

    Of the rest what was `stored` nearer to it stays.
    """
    listed = listed_shares(shares.stocks, day, known_on)
    listed = with_earlier_names(STOCK_LIST, CHANGING_OF_SHARES, listed, stored)
    return with_names_of(shares.names, listed, day)


def listed_shares(stocks: pa.Table, day: dt.date, known_on: dt.date) -> pa.Table:
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


def name_intervals(changes: pa.Table) -> pa.Table:
    """From when until when every share had which name: NAME_INTERVALS out of NAME_CHANGES.

    Intervals of one share never overlap: a name ends on the day that the vendor tells, and at the
    latest on the day before the next one begins. Between two of them, and where two names begin on
    the same day, the name is not told.
    """
    with brief_duckdb() as connection:
        connection.register("changes", changes)
        intervals = connection.sql(
            """
            WITH begun AS (
                SELECT
                    ts_code,
                    start_date AS name_since,
                    if(count(DISTINCT name) = 1, min(name), NULL) AS name,
                    -- A row can be there once more from before its end was known.
                    min(end_date) AS end_date
                FROM (SELECT * REPLACE (nullif(trim(name), '') AS name) FROM changes)
                WHERE ts_code IS NOT NULL AND start_date IS NOT NULL
                GROUP BY ts_code, start_date
            ),
            followed AS (
                SELECT
                    *,
                    lead(name_since) OVER (PARTITION BY ts_code ORDER BY name_since) AS next_since
                FROM begun
            )
            SELECT ts_code, name, name_since, least(end_date, next_since - 1) AS name_until
            FROM followed
            WHERE name IS NOT NULL AND coalesce(name_until >= name_since, true)
            ORDER BY ts_code, name_since
            """
        )
        return intervals.to_arrow_table().cast(NAME_INTERVALS)


def told_otherwise(intervals: pa.Table, stocks: pa.Table, today: dt.date) -> list[str]:
    """The codes of listed shares that STOCK_BASIC knows by another name than is told for `today`.

    One of the two is late, and since when the share has had its new name is not known. What is no
    longer listed may be called there as it never was while it traded.
    """
    now, listed = (
        table.set_column(
            table.column_names.index("name"), "name", pc.utf8_normalize(table["name"], "NFKC")
        )
        for table in (intervals, stocks)
    )
    with brief_duckdb() as connection:
        connection.register("now", now)
        connection.register("listed", listed)
        rows = connection.execute(
            """
            SELECT ts_code FROM now JOIN listed USING (ts_code)
            WHERE $today BETWEEN name_since AND coalesce(name_until, $today)
                AND list_status = 'L'
                AND replace(now.name, ' ', '') <> replace(listed.name, ' ', '')
            ORDER BY ts_code
            """,
            {"today": today},
        ).fetchall()
    return [code for (code,) in rows]


def without_name_of(intervals: pa.Table, codes: Sequence[str], today: dt.date) -> pa.Table:
    """`intervals` without those of `codes` that reach to `today`: their end is not known."""
    reaches = pc.fill_null(pc.greater_equal(intervals["name_until"], pa.scalar(today)), True)
    return intervals.filter(
        pc.invert(pc.and_(reaches, pc.is_in(intervals["ts_code"], pa.array(codes, pa.string()))))
    )


def with_names_of(intervals: pa.Table, listed: pa.Table, day: dt.date) -> pa.Table:
    """`listed` (STOCK_LIST) with the names that are valid on `day`, where one is told.

    `intervals` are NAME_INTERVALS. Where none is told, name and `name_since` are what they were.
    """
    date = pa.scalar(day)
    lasts = pc.fill_null(pc.greater_equal(intervals["name_until"], date), True)
    told = intervals.filter(pc.and_(pc.less_equal(intervals["name_since"], date), lasts))
    place = pc.index_in(listed["ts_code"], value_set=told["ts_code"])
    for name in ("name", "name_since"):
        values = pc.coalesce(told[name].take(place), listed[name])
        listed = listed.set_column(listed.column_names.index(name), name, values)
    return conform(STOCK_LIST, listed)


@dg.asset(**fetched_daily(ETF_LIST, Chain.FUNDS))
def etf_list(
    context: dg.AssetExecutionContext, tushare: TushareResource, lake: LakeResource
) -> Checked:
    yield from universe_days(context, ETF_LIST, tushare.fund_basic, funds_of_day, lake.open())


def funds_of_day(
    funds: pa.Table, day: dt.date, known_on: dt.date, stored: pa.Table | None
) -> pa.Table:
    """The funds of `day`; names and classes that were stored nearer to it stay."""
    return with_earlier_names(
        ETF_LIST, CHANGING_OF_FUNDS, listed_funds(funds, day, known_on), stored
    )


def listed_funds(funds: pa.Table, day: dt.date, known_on: dt.date) -> pa.Table:
    """The funds listed on `day`: from `list_date` to the day before `delist_date`.

    `funds` has the columns of FUND_BASIC, the result those of ETF_LIST. A fund whose date of
    listing, or of delisting though it has left or may have left, is not told has a NULL in
    `is_listed` on every day that the other date allows. One that is only being issued is not
    listed.
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
            WHERE status IS DISTINCT FROM 'I'
                AND coalesce(list_date <= $day, true)
                AND coalesce(delist_date > $day, true)
            """,
            params={"day": day, "known_on": known_on},
        )
        return conform(ETF_LIST, universe.to_arrow_table())


def universe_days(
    context: dg.AssetExecutionContext,
    table: Table,
    fetch: Callable[[], Known],
    universe_on: Callable[[Known, dt.date, dt.date, pa.Table | None], pa.Table],
    lake: Lake,
) -> Checked:
    """The universes of the run's days, out of what is fetched once for all of them.

    `universe_on` takes what `fetch` returns, the day, the day on which it is known, and what is
    stored of the day from the same origin.
    """
    now = dt.datetime.now(dt.UTC)
    resumed, missing = days_of_run(context, table, lake, now)
    if missing:
        with failing_at_once():
            everything = fetch()
    known_on = now.astimezone(SHANGHAI).date()

    def universes() -> Iterator[FetchedDay]:
        for day in missing:
            own = lake.read(table, day) if is_own(lake.describe(table, day), lake) else None
            yield FetchedDay(day, universe_on(everything, day, known_on, own))

    yield from through_the_gate(context, table, resumed, universes(), lake)


def with_earlier_names(
    table: Table, changing: Sequence[str], listed: pa.Table, stored: pa.Table | None
) -> pa.Table:
    """`listed` with what was already known of a code when `stored` was made, if it was.

    The `changing` columns change with time; what was known nearer to the day is the better answer
    for that day.
    """
    if stored is None:
        return listed
    resumed = ", ".join(
        f"CASE WHEN known THEN stored.{name} ELSE listed.{name} END AS {name}" for name in changing
    )
    with brief_duckdb() as connection:
        connection.register("listed", listed)
        connection.register("stored", stored)
        merged = connection.sql(f"""
            SELECT
                listed.* EXCLUDE ({", ".join(changing)}, {NAMES_AS_OF}),
                {resumed},
                coalesce(stored.{NAMES_AS_OF}, listed.{NAMES_AS_OF}) AS {NAMES_AS_OF}
            FROM listed
            LEFT JOIN (SELECT *, true AS known FROM stored) AS stored USING (ts_code)
        """)
        return conform(table, merged.to_arrow_table())
