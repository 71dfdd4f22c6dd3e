"""Trading days and tracked codes as Dagster partitions, and the one backfill policy.

Here belongs what turns sessions into partition keys and keys into sessions. Which days trade is
`trading_calendar`. The first day is read from DEFAULT_START_DATE here, because partitions exist
as soon as the assets are imported.
"""

import datetime as dt
import functools
import os
import warnings
from collections.abc import Iterable, Sequence

import dagster as dg

from marketdata_assets import settings
from marketdata_assets.trading_calendar import (
    FIRST_SESSION,
    SHANGHAI,
    is_closed,
    last_published_session,
    sessions_between,
)

# Dagster still calls the parameter beta and says so at every asset; it is what ranges need.
warnings.filterwarnings("ignore", message="Parameter `backfill_policy` .* is currently in beta")

# A quarter a run: long enough that starting a run costs little, short enough to watch and resume.
BACKFILL_POLICY = dg.BackfillPolicy.multi_run(max_partitions_per_run=60)


class TradingDays(dg.DailyPartitionsDefinition):
    """Dagster keeps what it knows of partitions by their hash, and makes it anew at every question:
    of a text with all holidays."""

    @functools.cached_property
    def _hash(self) -> int:
        return int(super().__hash__())  # type: ignore[no-untyped-call]

    def __hash__(self) -> int:
        return self._hash


def trading_day_partitions(start: dt.date) -> TradingDays:
    """One partition a session from `start` to the last published one, today's included.

    A partition's window is its calendar day, so today's key would appear at midnight only;
    `end_offset=1` brings it forward to today. On a holiday the same offset shows the *next*
    session's key (dagster-io/dagster#33551): schedules ask the calendar, not the last key, and
    `refuse_open_days` stops runs for days that have not closed.
    """
    end = last_published_session()
    sessions = set(sessions_between(start, end))
    weekdays = (start + dt.timedelta(n) for n in range((end - start).days))
    holidays = [
        dt.datetime.combine(day, dt.time(), SHANGHAI)
        for day in weekdays
        if day.weekday() < 5 and day not in sessions
    ]
    return TradingDays(
        start_date=start.isoformat(),
        end_date=(end + dt.timedelta(1)).isoformat(),
        end_offset=1,
        timezone=SHANGHAI.key,
        exclusions=["0 0 * * 6,0", *holidays],
    )


def start_date() -> dt.date:
    """DEFAULT_START_DATE as a day, by default 2005-01-04. Raises `SettingError`."""
    start = settings.day(os.environ, "DEFAULT_START_DATE", FIRST_SESSION)
    last = min(dt.datetime.now(SHANGHAI).date(), last_published_session())
    if start > last:
        raise settings.SettingError(
            "DEFAULT_START_DATE", str(start), "write one up to {last}", last=last
        )
    return start


TRADING_DAYS = trading_day_partitions(start_date())

# A code becomes a partition when somebody wants its history; see `instruments` for its form.
INSTRUMENTS = dg.DynamicPartitionsDefinition(name="instrument")


def days_of(keys: Iterable[str]) -> list[dt.date]:
    return [dt.date.fromisoformat(key) for key in keys]


def refuse_open_days(days: Sequence[dt.date], now: dt.datetime) -> None:
    """Raise `dg.Failure` (not retried) when a day has not closed at `now`."""
    if open_days := [day for day in days if not is_closed(day, now)]:
        local = now.astimezone(SHANGHAI)
        raise dg.Failure(
            f"{', '.join(map(str, open_days[:3]))}: not closed yet at {local:%Y-%m-%d %H:%M} in "
            "Shanghai. A session closes at 15:00 and its data are published by about 17:00: "
            "materialize it then, or leave it to the schedule of the evening.",
            allow_retries=False,
        )
