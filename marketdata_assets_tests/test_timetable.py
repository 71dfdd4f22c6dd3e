"""The hours at which things run by themselves, as people and Dagster are told them."""

import datetime as dt

import pytest

from marketdata_assets.definitions import defs
from marketdata_assets.timetable import (
    CALENDAR_CHECK,
    PAST_MONTH_AGAIN,
    STOCKS,
    TIMETABLE,
    Hours,
    sessions_due,
)
from marketdata_assets.trading_calendar import SHANGHAI, last_published_session


def test_every_schedule_of_dagster_is_in_the_timetable_with_its_hours() -> None:
    schedules = {one.name: one.cron_schedule for one in defs.get_repository_def().schedule_defs}
    assert schedules == {one.schedule: one.crons for one in TIMETABLE}


@pytest.mark.parametrize(
    ("hours", "now", "expected"),
    [
        # The eve of the National Day's week, before, at and after its last hour.
        (STOCKS, "2024-09-30 12:00", "2024-09-30 21:00"),
        (STOCKS, "2024-09-30 21:00", "2024-09-30 21:10"),
        (STOCKS, "2024-09-30 22:10", "2024-10-08 21:00"),
        (CALENDAR_CHECK, "2024-09-30 22:10", "2024-10-01 20:30"),
        (PAST_MONTH_AGAIN, "2024-09-30 22:10", "2024-10-05 10:00"),
    ],
)
def test_the_next_hour_is_told_by_the_calendar(hours: Hours, now: str, expected: str) -> None:
    moments = [dt.datetime.fromisoformat(text).replace(tzinfo=SHANGHAI) for text in (now, expected)]
    assert hours.next_after(moments[0]) == moments[1]


def test_beyond_the_calendar_no_hour_of_a_trading_day_is_told() -> None:
    evening = dt.datetime.combine(last_published_session(), dt.time(23), SHANGHAI)
    morning = evening + dt.timedelta(hours=12)
    for now in (evening, morning, morning + dt.timedelta(days=1)):
        assert STOCKS.next_after(now) is None
    today = dt.datetime.combine(morning.date(), CALENDAR_CHECK.at[0], SHANGHAI)
    assert CALENDAR_CHECK.next_after(evening) == today


def test_the_day_itself_is_due_when_its_evening_is_over() -> None:
    evening = dt.datetime(2024, 9, 30, 22, 29, tzinfo=SHANGHAI)
    assert sessions_due(evening)[-1] == dt.date(2024, 9, 27)
    assert sessions_due(evening + dt.timedelta(minutes=1))[-1] == dt.date(2024, 9, 30)


def test_after_the_end_of_the_calendar_its_sessions_are_still_due() -> None:
    last = last_published_session()
    midnight = dt.datetime(last.year + 1, 1, 1, tzinfo=SHANGHAI)
    before = sessions_due(midnight - dt.timedelta(minutes=1))
    assert before[-1] == last
    for days in (0, 3, 80):
        assert sessions_due(midnight + dt.timedelta(days)) == before
