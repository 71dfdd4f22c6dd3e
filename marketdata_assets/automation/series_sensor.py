"""What keeps the serving copies fresh: a refresh of each when the stored days differ from it.

What is stored is compared, not what was announced: any number of partitions become one refresh,
and a notice that was lost, or a file that came without one, makes no difference; of several hosts,
where each look at all is many calls of the store, it makes one of an hour. A refresh that did not
help is tried again by itself, ever later: its own runs are all that is remembered.
"""

import datetime as dt
import hashlib
import itertools
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import dagster as dg
from dagster import RunRecord, RunsFilter

from marketdata_assets.assets.price_series import SERIES
from marketdata_assets.automation.day_runs import ENDED, UNFINISHED
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.storage.lake import FileIdentity, Lake, times_of
from marketdata_assets.storage.series import Difference, difference
from marketdata_assets.storage.series.generation import series_folder
from marketdata_assets.tables import Table

# After the evening's run, before the waiting runs of a backfill; the first of them first.
PRIORITY = 5
# What a run was requested for.
WANTED_TAG = "marketdata/series_wanted"
# The how manieth run in a row it is that does not help, if it does not.
TRY_TAG = "marketdata/series_try"
# After 1, 2, 4 … minutes: an overload passes. What does not pass makes a run an hour, or one every
# five minutes where something is stored anew all the time: a backfill, or somebody who mends it.
FIRST_WAIT = dt.timedelta(minutes=1)
LONGEST_WAIT, LONGEST_WAIT_FOR_SOMETHING_NEW = dt.timedelta(hours=1), dt.timedelta(minutes=5)
RUNS_LOOKED_AT = 30
# For files that somebody has written over where they lie, which no folder tells.
LOOK_AT_ALL_EVERY = dt.timedelta(hours=1)

series_refresh = dg.define_asset_job(
    "series_refresh",
    selection=dg.AssetSelection.assets(*SERIES.values()),
    description="Brings the copies that slices are read from to what is stored.",
    tags={"dagster/max_runtime": "3600"},
)


@dg.sensor(
    job=series_refresh,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Refreshes a series when days of its table are new, rewritten or removed, or files "
    "of it damaged; what fails is tried again.",
)
def price_series_sensor(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
    return refreshes_due(context.instance, lake.open(), dt.datetime.now(dt.UTC))


def refreshes_due(instance: dg.DagsterInstance, lake: Lake, now: dt.datetime) -> dg.SensorResult:
    """A run for every series that differs from the lake and is neither refreshed nor to wait."""
    under_way = _under_way(instance)
    ended = instance.get_run_records(
        RunsFilter(job_name=series_refresh.name, statuses=ENDED), limit=RUNS_LOOKED_AT
    )
    requests, reasons = [], []
    for number, (table, asset) in enumerate(SERIES.items()):
        name = asset.key.path[-1]
        _, _, files, differing = look_at(instance, lake, table, now)
        wanted = fingerprint(differing, files)
        own = [run for run in ended if asset.key in _made_in(run.dagster_run)]
        tries = _tries(own, wanted)
        again = _again_at(tries, wanted)
        if asset.key in under_way:
            reasons.append(f"{name} is being refreshed; looking again afterwards")
        elif not files and not differing:
            reasons.append(f"{table.name} has no stored day")
        elif not differing:
            reasons.append(f"the series of {table.name} holds what the lake holds")
        elif again and now < again:
            reasons.append(
                f"the refresh of {name} did not succeed: its last run says why. It is tried again "
                f"at {again:%H:%M} UTC; materialize {name} when it is mended sooner"
            )
        else:
            tags = {
                "dagster/priority": str(PRIORITY + len(SERIES) - number),
                WANTED_TAG: wanted,
            }
            # Without it a failure is told at once: so it is of a table that has vanished.
            if files:
                tags[TRY_TAG] = str(1 + _number(tries))
            requests.append(dg.RunRequest(asset_selection=[asset.key], tags=tags))
    return dg.SensorResult(
        run_requests=requests or None, skip_reason=None if requests else "; ".join(reasons)
    )


class Look(NamedTuple):
    """What was seen of a table and its series, when, and what told of changes until then."""

    at: dt.datetime
    told: Mapping[str, object]
    files: Mapping[dt.date, FileIdentity]
    differing: Difference


# The last looks of this process. Who looks anew at the files of twenty years is as long at it as
# at all else together.
_looks: dict[tuple[Path, str], Look] = {}


def look_at(instance: dg.DagsterInstance, lake: Lake, table: Table, now: dt.datetime) -> Look:
    """The last look, where nothing tells of a change since; every hour, a new one."""
    told, known = _told(instance, lake, table), _looks.get((lake.root, table.name))
    if known and known.told == told and known.at <= now < known.at + LOOK_AT_ALL_EVERY:
        return known
    looked = Look(now, told, lake.identities(table), difference(lake, table))
    _looks.pop((lake.root, table.name), None)
    if None not in told.values():
        _looks[lake.root, table.name] = looked
    return looked


def _told(instance: dg.DagsterInstance, lake: Lake, table: Table) -> Mapping[str, object]:
    """What differs where the table or its series has changed: of one machine when their folders
    have, None where that can't tell; of several hosts the last event of both, and by one list the
    objects of the series."""
    if not lake.is_shared:
        years = {str(year): times for year, times in lake.folders(table).items()}
        return years | {"series": times_of(series_folder(lake.root, table))}
    from marketdata_assets.storage.series.shared_place import SharedPlace

    keys = [dg.AssetKey(table.name), SERIES[table].key]
    entries = [record.asset_entry for record in instance.get_asset_records(keys)]
    made = {one.asset_key.path[-1]: one.last_materialization_storage_id or 0 for one in entries}
    return made | SharedPlace(lake, table).objects()


def _under_way(instance: dg.DagsterInstance) -> set[dg.AssetKey]:
    """The series that a run of the job is at, or waits to be at."""
    runs = instance.get_runs(RunsFilter(job_name=series_refresh.name, statuses=UNFINISHED))
    return {key for run in runs for key in _made_in(run)}


def _made_in(run: dg.DagsterRun) -> Collection[dg.AssetKey]:
    return run.asset_selection or [asset.key for asset in SERIES.values()]


def _tries(ended: Sequence[RunRecord], wanted: str) -> list[RunRecord]:
    """The newest of the runs that have ended, as far as they did not bring about what is wanted."""
    return list(itertools.takewhile(lambda run: not _has_helped(run.dagster_run, wanted), ended))


def _number(tries: Sequence[RunRecord]) -> int:
    """How many there were in a row; more than are looked at, perhaps."""
    return int(tries[0].dagster_run.tags.get(TRY_TAG, len(tries))) if tries else 0


def _again_at(tries: Sequence[RunRecord], wanted: str) -> dt.datetime | None:
    """When to try again what runs, the newest first, did not bring about."""
    if not tries:
        return None
    is_the_same = tries[0].dagster_run.tags.get(WANTED_TAG) == wanted
    longest = LONGEST_WAIT if is_the_same else LONGEST_WAIT_FOR_SOMETHING_NEW
    last = tries[0].end_time or tries[0].create_timestamp.timestamp()
    wait = min(FIRST_WAIT * (1 << len(tries) - 1), longest)
    return dt.datetime.fromtimestamp(last, dt.UTC) + wait


def _has_helped(run: dg.DagsterRun, wanted: str) -> bool:
    return run.is_success and run.tags.get(WANTED_TAG) != wanted


def fingerprint(differing: Difference, files: Mapping[dt.date, FileIdentity]) -> str:
    """What differs and in which version, as a short text."""
    versions = [files.get(day) for day in (*differing.new, *differing.rewritten)]
    return hashlib.sha256(repr((differing, versions)).encode()).hexdigest()
