"""Who was listed on a day, rebuilt from a list that the vendor has only as of today.

Here belongs what the list of shares and the list of funds have in common. Who is listed when is
told by their own files.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import dagster as dg
import pyarrow as pa

from marketdata_assets.assets.asset_arguments import failing_at_once
from marketdata_assets.assets.fetching import resumed_days, through_the_gate
from marketdata_assets.assets.quality_gate import Checked
from marketdata_assets.partitions import days_of, refuse_open_days
from marketdata_assets.resources.tushare_days import FetchedDay
from marketdata_assets.storage.bounded_duckdb import brief_duckdb
from marketdata_assets.storage.io_manager import conform
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import Table
from marketdata_assets.trading_calendar import SHANGHAI

# Every row says so: the day on which what changes with time was known.
NAMES_AS_OF = "names_as_of"
Known = TypeVar("Known")


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
    days = days_of(context.partition_keys)
    refuse_open_days(days, now)
    days = [day for day in days if day >= table.first_date]
    resumed = resumed_days(context, table, lake, days, now)
    missing = [day for day in days if day not in set(resumed)]
    if missing:
        with failing_at_once():
            everything = fetch()
    known_on = now.astimezone(SHANGHAI).date()

    def universes() -> Iterator[FetchedDay]:
        for day in missing:
            described, stored = lake.describe(table, day), lake.read(table, day)
            is_own = described is not None and described.origin == lake.origin
            own = stored if is_own else None
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
