"""Which days a call asks for: as many as fit, and what its answer is believed."""

import datetime as dt
import itertools

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets.resources.tushare_answers import typed_table
from marketdata_assets.resources.tushare_client import Answer
from marketdata_assets.resources.tushare_days import (
    MOST_PAGES_OF_A_RANGE,
    MOST_SESSIONS,
    next_call,
    pages_for,
    read_range,
    sessions_that_fit,
)
from marketdata_assets.tables import (
    ADJ_FACTOR,
    DAILY_KLINE,
    ETF_NAV,
    PRICE_LIMITS,
    SUSPENSIONS,
    Table,
)
from marketdata_assets.tables.declaration import Source
from marketdata_assets.trading_calendar import sessions_between

SESSIONS = sessions_between(dt.date(2005, 1, 4), dt.date(2006, 12, 29))
DAYS = sessions_between(dt.date(2024, 9, 26), dt.date(2024, 10, 11))

sources = st.builds(
    Source,
    st.just("call"),
    row_cap=st.integers(1, 8_000),
    page_size=st.none() | st.integers(1, 8_000),
    takes_ranges=st.just(True),
)
rows_a_session = st.integers(0, 9_000)


@given(sources, rows_a_session, st.integers(1, MOST_SESSIONS))
def test_a_call_has_room_for_what_it_asks_for(source: Source, rows: int, most: int) -> None:
    sessions = sessions_that_fit(rows, most, source)
    assert 1 <= sessions <= most
    if sessions > 1 and source.page_size is None:
        assert sessions * rows < source.row_cap
    if sessions > 1:
        assert pages_for(sessions * rows, source) <= MOST_PAGES_OF_A_RANGE


@given(sources, rows_a_session, st.integers(1, MOST_SESSIONS))
def test_no_other_number_of_sessions_takes_fewer_calls_each(
    source: Source, rows: int, most: int
) -> None:
    chosen = sessions_that_fit(rows, most, source)
    each = pages_for(rows * chosen, source) / chosen
    most_pages = MOST_PAGES_OF_A_RANGE if source.page_size else 1
    for sessions in range(1, most + 1):
        pages = pages_for(rows * sessions, source)
        if pages <= most_pages:
            assert each <= pages / sessions


@given(
    sources,
    st.none() | rows_a_session,
    st.lists(st.sampled_from(SESSIONS[:90]), min_size=1, unique=True),
    st.sets(st.sampled_from(SESSIONS[:90])),
)
def test_calls_ask_for_every_day_once_in_the_order_asked_for_and_for_neighbours_only(
    source: Source, rows: int | None, days: list[dt.date], alone: set[dt.date]
) -> None:
    asked, left = [], days
    while left:
        call = next_call(left, source, rows, alone)
        assert len(call) == 1 or call == sessions_between(call[0], call[-1])
        assert len(call) == 1 or not alone & set(call)
        assert len(call) == 1 or rows is not None
        asked += call
        left = left[len(call) :]
    assert asked == days


@pytest.mark.parametrize(
    ("table", "rows", "sessions"),
    [
        (DAILY_KLINE, 1_350, 4),
        (DAILY_KLINE, 2_000, 2),
        (DAILY_KLINE, 5_500, 1),
        (SUSPENSIONS, 120, 40),
        (PRICE_LIMITS, 1_616, 14),
        (PRICE_LIMITS, 7_734, 2),
        (ETF_NAV, 10, 1),
    ],
)
def test_as_many_sessions_as_have_room_today(table: Table, rows: int, sessions: int) -> None:
    call = next_call(SESSIONS, table.tushare, rows)
    assert call == SESSIONS[: len(call)]
    assert len(call) == sessions


FIELDS = ["ts_code", "trade_date", "adj_factor"]
CODES = [f"{600_000 + n}.SH" for n in range(20)]
Row = list[object]


def rows_of(day: dt.date) -> list[Row]:
    return [[code, f"{day:%Y%m%d}", float(n + day.day)] for n, code in enumerate(CODES)]


def truth(day: dt.date) -> pa.Table:
    return typed_table(ADJ_FACTOR, FIELDS, rows_of(day), {})


def answers(*pages: list[Row]) -> list[Answer]:
    return [Answer(FIELDS, page, has_more=False) for page in pages]


EVERY_ROW = [row for day in DAYS for row in rows_of(day)]


@given(st.permutations(EVERY_ROW), st.lists(st.integers(0, len(EVERY_ROW)), max_size=3))
def test_whatever_the_order_and_the_pages_each_day_is_what_it_is_by_itself(
    rows: list[Row], cuts: list[int]
) -> None:
    bounds = [0, *sorted(cuts), len(rows)]
    pages = [rows[at:end] for at, end in itertools.pairwise(bounds)]
    answer = read_range(ADJ_FACTOR, DAYS, answers(*pages))
    assert answer.is_of_range
    assert list(answer.days) == DAYS
    for day, data in answer.days.items():
        assert data.sort_by("ts_code").equals(truth(day))


@given(st.data())
def test_pages_that_overlap_are_not_believed_a_single_day(data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(EVERY_ROW) - 1))
    overlap = data.draw(st.integers(1, 5))
    pages = answers(EVERY_ROW[:at], EVERY_ROW[max(0, at - overlap) :][: len(EVERY_ROW) - at])
    assert read_range(ADJ_FACTOR, DAYS, pages) == (True, {})


@pytest.mark.parametrize(
    ("pages", "is_of_range"),
    [
        (answers([]), False),
        (answers(rows_of(DAYS[-1])), False),
        (answers(EVERY_ROW + rows_of(dt.date(2024, 10, 14))), False),
        (answers([*EVERY_ROW, [CODES[0], None, 1.0]]), True),
        (answers([*EVERY_ROW, [CODES[0]]]), True),
    ],
    ids=["no row", "the last day alone", "another day", "a row of no day", "half a row"],
)
def test_an_answer_that_is_not_of_its_range_or_has_a_row_of_no_day_has_no_day(
    pages: list[Answer], is_of_range: bool
) -> None:
    assert read_range(ADJ_FACTOR, DAYS, pages) == (is_of_range, {})


def test_an_answer_that_was_cut_has_no_day_though_it_is_of_its_range() -> None:
    assert read_range(ADJ_FACTOR, DAYS, answers(EVERY_ROW[30:]), is_cut=True) == (True, {})


@pytest.mark.parametrize(
    ("of_day", "is_whole"),
    [
        ([], False),
        (rows_of(DAYS[2])[3:], False),
        (rows_of(DAYS[2])[2:], True),
        ([[code, date, "1.0"] for code, date, _ in rows_of(DAYS[2])], False),
        ([*rows_of(DAYS[2]), *rows_of(DAYS[2])[:2]], False),
        ([*rows_of(DAYS[2]), rows_of(DAYS[2])[0]], True),
    ],
    ids=["no row", "far fewer", "a few fewer", "texts for numbers", "rows twice", "a row twice"],
)
def test_a_day_that_is_not_as_it_should_be_is_left_out_and_the_others_stay(
    of_day: list[Row], is_whole: bool
) -> None:
    rows = [row for row in EVERY_ROW if row[1] != f"{DAYS[2]:%Y%m%d}"] + of_day
    answer = read_range(ADJ_FACTOR, DAYS, answers(rows))
    assert answer.is_of_range
    assert list(answer.days) == [day for day in DAYS if day != DAYS[2] or is_whole]


def test_days_with_few_suspensions_are_whole_beside_days_with_many() -> None:
    fields = ["ts_code", "trade_date", "suspend_type", "suspend_timing"]
    rows: list[Row] = [[code, f"{DAYS[0]:%Y%m%d}", "S", None] for code in CODES]
    rows.append([CODES[0], f"{DAYS[1]:%Y%m%d}", "S", None])
    answer = read_range(SUSPENSIONS, DAYS[:3], [Answer(fields, rows, has_more=False)])
    assert list(answer.days) == DAYS[:2]
