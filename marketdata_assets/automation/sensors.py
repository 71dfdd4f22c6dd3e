"""What is looked after between schedules: days that an evening left unfinished."""

import datetime as dt
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter

from marketdata_assets.assets.fetching import FETCH_ALL
from marketdata_assets.assets.hf_dataset import hf_dataset
from marketdata_assets.assets.refusals import refused_before
from marketdata_assets.automation.jobs import CHAIN, daily_chain, etf_chain, series_refresh
from marketdata_assets.automation.pruning import history_pruning
from marketdata_assets.automation.requests_sensor import range_queries
from marketdata_assets.automation.tracked_instruments import instrument_histories
from marketdata_assets.checks.excuses import excuses_in
from marketdata_assets.checks.ledger import missing_in
from marketdata_assets.partitions import start_date
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import (
    COVERAGE,
    DAILY_PRICES,
    FINDINGS,
    RESTATEMENTS,
    STORED_TABLES,
    Table,
)
from marketdata_assets.trading_calendar import (
    SHANGHAI,
    last_closed_session,
    last_closed_sessions,
    previous_session,
)

SESSIONS_WATCHED = 60
# Of runs that wait, those of the evening and of missed days go before a backfill's.
FIRST = "10"
# What is missing in a day for longer, the vendor does not have.
SESSIONS_MENDED = 5
PUBLISHED = hf_dataset.key.path[-1]
DERIVED = frozenset({COVERAGE.name, DAILY_PRICES.name, FINDINGS.name, RESTATEMENTS.name, PUBLISHED})
# Meanwhile a schedule makes the day, and asks once more for what is late.
EVENING_BEGINS, EVENING_IS_OVER = dt.time(21, 0), dt.time(22, 30)
UNDER_WAY = "a run is under way; looking again afterwards"
# How often the day of the evening is asked for afterwards.
MINUTES_BETWEEN = 30
# Jobs that make no day.
BESIDE = frozenset(
    job.name for job in (series_refresh, instrument_histories, range_queries, history_pruning)
)
UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


@dg.sensor(
    job=daily_chain,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Requests exactly what is missing or unpublished among the last 60 trading days, "
    "at once: today's every half hour from 22:30 in Shanghai, that of earlier days once a day.",
)
def missing_partitions_sensor(
    context: dg.SensorEvaluationContext, lake: LakeResource
) -> dg.SensorResult | dg.SkipReason:
    return missing_days(context.instance, lake.open(), dt.datetime.now(SHANGHAI))


def missing_days(
    instance: dg.DagsterInstance, stored: Lake, now: dt.datetime
) -> dg.SensorResult | dg.SkipReason:
    """What to ask for at `now`, in Shanghai: days in order, neighbouring ones in one run."""
    if are_days_made(instance, etf_chain.name):
        return dg.SkipReason(UNDER_WAY)
    watched = sessions_due(now, sensors_from(stored, DAILY_PRICES, now))
    missing = missing_tables(stored, watched, names_of(CHAIN))
    incomplete = incomplete_tables(stored, watched)
    for day, names in incomplete.items():
        missing[day] = missing.get(day, frozenset()) | names | DERIVED
    for day in unpublished(instance, watched):
        missing[day] = missing.get(day, frozenset()) | {PUBLISHED}
    if not missing:
        return dg.SkipReason(f"nothing is missing in the last {len(watched)} trading days")
    requests = requests_for(watched, missing, now, frozenset(incomplete))
    return dg.SensorResult(run_requests=list(requests))


def are_days_made(instance: dg.DagsterInstance, other_job: str) -> bool:
    """Whether a run that makes days is under way, or waits to be: by a job, by hand, a backfill.

    Those of `other_job` make other tables of them.
    """
    runs = instance.get_runs(RunsFilter(statuses=UNFINISHED))
    return any(run.job_name not in BESIDE | {other_job} for run in runs)


def is_under_way(instance: dg.DagsterInstance, job_name: str, day: dt.date) -> bool:
    """Whether a run of the job is at `day`, or waits to be."""
    runs = instance.get_runs(RunsFilter(job_name=job_name, statuses=UNFINISHED))
    return any((span := days_of_run(run)) and span.first <= day <= span.last for run in runs)


class Span(NamedTuple):
    """The first and the last day of a run."""

    first: dt.date
    last: dt.date


def days_of_run(run: dg.DagsterRun) -> Span | None:
    """The first and last day of a run, None for one without days."""
    day = run.tags.get("dagster/partition", "")
    first = run.tags.get("dagster/asset_partition_range_start", day)
    last = run.tags.get("dagster/asset_partition_range_end", day)
    try:
        return Span(dt.date.fromisoformat(first), dt.date.fromisoformat(last))
    except ValueError:
        return None


def sensors_from(lake: Lake, table: Table, now: dt.datetime) -> dt.time:
    """From when on the day of the evening is the sensors' to ask for and no longer a schedule's.

    That is at its end; or at once when `table` lacks the session before, as when nothing ran for
    some evenings: one who asks for all of them has them made in order, each once.
    """
    before = previous_session(last_closed_session(now))
    is_missed = before >= max(start_date(), table.first_date) and before not in lake.days(table)
    return EVENING_BEGINS if is_missed else EVENING_IS_OVER


def sessions_due(now: dt.datetime, since: dt.time = EVENING_IS_OVER) -> list[dt.date]:
    """The last sessions up to `now`, the day itself `since` an hour, oldest first."""
    sessions = last_closed_sessions(SESSIONS_WATCHED + 1, now)
    if now < dt.datetime.combine(sessions[-1], since, SHANGHAI):
        sessions.pop()
    return [day for day in sessions[-SESSIONS_WATCHED:] if day >= start_date()]


def missing_tables(
    lake: Lake, days: Sequence[dt.date], names: Sequence[str]
) -> dict[dt.date, frozenset[str]]:
    """For every day that lacks something, those of the daily tables that have no file for it."""
    stored = {name: set(lake.days(STORED_TABLES[name])) for name in names}
    lacking = {day: frozenset(name for name in stored if day not in stored[name]) for day in days}
    return {day: names for day, names in lacking.items() if names}


def incomplete_tables(lake: Lake, days: Sequence[dt.date]) -> dict[dt.date, frozenset[str]]:
    """For every day that may be mended by asking again, the tables to ask for.

    Those are the tables in which rows are missing without a good reason; of older days not, for
    what the vendor lacks a week later it does not have. A day that has a ledger and no prices was
    refused for what its rows say: all of it is asked for again. So is a table of which a new answer
    was refused on an earlier day while the stored one stayed.
    """
    found, excuses = {}, excuses_in(lake.root)
    for day in days:
        covered = lake.read(COVERAGE, day)
        if covered is None:
            continue
        if lake.describe(DAILY_PRICES, day) is None:
            found[day] = frozenset(names_of(CHAIN))
            continue
        again = refused_before(lake, day, dt.datetime.now(SHANGHAI).date())
        if day in days[-SESSIONS_MENDED:]:
            again |= missing_in(covered, excuses)
        if again:
            found[day] = again
    return found


def unpublished(instance: dg.DagsterInstance, days: Sequence[dt.date]) -> list[dt.date]:
    """The days that `hf_dataset` has no record of; publishing one twice changes nothing."""
    recorded = instance.get_materialized_partitions(dg.AssetKey(PUBLISHED))
    return [day for day in days if day.isoformat() not in recorded]


def requests_for(
    days: Sequence[dt.date],
    missing: Mapping[dt.date, frozenset[str]],
    now: dt.datetime,
    fetch_all: Collection[dt.date] = (),
) -> Iterator[dg.RunRequest]:
    """One run for every stretch of neighbouring days that lack the same tables.

    On its own evening the last day is asked for every half hour of `now` (in Shanghai); later, and
    older days always, once a day: their gap may be the vendor's for good. Of the days of
    `fetch_all` nothing is kept that is stored.
    """
    half_hour = now.replace(minute=now.minute // MINUTES_BETWEEN * MINUTES_BETWEEN)

    def wanted(day: dt.date) -> tuple[frozenset[str] | None, bool]:
        return missing.get(day), day in fetch_all

    for (names, is_again), stretch in itertools.groupby(days, key=wanted):
        if names is None:
            continue
        block = list(stretch)
        is_of_tonight = block[-1] == days[-1] == now.date()
        at = f"{half_hour:%Y-%m-%d %H:%M}" if is_of_tonight else f"{now:%Y-%m-%d}"
        run_key = f"{block[0]} {block[-1]} {sorted(names)} on {at}"
        again = {FETCH_ALL: "true"} if is_again else {}
        yield request(block, names, run_key, {"dagster/priority": FIRST, **again})


def request(
    block: Sequence[dt.date],
    names: frozenset[str] | None,
    run_key: str,
    more_tags: Mapping[str, str] = {},
) -> dg.RunRequest:
    """One run of the named tables, None for all of the job's, over neighbouring days."""
    return dg.RunRequest(
        run_key=run_key,
        asset_selection=None if names is None else [dg.AssetKey(name) for name in sorted(names)],
        tags={
            "dagster/asset_partition_range_start": block[0].isoformat(),
            "dagster/asset_partition_range_end": block[-1].isoformat(),
            **more_tags,
        },
    )


def names_of(chain: Sequence[dg.AssetsDefinition]) -> list[str]:
    return [asset.key.path[-1] for asset in chain]
