"""What keeps the serving copy fresh: a refresh when the stored prices differ from it.

What is stored is compared, not what was announced: any number of partitions become one refresh,
and a notice that was lost, or a file that came without one, makes no difference.
"""

import datetime as dt
import hashlib
from collections.abc import Mapping

import dagster as dg
from dagster import RunsFilter

from marketdata_assets.automation.jobs import series_refresh
from marketdata_assets.automation.sensors import UNFINISHED
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.storage.series import Difference, FileIdentity, difference, stored_files
from marketdata_assets.tables import DAILY_PRICES


@dg.sensor(
    job=series_refresh,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Refreshes the price series when stored prices are new, rewritten or removed.",
)
def price_series_sensor(
    context: dg.SensorEvaluationContext, lake: LakeResource
) -> dg.SensorResult | dg.SkipReason:
    under_way = RunsFilter(job_name=series_refresh.name, statuses=UNFINISHED)
    if context.instance.get_runs(under_way, limit=1):
        return dg.SkipReason("the series is being refreshed; looking again afterwards")
    files = stored_files(lake.open(), DAILY_PRICES)
    if not files:
        return dg.SkipReason(f"{DAILY_PRICES.name} has no stored day")
    differing = difference(lake.open(), DAILY_PRICES)
    if not differing:
        return dg.SensorResult(skip_reason="the series holds what the lake holds", cursor="")
    # The cursor is what was requested last: a refresh that fails is not started again every
    # minute, only when the lake has changed.
    requested = fingerprint(differing, files)
    if context.cursor == requested:
        return dg.SkipReason(
            "the refresh for what differs has been requested and did not succeed: its run says "
            "why. Materialize price_series when that is mended"
        )
    return dg.SensorResult(run_requests=[dg.RunRequest()], cursor=requested)


def fingerprint(differing: Difference, files: Mapping[dt.date, FileIdentity]) -> str:
    """What differs and in which version, as a short text."""
    versions = [files.get(day) for days in differing for day in days]
    return hashlib.sha256(repr((differing, versions)).encode()).hexdigest()
