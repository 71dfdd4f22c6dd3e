"""One whole day: typed as declared and of the day asked for, or the error that fits.

Faults of the wire are `test_tushare_faults`, answers that are cut `test_tushare_cut_answers`.
"""

import datetime as dt
import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets.resources.tushare_errors import (
    BadValue,
    DuplicateRows,
    MissingColumn,
    NotPublishedYet,
    TushareError,
)
from marketdata_assets.tables import (
    DAILY_BASIC,
    DAILY_KLINE,
    PRICE_LIMITS,
    SUSPENSIONS,
    Table,
)
from marketdata_assets_tests.resources.serving import (
    DAY,
    DAY_BEFORE,
    WakefulTushare,
    serving,
    tushare_at,
)
from marketdata_assets_tests.resources.spoiling import (
    DAY_TABLES,
    column_set,
    data_of,
    each_day_table,
    spoil,
)
from marketdata_assets_tests.small_market import CODES, SmallMarket, many_codes
from marketdata_sandbox import faults
from marketdata_sandbox.faults import Fault
from marketdata_sandbox.server import TushareServer


@each_day_table
def test_a_day_is_the_whole_market_typed_as_declared(tushare: WakefulTushare, table: Table) -> None:
    day = tushare.day(table, DAY)
    assert day.schema == table.schema
    assert day["ts_code"].to_pylist() == list(CODES)
    assert set(day["trade_date"].to_pylist()) == {DAY}


def test_whole_numbers_on_the_wire_become_floats(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    spoil(server, "daily", column_set("vol", 7, 8, 9))
    volumes = tushare.day(DAILY_KLINE, DAY)["vol"]
    assert volumes.type == pa.float64()
    assert volumes.to_pylist() == [7.0, 8.0, 9.0]


def test_some_nulls_in_a_nullable_column_stay_null(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    spoil(server, "daily_basic", column_set("pe", None, None, 12.5))
    assert tushare.day(DAILY_BASIC, DAY)["pe"].to_pylist() == [None, None, 12.5]


@each_day_table
def test_a_value_of_a_single_row_may_be_missing_in_every_column_outside_the_key(
    server: TushareServer, tushare: WakefulTushare, table: Table
) -> None:
    for name in set(table.column_names) - set(table.key):
        spoil(server, table.tushare.call, column_set(name, None))
        values = tushare.day(table, DAY)[name]
        assert values.null_count == 1
        assert values[0].as_py() is None


@each_day_table
def test_a_row_that_is_not_identified_is_refused(
    server: TushareServer, tushare: WakefulTushare, table: Table
) -> None:
    for name in table.key:
        if not table[name].nullable:
            spoil(server, table.tushare.call, column_set(name, None))
            with pytest.raises(BadValue, match=name):
                tushare.day(table, DAY)


@each_day_table
@pytest.mark.parametrize("nothing", [None, "", 0])
@pytest.mark.parametrize("name", ["ts_code", "trade_date"])
def test_a_few_rows_of_nobody_cost_the_others_nothing(
    state: Path, caplog: pytest.LogCaptureFixture, table: Table, name: str, nothing: object
) -> None:
    market = SmallMarket(many_codes(60))
    with serving(market) as server, tushare_at(server, state) as tushare:
        spoil(server, table.tushare.call, column_set(name, *[nothing] * 5), times=1)
        assert tushare.day(table, DAY)["ts_code"].to_pylist() == market.codes[5:]
        assert "5 of 60 rows have no ts_code or no trade_date" in caplog.text
        spoil(server, table.tushare.call, column_set(name, *[nothing] * 6), times=1)
        with pytest.raises(BadValue, match="6 of 60 rows"):
            tushare.day(table, DAY)


@each_day_table
def test_a_few_rows_whose_key_can_not_be_read_cost_the_others_nothing(
    state: Path, caplog: pytest.LogCaptureFixture, table: Table
) -> None:
    """A number or a broken character for a code or an hour, a day that does not exist."""
    market = SmallMarket(many_codes(60))
    with serving(market) as server, tushare_at(server, state) as tushare:
        for name in table.key:
            odd = [7, True, [7], float("nan"), "20240631" if name == "trade_date" else "\ud800"]
            spoil(server, table.tushare.call, column_set(name, *odd), times=1)
            assert tushare.day(table, DAY)["ts_code"].to_pylist() == market.codes[5:]
            assert "5 of 60 rows have no ts_code or no trade_date" in caplog.text
            caplog.clear()
            spoil(server, table.tushare.call, column_set(name, *odd, 7), times=1)
            with pytest.raises(BadValue, match=f"{name} holds a value that is not"):
                tushare.day(table, DAY)


def test_a_notice_without_a_kind_costs_the_others_nothing(
    state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    market = SmallMarket(many_codes(60))
    with serving(market) as server, tushare_at(server, state) as tushare:
        spoil(server, "suspend_d", column_set("suspend_type", None, ""), times=1)
        assert tushare.day(SUSPENSIONS, DAY)["ts_code"].to_pylist() == market.codes[2:]
    assert "2 of 60 rows have no ts_code or no trade_date or no suspend_type" in caplog.text


@each_day_table
def test_an_unknown_column_is_ignored(
    server: TushareServer, tushare: WakefulTushare, table: Table
) -> None:
    def add_column(answer: dict[str, Any]) -> None:
        fields, items = data_of(answer)
        fields.insert(1, "ah_vol")
        for row in items:
            row.insert(1, "?")

    spoil(server, table.tushare.call, faults.edited(add_column))
    assert tushare.day(table, DAY).schema == table.schema


@each_day_table
def test_columns_may_come_in_any_order(
    server: TushareServer, tushare: WakefulTushare, table: Table
) -> None:
    def reverse(answer: dict[str, Any]) -> None:
        for row in (answer["data"]["fields"], *answer["data"]["items"]):
            row.reverse()

    straight = tushare.day(table, DAY)
    spoil(server, table.tushare.call, faults.edited(reverse))
    assert tushare.day(table, DAY).equals(straight)


@each_day_table
def test_a_missing_column_is_named(
    server: TushareServer, tushare: WakefulTushare, table: Table
) -> None:
    def drop_last(answer: dict[str, Any]) -> None:
        for row in (answer["data"]["fields"], *answer["data"]["items"]):
            row.pop()

    spoil(server, table.tushare.call, faults.edited(drop_last))
    with pytest.raises(MissingColumn, match=table.column_names[-1]):
        tushare.day(table, DAY)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *(
            ("close", [value] * len(CODES))
            for value in ("10.5", True, [10.5], {"value": 10.5}, 2**60 + 1, 2**70)
        ),
        ("ts_code", [None]),
        ("ts_code", [600000]),
        ("ts_code", ["\ud800"]),
        ("trade_date", [None]),
        ("trade_date", [""]),
        ("trade_date", [20250403]),
        ("trade_date", ["2025-04-03"]),
        ("trade_date", ["00000101", "00000101", "00000101"]),
    ],
    ids=str,
)
def test_a_value_of_another_kind_is_refused(
    server: TushareServer, tushare: WakefulTushare, name: str, values: list[object]
) -> None:
    spoil(server, "daily", column_set(name, *values))
    with pytest.raises(BadValue, match=name):
        tushare.day(DAILY_KLINE, DAY)
    assert len(server.requests) == 1


@pytest.mark.parametrize("text", [b"1e999", b'"--"', b"true", b"NaN", b"-Infinity"])
def test_a_value_of_one_row_that_can_not_be_read_counts_as_null_and_is_said(
    server: TushareServer, tushare: WakefulTushare, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    def spoilt(handler: Any, answer: bytes) -> None:
        handler.reply(200, answer.replace(b"10.5", text, 1))

    spoil(server, "daily", spoilt)
    day = tushare.day(DAILY_KLINE, DAY)
    assert sum(day[name].null_count for name in day.column_names) == 1
    assert "can't be read on 1 of 3 rows and counts as NULL" in caplog.text


def test_a_truth_behind_numbers_is_no_number(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    spoil(server, "daily", column_set("close", 10.5, True, 11.5))
    assert tushare.day(DAILY_KLINE, DAY)["close"].to_pylist() == [10.5, None, 11.5]


def test_a_date_that_does_not_exist_is_refused(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    """The 31st of June is not the 1st of July."""
    day = dt.date(2024, 7, 1)
    spoil(server, "daily", column_set("trade_date", *["20240631"] * 3))
    with pytest.raises(BadValue, match="trade_date"):
        tushare.day(DAILY_KLINE, day)


@each_day_table
def test_a_row_of_another_length_is_refused(
    server: TushareServer, tushare: WakefulTushare, table: Table
) -> None:
    spoil(server, table.tushare.call, faults.edited(lambda answer: data_of(answer)[1][1].pop()))
    with pytest.raises(BadValue):
        tushare.day(table, DAY)


@pytest.mark.parametrize("row", [None, 7, "row", {"ts_code": "600000.SH"}], ids=str)
def test_a_row_that_is_no_list_is_refused(
    server: TushareServer, tushare: WakefulTushare, row: Any
) -> None:
    spoil(server, "daily", faults.edited(lambda answer: data_of(answer)[1].append(row)))
    with pytest.raises(TushareError):
        tushare.day(DAILY_KLINE, DAY)


def test_a_column_without_any_value_is_refused(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    spoil(server, "daily_basic", column_set("pe_ttm", None, None, None))
    with pytest.raises(BadValue, match="pe_ttm is NULL on all 3 rows"):
        tushare.day(DAILY_BASIC, DAY)


@pytest.mark.parametrize(
    "table", [t for t in DAY_TABLES if not t.may_be_empty], ids=lambda table: table.name
)
def test_keys_of_many_that_occur_twice_are_named(
    server: TushareServer, tushare: WakefulTushare, table: Table
) -> None:
    def double(answer: dict[str, Any]) -> None:
        data_of(answer)[1].append(data_of(answer)[1][1])

    spoil(server, table.tushare.call, faults.edited(double))
    with pytest.raises(DuplicateRows, match=CODES[1]) as raised:
        tushare.day(table, DAY)
    assert CODES[0] not in str(raised.value)


MANY = many_codes(300)
MORE_THAN_ONE_PERCENT, ONE_PERCENT = 4, 3


@pytest.fixture
def crowded(state: Path) -> Iterator[tuple[TushareServer, WakefulTushare]]:
    """A market of which a few rows are less than one in a hundred."""
    with serving(SmallMarket(MANY)) as server, tushare_at(server, state) as tushare:
        yield server, tushare


def with_repeats(count: int, **changed: object) -> Fault:
    """The answer with its first rows once more at its end, the second time with other values."""

    def repeat(answer: dict[str, Any]) -> None:
        fields, items = data_of(answer)
        for row in items[:count]:
            values = dict(zip(fields, row, strict=True)) | changed
            items.append([values[name] for name in fields])

    return faults.edited(repeat)


@pytest.mark.parametrize(
    "table", [t for t in DAY_TABLES if not t.may_be_empty], ids=lambda table: table.name
)
def test_rows_that_come_twice_alike_count_once(
    crowded: tuple[TushareServer, WakefulTushare], table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    server, tushare = crowded
    straight = tushare.day(table, DAY)
    spoil(server, table.tushare.call, with_repeats(ONE_PERCENT))
    assert tushare.day(table, DAY).equals(straight)
    assert caplog.records == []


def test_a_single_row_that_comes_twice_costs_a_small_table_nothing(state: Path) -> None:
    market = SmallMarket(many_codes(60))
    with serving(market) as server, tushare_at(server, state) as tushare:
        straight = tushare.day(DAILY_KLINE, DAY)
        spoil(server, "daily", with_repeats(1), times=1)
        assert tushare.day(DAILY_KLINE, DAY).equals(straight)
        spoil(server, "daily", with_repeats(2), times=1)
        with pytest.raises(DuplicateRows, match="2 keys occur more than once"):
            tushare.day(DAILY_KLINE, DAY)


def test_a_key_told_twice_and_differently_has_no_value_and_is_warned_of(
    crowded: tuple[TushareServer, WakefulTushare], caplog: pytest.LogCaptureFixture
) -> None:
    server, tushare = crowded
    straight = tushare.day(DAILY_KLINE, DAY)
    spoil(server, "daily", with_repeats(1, close=99.5, high=99.75))
    told = tushare.day(DAILY_KLINE, DAY)
    assert told["ts_code"].to_pylist() == MANY
    assert told.slice(1).equals(straight.slice(1))
    first = told.to_pylist()[0]
    assert {name for name, value in first.items() if value is not None} == set(DAILY_KLINE.key)
    [warning] = [record.getMessage() for record in caplog.records]
    assert f"daily_kline {DAY} {MANY[0]}" in warning
    assert "high 10.5 and 99.75; close 10.5 and 99.5" in warning
    assert "open" not in warning


@pytest.mark.parametrize("changed", [{}, {"close": 99.5}], ids=["alike", "differently"])
def test_an_answer_with_too_many_repeats_is_refused(
    crowded: tuple[TushareServer, WakefulTushare], changed: dict[str, object]
) -> None:
    server, tushare = crowded
    spoil(server, "daily", with_repeats(MORE_THAN_ONE_PERCENT, **changed))
    with pytest.raises(DuplicateRows, match=f"4 keys occur more than once .*{MANY[0]}"):
        tushare.day(DAILY_KLINE, DAY)


@each_day_table
def test_the_rows_of_the_day_before_are_not_the_day(
    server: TushareServer, tushare: WakefulTushare, table: Table
) -> None:
    spoil(server, table.tushare.call, column_set("trade_date", *[f"{DAY_BEFORE:%Y%m%d}"] * 3))
    with pytest.raises(NotPublishedYet) as raised:
        tushare.day(table, DAY)
    assert str(DAY) in str(raised.value)
    assert str(DAY_BEFORE) in str(raised.value)


@each_day_table
def test_rows_of_two_days_are_refused(
    server: TushareServer, tushare: WakefulTushare, table: Table
) -> None:
    spoil(server, table.tushare.call, column_set("trade_date", f"{DAY_BEFORE:%Y%m%d}"))
    with pytest.raises(BadValue, match=str(DAY_BEFORE)):
        tushare.day(table, DAY)


@pytest.mark.parametrize(
    "table", [t for t in DAY_TABLES if not t.may_be_empty], ids=lambda table: table.name
)
@pytest.mark.parametrize(
    "day", [DAY, dt.date(2025, 4, 7)], ids=["no row on a trading day", "a day to come"]
)
def test_a_day_without_rows_is_not_published_yet(state: Path, table: Table, day: dt.date) -> None:
    with (
        serving(SmallMarket(quiet=[DAY])) as server,
        tushare_at(server, state) as tushare,
        pytest.raises(NotPublishedYet, match=str(day)),
    ):
        tushare.day(table, day)


@pytest.fixture(scope="module")
def open_server() -> Iterator[TushareServer]:
    with serving(SmallMarket()) as server:
        yield server


@pytest.fixture(scope="module")
def open_tushare(open_server: TushareServer, state: Path) -> Iterator[WakefulTushare]:
    with tushare_at(open_server, state) as tushare:
        yield tushare


def _values(name: str) -> st.SearchStrategy[object]:
    likely: st.SearchStrategy[object] = {
        "ts_code": st.sampled_from(CODES),
        "trade_date": st.sampled_from(["20250403"] * 9 + ["20250402"]),
    }.get(name, st.floats(0, 1e6) | st.integers(0, 10**6))
    odd = st.none() | st.booleans() | st.text(max_size=9) | st.integers() | st.lists(st.none())
    return st.one_of(*[likely] * 24, odd)


ANY_FIELDS = st.one_of(
    *[st.permutations(PRICE_LIMITS.column_names)] * 4,
    st.lists(st.sampled_from([*PRICE_LIMITS.column_names, "pre_close"]), max_size=6),
)


@st.composite
def _any_data(draw: st.DrawFn) -> dict[str, object]:
    fields = draw(ANY_FIELDS)
    row = st.tuples(*(_values(name) for name in fields))
    odd_row = st.none() | st.integers() | st.lists(st.none(), max_size=5)
    items = draw(st.lists(st.one_of(*[row] * 24, odd_row), max_size=4))
    return {"fields": fields, "items": items, "has_more": False, "count": 0}


@given(data=_any_data())
def test_any_answer_is_a_typed_table_with_rows_or_an_error_of_ours(
    open_server: TushareServer, open_tushare: WakefulTushare, data: dict[str, object]
) -> None:
    reply = json.dumps({"code": 0, "msg": "", "data": data})
    open_server.faults["stk_limit"] = deque([faults.status(200, reply)] * 5)
    try:
        day = open_tushare.day(PRICE_LIMITS, DAY)
    except TushareError:
        return
    assert day.schema == PRICE_LIMITS.schema
    assert day.num_rows == len(set(day["ts_code"].to_pylist())) > 0
    assert set(day["trade_date"].to_pylist()) == {DAY}
    day.validate(full=True)
