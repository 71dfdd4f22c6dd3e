"""Fetching the days of a run: which still have to be asked for, and what a failure means.

Here belongs what the tables that come from Tushare as they are have in common.
"""

import datetime as dt
from collections.abc import Collection, Iterator, Sequence

import dagster as dg
import duckdb
import pyarrow as pa

from marketdata_assets.assets.before import rows_before, rows_stored
from marketdata_assets.assets.door import Checked, Door
from marketdata_assets.checks.days import judge_fetched
from marketdata_assets.checks.declaring import Finding
from marketdata_assets.checks.fetched import fetched_checks
from marketdata_assets.partitions import days_of, refuse_open_days
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.resources.tushare_errors import NotPublishedYet, RefusedError, TushareError
from marketdata_assets.storage.io_manager import FetchedDays
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import Table
from marketdata_assets.trading_calendar import SHANGHAI

DAYS_BETWEEN_PROGRESS_LINES = 10
KEPT_FOR = dt.timedelta(hours=24)
PUBLISHED_BY = dt.time(18, 0)
# The tag of a run that looks for restatements: it takes nothing over from an interrupted one.
FETCH_ALL = "marketdata/fetch_all"


def fetched_days(
    context: dg.AssetExecutionContext, table: Table, tushare: TushareResource, lake: Lake
) -> Checked:
    """The days of the run, fetched and judged one after the other while they are being stored.

    Days before the table's first date are left out; they become empty partitions.
    """
    days = days_of(context.partition_keys)
    now = dt.datetime.now(dt.UTC)
    refuse_open_days(days, now)
    days = [day for day in days if day >= table.first_date]
    recorded = days_of(context.instance.get_materialized_partitions(context.asset_key))
    kept = stored_by_interrupted_run(table, lake, days, set(recorded), now)
    if context.run.tags.get(FETCH_ALL):
        kept = []
    if kept:
        context.log.info(
            f"{table.name}: {len(kept)} day(s) were stored by a run that was interrupted "
            f"({kept[0]} … {kept[-1]}) and are not fetched again."
        )
    missing = [day for day in days if day not in set(kept)]
    fetched = FetchedDays(kept, _watched(context, table, tushare, missing, now))
    yield from through_the_door(context, table, fetched, lake)


def through_the_door(
    context: dg.AssetExecutionContext, table: Table, fetched: FetchedDays, lake: Lake
) -> Checked:
    """The days of a run as the output of an asset, each judged before it is stored."""
    door = Door(context, table, fetched_checks(table))
    days = door.let_in(_judged(table, fetched.days, lake))
    yield dg.Output(fetched._replace(days=days))
    yield from door.outcomes()


def _judged(
    table: Table, days: Iterator[tuple[dt.date, pa.Table]], lake: Lake
) -> Iterator[tuple[dt.date, pa.Table, list[Finding]]]:
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        for day, data in days:
            before, stored = rows_before(lake, table, day), rows_stored(lake, table, day)
            yield day, data, judge_fetched(connection, table, day, data, before, stored)


def stored_by_interrupted_run(
    table: Table,
    lake: Lake,
    days: Sequence[dt.date],
    recorded: Collection[dt.date],
    now: dt.datetime,
) -> list[dt.date]:
    """Days of a range that a run stored a short while ago and did not live to record.

    A run that is killed leaves the days it had stored, but Dagster records a range at its end.
    Only what is certainly that is kept: no record, stored since yesterday, from the same origin,
    after the day was published. Everything else, and every day asked for by itself, is fetched.
    """
    if len(days) < 2:
        return []
    unrecorded = {day: lake.describe(table, day) for day in days if day not in recorded}
    return [
        day
        for day, stored in unrecorded.items()
        if stored is not None
        and (stored.rows > 0 or table.may_be_empty)
        and stored.origin == lake.origin
        and stored.stored_at > now - KEPT_FOR
        and stored.stored_at > dt.datetime.combine(day, PUBLISHED_BY, SHANGHAI)
    ]


def _watched(
    context: dg.AssetExecutionContext,
    table: Table,
    tushare: TushareResource,
    days: list[dt.date],
    now: dt.datetime,
) -> Iterator[tuple[dt.date, pa.Table]]:
    failed: list[TushareError] = []
    try:
        for count, (day, data) in enumerate(tushare.days(table, days), start=1):
            if isinstance(data, TushareError):
                failed.append(data)
                continue
            refuse_early_emptiness(table, day, data, now)
            yield day, data
            if count % DAYS_BETWEEN_PROGRESS_LINES == 0 or count == len(days):
                context.log.info(f"{table.name}: {count} of {len(days)} days fetched, up to {day}")
    except RefusedError as refusal:
        raise failure(refusal) from None
    if failed:
        raise failed[0]


def refuse_early_emptiness(table: Table, day: dt.date, data: pa.Table, now: dt.datetime) -> None:
    """Raise `NotPublishedYet` for a day that is empty before the hour of publication.

    Of a table that may be empty, only the clock tells a day without rows from one to come.
    """
    published_by = dt.datetime.combine(day, PUBLISHED_BY, SHANGHAI)
    if data.num_rows == 0 and now < published_by:
        what = f"no row for {table.name} on {day}, which counts from {published_by:%H:%M} on only."
        raise NotPublishedYet(table.tushare.call, {"trade_date": f"{day:%Y%m%d}"}, what)


def failure(refusal: RefusedError) -> dg.Failure:
    """A refusal as Dagster should see it: nothing that a retry could mend."""
    return dg.Failure(str(refusal), allow_retries=False)
