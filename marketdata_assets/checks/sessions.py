"""What is known of the sessions around the days that are judged, and of the calendar there.

Here belongs what a judgement needs beyond its own days, made of tables that somebody else has read.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from marketdata_assets.tables import ADJ_FACTOR, DAILY_KLINE, STOCK_LIST
from marketdata_assets.trading_calendar import (
    FIRST_SESSION,
    SHANGHAI,
    is_session,
    last_published_session,
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

    `bars` (BARS_BEFORE) are of several sessions without a gap, `listed` (LISTED_BEFORE) and `rows`,
    the rows of every table by its name, of the last one. What is not known is empty.
    """

    bars: pa.Table
    listed: pa.Table
    rows: Mapping[str, int]


def before(sessions: Sequence[Mapping[str, pa.Table]]) -> Lookback:
    """What the fetched tables of some sessions, oldest first, say to the day after them."""
    if not sessions:
        return Lookback(bars([]), listed(None), {})
    last = sessions[-1]
    return Lookback(
        bars([(each[DAILY_KLINE.name], each[ADJ_FACTOR.name]) for each in sessions]),
        listed(last[STOCK_LIST.name]),
        {name: data.num_rows for name, data in last.items()},
    )


def bars(sessions: Sequence[tuple[pa.Table, pa.Table]]) -> pa.Table:
    """BARS_BEFORE of the bars and factors of some sessions."""
    parts = [BARS_BEFORE.empty_table()]
    for kline, factors in sessions:
        joined = kline.join(factors.select(["ts_code", "adj_factor"]), "ts_code")
        parts.append(joined.select(BARS_BEFORE.names).cast(BARS_BEFORE))
    return pa.concat_tables(parts)


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
    following = day + dt.timedelta(1)
    # Where the published calendar ends, the day after counts: the last session must be judged too.
    while following <= last_published_session() and not is_session(following):
        following += dt.timedelta(1)
    return now < dt.datetime.combine(following, NEXT_OPENING, SHANGHAI)
