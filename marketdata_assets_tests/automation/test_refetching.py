import datetime as dt
from typing import Any

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets.assets.fetching import FETCH_ALL
from marketdata_assets.automation.refetching import (
    FIRST_SATURDAY,
    WEEK,
    month_before,
    month_in_turn,
    past_month_again_schedule,
    recent_days_again_schedule,
)
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.trading_calendar import FIRST_SESSION, SHANGHAI, sessions_between
from marketdata_assets_tests.publishing.prices import store

START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def at(day: str, hour: int) -> dg.ScheduleEvaluationContext:
    moment = dt.datetime.fromisoformat(day).replace(hour=hour, tzinfo=SHANGHAI)
    return dg.build_schedule_context(scheduled_execution_time=moment)


def of_month(lake: Lake, saturday: str) -> Any:
    resource = LakeResource(root=str(lake.root), origin="test")
    return past_month_again_schedule(at(saturday, 10), lake=resource)


def recent(lake: Lake, day: str) -> Any:
    resource = LakeResource(root=str(lake.root), origin="test")
    return recent_days_again_schedule(at(day, 23), lake=resource)


@pytest.mark.parametrize(
    ("day", "first"), [("2024-10-08", "2024-09-25"), ("2024-10-15", "2024-10-09")]
)
def test_on_a_trading_day_the_last_five_sessions_are_asked_for_in_one_run(
    lake: Lake, day: str, first: str
) -> None:
    store(lake, sessions_between(dt.date(2024, 9, 9), dt.date.fromisoformat(day)))
    [request] = recent(lake, day)
    assert (request.tags[START], request.tags[END]) == (first, day)
    assert request.tags[FETCH_ALL]
    assert request.partition_key is None


@pytest.mark.parametrize("day", ["2024-10-01", "2024-10-12"])
def test_on_a_closed_day_nothing_is_asked_for(lake: Lake, day: str) -> None:
    assert recent(lake, day) == dg.SkipReason(f"{day} is not a trading day")


def test_days_that_were_missed_are_left_to_who_looks_for_them(lake: Lake) -> None:
    store(lake, sessions_between(dt.date(2024, 10, 8), dt.date(2024, 10, 11)))
    [request] = recent(lake, "2024-10-15")
    assert (request.tags[START], request.tags[END]) == ("2024-10-09", "2024-10-11")
    skipped = recent(lake, "2024-10-31")
    assert skipped == dg.SkipReason("none of the last 5 sessions is stored")


def test_days_that_were_never_stored_are_left_out_in_the_middle_too(lake: Lake) -> None:
    days = sessions_between(dt.date(2024, 10, 8), dt.date(2024, 10, 15))
    store(lake, [day for day in days if day != dt.date(2024, 10, 11)])
    first, second = recent(lake, "2024-10-15")
    assert (first.tags[START], first.tags[END]) == ("2024-10-09", "2024-10-10")
    assert (second.tags[START], second.tags[END]) == ("2024-10-14", "2024-10-15")
    assert first.run_key != second.run_key

    saturday = dt.date(2024, 10, 12)
    month = month_in_turn(saturday, FIRST_SESSION)
    [opening, *_, closing] = sessions_between(month, month + dt.timedelta(27))
    store(lake, [opening, closing])
    asked = [(one.tags[START], one.tags[END]) for one in of_month(lake, str(saturday))]
    assert asked == [(str(opening), str(opening)), (str(closing), str(closing))]


def test_the_schedules_run_after_the_evening_and_on_saturdays_in_shanghai() -> None:
    for schedule, cron in (
        (recent_days_again_schedule, "0 23 * * *"),
        (past_month_again_schedule, "0 10 * * 6"),
    ):
        assert schedule.cron_schedule == [cron]
        assert schedule.execution_timezone == "Asia/Shanghai"
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_the_stored_days_of_the_month_whose_turn_it_is_are_asked_for(lake: Lake) -> None:
    saturday = dt.date(2024, 10, 12)
    month = month_in_turn(saturday, FIRST_SESSION)
    sessions = sessions_between(month, month + dt.timedelta(27))
    store(lake, sessions)
    [request] = of_month(lake, str(saturday))
    assert (request.tags[START], request.tags[END]) == (str(sessions[0]), str(sessions[-1]))
    assert request.tags[FETCH_ALL]


def test_a_month_of_which_nothing_is_stored_is_left_out(lake: Lake) -> None:
    month = month_in_turn(dt.date(2024, 10, 12), FIRST_SESSION)
    store(lake, sessions_between(dt.date(2024, 10, 8), dt.date(2024, 10, 11)))
    skipped = of_month(lake, "2024-10-12")
    assert skipped == dg.SkipReason(f"nothing is stored of {month:%Y-%m}, whose turn it is")
    assert lake.days(DAILY_PRICES)[0] == dt.date(2024, 10, 8)


@given(
    start=st.dates(FIRST_SESSION, dt.date(2024, 6, 30)),
    weeks=st.integers(1, 1_000),
)
def test_the_walk_goes_back_a_month_a_week_to_the_start_and_begins_again(
    start: dt.date, weeks: int
) -> None:
    before = FIRST_SATURDAY + weeks * WEEK
    after = before + WEEK
    last, turn = month_in_turn(before, start), month_in_turn(after, start)
    oldest = start.replace(day=1)
    if month_before(after) >= oldest:
        assert oldest <= turn <= month_before(after)
    assert turn in ({month_before(last)} if last > oldest else {month_before(after)})


def test_every_month_of_the_history_has_its_turn_within_one_walk() -> None:
    start = dt.date(2015, 3, 2)
    saturdays = [dt.date(2024, 1, 6) + n * WEEK for n in range(260)]
    turns = [month_in_turn(saturday, start) for saturday in saturdays]
    months, month = set(), dt.date(2023, 12, 1)
    while month >= start.replace(day=1):
        months.add(month)
        month = month_before(month)
    assert months <= set(turns)
