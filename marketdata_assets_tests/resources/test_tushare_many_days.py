"""Several sessions in one call: the same days in fewer calls, and one by one where in doubt."""

import dataclasses
import datetime as dt
from collections import deque
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from marketdata_assets.resources.tushare_client import ATTEMPTS
from marketdata_assets.tables import DAILY_KLINE, PRICE_LIMITS, Table
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.resources.serving import DAY, WakefulTushare, serving, tushare_at
from marketdata_assets_tests.resources.spoiling import (
    column_set,
    data_of,
    each_day_table,
    params_of,
    spoil,
)
from marketdata_assets_tests.small_market import CODES, SmallMarket
from marketdata_sandbox import faults
from marketdata_sandbox.faults import Fault
from marketdata_sandbox.server import TushareServer

SESSIONS = sessions_between(dt.date(2025, 3, 3), DAY)
ROWS = [len(CODES)]


def four_days_fit(table: Table = DAILY_KLINE) -> Table:
    source = dataclasses.replace(table.tushare, row_cap=4 * len(CODES) + 1)
    return dataclasses.replace(table, source=source)


def asked_for(server: TushareServer, call: str) -> list[tuple[str, ...]]:
    """The day, or the first and the last one, of every call."""
    return [
        tuple(str(params[name]) for name in params if name.endswith("date"))
        for params in params_of(server, call)
    ]


def spans(days: list[dt.date], size: int) -> list[tuple[str, ...]]:
    parts = (days[at : at + size] for at in range(0, len(days), size))
    return [tuple(f"{day:%Y%m%d}" for day in dict.fromkeys((part[0], part[-1]))) for part in parts]


def tables_of(got: Any) -> dict[dt.date, pa.Table]:
    return {one.day: one.outcome.sort_by("ts_code") for one in got}


@each_day_table
def test_days_that_fit_into_a_call_are_what_they_are_by_themselves(
    server: TushareServer, tushare: WakefulTushare, table: Table
) -> None:
    got = tables_of(tushare.days(table, SESSIONS, ROWS))
    assert asked_for(server, table.tushare.call) == spans(SESSIONS, len(SESSIONS))
    assert list(got) == SESSIONS
    for day in SESSIONS[::6]:
        assert got[day].equals(tushare.day(table, day).sort_by("ts_code"))


def test_a_call_asks_for_as_many_days_as_fit(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    assert list(tables_of(tushare.days(four_days_fit(), SESSIONS, ROWS))) == SESSIONS
    assert sorted(asked_for(server, "daily")) == spans(SESSIONS, 4)


def test_where_no_session_before_is_stored_the_first_day_says_how_many_fit(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    assert list(tables_of(tushare.days(four_days_fit(), SESSIONS))) == SESSIONS
    assert sorted(asked_for(server, "daily")) == spans(SESSIONS[:1], 1) + spans(SESSIONS[1:], 4)


def test_a_single_day_is_asked_for_as_ever(server: TushareServer, tushare: WakefulTushare) -> None:
    assert list(tables_of(tushare.days(DAILY_KLINE, [DAY], ROWS))) == [DAY]
    [asked] = params_of(server, "daily")
    assert asked == {"trade_date": f"{DAY:%Y%m%d}"}


def test_days_that_are_to_be_asked_for_alone_are(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    got = tushare.days(DAILY_KLINE, SESSIONS, ROWS, alone={SESSIONS[3], SESSIONS[9]})
    assert list(tables_of(got)) == SESSIONS
    assert sorted(asked_for(server, "daily")) == [
        *spans(SESSIONS[:3], 60),
        *spans(SESSIONS[3:4], 1),
        *spans(SESSIONS[4:9], 60),
        *spans(SESSIONS[9:10], 1),
        *spans(SESSIONS[10:], 60),
    ]


def test_a_session_without_a_row_is_asked_for_by_itself(state: Path) -> None:
    quiet = SESSIONS[2]
    with serving(SmallMarket(quiet=[quiet])) as server, tushare_at(server, state) as tushare:
        got: Any = list(tushare.days(DAILY_KLINE, SESSIONS, ROWS))
        assert asked_for(server, "daily") == spans(SESSIONS, 60) + spans([quiet], 1)
    assert [one.day for one in got] == SESSIONS
    assert "no row for daily_kline on 2025-03-05" in str(got[2].outcome)


def says_there_is_more(answer: dict[str, Any]) -> None:
    answer["data"]["has_more"] = True


def is_short(answer: dict[str, Any]) -> None:
    """The answer without a row of its oldest day."""
    data_of(answer)[1].pop()


@pytest.mark.parametrize(
    ("fault", "again"),
    [
        (faults.edited(says_there_is_more), 4),
        (faults.edited(is_short), 1),
        (column_set("trade_date", "20250102"), 4),
        (column_set("close", *["10.5"] * len(CODES)), 1),
    ],
    ids=["cut", "a day with fewer rows", "a row of another day", "texts for numbers"],
)
def test_days_that_an_answer_may_lack_are_asked_for_by_themselves(
    server: TushareServer, tushare: WakefulTushare, fault: Fault, again: int
) -> None:
    untouched = faults.edited(lambda answer: None)
    server.faults["daily"] = deque([untouched, fault])
    days = SESSIONS[:8]
    got = tables_of(tushare.days(four_days_fit(), days, ROWS))
    assert list(got) == days
    assert all(len(data) == len(CODES) for data in got.values())
    asked = asked_for(server, "daily")
    assert asked[:2] == spans(days, 4)
    assert len(asked) == 2 + again
    assert set(asked[2:]) <= set(spans(days[4:], 1))


@pytest.mark.parametrize("written", [None, "", 20250102, "20250231"])
def test_a_row_of_no_day_costs_the_days_of_its_answer_a_call_each_and_the_others_nothing(
    server: TushareServer,
    tushare: WakefulTushare,
    caplog: pytest.LogCaptureFixture,
    written: object,
) -> None:
    spoil(server, "daily", column_set("trade_date", written), times=1)
    days = SESSIONS[:8]
    got = tables_of(tushare.days(four_days_fit(), days, ROWS))
    assert [len(data) for data in got.values()] == [len(CODES)] * len(days)
    assert sorted(asked_for(server, "daily")) == sorted(spans(days, 4) + spans(days[:4], 1))
    assert caplog.records == []


def the_last_day_alone(answer: dict[str, Any]) -> None:
    fields, items = data_of(answer)
    latest = max(row[fields.index("trade_date")] for row in items)
    items[:] = [row for row in items if row[fields.index("trade_date")] == latest]


@pytest.mark.parametrize(
    "fault",
    [
        faults.edited(the_last_day_alone),
        faults.edited(lambda answer: answer["data"].update(items=[])),
        faults.refusal(50101, "必填参数, ts_code或trade_date"),
        faults.refusal(40203, "抱歉，您没有按区间查询的权限"),
    ],
    ids=["the last day", "nothing", "a parameter is missing", "no permission"],
)
def test_a_vendor_that_takes_no_notice_of_ranges_is_asked_once_and_then_day_by_day(
    server: TushareServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: Fault
) -> None:
    spoil(server, "daily", fault, times=1)
    with tushare_at(server, tmp_path) as tushare:
        for _ in range(2):
            assert list(tables_of(tushare.days(four_days_fit(), SESSIONS, ROWS))) == SESSIONS
    asked = asked_for(server, "daily")
    assert asked[:1] == spans(SESSIONS[:4], 4)
    assert sorted(asked[1:]) == sorted(2 * spans(SESSIONS, 1))
    [warning] = [record.getMessage() for record in caplog.records]
    assert "daily_kline: daily is not answered by ranges of days" in warning


def test_that_ranges_are_answered_is_remembered_until_an_answer_says_otherwise(
    server: TushareServer, tmp_path: Path
) -> None:
    seen = []
    for fault in (None, faults.edited(the_last_day_alone), None):
        server.faults["daily"] = deque([fault] if fault else [])
        with tushare_at(server, tmp_path) as tushare:
            seen.append(tushare.answers_ranges(DAILY_KLINE))
            list(tushare.days(DAILY_KLINE, SESSIONS, ROWS))
            seen.append(tushare.answers_ranges(DAILY_KLINE))
    assert seen == [None, True, True, False, None, True]


def test_an_outage_is_no_answer_and_what_is_remembered_stays(
    server: TushareServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    days = SESSIONS[:4]
    with tushare_at(server, tmp_path) as tushare:
        list(tushare.days(DAILY_KLINE, days, ROWS))
    server.requests.clear()
    with tushare_at(server, tmp_path) as tushare:
        spoil(server, "daily", faults.status(503, "busy"), times=ATTEMPTS)
        assert list(tables_of(tushare.days(DAILY_KLINE, days, ROWS))) == days
        assert list(tables_of(tushare.days(DAILY_KLINE, days, ROWS))) == days
    asked = asked_for(server, "daily")
    assert asked[:ATTEMPTS] == ATTEMPTS * spans(days, 4)
    assert sorted(asked[ATTEMPTS:-1]) == spans(days, 1)
    assert asked[-1:] == spans(days, 4)
    assert caplog.records == []


def test_ranges_in_pages_fill_them_and_pages_that_overlap_are_not_believed(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    source = dataclasses.replace(PRICE_LIMITS.tushare, page_size=8)
    paged = dataclasses.replace(PRICE_LIMITS, source=source)
    days = SESSIONS[:5]
    assert list(tables_of(tushare.days(paged, days, ROWS))) == days
    assert asked_for(server, "stk_limit") == 2 * spans(days, 5)

    def overlapping(answer: dict[str, Any]) -> None:
        items = data_of(answer)[1]
        items[0][1] = items[1][1]

    server.requests.clear()
    spoil(server, "stk_limit", faults.edited(overlapping), times=1)
    assert list(tables_of(tushare.days(paged, days, ROWS))) == days
    assert asked_for(server, "stk_limit")[:2] == 2 * spans(days, 5)
    assert sorted(asked_for(server, "stk_limit")[2:]) == spans(days, 1)


def test_pages_of_a_range_may_be_shorter_than_asked_for(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    def lower_cap(answer: dict[str, Any]) -> None:
        del data_of(answer)[1][5:]
        answer["data"]["has_more"] = True

    source = dataclasses.replace(PRICE_LIMITS.tushare, page_size=8)
    paged = dataclasses.replace(PRICE_LIMITS, source=source)
    days = SESSIONS[:5]
    spoil(server, "stk_limit", faults.edited(lower_cap), times=2)
    assert list(tables_of(tushare.days(paged, days, ROWS))) == days
    assert [page["offset"] for page in params_of(server, "stk_limit")] == [0, 5, 10]


def test_what_came_with_others_can_be_asked_for_again_by_itself(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    got = list(tushare.days(DAILY_KLINE, SESSIONS[:2], ROWS))
    for one in got:
        assert one.again is not None
        assert one.again().equals(tushare.day(DAILY_KLINE, one.day))
    [alone] = tushare.days(DAILY_KLINE, SESSIONS[:1], ROWS)
    assert alone.again is None
