"""What is known of the sessions before a run's first day, and of the calendar around its days.

Here belongs what a judgement needs beyond the run's own partitions. It is read from the lake and
not declared as an input: a day does not wait for the sessions before it.
"""

import datetime as dt
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from marketdata_assets.checks.evidence import BARS_BEFORE, SESSIONS, SESSIONS_BEFORE
from marketdata_assets.checks.ledger import LEDGER_DAYS, LISTED_BEFORE
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import ADJ_FACTOR, DAILY_KLINE, STOCK_LIST, Table
from marketdata_assets.trading_calendar import (
    FIRST_SESSION,
    SHANGHAI,
    is_session,
    previous_session,
)

FREE_SESSIONS = 5
NEXT_OPENING = dt.time(9, 30)


def bars_before(lake: Lake, first: dt.date) -> pa.Table:
    """BARS_BEFORE of the sessions right before `first`, as far back as no session is missing."""
    parts = []
    for day in _sessions_back(first, SESSIONS_BEFORE):
        bars = _columns(lake, DAILY_KLINE, day, BARS_BEFORE.names[:-1])
        factors = _columns(lake, ADJ_FACTOR, day, ["ts_code", "adj_factor"])
        if bars is None or factors is None:
            break
        parts.append(bars.join(factors, "ts_code").select(BARS_BEFORE.names))
    return pa.concat_tables(
        [part.cast(BARS_BEFORE) for part in parts] or [BARS_BEFORE.empty_table()]
    )


def listed_before(lake: Lake, first: dt.date) -> pa.Table:
    """LISTED_BEFORE of the session before `first`, empty where it is not stored."""
    for day in _sessions_back(first, 1):
        stocks = _columns(lake, STOCK_LIST, day, LISTED_BEFORE.names)
        if stocks is not None:
            return stocks.cast(LISTED_BEFORE)
    return LISTED_BEFORE.empty_table()


def sessions(days: Sequence[dt.date]) -> pa.Table:
    """SESSIONS of `days`."""
    rows = []
    for day in days:
        back = list(_sessions_back(day, FREE_SESSIONS - 1))
        rows.append((day, back[0] if back else None, back[-1] if back else day))
    return pa.table([list(column) for column in zip(*rows, strict=True)], schema=SESSIONS)


def ledger_days(days: Sequence[dt.date], now: dt.datetime) -> pa.Table:
    """LEDGER_DAYS of `days`, at `now`."""
    rows = [(day, next(_sessions_back(day, 1), None), _may_be_late(day, now)) for day in days]
    return pa.table([list(column) for column in zip(*rows, strict=True)], schema=LEDGER_DAYS)


def _may_be_late(day: dt.date, now: dt.datetime) -> bool:
    following = day + dt.timedelta(1)
    while not is_session(following):
        following += dt.timedelta(1)
    return now < dt.datetime.combine(following, NEXT_OPENING, SHANGHAI)


def _sessions_back(day: dt.date, count: int) -> Iterator[dt.date]:
    for _ in range(count):
        if day <= FIRST_SESSION:
            return
        day = previous_session(day)
        yield day


def _columns(lake: Lake, table: Table, day: dt.date, names: Sequence[str]) -> pa.Table | None:
    if lake.describe(table, day) is None:
        return None
    return pq.read_table(lake.path(table, day), columns=list(names), partitioning=None)
