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
from marketdata_assets.sandbox import faults
from marketdata_assets.sandbox.faults import Fault
from marketdata_assets.sandbox.server import TushareServer
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
from marketdata_assets_tests.small_market import CODES, SmallMarket


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


def test_a_stock_of_no_known_exchange_does_not_get_lost_by_asking_in_parts(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    def cut(answer: dict[str, Any]) -> None:
        data_of(answer)[1][0][0] = "000000.XX"
        answer["data"]["has_more"] = True

    spoil(server, "stock_basic", faults.edited(cut), times=1)
    with pytest.raises(Truncated, match=r"000000\.XX"):
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


def test_a_delisted_stock_needs_its_last_day(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    spoil(server, "stock_basic", column_set("delist_date", None))
    with pytest.raises(BadValue, match="delist_date"):
        tushare.stock_basic()


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
