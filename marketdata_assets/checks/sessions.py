"""What is known of the sessions around the days that are judged, and of the calendar there.

Here belongs what a judgement needs beyond its own days, made of tables that somebody else has read.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.trading_calendar import (
    FIRST_SESSION,
    SHANGHAI,
    next_session,
    previous_session,
)

# What is read of the sessions before: enough for a share that was suspended for a while.
SESSIONS_BEFORE = 20
FREE_SESSIONS = 5
NEXT_OPENING = dt.time(9, 30)

BARS_BEFORE = pa.schema(
    [
        ("ts_code", pa.string()),
        ("trade_date", pa.date32()),
        *((name, pa.float64()) for name in ("open", "close", "vol", "amount", "adj_factor")),
    ]
)
LISTED_BEFORE = pa.schema([("ts_code", pa.string()), ("trade_date", pa.date32())])
SESSIONS = pa.schema(
    [
        ("trade_date", pa.date32()),
        ("session_before", pa.date32()),
        ("fifth_session_back", pa.date32()),
        ("known_since", pa.date32()),
    ]
)
LEDGER_DAYS = pa.schema(
    [("trade_date", pa.date32()), ("session_before", pa.date32()), ("may_be_late", pa.bool_())]
)


class Lookback(NamedTuple):
    """The sessions right before the first day that is judged.

    `known` are several without a gap, and `bars` (BARS_BEFORE) the last one of every share in them;
    `listed` (LISTED_BEFORE) is of the last session. What is not known is empty.
    """

    known: Sequence[dt.date]
    bars: pa.Table
    listed: pa.Table


def last_bars(sessions: Iterable[tuple[pa.Table, pa.Table]]) -> pa.Table:
    """BARS_BEFORE of the bars and factors of sessions, the last one first: of every share that has
    both on one of them the last bar."""
    found = BARS_BEFORE.empty_table()
    for kline, factors in sessions:
        place = pc.index_in(kline["ts_code"], value_set=factors["ts_code"])
        rows = kline.append_column("adj_factor", factors["adj_factor"].take(place))
        is_later = pc.is_in(kline["ts_code"], value_set=found["ts_code"])
        rows = rows.filter(pc.and_not(pc.is_valid(place), is_later))
        found = pa.concat_tables([found, rows.select(BARS_BEFORE.names).cast(BARS_BEFORE)])
    return found


def listed(stocks: pa.Table | None) -> pa.Table:
    """LISTED_BEFORE of a session's stock list, empty where there is none."""
    if stocks is None:
        return LISTED_BEFORE.empty_table()
    return stocks.select(LISTED_BEFORE.names).cast(LISTED_BEFORE)


def calendar_around(days: Sequence[dt.date], before: Sequence[dt.date] = ()) -> pa.Table:
    """SESSIONS of `days`, where `before` are known as well.

    `known_since` is the earliest session from which on none before the day is missing among them;
    the day itself where the session before it is unknown.
    """
    rows: list[tuple[dt.date | None, ...]] = []
    known = {*days, *before}
    since: dict[dt.date, dt.date] = {}
    for day in sorted(known):
        earlier = next(sessions_back(day, 1), None)
        since[day] = since[earlier] if earlier and earlier in known else day
    for day in days:
        back = list(sessions_back(day, FREE_SESSIONS - 1))
        last = back[0] if back else None
        rows.append(
            (day, last, back[-1] if back else day, since[last] if last and last in known else day)
        )
    return pa.table([list(column) for column in zip(*rows, strict=True)], schema=SESSIONS)


def ledger_days(days: Sequence[dt.date], now: dt.datetime) -> pa.Table:
    """LEDGER_DAYS of `days`, at `now`."""
    rows = [(day, next(sessions_back(day, 1), None), _may_be_late(day, now)) for day in days]
    return pa.table([list(column) for column in zip(*rows, strict=True)], schema=LEDGER_DAYS)


def sessions_back(day: dt.date, count: int) -> Iterator[dt.date]:
    """The `count` sessions before `day`, the nearest first; fewer near the first one kept."""
    for _ in range(count):
        if day <= FIRST_SESSION:
            return
        day = previous_session(day)
        yield day


def _may_be_late(day: dt.date, now: dt.datetime) -> bool:
    return now < dt.datetime.combine(next_session(day), NEXT_OPENING, SHANGHAI)
