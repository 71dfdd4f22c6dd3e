"""Many days of a table: asked for in calls over ranges, several under way, delivered in order.

Here belongs what one call asks for, what of its answer is a whole day, and which days are asked for
again by themselves. Sending calls is `tushare`.

A range saves calls and is trusted with little, neither with an order nor with pages. Whatever a day
looks like in its answer that is not as it should be, the day is asked for by itself.
"""

import datetime as dt
import functools
import itertools
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import pyarrow as pa

from marketdata_assets.resources.tushare_answers import typed_table, whole_day
from marketdata_assets.resources.tushare_errors import NotPublishedYet, TushareError, WrongAnswer
from marketdata_assets.tables import Table
from marketdata_assets.tables.declaration import Source
from marketdata_assets.trading_calendar import sessions_between

if TYPE_CHECKING:
    from marketdata_assets.resources.tushare_client import Answer

MOST_SESSIONS = 60
# Of a call that can be paged; they come one after the other, and all are held.
MOST_PAGES_OF_A_RANGE = 3
# Shares are listed all the time: the sessions asked for have a few rows more than those before.
GROWTH = 1.02
# Neighbouring sessions have about as many rows; one with fewer may have lost some.
SHORT = 0.9
# The busiest of so many sessions says how many rows the next ones may have.
SESSIONS_LOOKED_AT = 20
# So many days are on their way, or have come, while those before them are judged and stored.
DAYS_AHEAD = 10
Outcome: TypeAlias = pa.Table | TushareError


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

    While who takes them is busy, calls for the next DAYS_AHEAD go on.

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

    def has_room() -> bool:
        days_ahead = sum(len(call) for call, _ in under_way)
        return len(under_way) < vendor.calls_in_flight or days_ahead < DAYS_AHEAD

    try:
        while True:
            while waiting and has_room() and can_plan():
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


class RangeAnswer(NamedTuple):
    """What an answer tells: whether it is of the range asked for, and the days it has whole."""

    is_of_range: bool
    days: dict[dt.date, pa.Table]


def next_call(
    days: Sequence[dt.date], source: Source, rows: int | None, alone: Collection[dt.date] = ()
) -> list[dt.date]:
    """The first of `days`, and as many neighbouring sessions after it as one call has room for.

    `rows` is what a session nearby has. Where that is not known it is one day, as it is for those
    that are to be asked for `alone`.
    """
    call = [days[0]]
    if rows is None or not source.takes_ranges or days[0] in alone:
        return call
    for day in days[1:MOST_SESSIONS]:
        if day in alone or sessions_between(call[-1], day) != [call[-1], day]:
            break
        call.append(day)
    return call[: sessions_that_fit(rows, len(call), source)]


def sessions_that_fit(rows: int, most: int, source: Source) -> int:
    """How many sessions of about `rows` rows, `most` at most, take the fewest calls each.

    An answer has to stay below the cap, for one that reaches it may have been cut. Of a call that
    can be paged it is the number that fills its pages best.
    """
    most_pages = MOST_PAGES_OF_A_RANGE if source.page_size else 1
    best, best_pages = 1, pages_for(rows, source)
    for sessions in range(2, most + 1):
        pages = pages_for(rows * sessions, source)
        if pages > most_pages:
            break
        if pages * best < best_pages * sessions:
            best, best_pages = sessions, pages
    return best


def pages_for(rows: int, source: Source) -> int:
    """The calls it takes for about `rows` rows; after a full page there may be another one."""
    return int(rows * GROWTH) // (source.page_size or source.row_cap) + 1


def read_range(
    table: Table, days: Sequence[dt.date], pages: Sequence["Answer"], is_cut: bool = False
) -> RangeAnswer:
    """What the answer to a call for `days` tells; it may have come in pages.

    It is not of the range when a row is of another day, or all are of one: then the vendor has
    taken no notice of it. Of one that was cut no day is taken, nor of one with rows that are of no
    day, which only the day by itself tells of, and of pages all or none: where they repeat a row,
    they lack another one. A session without a row, or with far fewer than the others,
    is not whole, though both may turn out to be true.
    """
    parts = _by_date(table, pages)
    counts = {day: sum(len(rows) for _, rows in parts[f"{day:%Y%m%d}"]) for day in days}
    rows_of_days = sum(len(rows) for date in parts if _is_day(date) for _, rows in parts[date])
    is_of_range = sum(counts.values()) == rows_of_days and sum(map(bool, counts.values())) > 1
    if is_cut or not is_of_range or rows_of_days < sum(len(page.items) for page in pages):
        return RangeAnswer(is_of_range, {})
    fewest = 1 if table.may_be_empty else SHORT * max(counts.values())
    found: dict[dt.date, pa.Table] = {}
    for day in (day for day, count in counts.items() if count >= fewest):
        params = {"trade_date": f"{day:%Y%m%d}"}
        try:
            data = pa.concat_tables(
                typed_table(table, fields, rows, params)
                for fields, rows in parts[params["trade_date"]]
            )
            if len(pages) == 1 or not table.repeated_keys(data):
                found[day] = whole_day(table, data, day, params)
        except (WrongAnswer, NotPublishedYet):
            continue
    return RangeAnswer(True, found if len(pages) == 1 or len(found) == len(days) else {})


def _by_date(
    table: Table, pages: Sequence["Answer"]
) -> dict[str, list[tuple[list[str], list[list[object]]]]]:
    """The rows of every date as it is written, page by page, each with the page's fields.

    Rows without a date are nobody's.
    """
    parts: dict[str, list[tuple[list[str], list[list[object]]]]] = defaultdict(list)
    for page in pages:
        if table.date_column not in page.fields:
            continue
        at = page.fields.index(table.date_column)
        of_page: dict[str, list[list[object]]] = defaultdict(list)
        for row in page.items:
            if at < len(row) and isinstance(date := row[at], str):
                of_page[date].append(row)
        for date, rows in of_page.items():
            parts[date].append((page.fields, rows))
    return parts


def _is_day(written: str) -> bool:
    try:
        dt.datetime.strptime(written, "%Y%m%d")
    except ValueError:
        return False
    return True
