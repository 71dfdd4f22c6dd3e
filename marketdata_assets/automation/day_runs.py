"""What stored days lack, and the runs that make it: those to ask for, and those under way.

Here belongs what is found in lake and run history: the datasets to ask for, so that a day is whole,
and what a run and its days have to do with each other. Which days are looked at, and when, is
`evenings`.
"""

import datetime as dt
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import dagster as dg
import pyarrow.compute as pc
from dagster import DagsterRunStatus, RunsFilter

from marketdata_assets.assets.fetching import FETCH_ALL
from marketdata_assets.assets.hf_dataset import hf_dataset
from marketdata_assets.assets.refusals import refused_before
from marketdata_assets.checks.excuses import excuses_in
from marketdata_assets.checks.ledger import BEFORE_UNKNOWN, missing_in
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import (
    ADJ_FACTOR,
    COVERAGE,
    DAILY_KLINE,
    DAILY_PRICES,
    ETF_COVERAGE,
    ETF_NAV,
    ETF_PREMIUM,
    FINDINGS,
    RESTATEMENTS,
    STORED_TABLES,
    SUSPENDED,
)
from marketdata_assets.trading_calendar import FIRST_SESSION, SHANGHAI, previous_session

# What is missing in a day for longer, the vendor does not have.
SESSIONS_MENDED = 5
PUBLISHED = hf_dataset.key.path[-1]
DERIVED = frozenset(
    table.name for table in (COVERAGE, SUSPENDED, DAILY_PRICES, FINDINGS, RESTATEMENTS)
) | {PUBLISHED}

# Of runs that wait, those of the evening and of missed days go before a backfill's.
FIRST = "10"
# How often the day of the evening is asked for afterwards.
MINUTES_BETWEEN = 30
UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]


class Lacking(NamedTuple):
    """For every day that lacks something the datasets to ask for; of the days of `fetch_all`
    nothing is kept that is stored."""

    names: dict[dt.date, frozenset[str]]
    fetch_all: Collection[dt.date] = ()


def of_stocks(
    instance: dg.DagsterInstance, lake: Lake, days: Sequence[dt.date], names: Collection[str]
) -> Lacking:
    """What is missing, unpublished, or incomplete by the ledger."""
    missing = missing_datasets(instance, lake, days, names)
    incomplete = incomplete_tables(lake, days, names)
    for day, tables in incomplete.items():
        missing[day] = missing.get(day, frozenset()) | tables | DERIVED
    return Lacking(missing, frozenset(incomplete))


def of_funds(
    instance: dg.DagsterInstance, lake: Lake, days: Sequence[dt.date], names: Collection[str]
) -> Lacking:
    """What is missing, and premiums that do not know the stored values: those alone.

    A day that has all but its premiums was refused for what the other tables say: all are asked
    for again. Where another one is missing, it is asked for with what is made of it.
    """
    premium = frozenset({ETF_PREMIUM.name})
    made = premium | {ETF_COVERAGE.name}
    missing = {
        day: frozenset(names) if lacking == premium else lacking | made
        for day, lacking in missing_datasets(instance, lake, days, names).items()
    }
    outdated = [day for day in days if day not in missing and are_premiums_outdated(lake, day)]
    return Lacking(missing | dict.fromkeys(outdated, premium))


def missing_datasets(
    instance: dg.DagsterInstance, lake: Lake, days: Sequence[dt.date], names: Collection[str]
) -> dict[dt.date, frozenset[str]]:
    """For every day that lacks something, those of the datasets that have not been made of it.

    That is a table without a file, or a publication without a record; publishing a day twice
    changes nothing.
    """
    # A look at each file that should be there, not at all there are: those of twenty years.
    made = {
        name: {day for day in days if lake.has(STORED_TABLES[name], day)}
        for name in names
        if name in STORED_TABLES
    }
    if PUBLISHED in names:
        recorded = instance.get_materialized_partitions(dg.AssetKey(PUBLISHED))
        made[PUBLISHED] = {day for day in days if day.isoformat() in recorded}
    lacking = {day: frozenset(name for name in made if day not in made[name]) for day in days}
    return {day: names for day, names in lacking.items() if names}


def incomplete_tables(
    lake: Lake, days: Sequence[dt.date], names: Collection[str]
) -> dict[dt.date, frozenset[str]]:
    """For every day that may be mended by asking again, those of the datasets to ask for.

    Those are the tables in which rows are missing without a good reason; of older days not, for
    what the vendor lacks a week later it does not have. A day that has a ledger and no prices was
    refused for what its rows say: all of it is asked for again. So is a table of which a new answer
    was refused on an earlier day while the stored one stayed, and a ledger that did not know the
    session before, which is stored by now.
    """
    found, excuses = {}, excuses_in(lake)
    for day in days:
        covered = lake.read(COVERAGE, day)
        if covered is None:
            continue
        if lake.describe(DAILY_PRICES, day) is None:
            found[day] = frozenset(names) - {PUBLISHED}
            continue
        # Of other chains they are somebody else's to ask for.
        again = refused_before(lake, day, dt.datetime.now(SHANGHAI).date()) & frozenset(names)
        if day in days[-SESSIONS_MENDED:]:
            again |= missing_in(covered, excuses)
        if BEFORE_UNKNOWN in covered["reason"].to_pylist() and _is_before_stored(lake, day):
            again |= {COVERAGE.name}
        if again:
            found[day] = again
    return found


def _is_before_stored(lake: Lake, day: dt.date) -> bool:
    """Whether there is what the ledger of a day asks of the session before."""
    return day > FIRST_SESSION and all(
        lake.has(table, previous_session(day)) for table in (DAILY_KLINE, ADJ_FACTOR)
    )


def are_premiums_outdated(lake: Lake, day: dt.date) -> bool:
    """Whether values were stored after the premiums of `day` that these do not know.

    What is stored later and would make the same premiums, as values of funds without a bar, is not
    asked for: premiums that stay the same keep the hour they were stored at.
    """
    values_stored, premiums_stored = lake.describe(ETF_NAV, day), lake.describe(ETF_PREMIUM, day)
    if values_stored is None or premiums_stored is None:
        return False
    if values_stored.stored_at <= premiums_stored.stored_at:
        return False
    navs, premiums = lake.read(ETF_NAV, day), lake.read(ETF_PREMIUM, day)
    if navs is None or premiums is None:
        return False
    own = navs.filter(pc.equal(navs["nav_date"], navs["trade_date"]))
    columns = (own[name].to_pylist() for name in ("ts_code", "unit_nav", "ann_date"))
    values = {code: values_of_code for code, *values_of_code in zip(*columns, strict=True)}
    known = (premiums[name].to_pylist() for name in ("ts_code", "unit_nav", "nav_ann_date"))
    return any(
        values_of_code != values.get(code, [None, None])
        for code, *values_of_code in zip(*known, strict=True)
    )


def are_days_made(instance: dg.DagsterInstance, other_jobs: Collection[str]) -> bool:
    """Whether a run that makes days is under way, or waits to be: by a job, by hand, a backfill.

    Those of `other_jobs` make other datasets of them.
    """
    runs = instance.get_runs(RunsFilter(statuses=UNFINISHED))
    return any(days_of_run(run) and run.job_name not in other_jobs for run in runs)


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


def requests_for(
    days: Sequence[dt.date], lacking: Lacking, now: dt.datetime
) -> Iterator[dg.RunRequest]:
    """One run for every stretch of neighbouring days that lack the same datasets.

    On its own evening the last day is asked for every half hour of `now` (in Shanghai); later, and
    older days always, once a day: their gap may be the vendor's for good.
    """
    half_hour = now.replace(minute=now.minute // MINUTES_BETWEEN * MINUTES_BETWEEN)

    def wanted(day: dt.date) -> tuple[frozenset[str] | None, bool]:
        return lacking.names.get(day), day in lacking.fetch_all

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
