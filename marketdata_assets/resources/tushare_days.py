"""Many days of a table: asked for in calls over ranges, several under way, delivered in order.

Here belongs what is asked for when, and which days are asked for again by themselves. What one call
has room for, and what its answer has, is `tushare_ranges`; asking for it is `tushare`.
"""

import datetime as dt
import functools
import itertools
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol, TypeAlias

import pyarrow as pa

from marketdata_assets.resources.tushare_errors import NotPublishedYet, TushareError, WrongAnswer
from marketdata_assets.resources.tushare_ranges import MOST_SESSIONS, next_call
from marketdata_assets.tables import Table

Outcome: TypeAlias = pa.Table | TushareError
# The busiest of so many sessions says how many rows the next ones may have.
SESSIONS_LOOKED_AT = 20


class FetchedDay(NamedTuple):
    """A day with its rows, or with what is wrong with it.

    One that came with others can be asked for `again`, by itself.
    """

    day: dt.date
    outcome: Outcome
    again: Callable[[], Outcome] | None = None


class Vendor(Protocol):
    """Who is asked for days: the resource."""

    @property
    def calls_in_flight(self) -> int: ...

    def day(self, table: Table, day: dt.date) -> pa.Table: ...

    def several_days(self, table: Table, days: Sequence[dt.date]) -> dict[dt.date, pa.Table]: ...

    def answers_ranges(self, table: Table) -> bool | None: ...


def days_in_order(
    vendor: Vendor,
    table: Table,
    days: Sequence[dt.date],
    rows: Sequence[int],
    alone: Collection[dt.date],
) -> Iterator[FetchedDay]:
    """The `days` in the order given; several calls are under way at a time, few days are held.

    `rows` are those of the sessions before. Where they are not known, or not whether the vendor
    answers ranges of this table, the first call goes ahead of the others and finds out.
    """
    waiting = deque(days)
    under_way: deque[tuple[list[dt.date], Future[Any]]] = deque()
    recent = deque(rows, maxlen=SESSIONS_LOOKED_AT)
    pool = ThreadPoolExecutor(vendor.calls_in_flight, thread_name_prefix=table.name)

    def ask(call: list[dt.date]) -> Future[Any]:
        if len(call) > 1:
            return pool.submit(vendor.several_days, table, call)
        return pool.submit(vendor.day, table, call[0])

    def can_plan() -> bool:
        if not under_way or not table.tushare.takes_ranges:
            return True
        is_range = len(under_way[-1][0]) > 1
        return bool(recent) and not (is_range and vendor.answers_ranges(table) is None)

    try:
        while True:
            while waiting and len(under_way) < vendor.calls_in_flight and can_plan():
                ahead = list(itertools.islice(waiting, MOST_SESSIONS))
                asks_ranges = vendor.answers_ranges(table) is not False
                expected = max(recent) if recent and asks_ranges else None
                call = next_call(ahead, table.tushare, expected, alone)
                under_way.append((call, ask(call)))
                for _ in call:
                    waiting.popleft()
            if not under_way:
                break
            call, answer = under_way.popleft()
            whole: dict[dt.date, pa.Table] = {}
            singly = {call[0]: answer}
            if len(call) > 1:
                whole = answer.result()
                singly = {day: ask([day]) for day in call if day not in whole}
            for day in call:
                if day in whole:
                    again = functools.partial(_outcome, functools.partial(vendor.day, table, day))
                    fetched = FetchedDay(day, whole[day], again)
                else:
                    fetched = FetchedDay(day, _outcome(singly[day].result))
                if isinstance(fetched.outcome, pa.Table):
                    recent.append(fetched.outcome.num_rows)
                elif not recent:
                    # Nothing is known but that a call has room for a day.
                    recent.append(table.tushare.row_cap)
                yield fetched
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _outcome(fetched: Callable[[], pa.Table]) -> Outcome:
    """The day, or what is wrong with it alone; any other error is raised and ends it at once."""
    try:
        return fetched()
    except (NotPublishedYet, WrongAnswer) as error:
        return error
