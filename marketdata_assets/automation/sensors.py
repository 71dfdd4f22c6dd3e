"""What is looked after between schedules: days that an evening left unfinished."""

import datetime as dt
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter

from marketdata_assets.assets.fetching import FETCH_ALL
from marketdata_assets.assets.hf_dataset import hf_dataset
from marketdata_assets.assets.refusals import refused_before
from marketdata_assets.automation.instruments import instrument_histories
from marketdata_assets.automation.jobs import CHAIN, daily_chain, series_refresh
from marketdata_assets.automation.pruning import history_pruning
from marketdata_assets.automation.requests_sensor import range_queries
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
)
from marketdata_assets.trading_calendar import SHANGHAI, last_closed_sessions

SESSIONS_WATCHED = 60
# What is missing in a day for longer, the vendor does not have.
SESSIONS_MENDED = 5
PUBLISHED = hf_dataset.key.path[-1]
DERIVED = frozenset({COVERAGE.name, DAILY_PRICES.name, FINDINGS.name, RESTATEMENTS.name, PUBLISHED})
# The evening run starts at 21:00 and retries for a good hour.
EVENING_IS_OVER = dt.time(22, 30)
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
    minimum_interval_seconds=30 * 60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Requests exactly what is missing or unpublished among the last 60 trading days: "
    "today's at every look, that of earlier days once a day.",
)
def missing_partitions_sensor(
    context: dg.SensorEvaluationContext, lake: LakeResource
) -> dg.SensorResult | dg.SkipReason:
    if are_days_made(context.instance):
        return dg.SkipReason("a run is under way; looking again afterwards")
    watched, stored = sessions_due(dt.datetime.now(dt.UTC)), lake.open()
    missing = missing_tables(stored, watched, names_of(CHAIN))
    incomplete = incomplete_tables(stored, watched)
    for day, names in incomplete.items():
        missing[day] = missing.get(day, frozenset()) | names | DERIVED
    for day in unpublished(context.instance, watched):
        missing[day] = missing.get(day, frozenset()) | {PUBLISHED}
    if not missing:
        return dg.SkipReason(f"nothing is missing in the last {len(watched)} trading days")
    today = dt.datetime.now(SHANGHAI).date()
    requests = requests_for(watched, missing, today, frozenset(incomplete))
    return dg.SensorResult(run_requests=list(requests))


def are_days_made(instance: dg.DagsterInstance) -> bool:
    """Whether a run that makes days is under way, or waits to be: by a job, by hand, a backfill."""
    runs = instance.get_runs(RunsFilter(statuses=UNFINISHED))
    return any(run.job_name not in BESIDE for run in runs)


def sessions_due(now: dt.datetime) -> list[dt.date]:
    """The last sessions whose evening is over at `now`, oldest first."""
    sessions = last_closed_sessions(SESSIONS_WATCHED + 1, now)
    if now < dt.datetime.combine(sessions[-1], EVENING_IS_OVER, SHANGHAI):
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
    today: dt.date,
    fetch_all: Collection[dt.date] = (),
) -> Iterator[dg.RunRequest]:
    """One run for every stretch of neighbouring days that lack the same tables.

    On the evening of the last day (`today`, in Shanghai) it is asked for at every look; later, and
    older days always, once a day: their gap may be the vendor's for good. Of the days of
    `fetch_all` nothing is kept that is stored.
    """

    def wanted(day: dt.date) -> tuple[frozenset[str] | None, bool]:
        return missing.get(day), day in fetch_all

    for (names, is_again), stretch in itertools.groupby(days, key=wanted):
        if names is None:
            continue
        block = list(stretch)
        is_of_tonight = block[-1] == days[-1] == today
        run_key = None if is_of_tonight else f"{block[0]} {block[-1]} {sorted(names)} on {today}"
        yield request(block, names, run_key, {FETCH_ALL: "true"} if is_again else {})


def request(
    block: Sequence[dt.date],
    names: frozenset[str],
    run_key: str | None,
    more_tags: Mapping[str, str] = {},
) -> dg.RunRequest:
    """One run of the named tables over neighbouring days."""
    return dg.RunRequest(
        run_key=run_key,
        asset_selection=[dg.AssetKey(name) for name in sorted(names)],
        tags={
            "dagster/asset_partition_range_start": block[0].isoformat(),
            "dagster/asset_partition_range_end": block[-1].isoformat(),
            **more_tags,
        },
    )


def names_of(chain: Sequence[dg.AssetsDefinition]) -> list[str]:
    return [asset.key.path[-1] for asset in chain]
