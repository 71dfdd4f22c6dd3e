"""The list of stocks and the calendar, which are not asked for by day."""

import datetime as dt
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from marketdata_assets.resources.tushare_errors import (
    BadValue,
    DuplicateRows,
    NotPublishedYet,
    Truncated,
    TushareError,
)
from marketdata_assets.tables import (
    STOCK_BASIC,
    TRADE_CALENDAR,
)
from marketdata_assets_tests.resources.serving import (
    WakefulTushare,
    serving,
    tushare_at,
)
from marketdata_assets_tests.resources.spoiling import column_set, data_of, params_of, spoil
from marketdata_assets_tests.small_market import CODES, GONE, SmallMarket, many_codes
from marketdata_sandbox import faults
from marketdata_sandbox.faults import Fault
from marketdata_sandbox.server import TushareServer


def test_the_stock_list_holds_listed_and_delisted_shares(tushare: WakefulTushare) -> None:
    stocks = tushare.stock_basic()
    assert stocks.schema == STOCK_BASIC.schema
    status = dict(zip(*stocks.select(["ts_code", "list_status"]).to_pydict().values(), strict=True))
    assert status == {**dict.fromkeys(CODES, "L"), "600001.SH": "D"}


def test_a_cut_stock_list_is_asked_for_by_exchange_and_complete(
    state: Path, huge_market: SmallMarket
) -> None:
    with serving(huge_market) as server, tushare_at(server, state) as tushare:
        stocks = tushare.stock_basic()
        asked = {params.get("exchange") for params in params_of(server, "stock_basic")}
    assert set(stocks["ts_code"].to_pylist()) == {*huge_market.codes, "600001.SH"}
    assert asked == {None, "SSE", "SZSE", "BSE"}


def cut_with_strangers(count: int) -> Fault:
    """The answer, cut, with as many shares that no exchange has."""

    def cut(answer: dict[str, Any]) -> None:
        fields, items = data_of(answer)
        place = fields.index("ts_code")
        items += [
            [f"{number:06}.XX" if at == place else value for at, value in enumerate(items[0])]
            for number in range(count)
        ]
        answer["data"]["has_more"] = True

    return faults.edited(cut)


def test_a_stock_of_no_known_exchange_does_not_get_lost_by_asking_in_parts(
    server: TushareServer, tushare: WakefulTushare, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(server, "stock_basic", cut_with_strangers(1), times=1)
    listed = tushare.stock_basic()["ts_code"].to_pylist()
    assert {"000000.XX", *CODES} <= set(listed)
    assert "1 code(s) got lost in asking by part: 000000.XX" in caplog.text


def test_parts_that_lack_many_of_what_was_cut_are_refused(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    spoil(server, "stock_basic", cut_with_strangers(6), times=1)
    with pytest.raises(Truncated, match=r"6 code\(s\) got lost.*: 000000\.XX"):
        tushare.stock_basic()


def test_an_exchange_that_is_cut_as_well_is_refused(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    spoil(server, "stock_basic", faults.edited(lambda answer: answer["data"].update(has_more=1)))
    with pytest.raises(Truncated):
        tushare.stock_basic()


def test_a_stock_listed_and_delisted_at_once_is_a_duplicate(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    untouched = faults.edited(lambda answer: None)
    server.faults["stock_basic"] = deque([untouched, column_set("ts_code", CODES[0])])
    with pytest.raises(DuplicateRows, match=CODES[0]):
        tushare.stock_basic()


def with_delisted(dated: int, undated: int) -> Fault:
    """The answer with as many delisted shares more."""

    def add(answer: dict[str, Any]) -> None:
        fields, items = data_of(answer)
        if not items or items[0][fields.index("list_status")] != "D":
            return
        for number in range(dated + undated):
            row = list(items[0])
            row[fields.index("ts_code")] = f"{100_000 + number}.SZ"
            row[fields.index("delist_date")] = "20200101" if number < dated else None
            items.append(row)

    return faults.edited(add)


@pytest.mark.parametrize(("dated", "undated"), [(0, 1), (0, 5), (694, 7)])
def test_a_few_delisted_stocks_may_lack_their_last_day_and_are_warned_of(
    server: TushareServer,
    tushare: WakefulTushare,
    caplog: pytest.LogCaptureFixture,
    dated: int,
    undated: int,
) -> None:
    spoil(server, "stock_basic", with_delisted(dated, undated))
    stocks = tushare.stock_basic()
    assert stocks.num_rows == len(CODES) + 1 + dated + undated
    [warning] = [record.getMessage() for record in caplog.records]
    assert f"{100_000 + dated}.SZ" in warning
    assert "universe of no day" in warning


@pytest.mark.parametrize(("dated", "undated"), [(0, 6), (200, 7), (690, 8)])
def test_delisted_stocks_need_their_last_day(
    server: TushareServer, tushare: WakefulTushare, dated: int, undated: int
) -> None:
    spoil(server, "stock_basic", with_delisted(dated, undated))
    what = f"{undated} of {dated + undated + 1} delisted shares have no delist_date"
    with pytest.raises(BadValue, match=what):
        tushare.stock_basic()


def test_facts_of_a_stock_may_be_missing_and_its_status_is_the_one_asked_for(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    nameless = column_set("name", None)
    server.faults["stock_basic"] = deque([nameless, column_set("list_status", None)])
    rows = {row["ts_code"]: row for row in tushare.stock_basic().to_pylist()}
    assert rows[CODES[0]]["name"] is None
    assert rows["600001.SH"]["list_status"] == "D"


def test_one_stock_of_many_that_is_listed_and_delisted_at_once_keeps_its_code_alone(
    state: Path,
) -> None:
    codes = many_codes(300)
    with serving(SmallMarket(codes)) as server, tushare_at(server, state) as tushare:
        untouched = faults.edited(lambda answer: None)
        server.faults["stock_basic"] = deque([untouched, column_set("ts_code", codes[0])])
        rows = {row["ts_code"]: row for row in tushare.stock_basic().to_pylist()}
    assert {name for name, value in rows[codes[0]].items() if value is not None} == {"ts_code"}
    assert set(rows) == set(codes)


@pytest.mark.parametrize(
    ("name", "value", "told"), [("ts_code", None, [*CODES]), ("list_date", "--", [*CODES, GONE])]
)
def test_the_only_stock_of_its_status_costs_the_others_nothing(
    server: TushareServer, tushare: WakefulTushare, name: str, value: object, told: list[str]
) -> None:
    untouched = faults.edited(lambda answer: None)
    server.faults["stock_basic"] = deque([untouched, column_set(name, value)])
    assert tushare.stock_basic()["ts_code"].to_pylist() == told


def test_no_listed_stock_is_no_stock_list(server: TushareServer, tushare: WakefulTushare) -> None:
    spoil(server, "stock_basic", faults.edited(lambda answer: data_of(answer)[1].clear()))
    with pytest.raises(NotPublishedYet):
        tushare.stock_basic()


def test_the_calendar_is_typed_and_complete(tushare: WakefulTushare) -> None:
    calendar = tushare.trade_cal(dt.date(2025, 4, 1), dt.date(2025, 4, 7))
    assert calendar.schema == TRADE_CALENDAR.schema
    assert calendar["is_open"].to_pylist() == [1, 1, 1, 0, 0, 0, 1]


def _first_row_twice(answer: dict[str, Any]) -> None:
    _, items = data_of(answer)
    items.append(items[0])


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.edited(lambda answer: answer["data"].update(has_more=True)), Truncated),
        (faults.edited(lambda answer: data_of(answer)[1].clear()), NotPublishedYet),
        (
            faults.edited(lambda answer: data_of(answer)[1].append(data_of(answer)[1][0])),
            DuplicateRows,
        ),
        (column_set("is_open", None), BadValue),
        (column_set("is_open", "1"), BadValue),
        (column_set("is_open", 0.5), BadValue),
        (column_set("is_open", 300), BadValue),
        (column_set("is_open", 2**70), BadValue),
        (column_set("cal_date", "20250431"), BadValue),
    ],
    ids=[
        "cut",
        "empty",
        "a day twice",
        "open unknown",
        "open as text",
        "half open",
        "open 300",
        "open huge",
        "31 April",
    ],
)
def test_a_spoilt_calendar_is_refused(
    server: TushareServer, tushare: WakefulTushare, fault: Fault, error: type[TushareError]
) -> None:
    spoil(server, "trade_cal", fault)
    with pytest.raises(error):
        tushare.trade_cal(dt.date(2025, 4, 1), dt.date(2025, 4, 7))
