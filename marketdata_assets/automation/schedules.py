"""When the jobs run: on the market's evening, Shanghai time.

Schedules ask the trading calendar which days trade, never the partitions' last key, which on a
holiday is the next session's. Here belongs the evening; what it left out is `sensors`.
"""

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

import dagster as dg

from marketdata_assets.automation import sensors
from marketdata_assets.automation.jobs import (
    CHAIN,
    ETF_CHAIN,
    calendar_check,
    daily_chain,
    etf_chain,
)
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_PRICES, ETF_PREMIUM, Table
from marketdata_assets.trading_calendar import SHANGHAI, is_session


class Evening(NamedTuple):
    """What is made of a day: by which job, which datasets, and the table that ends with."""

    job_name: str
    chain: Sequence[dg.AssetsDefinition]
    result: Table


STOCKS = Evening(daily_chain.name, CHAIN, DAILY_PRICES)
FUNDS = Evening(etf_chain.name, ETF_CHAIN, ETF_PREMIUM)


@dg.schedule(
    job=daily_chain,
    # A run of a day that is late ends at once, so that others have the pool until the next try.
    cron_schedule=["0 21 * * *", "10 21 * * *", "30 21 * * *", "10 22 * * *"],
    execution_timezone=SHANGHAI.key,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every trading day at 21:00 in Shanghai: makes the day. What is late is asked for "
    "again at 21:10, 21:30 and 22:10.",
)
def daily_chain_schedule(
    context: dg.ScheduleEvaluationContext, lake: LakeResource
) -> dg.RunRequest | dg.SkipReason:
    now, moment = dt.datetime.now(SHANGHAI), context.scheduled_execution_time
    return of_evening(STOCKS, moment, context.instance, lake.open(), now)


@dg.schedule(
    job=etf_chain,
    # Most funds publish their values by 20:00; the stocks' evening goes first.
    cron_schedule=["30 21 * * *", "40 21 * * *", "0 22 * * *", "20 22 * * *"],
    execution_timezone=SHANGHAI.key,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every trading day at 21:30 in Shanghai: bars, values and premiums of the funds. "
    "What is late is asked for again at 21:40, 22:00 and 22:20.",
)
def etf_chain_schedule(
    context: dg.ScheduleEvaluationContext, lake: LakeResource
) -> dg.RunRequest | dg.SkipReason:
    now, moment = dt.datetime.now(SHANGHAI), context.scheduled_execution_time
    return of_evening(FUNDS, moment, context.instance, lake.open(), now)


@dg.schedule(
    job=calendar_check,
    cron_schedule="30 20 * * *",
    execution_timezone=SHANGHAI.key,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every day at 20:30 in Shanghai, closed days too: a wrong holiday must show.",
)
def calendar_check_schedule() -> dg.RunRequest:
    return dg.RunRequest()


def of_evening(
    evening: Evening,
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
    if now >= dt.datetime.combine(day, sensors.sensors_from(lake, evening.result, now), SHANGHAI):
        return dg.SkipReason(f"{day} is asked for by the sensor, with the days missed before it")
    if sensors.is_under_way(instance, evening.job_name, day):
        return dg.SkipReason(f"a run of {day} is under way")
    is_stored = not sensors.missing_tables(lake, [day], sensors.names_of(evening.chain))
    is_published = evening is FUNDS or not sensors.unpublished(instance, [day])
    if is_stored and is_published:
        return dg.SkipReason(f"{day} is complete")
    return dg.RunRequest(
        run_key=f"{moment:%Y-%m-%d %H:%M}",
        partition_key=day.isoformat(),
        tags={"dagster/priority": sensors.FIRST},
    )
