"""What keeps the serving copies fresh: a refresh of each when the stored days differ from it.

What is stored is compared, not what was announced: any number of partitions become one refresh,
and a notice that was lost, or a file that came without one, makes no difference.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping

import dagster as dg
from dagster import RunsFilter

from marketdata_assets.assets.price_series import SERIES
from marketdata_assets.automation.jobs import series_refresh
from marketdata_assets.automation.sensors import UNFINISHED
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import Difference, FileIdentity, difference, stored_files
from marketdata_assets.tables import Table

# After the evening's run, before the waiting runs of a backfill; the first of them first.
PRIORITY = 5


@dg.sensor(
    job=series_refresh,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Refreshes a series when days of its table are new, rewritten or removed.",
)
def price_series_sensor(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
    # The cursor is what was requested last, by table: a refresh that fails is not started again
    # every minute, only when the lake has changed.
    requested: dict[str, str] = json.loads(context.cursor or "{}")
    under_way = _under_way(context.instance)
    requests, reasons = [], []
    for number, (table, asset) in enumerate(SERIES.items()):
        if asset.key in under_way:
            reasons.append(f"{asset.key.path[-1]} is being refreshed; looking again afterwards")
            continue
        wanted, reason = _wanted(lake.open(), table, requested.get(table.name))
        if reason:
            reasons.append(reason)
            if wanted is None:
                requested.pop(table.name, None)
            continue
        assert wanted is not None
        requested[table.name] = wanted
        tags = {"dagster/priority": str(PRIORITY + len(SERIES) - number)}
        requests.append(dg.RunRequest(asset_selection=[asset.key], tags=tags))
    return dg.SensorResult(
        run_requests=requests or None,
        skip_reason=None if requests else "; ".join(reasons),
        cursor=json.dumps(requested),
    )


def _under_way(instance: dg.DagsterInstance) -> set[dg.AssetKey]:
    """The series that a run of the job is at, or waits to be at."""
    every = frozenset(asset.key for asset in SERIES.values())
    runs = instance.get_runs(RunsFilter(job_name=series_refresh.name, statuses=UNFINISHED))
    return {key for run in runs for key in run.asset_selection or every}


def _wanted(lake: Lake, table: Table, requested: str | None) -> tuple[str | None, str]:
    """What differs, as a fingerprint, and why there is nothing to request, if there is not."""
    files = stored_files(lake, table)
    if not files:
        return None, f"{table.name} has no stored day"
    differing = difference(lake, table)
    if not differing:
        return None, f"the series of {table.name} holds what the lake holds"
    wanted = fingerprint(differing, files)
    if wanted == requested:
        asset = SERIES[table].key.path[-1]
        return wanted, (
            f"the refresh of {asset} for what differs has been requested and did not succeed: its "
            f"run says why. Materialize {asset} when that is mended"
        )
    return wanted, ""


def fingerprint(differing: Difference, files: Mapping[dt.date, FileIdentity]) -> str:
    """What differs and in which version, as a short text."""
    versions = [files.get(day) for days in differing for day in days]
    return hashlib.sha256(repr((differing, versions)).encode()).hexdigest()
