"""Tables beside the evening's: fetched where EXTRA_TABLES names them, each on its own.

Here belong which of their days are asked for, and when. Nothing is made of them, so a table that is
late or refused costs neither prices nor another table its day: they have a job and a pool of their
own, and are asked for when nothing else is under way, of days whose prices are stored.
"""

import datetime as dt
from collections.abc import Collection

import dagster as dg

from marketdata_assets.assets.fetched_tables import fetched
from marketdata_assets.automation import day_runs
from marketdata_assets.automation.chains import RETRY_OUTAGE
from marketdata_assets.automation.lacking import Lacking
from marketdata_assets.automation.sensors import UNDER_WAY, sessions_due
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_PRICES, STORED_TABLES
from marketdata_assets.tables.declaration import Chain
from marketdata_assets.timetable import EVENING_IS_OVER, SESSIONS_WATCHED
from marketdata_assets.trading_calendar import SHANGHAI

EXTRAS = fetched(Chain.EXTRAS)

extra_tables_job = dg.define_asset_job(
    Chain.EXTRAS.value,
    selection=dg.AssetSelection.assets(*EXTRAS),
    description="Tables beside the evening's; also to backfill with.",
    op_retry_policy=RETRY_OUTAGE,
)


@dg.sensor(
    name="extra_tables_sensor",
    job=extra_tables_job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Requests what EXTRA_TABLES names and the last "
    f"{SESSIONS_WATCHED} trading days with prices lack: today's every half hour from "
    f"{EVENING_IS_OVER:%H:%M} in Shanghai, that of earlier days once a day from when it is out.",
)
def extra_tables_sensor(
    context: dg.SensorEvaluationContext,
    lake: LakeResource,
    extra_tables: dg.ResourceParam[list[str]],
) -> dg.SensorResult | dg.SkipReason:
    now = dt.datetime.now(SHANGHAI)
    return missing_extras(extra_tables, context.instance, lake.open(), now)


def missing_extras(
    names: Collection[str], instance: dg.DagsterInstance, stored: Lake, now: dt.datetime
) -> dg.SensorResult | dg.SkipReason:
    """What to ask for at `now`, in Shanghai: days in order, neighbouring ones in one run."""
    if not names:
        return dg.SkipReason("EXTRA_TABLES names no table")
    if day_runs.are_days_made(instance, ()):
        return dg.SkipReason(UNDER_WAY)
    days = sessions_due(now)
    made = [day for day in days if stored.has(DAILY_PRICES, day)]
    lacking: dict[dt.date, frozenset[str]] = {}
    for name in names:
        table = STORED_TABLES[name]
        for day in made:
            is_due = day >= table.first_date and now >= table.tushare.out_at(day)
            if is_due and not stored.has(table, day):
                lacking[day] = lacking.get(day, frozenset()) | {name}
    if not lacking:
        return dg.SkipReason(f"nothing is missing in the last {len(days)} trading days")
    return dg.SensorResult(run_requests=list(day_runs.requests_for(days, Lacking(lacking), now)))
