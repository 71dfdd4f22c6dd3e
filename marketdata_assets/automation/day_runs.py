"""Runs that make trading days: those to ask for, and those that are under way.

Here belongs what a run and its days have to do with each other. What is asked for is `lacking`.
"""

import datetime as dt
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter

from marketdata_assets.assets.fetching import FETCH_ALL
from marketdata_assets.automation.lacking import Lacking

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
