"""Asking again for days that are stored: what the vendor restated shows, and is published again.

Here belongs which days are asked for when. Identical answers change nothing on disk and publish
nothing; what different ones leave behind is `assets.restatements`.
"""

import datetime as dt
from collections.abc import Sequence

import dagster as dg

from marketdata_assets import timetable
from marketdata_assets.assets.fetching import FETCH_ALL
from marketdata_assets.automation.chains import STOCKS
from marketdata_assets.automation.day_runs import request
from marketdata_assets.partitions import start_date
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.trading_calendar import (
    FIRST_SESSION,
    SHANGHAI,
    is_session,
    last_closed_sessions,
)

RECENT_SESSIONS = 5
FIRST_SATURDAY = dt.date(2005, 1, 1)
WEEK = dt.timedelta(days=7)


@dg.schedule(
    job=STOCKS.job,
    cron_schedule=timetable.RECENT_DAYS_AGAIN.crons,
    execution_timezone=SHANGHAI.key,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every trading day at 23:00 in Shanghai: the last 5 sessions once more.",
)
def recent_days_again_schedule(
    context: dg.ScheduleEvaluationContext, lake: LakeResource
) -> dg.RunRequest | dg.SkipReason:
    now = context.scheduled_execution_time.astimezone(SHANGHAI)
    if not is_session(now.date()):
        return dg.SkipReason(f"{now.date()} is not a trading day")
    # What is missing is made by whoever looks for that, in order.
    stored = set(lake.open().days(DAILY_PRICES))
    sessions = last_closed_sessions(RECENT_SESSIONS, now)
    if days := [day for day in sessions if day in stored and day >= start_date()]:
        return once_more(days, f"recent {now.date()}")
    return dg.SkipReason(f"none of the last {RECENT_SESSIONS} sessions is stored")


@dg.schedule(
    job=STOCKS.job,
    cron_schedule=timetable.PAST_MONTH_AGAIN.crons,
    execution_timezone=SHANGHAI.key,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Saturdays at 10:00 in Shanghai: one month of the past, a month further back each.",
)
def past_month_again_schedule(
    context: dg.ScheduleEvaluationContext, lake: LakeResource
) -> dg.RunRequest | dg.SkipReason:
    saturday = context.scheduled_execution_time.astimezone(SHANGHAI).date()
    month = month_in_turn(saturday, start_date())
    stored = [day for day in lake.open().days(DAILY_PRICES) if day.replace(day=1) == month]
    if days := [day for day in stored if day >= start_date()]:
        return once_more(days, f"month {saturday}")
    return dg.SkipReason(f"nothing is stored of {month:%Y-%m}, whose turn it is")


def month_in_turn(saturday: dt.date, start: dt.date) -> dt.date:
    """The first day of the month whose turn it is in the week of `saturday`.

    A walk from the month before back to that of `start`, a month a week, then from the month
    before again. It is told by the date alone, so no week depends on another one's run.
    """
    oldest = max(start, FIRST_SESSION).replace(day=1)
    turn = oldest
    for number in range((saturday - FIRST_SATURDAY).days // 7 + 1):
        further_back = month_before(turn)
        at = FIRST_SATURDAY + number * WEEK
        turn = further_back if further_back >= oldest else month_before(at)
    return turn


def month_before(day: dt.date) -> dt.date:
    return (day.replace(day=1) - dt.timedelta(days=1)).replace(day=1)


def once_more(days: Sequence[dt.date], run_key: str) -> dg.RunRequest:
    """One run over the whole range that keeps nothing from an interrupted one."""
    return request(days, None, run_key, {FETCH_ALL: "true"})
