"""Tracked codes: how a code becomes tracked, and when its history is brought up to date.

A code is tracked as long as it is a partition of `instrument_history` and has a history, or stands
in TRACKED_CODES. Each has a run of its own, so that one without a usable source fails alone.
"""

from collections.abc import Iterable

import dagster as dg

from marketdata_assets.assets.instrument_history import instrument_history
from marketdata_assets.automation.reporting import request_answered, request_failed
from marketdata_assets.partitions import INSTRUMENTS
from marketdata_assets.resources.sources.routing import InstrumentSources
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.tables import INSTRUMENT_HISTORY
from marketdata_assets.timetable import INSTRUMENT_HISTORIES
from marketdata_assets.trading_calendar import SHANGHAI, is_session

instrument_histories = dg.define_asset_job(
    "instrument_histories",
    selection=dg.AssetSelection.assets(instrument_history),
    description="The full history of one code, brought up to date.",
    tags={"dagster/max_runtime": "1800"},
    hooks={request_answered, request_failed},
)


@dg.schedule(
    job=instrument_histories,
    cron_schedule=INSTRUMENT_HISTORIES.crons,
    execution_timezone=SHANGHAI.key,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every trading day at 19:00 in Shanghai: refreshes every tracked code.",
)
def instrument_histories_schedule(
    context: dg.ScheduleEvaluationContext,
    lake: LakeResource,
    instrument_sources: InstrumentSources,
) -> list[dg.RunRequest] | dg.SkipReason:
    day = context.scheduled_execution_time.astimezone(SHANGHAI).date()
    if not is_session(day):
        return dg.SkipReason(f"{day} is not a trading day")
    stored, wanted = lake.open(), set(instrument_sources.tracked_codes)
    codes = [
        code
        for code in context.instance.get_dynamic_partitions(str(INSTRUMENTS.name))
        # What somebody asked for once and no source has is not asked for every day.
        if code in wanted or stored.describe(INSTRUMENT_HISTORY, code)
    ]
    if not codes:
        return dg.SkipReason("no code is tracked: see TRACKED_CODES")
    return [dg.RunRequest(run_key=f"{day} {code}", partition_key=code) for code in sorted(codes)]


@dg.sensor(
    job=instrument_histories,
    minimum_interval_seconds=5 * 60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tracks the codes of TRACKED_CODES, and fetches each at once.",
)
def tracked_codes_sensor(
    context: dg.SensorEvaluationContext, instrument_sources: InstrumentSources
) -> dg.SensorResult | dg.SkipReason:
    tracked = context.instance.get_dynamic_partitions(str(INSTRUMENTS.name))
    new = sorted(set(instrument_sources.tracked_codes) - set(tracked))
    return track(new) if new else dg.SkipReason(f"{len(tracked)} code(s) are tracked, none is new")


def track(codes: Iterable[str]) -> dg.SensorResult:
    """What a sensor returns to have canonical codes tracked and fetched at once."""
    codes = list(codes)
    return dg.SensorResult(
        dynamic_partitions_requests=[INSTRUMENTS.build_add_request(codes)],
        run_requests=[dg.RunRequest(partition_key=code) for code in codes],
    )
