"""When the jobs run: after the market's evening, Shanghai time.

Schedules ask the trading calendar which days trade, never the partitions' last key, which on a
holiday is the next session's.
"""

import dagster as dg

from marketdata_assets.automation.jobs import calendar_check, daily_chain, etf_chain
from marketdata_assets.trading_calendar import SHANGHAI, is_session


@dg.schedule(
    job=daily_chain,
    cron_schedule="0 21 * * *",
    execution_timezone=SHANGHAI.key,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every trading day at 21:00 in Shanghai: makes the day.",
)
def daily_chain_schedule(
    context: dg.ScheduleEvaluationContext,
) -> dg.RunRequest | dg.SkipReason:
    return _that_day(context)


@dg.schedule(
    job=etf_chain,
    # Most funds publish their values by 20:00; the stocks' evening goes first.
    cron_schedule="30 21 * * *",
    execution_timezone=SHANGHAI.key,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every trading day at 21:30 in Shanghai: bars, values and premiums of the funds.",
)
def etf_chain_schedule(
    context: dg.ScheduleEvaluationContext,
) -> dg.RunRequest | dg.SkipReason:
    return _that_day(context)


@dg.schedule(
    job=calendar_check,
    cron_schedule="30 20 * * *",
    execution_timezone=SHANGHAI.key,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every day at 20:30 in Shanghai, closed days too: a wrong holiday must show.",
)
def calendar_check_schedule() -> dg.RunRequest:
    return dg.RunRequest()


def _that_day(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """A run for the day of the evening, before the waiting runs of a backfill."""
    day = context.scheduled_execution_time.astimezone(SHANGHAI).date()
    if not is_session(day):
        return dg.SkipReason(f"{day} is not a trading day")
    key = day.isoformat()
    return dg.RunRequest(run_key=key, partition_key=key, tags={"dagster/priority": "10"})
