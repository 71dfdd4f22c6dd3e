import datetime as dt

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets import trading_calendar as calendar
from marketdata_assets.trading_calendar import SHANGHAI
from marketdata_assets_tests.replay import REAL_DATA, needs_real_data


def shanghai(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def test_sessions_begin_in_2005_and_skip_the_holidays() -> None:
    assert calendar.sessions_between(dt.date(2000, 1, 1), dt.date(2005, 1, 5)) == [
        dt.date(2005, 1, 4),
        dt.date(2005, 1, 5),
    ]
    assert calendar.sessions_between(dt.date(2024, 9, 30), dt.date(2024, 10, 8)) == [
        dt.date(2024, 9, 30),
        dt.date(2024, 10, 8),
    ]


def test_new_years_eve_closures_and_make_up_weekends_are_no_sessions() -> None:
    assert not calendar.is_session(dt.date(2024, 2, 9))
    assert not calendar.is_session(dt.date(2024, 2, 18))


def test_the_previous_session_of_a_day_after_the_national_day_week() -> None:
    assert calendar.previous_session(dt.date(2024, 10, 8)) == dt.date(2024, 9, 30)
    assert calendar.previous_session(dt.date(2024, 10, 5)) == dt.date(2024, 9, 30)


def test_there_is_no_session_before_the_first() -> None:
    with pytest.raises(LookupError, match="2005-01-04"):
        calendar.previous_session(calendar.FIRST_SESSION)


@pytest.mark.parametrize(
    "ask",
    [
        calendar.is_session,
        calendar.previous_session,
        lambda day: calendar.sessions_between(calendar.FIRST_SESSION, day),
    ],
)
def test_beyond_the_published_calendar_the_error_names_the_package_to_upgrade(ask) -> None:
    beyond = dt.date(calendar.last_published_session().year + 1, 1, 5)
    with pytest.raises(calendar.CalendarExhausted, match="exchange_calendars") as error:
        ask(beyond)
    assert str(beyond) in str(error.value)


def test_a_day_is_closed_from_three_in_the_afternoon_in_shanghai() -> None:
    day = dt.date(2024, 9, 30)
    assert not calendar.is_closed(day, shanghai("2024-09-30 14:59:59"))
    assert calendar.is_closed(day, shanghai("2024-09-30 15:00:00"))
    assert calendar.is_closed(day, dt.datetime(2024, 9, 30, 7, 0, tzinfo=dt.UTC))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2024-09-30 09:00", dt.date(2024, 9, 27)),
        ("2024-09-30 15:00", dt.date(2024, 9, 30)),
        ("2024-10-05 12:00", dt.date(2024, 9, 30)),
        ("2024-10-08 15:30", dt.date(2024, 10, 8)),
    ],
)
def test_the_last_closed_session(now: str, expected: dt.date) -> None:
    assert calendar.last_closed_session(shanghai(now)) == expected
    assert calendar.last_closed_sessions(2, shanghai(now))[-1] == expected


def test_no_sessions_are_no_sessions() -> None:
    assert calendar.last_closed_sessions(0, shanghai("2024-10-08 16:00")) == []


@given(st.dates(dt.date(2005, 1, 5), calendar.last_published_session()))
def test_between_a_session_and_its_predecessor_nothing_trades(day: dt.date) -> None:
    before = calendar.previous_session(day)
    assert calendar.is_session(before)
    assert calendar.sessions_between(before, day - dt.timedelta(1)) == [before]


@needs_real_data
def test_the_sessions_are_those_of_tushare_for_every_year() -> None:
    path = REAL_DATA / "calendars" / "tushare_trade_cal_SSE_1990_2026.parquet"
    rows = pq.read_table(path).to_pylist()
    first, last = calendar.FIRST_SESSION, calendar.last_published_session()
    theirs = [
        row["cal_date"] for row in rows if row["is_open"] and first <= row["cal_date"] <= last
    ]
    ours = calendar.sessions_between(first, max(theirs))
    assert ours == sorted(theirs)
