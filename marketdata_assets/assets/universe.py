"""Who was listed on a day, rebuilt from a list that the vendor has only as of today.

Here belongs what the list of shares and the list of funds have in common. Who is listed when is
told by their own files.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence

import dagster as dg
import duckdb
import pyarrow as pa

from marketdata_assets.assets.asset_arguments import failing_at_once
from marketdata_assets.assets.fetching import resumed_days, through_the_gate
from marketdata_assets.assets.quality_gate import Checked
from marketdata_assets.partitions import days_of, refuse_open_days
from marketdata_assets.resources.tushare_days import FetchedDay
from marketdata_assets.storage.io_manager import conform
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import Table
from marketdata_assets.trading_calendar import SHANGHAI

# Every row says so: the day on which what changes with time was known.
NAMES_AS_OF = "names_as_of"
ListedOn = Callable[[pa.Table, dt.date, dt.date], pa.Table]


def universe_days(
    context: dg.AssetExecutionContext,
    table: Table,
    changing: Sequence[str],
    fetch: Callable[[], pa.Table],
    listed_on: ListedOn,
    lake: Lake,
) -> Checked:
    """The universes of the run's days, out of one call.

    `listed_on` takes what `fetch` returns, the day, and the day on which it is known. Names and
    the other `changing` columns that were stored nearer to a day are not overwritten.
    """
    now = dt.datetime.now(dt.UTC)
    days = days_of(context.partition_keys)
    refuse_open_days(days, now)
    days = [day for day in days if day >= table.first_date]
    resumed = resumed_days(context, table, lake, days, now)
    missing = [day for day in days if day not in set(resumed)]
    with failing_at_once():
        everything = fetch() if missing else None
    known_on = now.astimezone(SHANGHAI).date()

    def universes() -> Iterator[FetchedDay]:
        for day in missing:
            listed = listed_on(everything, day, known_on)
            known, stored = lake.describe(table, day), lake.read(table, day)
            if known and stored and known.origin == lake.origin:
                listed = with_earlier_names(table, changing, listed, stored)
            yield FetchedDay(day, listed)

    yield from through_the_gate(context, table, resumed, universes(), lake)


def with_earlier_names(
    table: Table, changing: Sequence[str], listed: pa.Table, stored: pa.Table
) -> pa.Table:
    """`listed` with what was already known of a code when `stored` was made.

    The `changing` columns change with time; what was known nearer to the day is the better answer
    for that day.
    """
    resumed = ", ".join(
        f"CASE WHEN known THEN stored.{name} ELSE listed.{name} END AS {name}" for name in changing
    )
    with duckdb.connect() as connection:
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
