"""What is looked after between evenings: days that one of them left unfinished.

Here belongs which days are looked at, and when. What they lack is `lacking`.
"""

import datetime as dt

import dagster as dg

from marketdata_assets import timetable
from marketdata_assets.automation import day_runs
from marketdata_assets.automation.chains import FUNDS, STOCKS, DayChain
from marketdata_assets.partitions import start_date
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables.declaration import Chain
from marketdata_assets.timetable import EVENING_IS_OVER, SESSIONS_WATCHED
from marketdata_assets.trading_calendar import (
    SHANGHAI,
    last_closed_session,
    previous_session,
)

UNDER_WAY = "a run is under way; looking again afterwards"


def missing_days_sensor(chain: DayChain, name: str) -> dg.SensorDefinition:
    """Asks for what the last days of a chain lack."""

    @dg.sensor(
        name=name,
        job=chain.job,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Requests exactly what is missing among the last {SESSIONS_WATCHED} trading "
        f"days, at once: today's every half hour from {EVENING_IS_OVER:%H:%M} in Shanghai, that of "
        "earlier days once a day.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, lake: LakeResource
    ) -> dg.SensorResult | dg.SkipReason:
        return missing_days(chain, context.instance, lake.open(), dt.datetime.now(SHANGHAI))

    return sensor


missing_partitions_sensor = missing_days_sensor(STOCKS, "missing_partitions_sensor")
missing_etf_partitions_sensor = missing_days_sensor(FUNDS, "missing_etf_partitions_sensor")


def missing_days(
    chain: DayChain, instance: dg.DagsterInstance, stored: Lake, now: dt.datetime
) -> dg.SensorResult | dg.SkipReason:
    """What to ask for at `now`, in Shanghai: days in order, neighbouring ones in one run."""
    if day_runs.are_days_made(instance, [one for one in Chain if one is not chain.name]):
        return dg.SkipReason(UNDER_WAY)
    due = sessions_due(now, sensors_from(chain, stored, now))
    watched = [day for day in due if day >= chain.result.first_date]
    lacking = chain.lacking(instance, stored, watched, chain.names)
    if not lacking.names:
        return dg.SkipReason(f"nothing is missing in the last {len(watched)} trading days")
    return dg.SensorResult(run_requests=list(day_runs.requests_for(watched, lacking, now)))


def sensors_from(chain: DayChain, lake: Lake, now: dt.datetime) -> dt.time:
    """From when on the day of the evening is the sensors' to ask for and no longer a schedule's.

    That is at its end; or at once when the session before was not made, as when nothing ran for
    some evenings: one who asks for all of them has them made in order, each once.
    """
    table = chain.result
    before = previous_session(last_closed_session(now))
    is_missed = before >= max(start_date(), table.first_date) and not lake.has(table, before)
    return STOCKS.evening.at[0] if is_missed else EVENING_IS_OVER


def sessions_due(now: dt.datetime, since: dt.time = EVENING_IS_OVER) -> list[dt.date]:
    """The last sessions up to `now` that are partitions, the day itself `since` an hour."""
    return [day for day in timetable.sessions_due(now, since) if day >= start_date()]
