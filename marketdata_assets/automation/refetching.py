"""Asking again for stored days: for what the vendor restated, and for late values of funds.

Here belongs which days are asked for when. Identical answers change nothing on disk and publish
nothing; what different ones leave behind is `assets.restatements`. Funds that invest abroad publish
the net asset value of a day on the next one, long after the evening's run. Whole days that are
missing are `evenings`.
"""

import datetime as dt
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence

import dagster as dg
import pyarrow.compute as pc

from marketdata_assets import timetable
from marketdata_assets.assets.fetching import FETCH_ALL
from marketdata_assets.automation.chains import FUNDS, STOCKS
from marketdata_assets.automation.day_runs import request
from marketdata_assets.partitions import start_date
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_PRICES, ETF_COVERAGE, ETF_NAV, ETF_PREMIUM
from marketdata_assets.trading_calendar import (
    FIRST_SESSION,
    SHANGHAI,
    is_session,
    last_closed_sessions,
    sessions_between,
)

RECENT_SESSIONS = 5
FIRST_SATURDAY = dt.date(2005, 1, 1)
WEEK = dt.timedelta(days=7)
# How long a value is waited for; what is missing even then, the vendor does not have.
SESSIONS_WAITED = 10
# Who has published nothing for so many sessions is not waited for: some funds tell quarterly.
SESSIONS_OF_SILENCE = 10
MORNING = dt.time(9, 0)
CODES_SHOWN = 10
# A value also tells whether a fund without a bar was halted.
LATE = frozenset({ETF_NAV.name, ETF_COVERAGE.name, ETF_PREMIUM.name})


@dg.schedule(
    job=STOCKS.job,
    cron_schedule=timetable.RECENT_DAYS_AGAIN.crons,
    execution_timezone=SHANGHAI.key,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every trading day at 23:00 in Shanghai: the last 5 sessions once more.",
)
def recent_days_again_schedule(
    context: dg.ScheduleEvaluationContext, lake: LakeResource
) -> list[dg.RunRequest] | dg.SkipReason:
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
) -> list[dg.RunRequest] | dg.SkipReason:
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


def once_more(days: Sequence[dt.date], run_key: str) -> list[dg.RunRequest]:
    """A run over each stretch of neighbouring days that keeps nothing from an interrupted one."""
    between = sessions_between(days[0], days[-1])
    stretches = itertools.groupby(between, key=set(days).__contains__)
    blocks = [list(stretch) for is_asked_for, stretch in stretches if is_asked_for]
    return [request(one, None, f"{run_key} {one[0]}", {FETCH_ALL: "true"}) for one in blocks]


@dg.sensor(
    job=FUNDS.job,
    minimum_interval_seconds=30 * 60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Every trading morning from 9:00 in Shanghai: asks once more for the net asset "
    "values that funds had not published yet, up to 10 trading days.",
)
def late_navs_sensor(
    context: dg.SensorEvaluationContext, lake: LakeResource
) -> dg.SensorResult | dg.SkipReason:
    return late_navs(lake.open(), dt.datetime.now(SHANGHAI), context.cursor)


def late_navs(lake: Lake, now: dt.datetime, asked: str | None) -> dg.SensorResult | dg.SkipReason:
    """What to ask for at `now` (in Shanghai); `asked` is the last morning on which it was done."""
    today = now.date()
    if not is_session(today) or now.time() < MORNING:
        return dg.SkipReason("looking on trading days from 9:00 in Shanghai")
    watched = sessions_waited_for(now)
    waited = waited_for(lake, watched)
    if not waited:
        return dg.SkipReason("no net asset value is waited for")
    if asked == today.isoformat():
        return dg.SkipReason(f"asked this morning already; waiting for {in_words(waited)}")
    # A day by itself: one that is refused keeps no other from its premiums.
    runs = [request([day], LATE, f"values of {day} on {today}") for day in sorted(waited)]
    return dg.SensorResult(run_requests=runs, cursor=today.isoformat())


def sessions_waited_for(now: dt.datetime) -> list[dt.date]:
    """The sessions before the day of `now` whose values may still come, oldest first."""
    closed = last_closed_sessions(SESSIONS_WAITED + 1, now)
    before_today = [day for day in closed if day < now.astimezone(SHANGHAI).date()]
    first = max(start_date(), ETF_PREMIUM.first_date)
    return [day for day in before_today[-SESSIONS_WAITED:] if day >= first]


def waited_for(lake: Lake, days: Sequence[dt.date]) -> dict[dt.date, list[str]]:
    """For every day the funds whose value has not come, those that have long been silent apart."""
    if not days:
        return {}
    stored = [day for day in lake.days(ETF_PREMIUM) if day <= days[-1]]
    silent: Counter[str] = Counter()
    waited: dict[dt.date, list[str]] = {}
    for day in stored[-SESSIONS_OF_SILENCE - len(days) :]:
        premiums = lake.read(ETF_PREMIUM, day)
        if premiums is None:
            continue
        is_late = pc.is_null(premiums["unit_nav"])
        late = premiums.filter(is_late)["ts_code"].to_pylist()
        awaited = [code for code in late if silent[code] < SESSIONS_OF_SILENCE]
        if day in days and awaited:
            waited[day] = awaited
        for code in premiums.filter(pc.invert(is_late))["ts_code"].to_pylist():
            del silent[code]
        silent.update(late)
    return waited


def in_words(waited: Mapping[dt.date, Sequence[str]]) -> str:
    return "; ".join(
        f"{day}: {len(codes)} fund(s), {', '.join(codes[:CODES_SHOWN])}"
        + (" …" if len(codes) > CODES_SHOWN else "")
        for day, codes in sorted(waited.items())
    )
