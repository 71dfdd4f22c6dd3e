"""Fetching the days of a run: which still have to be asked for, and what a failure means.

Here belongs what the tables that come from Tushare as they are have in common.
"""

import datetime as dt
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import dagster as dg
import duckdb
import pyarrow as pa
from dagster import DagsterRunStatus, RunsFilter

from marketdata_assets.assets import refusals
from marketdata_assets.assets.asset_arguments import failing_at_once
from marketdata_assets.assets.quality_gate import Checked, CheckedDay, QualityGate
from marketdata_assets.assets.stored_days import rows_before, rows_of_sessions_before
from marketdata_assets.checks.days import (
    ROWS_KEPT,
    check_fetched_days,
    fetched_checks,
    rows_gone,
    rows_lost,
)
from marketdata_assets.checks.excuses import Excuses, excuses_in
from marketdata_assets.checks.ledger import WITH_EVERY_BAR, lacking_codes, missing_in
from marketdata_assets.checks.running import SAMPLE_ROWS, Finding
from marketdata_assets.partitions import days_of, refuse_open_days
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.resources.tushare_days import SESSIONS_LOOKED_AT, FetchedDay
from marketdata_assets.resources.tushare_errors import NotPublishedYet, TushareError
from marketdata_assets.storage.bounded_duckdb import brief_duckdb
from marketdata_assets.storage.io_manager import FetchedDays
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import COVERAGE, DAILY_KLINE, Table
from marketdata_assets.tables.declaration import ANSWER
from marketdata_assets.trading_calendar import SHANGHAI

DAYS_BETWEEN_PROGRESS_LINES = 10
DAYS_JUDGED_TOGETHER = 10
KEPT_FOR = dt.timedelta(hours=24)
PUBLISHED_BY = dt.time(18, 0)
# The tag of a run that looks for restatements: it takes nothing over from an interrupted one.
FETCH_ALL = "marketdata/fetch_all"
# Marks a failure that time mends by itself.
LATE = "late"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


def fetched_days(
    context: dg.AssetExecutionContext, table: Table, tushare: TushareResource, lake: Lake
) -> Checked:
    """The days of the run, fetched and judged one after the other while they are being stored.

    Days before the table's first date are left out; they become empty partitions.
    """
    now = dt.datetime.now(dt.UTC)
    resumed, missing = days_of_run(context, table, lake, now)
    stretch = tushare.stretch()
    asked = _asked(table, tushare, missing, lake)
    fetched = _watched(context, table, stretch.waiting_for(asked), len(missing), now)
    told = functools.partial(stretch.told, tushare.calls_per_minute)
    yield from through_the_gate(context, table, resumed, fetched, lake, told)


def through_the_gate(
    context: dg.AssetExecutionContext,
    table: Table,
    resumed: list[dt.date],
    days: Iterator[FetchedDay],
    lake: Lake,
    told: Callable[[], Mapping[str, int | str]] = dict,
) -> Checked:
    """The days of a run as the output of an asset, each checked before it is stored.

    What `told` returns in the end is shown with them.
    """
    gate = QualityGate(context, table, (*fetched_checks(table), ANSWER), lake, resumed)
    passing = _ended_at_once(gate.passing(_checked(table, days, lake)))
    yield dg.Output(FetchedDays(resumed, passing, told))
    yield from gate.outcomes()


def _ended_at_once(
    days: Iterator[tuple[dt.date, pa.Table | None]],
) -> Iterator[tuple[dt.date, pa.Table | None]]:
    """The days; where no retry can help, or none is published yet, a failure that ends the run."""
    try:
        with failing_at_once():
            yield from days
    except NotPublishedYet as late:
        raise dg.Failure(str(late), metadata={LATE: True}, allow_retries=False) from None


def _checked(table: Table, days: Iterator[FetchedDay], lake: Lake) -> Iterator[CheckedDay]:
    """The days with what was found.

    A day that came with others and is refused, or short of a share that has a bar, is asked for by
    itself first.
    """
    excuses = excuses_in(lake)
    with brief_duckdb() as connection:
        judge = functools.partial(check_fetched_days, connection, table, excuses=excuses)
        for stretch in _stretches(days):
            found = judge(_answered(stretch))
            for fetched in stretch:
                checked = _checked_day(table, fetched, found, lake, excuses)
                if fetched.again and (
                    any(finding.refuses for finding in checked.findings)
                    or _lacks_bars(connection, table, fetched, lake, excuses)
                ):
                    alone = FetchedDay(fetched.day, fetched.again())
                    checked = _checked_day(table, alone, judge(_answered([alone])), lake, excuses)
                yield checked


def _stretches(days: Iterator[FetchedDay]) -> Iterator[list[FetchedDay]]:
    """The days as they are judged: several in one question, which costs as much as for one day.

    What ends them early is raised after those that came before it.
    """
    stretch: list[FetchedDay] = []
    try:
        for fetched in days:
            stretch.append(fetched)
            if len(stretch) == DAYS_JUDGED_TOGETHER:
                yield stretch
                stretch = []
    except Exception:
        yield stretch
        raise
    yield stretch


def _answered(days: Iterable[FetchedDay]) -> dict[dt.date, pa.Table]:
    return {one.day: one.outcome for one in days if isinstance(one.outcome, pa.Table)}


def _lacks_bars(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    fetched: FetchedDay,
    lake: Lake,
    excuses: Excuses,
) -> bool:
    bars = lake.read(DAILY_KLINE, fetched.day) if table.name in WITH_EVERY_BAR else None
    return bars is not None and bool(
        lacking_codes(table, connection.from_arrow(fetched.outcome), bars, excuses)
    )


def _checked_day(
    table: Table, fetched: FetchedDay, found: Sequence[Finding], lake: Lake, excuses: Excuses
) -> CheckedDay:
    """The day with those of `found` that are its own, and with what the lake says to it."""
    day, data = fetched.day, fetched.outcome
    if isinstance(data, TushareError):
        return CheckedDay(day, data)
    findings = [one for one in found if one.day == day]
    findings += rows_lost(table, day, data.num_rows, rows_before(lake, table, day), excuses)
    gone = gone_rows(table, day, data, lake, excuses)
    if gone:
        lost = "; ".join(itertools.islice(gone.values(), SAMPLE_ROWS))
        findings.append(Finding(ROWS_KEPT, table.name, day, len(gone), data.num_rows, (lost,)))
    return CheckedDay(day, data, findings, gone)


def gone_rows(
    table: Table, day: dt.date, data: pa.Table, lake: Lake, excuses: Excuses
) -> dict[str, str]:
    """The codes of which stored rows are not in `data`, unless they may go.

    They may when somebody excuses them, or when all of them were missed on an earlier day already.
    """
    stored = lake.read(table, day) if refusals.is_own(lake.describe(table, day), lake) else None
    if stored is None:
        return {}
    gone = {
        code: shown
        for code, shown in rows_gone(table, data, stored).items()
        if not excuses.covers(table.name, ROWS_KEPT.name, day, code)
    }
    missed = refusals.first_seen(lake, table, day) if gone else {}
    today = dt.datetime.now(SHANGHAI).date()
    earlier = {
        code
        for (check, code), since in missed.items()
        if check == ROWS_KEPT.name and since.astimezone(SHANGHAI).date() < today
    }
    return {} if gone.keys() <= earlier else gone


def days_of_run(
    context: dg.AssetExecutionContext, table: Table, lake: Lake, now: dt.datetime
) -> tuple[list[dt.date], list[dt.date]]:
    """The days of a range that a run which was interrupted has stored, and those to be fetched.

    A day that is asked for by itself is fetched. Raises `dg.Failure` for days that are not over.
    """
    days = days_of(context.partition_keys)
    refuse_open_days(days, now)
    days = [day for day in days if day >= table.first_date]
    if len(days) < 2 or context.run.tags.get(FETCH_ALL):
        return [], days
    resumed = stored_since(table, lake, days, interrupted_since(context, now))
    if not resumed:
        return [], days
    context.log.info(
        f"{table.name}: {len(resumed)} day(s) were stored by a run that was interrupted "
        f"({resumed[0]} … {resumed[-1]}) and are not fetched again."
    )
    return resumed, [day for day in days if day not in set(resumed)]


def interrupted_since(
    context: dg.AssetExecutionContext, now: dt.datetime
) -> dict[dt.date, dt.datetime]:
    """For every day of the run, since when runs have tried to make it in vain; this run included.

    Looks back a day. A run that is killed may be told as started for hours, so what counts is that
    it has not succeeded. A day that Dagster has no record of was made by none that has.
    """
    tried = context.instance.get_run_records(
        RunsFilter(created_after=now - KEPT_FOR), ascending=True
    )
    days = days_of(context.partition_keys)
    recorded = set(context.instance.get_materialized_partitions(context.asset_key))
    unknown = [day for day in days if day.isoformat() not in recorded]
    since = dict.fromkeys(unknown, now - KEPT_FOR)
    for record in tried:
        run, key = record.dagster_run, context.asset_key
        if run.asset_selection is not None and key not in run.asset_selection:
            continue
        is_done = run.status is DagsterRunStatus.SUCCESS
        for day in _days_of(run.tags, days):
            if is_done and day not in unknown:
                since.pop(day, None)
            else:
                since.setdefault(day, record.create_timestamp)
    return since


def _days_of(tags: Mapping[str, str], days: Sequence[dt.date]) -> list[dt.date]:
    """Which of `days` a run with these tags was to make."""
    first, last = tags.get(RANGE_START), tags.get(RANGE_END)
    if first and last:
        return [day for day in days if first <= day.isoformat() <= last]
    return [day for day in days if day.isoformat() == tags.get("dagster/partition")]


def stored_since(
    table: Table, lake: Lake, days: Sequence[dt.date], since: Mapping[dt.date, dt.datetime]
) -> list[dt.date]:
    """The days that were stored from this origin since the moment told, after publication."""
    resumed = []
    for day in days:
        stored = lake.describe(table, day) if day in since else None
        if (
            stored is not None
            and (stored.rows > 0 or table.may_be_empty)
            and refusals.is_own(stored, lake)
            and stored.stored_at >= since[day]
            and stored.stored_at > counts_from(table, day)
        ):
            resumed.append(day)
    return resumed


def _asked(
    table: Table, tushare: TushareResource, days: Sequence[dt.date], lake: Lake
) -> Iterator[FetchedDay]:
    if len(days) < 2 or not table.tushare.takes_ranges:
        return tushare.days(table, days)
    rows = rows_of_sessions_before(lake, table, days[0], SESSIONS_LOOKED_AT)
    return tushare.days(table, days, rows, short_days(table, days, lake))


def short_days(table: Table, days: Sequence[dt.date], lake: Lake) -> set[dt.date]:
    """The days of which an answer was refused, or lacks rows without a good reason by the ledger.

    They are asked for by themselves, so that what they lack is not for want of room.
    """
    excuses = excuses_in(lake)
    short = set()
    for day in days:
        covered = lake.read(COVERAGE, day)
        if refusals.first_seen(lake, table, day) or (
            covered is not None and table.name in missing_in(covered, excuses)
        ):
            short.add(day)
    return short


def _watched(
    context: dg.AssetExecutionContext,
    table: Table,
    days: Iterator[FetchedDay],
    of_days: int,
    now: dt.datetime,
) -> Iterator[FetchedDay]:
    for count, fetched in enumerate(days, start=1):
        day = fetched.day
        early = early_emptiness(table, day, fetched.outcome, now)
        yield fetched._replace(outcome=early) if early else fetched
        if count % DAYS_BETWEEN_PROGRESS_LINES == 0 or count == of_days:
            context.log.info(f"{table.name}: {count} of {of_days} days fetched, up to {day}")


def early_emptiness(
    table: Table, day: dt.date, data: pa.Table | TushareError, now: dt.datetime
) -> NotPublishedYet | None:
    """What is wrong with a day that is empty before the hour of publication.

    Of a table that may be empty, only the clock tells a day without rows from one to come.
    """
    published_by = counts_from(table, day)
    if isinstance(data, TushareError) or data.num_rows > 0 or now >= published_by:
        return None
    what = f"no row for {table.name} on {day}, which counts from {published_by:%H:%M} on only."
    return NotPublishedYet(table.tushare.call, {"trade_date": f"{day:%Y%m%d}"}, what)


def counts_from(table: Table, day: dt.date) -> dt.datetime:
    """From when on an answer without rows, or with fewer than there will be, is none any more."""
    by_then = dt.datetime.combine(day, PUBLISHED_BY, SHANGHAI)
    return max(by_then, table.tushare.out_at(day))
