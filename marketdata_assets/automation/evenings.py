"""When the jobs run: on the market's evening, Shanghai time.

Schedules ask the trading calendar which days trade, never the partitions' last key, which on a
holiday is the next session's. Here belongs the evening; what it left out is `sensors`.
"""

import datetime as dt

import dagster as dg

from marketdata_assets import timetable
from marketdata_assets.assets.trade_calendar import trade_calendar
from marketdata_assets.automation.chains import CHAINS, DayChain
from marketdata_assets.automation.day_runs import FIRST, is_under_way
from marketdata_assets.automation.lacking import missing_datasets
from marketdata_assets.automation.sensors import sensors_from
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.storage.lake import Lake
from marketdata_assets.trading_calendar import SHANGHAI, is_session


def evening_schedule(chain: DayChain) -> dg.ScheduleDefinition:
    """Makes the day of a chain on its evening."""
    begins, *again = [f"{at:%H:%M}" for at in chain.evening.at]

    @dg.schedule(
        name=chain.evening.schedule,
        job=chain.job,
        cron_schedule=chain.evening.crons,
        execution_timezone=SHANGHAI.key,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Every trading day at {begins} in Shanghai: {chain.doc[0].lower()}"
        f"{chain.doc[1:]}. What is late is asked for again at {', '.join(again)}.",
    )
    def schedule(
        context: dg.ScheduleEvaluationContext, lake: LakeResource
    ) -> dg.RunRequest | dg.SkipReason:
        now, moment = dt.datetime.now(SHANGHAI), context.scheduled_execution_time
        return of_evening(chain, moment, context.instance, lake.open(), now)

    return schedule


evening_schedules = [evening_schedule(chain) for chain in CHAINS]


calendar_check = dg.define_asset_job(
    "calendar_check",
    selection=dg.AssetSelection.assets(trade_calendar),
    description="Fetches the vendor's calendar and fails if the partitions disagree with it.",
    # At 20:35 and 20:40, to be out of the evening's way.
    op_retry_policy=dg.RetryPolicy(max_retries=2, delay=300),
    tags={"dagster/max_runtime": "1500"},
)


@dg.schedule(
    job=calendar_check,
    cron_schedule=timetable.CALENDAR_CHECK.crons,
    execution_timezone=SHANGHAI.key,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every day at 20:30 in Shanghai, closed days too: a wrong holiday must show.",
)
def calendar_check_schedule() -> dg.RunRequest:
    return dg.RunRequest()


def of_evening(
    chain: DayChain,
    scheduled: dt.datetime,
    instance: dg.DagsterInstance,
    lake: Lake,
    now: dt.datetime,
) -> dg.RunRequest | dg.SkipReason:
    """A run for the day of the evening, unless it is complete, under way, or the sensors' at `now`.

    It goes before the waiting runs of a backfill.
    """
    moment = scheduled.astimezone(SHANGHAI)
    day = moment.date()
    if not is_session(day):
        return dg.SkipReason(f"{day} is not a trading day")
    if now >= dt.datetime.combine(day, sensors_from(chain, lake, now), SHANGHAI):
        return dg.SkipReason(f"{day} is asked for by the sensor, with the days missed before it")
    if is_under_way(instance, chain.name, day):
        return dg.SkipReason(f"a run of {day} is under way")
    if not missing_datasets(instance, lake, [day], chain.names):
        return dg.SkipReason(f"{day} is complete")
    return dg.RunRequest(
        run_key=f"{moment:%Y-%m-%d %H:%M}",
        partition_key=day.isoformat(),
        tags={"dagster/priority": FIRST},
    )
