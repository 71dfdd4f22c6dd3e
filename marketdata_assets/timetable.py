"""When things run by themselves: the hours of every schedule, in Shanghai, each once.

Here belong hours and days, without Dagster, so that the HTTP API can tell them. What runs then is
`automation`; what is looked after between is a sensor's there, which has no hours.
"""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from marketdata_assets.trading_calendar import (
    FIRST_SESSION,
    SHANGHAI,
    is_session,
    last_published_session,
    last_session_over,
    sessions_between,
)


class On(StrEnum):
    TRADING_DAYS = "trading days"
    SATURDAYS = "Saturdays"
    EVERY_DAY = "every day"


@dataclass(frozen=True)
class Hours:
    """The hours of a schedule; after the first what is late is asked for again."""

    schedule: str
    at: tuple[dt.time, ...]
    on: On = On.TRADING_DAYS

    @property
    def crons(self) -> list[str]:
        """As Dagster wants them. Which days trade, the schedule asks the calendar."""
        weekday = 6 if self.on is On.SATURDAYS else "*"
        return [f"{at.minute} {at.hour} * * {weekday}" for at in self.at]

    def next_after(self, now: dt.datetime) -> dt.datetime | None:
        """The first of its hours after `now`; None where the installed calendar must tell it and
        ends before."""
        day = now.astimezone(SHANGHAI).date()
        while self.on is not On.TRADING_DAYS or day <= last_published_session():
            for hour in self.at if self._is_on(day) else ():
                at = dt.datetime.combine(day, hour, SHANGHAI)
                if at > now:
                    return at
            day += dt.timedelta(days=1)
        return None

    def _is_on(self, day: dt.date) -> bool:
        if self.on is On.TRADING_DAYS:
            return is_session(day)
        return self.on is On.EVERY_DAY or day.isoweekday() == 6


# A run of a day that is late ends at once, so that others have the pool until the next try.
STOCKS = Hours(
    "daily_chain_schedule", (dt.time(21), dt.time(21, 10), dt.time(21, 30), dt.time(22, 10))
)
# Most funds publish their values by 20:00; the stocks' evening goes first.
FUNDS = Hours(
    "etf_chain_schedule", (dt.time(21, 30), dt.time(21, 40), dt.time(22), dt.time(22, 20))
)
RECENT_DAYS_AGAIN = Hours("recent_days_again_schedule", (dt.time(23),))
PAST_MONTH_AGAIN = Hours("past_month_again_schedule", (dt.time(10),), On.SATURDAYS)
# After China and Hong Kong, before the evening's run of the whole market; New York's last day
# has been final since the morning.
INSTRUMENT_HISTORIES = Hours("instrument_histories_schedule", (dt.time(19),))
CALENDAR_CHECK = Hours("calendar_check_schedule", (dt.time(20, 30),), On.EVERY_DAY)
HISTORY_PRUNING = Hours("history_pruning_schedule", (dt.time(5),), On.EVERY_DAY)
TIMETABLE = (
    STOCKS,
    FUNDS,
    RECENT_DAYS_AGAIN,
    PAST_MONTH_AGAIN,
    INSTRUMENT_HISTORIES,
    CALENDAR_CHECK,
    HISTORY_PRUNING,
)
# From then on what an evening left out is the sensors', and people are told of it.
EVENING_IS_OVER = dt.time(22, 30)
# How far back is looked for what an evening left out.
SESSIONS_WATCHED = 60


def sessions_due(now: dt.datetime, since: dt.time = EVENING_IS_OVER) -> list[dt.date]:
    """The last sessions up to `now`, the day itself `since` an hour, oldest first.

    Those that the installed calendar knows: what they lack is asked for after its end, too.
    """
    known = sessions_between(FIRST_SESSION, last_session_over(now))
    sessions = known[-SESSIONS_WATCHED - 1 :]
    if now < dt.datetime.combine(sessions[-1], since, SHANGHAI):
        sessions.pop()
    return sessions[-SESSIONS_WATCHED:]
