"""Answers the vendor cuts: asked again in parts or pages until the day is whole, or refused."""

import dataclasses
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from marketdata_assets.instruments.code_changes import CODE_CHANGES
from marketdata_assets.resources.tushare_errors import (
    MissingColumn,
    Truncated,
    TushareError,
)
from marketdata_assets.tables import (
    ADJ_FACTOR,
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
    HUGE,
    data_of,
    params_of,
    spoil,
)
from marketdata_assets_tests.small_market import CODES, SmallMarket, many_codes
from marketdata_sandbox import faults
from marketdata_sandbox.faults import Fault
from marketdata_sandbox.server import TushareServer


@pytest.mark.parametrize(
    "table", [DAILY_KLINE, DAILY_BASIC, ADJ_FACTOR, SUSPENSIONS], ids=lambda table: table.name
)
def test_a_day_beyond_the_cap_is_asked_again_by_codes_and_complete(
    state: Path, huge_market: SmallMarket, table: Table
) -> None:
    with serving(huge_market) as server, tushare_at(server, state) as tushare:
        day = tushare.day(table, DAY)
        assert sorted(day["ts_code"].to_pylist()) == sorted(huge_market.codes)
        assert day.schema == table.schema
        whole, *parts = params_of(server, table.tushare.call)
    assert "ts_code" not in whole
    assert len(parts) > 1
    assert all(part["trade_date"] == "20250403" for part in parts)


def test_the_codes_are_asked_for_once_for_many_days(state: Path, huge_market: SmallMarket) -> None:
    with serving(huge_market) as server, tushare_at(server, state) as tushare:
        tushare.day(DAILY_KLINE, DAY)
        stock_calls = len(params_of(server, "stock_basic"))
        tushare.day(DAILY_KLINE, DAY_BEFORE)
        assert len(params_of(server, "stock_basic")) == stock_calls


def test_a_code_that_no_list_has_is_not_lost_in_a_cut_answer(
    state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    market = SmallMarket(many_codes(HUGE), unlisted=["430047.BJ"])
    with serving(market) as server, tushare_at(server, state) as tushare:
        day = tushare.day(DAILY_KLINE, DAY)
    assert day.num_rows == HUGE + 1
    assert "430047.BJ" in day["ts_code"].to_pylist()
    assert "No list has 1 of them (430047.BJ" in caplog.text


def test_codes_lost_by_asking_in_parts_are_named(state: Path, huge_market: SmallMarket) -> None:
    def as_it_is(answer: dict[str, Any]) -> None:
        pass

    def without_a_row(answer: dict[str, Any]) -> None:
        data_of(answer)[1].clear()

    with serving(huge_market) as server, tushare_at(server, state) as tushare:
        server.faults["daily"] = deque([faults.edited(as_it_is), faults.edited(without_a_row)])
        with pytest.raises(Truncated, match=r"1000 code\(s\) got lost.*600003\.SH"):
            tushare.day(DAILY_KLINE, DAY)


def test_a_share_that_is_told_under_its_former_code_is_not_lost(state: Path) -> None:
    change = CODE_CHANGES[0]
    market = SmallMarket([*many_codes(HUGE), change.new], unlisted=[change.old])
    with serving(market) as server, tushare_at(server, state) as tushare:
        assert {change.old, change.new} <= set(tushare.day(DAILY_KLINE, DAY)["ts_code"].to_pylist())


def test_a_part_that_is_cut_as_well_is_refused(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    source = dataclasses.replace(DAILY_KLINE.tushare, row_cap=len(CODES))
    with pytest.raises(Truncated):
        tushare.day(dataclasses.replace(DAILY_KLINE, source=source), DAY)


def test_the_vendors_word_that_there_is_more_is_believed(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    def cut(answer: dict[str, Any]) -> None:
        data_of(answer)[1].pop()
        answer["data"]["has_more"] = True

    spoil(server, "daily", faults.edited(cut), times=1)
    assert sorted(tushare.day(DAILY_KLINE, DAY)["ts_code"].to_pylist()) == sorted(CODES)


def test_a_cut_answer_without_codes_is_a_missing_column(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    def cut(answer: dict[str, Any]) -> None:
        answer["data"]["fields"][0] = "code"
        answer["data"]["has_more"] = True

    spoil(server, "daily", faults.edited(cut), times=1)
    with pytest.raises(MissingColumn, match="ts_code"):
        tushare.day(DAILY_KLINE, DAY)


def test_price_limits_beyond_the_cap_come_in_pages(state: Path) -> None:
    market = SmallMarket(many_codes(8_100))
    with serving(market) as server, tushare_at(server, state) as tushare:
        assert tushare.day(PRICE_LIMITS, DAY)["ts_code"].to_pylist() == market.codes
        pages = [(page["limit"], page["offset"]) for page in params_of(server, "stk_limit")]
    assert pages == [(7_800, 0), (7_800, 7_800)]


def _paged(size: int) -> Table:
    source = dataclasses.replace(PRICE_LIMITS.tushare, page_size=size)
    return dataclasses.replace(PRICE_LIMITS, source=source)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_no_page_size_loses_or_doubles_a_row(tushare: WakefulTushare, size: int) -> None:
    assert tushare.day(_paged(size), DAY)["ts_code"].to_pylist() == list(CODES)


def test_a_page_shorter_than_asked_for_is_not_the_end_when_there_is_more(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    def lower_cap(answer: dict[str, Any]) -> None:
        del data_of(answer)[1][1:]
        answer["data"]["has_more"] = True

    server.faults["stk_limit"] = deque([faults.edited(lower_cap)] * 2)
    assert tushare.day(PRICE_LIMITS, DAY)["ts_code"].to_pylist() == list(CODES)


def test_pages_with_their_columns_in_different_order_are_not_mixed_up(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    def limits(*order: str) -> Fault:
        def edit(answer: dict[str, Any]) -> None:
            values = {"up_limit": 11.0, "down_limit": 9.0}
            fields, items = data_of(answer)
            for row in items:
                row[2:] = [values[name] for name in order]
            fields[2:] = order

        return faults.edited(edit)

    pages = [limits("up_limit", "down_limit"), limits("down_limit", "up_limit")]
    server.faults["stk_limit"] = deque(pages)
    day = tushare.day(_paged(2), DAY)
    assert day["up_limit"].to_pylist() == [11.0, 11.0, 11.0]
    assert day["down_limit"].to_pylist() == [9.0, 9.0, 9.0]


def test_a_vendor_that_ignores_the_offset_does_not_keep_us_for_ever(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    def same_page(answer: dict[str, Any]) -> None:
        answer["data"]["items"] = [[f"{DAY:%Y%m%d}", code, 11.0, 9.0] for code in CODES]
        answer["data"]["has_more"] = True

    spoil(server, "stk_limit", faults.edited(same_page), times=100)
    with pytest.raises(TushareError):
        tushare.day(PRICE_LIMITS, DAY)
    assert len(server.requests) < 100
