"""Days: which of them trade in Shanghai and Shenzhen, when one is over, how people write one.

Here belong pure questions about dates. Partitions built on these days live in `partitions`; what
Tushare says about the calendar is compared with this one in `assets.trade_calendar`, and how it
writes days is its tables'.

Source: the XSHG calendar of the `exchange_calendars` package, which equals Tushare's
`trade_cal` for every day it publishes.
"""

import bisect
import datetime as dt
import functools
import re
from zoneinfo import ZoneInfo

from marketdata_assets.errors import MarketdataError

SHANGHAI = ZoneInfo("Asia/Shanghai")
FIRST_SESSION = dt.date(2005, 1, 4)
CLOSING_TIME = dt.time(15, 0)
# From then on the exchanges publish the next year.
ENDS_SOON = dt.timedelta(days=30)
RENEW_IT = (
    "pip install --upgrade exchange_calendars, which has next year from December on; "
    "then start anew what runs"
)
HOW = "write a day as YYYY-MM-DD or YYYYMMDD"


class CalendarExhausted(MarketdataError, status=503):
    """A day was asked for that the installed calendar does not know yet."""


@functools.cache
def _sessions() -> tuple[dt.date, ...]:
    from exchange_calendars.exchange_calendar_xshg import XSHGExchangeCalendar

    # Without an explicit end the package stops a year from today, in the middle of a year.
    published_end = XSHGExchangeCalendar.bound_max()
    calendar = XSHGExchangeCalendar(start=FIRST_SESSION.isoformat(), end=published_end)
    return tuple(stamp.date() for stamp in calendar.sessions)


def last_published_session() -> dt.date:
    """The last session the installed `exchange_calendars` knows."""
    return _sessions()[-1]


def sessions_between(start: dt.date, end: dt.date) -> list[dt.date]:
    """All sessions from `start` to `end`, both included, in order.

    Raises `CalendarExhausted` when `end` lies beyond the published calendar.
    """
    _refuse_unpublished(end)
    days = _sessions()
    return list(days[bisect.bisect_left(days, start) : bisect.bisect_right(days, end)])


def is_session(day: dt.date) -> bool:
    """Whether `day` trades. Raises `CalendarExhausted` beyond the published calendar."""
    return sessions_between(day, day) == [day]


def previous_session(day: dt.date) -> dt.date:
    """The last session before `day`; `day` itself need not trade.

    Raises `LookupError` at or before the first session kept, 2005-01-04.
    """
    _refuse_unpublished(day)
    days = _sessions()
    position = bisect.bisect_left(days, day)
    if position == 0:
        raise LookupError(f"no session before {day}: the calendar begins at {FIRST_SESSION}")
    return days[position - 1]


def next_session(day: dt.date) -> dt.date:
    """The first session after `day`; after the last one that is published the day after it."""
    days = _sessions()
    position = bisect.bisect_right(days, day)
    return days[position] if position < len(days) else day + dt.timedelta(days=1)


def is_closed(day: dt.date, now: dt.datetime) -> bool:
    """Whether the session `day` is over at `now` (15:00 in Shanghai)."""
    return now >= dt.datetime.combine(day, CLOSING_TIME, SHANGHAI)


def last_closed_session(now: dt.datetime) -> dt.date:
    """The latest session whose close lies at or before `now`."""
    today = now.astimezone(SHANGHAI).date()
    if is_session(today) and is_closed(today, now):
        return today
    return previous_session(today)


def last_session_over(now: dt.datetime) -> dt.date:
    """The last session that is over at `now`, as far as the installed calendar knows."""
    try:
        return last_closed_session(now)
    except CalendarExhausted:
        return last_published_session()


def is_known(day: dt.date) -> bool:
    """Whether the installed calendar tells if `day` trades: it knows years as a whole."""
    return day.year <= last_published_session().year


def ends_soon(now: dt.datetime) -> bool:
    """Whether the installed calendar ends within a month, or has ended."""
    return last_published_session() - now.astimezone(SHANGHAI).date() < ENDS_SOON


def last_closed_sessions(count: int, now: dt.datetime) -> list[dt.date]:
    """The latest `count` closed sessions, oldest first (fewer near 2005-01-04)."""
    days = sessions_between(FIRST_SESSION, last_closed_session(now))
    return days[max(len(days) - count, 0) :]


def _refuse_unpublished(day: dt.date) -> None:
    if not is_known(day):
        raise CalendarExhausted(
            f"the trading calendar ends at {last_published_session()} and {day} lies beyond it. "
            "The exchanges publish next year's holidays in December: upgrade the package "
            "with `pip install --upgrade exchange_calendars`, then start anew what runs."
        )


def day_written(text: str) -> dt.date:
    """The day that somebody wrote. Raises `ValueError` with what to write."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d|\d{8}", text, re.ASCII):
        raise ValueError(HOW)
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ValueError("there is no such day") from None
