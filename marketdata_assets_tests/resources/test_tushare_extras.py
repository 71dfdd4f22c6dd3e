"""Calls that want a day otherwise: by one code at a time, as last told, by another date."""

import datetime as dt
import logging
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from marketdata_assets.resources.tushare_errors import BadValue, NotPublishedYet, Truncated
from marketdata_assets.tables.extras import (
    BLOCK_TRADES,
    DIVIDENDS,
    FUND_SHARE,
    LIMIT_LIST,
    MARGIN_DETAIL,
)
from marketdata_assets.tables.indices import (
    FIRST_PUBLISHED,
    INDEX_DAILY,
    INDEX_WEIGHT,
    WITH_WEIGHTS,
)
from marketdata_assets_tests.resources.serving import (
    DAY,
    DAY_BEFORE,
    WakefulTushare,
    serving,
    tushare_at,
)
from marketdata_assets_tests.resources.spoiling import column_set, data_of, params_of, spoil
from marketdata_assets_tests.small_funds import FUNDS, SmallFunds
from marketdata_assets_tests.small_market import CODES, SmallMarket, many_codes
from marketdata_sandbox import faults
from marketdata_sandbox.faults import Fault
from marketdata_sandbox.server import TushareServer

MONTH_END = dt.date(2025, 3, 31)
AS_ASKED = faults.edited(lambda answer: None)


def without_rows() -> Fault:
    def empty(answer: dict[str, Any]) -> None:
        answer["data"]["items"] = []

    return faults.edited(empty)


def cut() -> Fault:
    def more(answer: dict[str, Any]) -> None:
        answer["data"]["has_more"] = True

    return faults.edited(more)


@pytest.fixture
def funds(state: Path) -> Iterator[tuple[TushareServer, WakefulTushare]]:
    with serving(SmallFunds()) as server, tushare_at(server, state) as tushare:
        yield server, tushare


def test_every_index_is_asked_for_by_itself(server: TushareServer, tushare: WakefulTushare) -> None:
    bars = tushare.day(INDEX_DAILY, DAY)
    assert bars["ts_code"].to_pylist() == list(FIRST_PUBLISHED)
    asked = [(one["ts_code"], one["trade_date"]) for one in params_of(server, "index_daily")]
    assert asked == [(code, f"{DAY:%Y%m%d}") for code in FIRST_PUBLISHED]


def test_an_index_is_asked_for_from_when_it_was_published(tushare: WakefulTushare) -> None:
    bars = tushare.day(INDEX_DAILY, dt.date(2010, 1, 4))
    assert bars["ts_code"].to_pylist() == list(FIRST_PUBLISHED)[:5]


def test_several_codes_in_one_call_have_no_rows_and_no_error(tushare: WakefulTushare) -> None:
    codes = "000001.SH,399001.SZ"
    with closing(tushare.client()) as client:
        answer = client.index_daily(ts_code=codes, trade_date=f"{DAY:%Y%m%d}")
    assert answer.items == []


def test_an_index_without_a_row_is_named_and_the_others_come(
    server: TushareServer, tushare: WakefulTushare, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults["index_daily"] = deque([AS_ASKED, without_rows()])
    with caplog.at_level(logging.WARNING):
        bars = tushare.day(INDEX_DAILY, DAY)
    first, silent, *others = FIRST_PUBLISHED
    assert bars["ts_code"].to_pylist() == [first, *others]
    assert f"index_daily {DAY}: there is no row of ts_code {silent}." in caplog.text


def test_a_value_of_an_index_that_can_not_be_read_costs_the_others_nothing(
    server: TushareServer, tushare: WakefulTushare, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is asked for by itself, so that its row is the only one of its answer."""
    server.faults["index_daily"] = deque([AS_ASKED, column_set("pct_chg", "--")])
    changes = tushare.day(INDEX_DAILY, DAY)["pct_chg"]
    assert (len(changes), changes.null_count) == (len(FIRST_PUBLISHED), 1)
    assert "pct_chg can't be read on 1 of 1 rows" in caplog.text
    spoil(server, "index_daily", column_set("pct_chg", "--"))
    with pytest.raises(BadValue, match="pct_chg is NULL on all"):
        tushare.day(INDEX_DAILY, DAY)


def test_no_index_at_all_is_a_day_that_is_not_out(
    server: TushareServer, tushare: WakefulTushare, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(server, "index_daily", without_rows())
    with pytest.raises(NotPublishedYet, match=f"no row for index_daily on {DAY}"):
        tushare.day(INDEX_DAILY, DAY)
    assert "there is no row of" not in caplog.text


def test_rows_of_another_index_are_refused(server: TushareServer, tushare: WakefulTushare) -> None:
    spoil(server, "index_daily", column_set("ts_code", "000016.SH"))
    with pytest.raises(BadValue, match=r"asked for ts_code 000001\.SH, got 000016\.SH"):
        tushare.day(INDEX_DAILY, DAY)


def test_a_part_that_is_cut_is_refused(server: TushareServer, tushare: WakefulTushare) -> None:
    spoil(server, "index_daily", cut())
    with pytest.raises(Truncated, match="cut even for this part"):
        tushare.day(INDEX_DAILY, DAY)


def test_weights_are_those_told_last(server: TushareServer, tushare: WakefulTushare) -> None:
    for day, told_on in {DAY: MONTH_END, MONTH_END - dt.timedelta(3): dt.date(2025, 2, 28)}.items():
        weights = tushare.day(INDEX_WEIGHT, day)
        assert weights.num_rows == len(WITH_WEIGHTS) * len(CODES)
        assert set(weights["trade_date"].to_pylist()) == {day}
        assert set(weights["weight_date"].to_pylist()) == {told_on}
        assert set(weights["index_code"].to_pylist()) == set(WITH_WEIGHTS)
        assert set(weights["ts_code"].to_pylist()) == set(CODES)
    asked = params_of(server, "index_weight")[0]
    assert asked == {"index_code": "000016.SH", "start_date": "20250201", "end_date": "20250403"}


def test_weights_that_are_cut_are_taken_where_the_last_day_is_whole(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    # Of February and of March: what is cut are the oldest rows.
    spoil(server, "index_weight", cut())
    assert tushare.day(INDEX_WEIGHT, DAY).num_rows == len(WITH_WEIGHTS) * len(CODES)

    def within_march(answer: dict[str, Any]) -> None:
        answer["data"] |= {"items": answer["data"]["items"][:2], "has_more": True}

    spoil(server, "index_weight", faults.edited(within_march))
    with pytest.raises(Truncated):
        tushare.day(INDEX_WEIGHT, DAY)


def test_weights_of_a_day_to_come_are_refused(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    spoil(server, "index_weight", column_set("trade_date", "20250430"))
    with pytest.raises(BadValue, match="got rows from 20250228 to 20250430"):
        tushare.day(INDEX_WEIGHT, DAY)


def test_a_few_weights_of_no_day_cost_the_others_nothing(
    state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    market = SmallMarket(many_codes(60))
    with serving(market) as server, tushare_at(server, state) as tushare:
        weights = tushare.day(INDEX_WEIGHT, DAY)
        spoil(server, "index_weight", column_set("trade_date", None), times=1)
        assert tushare.day(INDEX_WEIGHT, DAY).equals(weights.slice(1))
    assert "rows have no ts_code or no weight_date" in caplog.text


def test_dividends_are_asked_for_by_the_day_they_leave_the_price(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    paid = tushare.day(DIVIDENDS, DAY)
    assert set(paid["trade_date"].to_pylist()) == {DAY}
    # Nobody gives new shares on that day, so no day on which they trade.
    assert paid["div_listdate"].null_count == paid.num_rows
    assert params_of(server, "dividend") == [{"ex_date": f"{DAY:%Y%m%d}"}]
    spoil(server, "dividend", column_set("ex_date", f"{DAY_BEFORE:%Y%m%d}"))
    with pytest.raises(NotPublishedYet, match=str(DAY_BEFORE)):
        tushare.day(DIVIDENDS, DAY)


def test_a_day_on_which_nothing_is_paid_is_an_empty_typed_table(state: Path) -> None:
    with serving(SmallMarket(quiet=[DAY])) as server, tushare_at(server, state) as tushare:
        assert tushare.day(DIVIDENDS, DAY).equals(DIVIDENDS.schema.empty_table())


def test_trades_that_are_alike_are_so_many_in_whatever_order_they_come(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    def other_trades(answer: dict[str, Any]) -> None:
        fields, items = data_of(answer)
        smaller = list(items[0])
        smaller[fields.index("vol")] = 10.0
        items.insert(1, smaller)

    def backwards(answer: dict[str, Any]) -> None:
        other_trades(answer)
        answer["data"]["items"].reverse()

    server.faults["block_trade"] = deque([faults.edited(other_trades), faults.edited(backwards)])
    trades, again = (tushare.day(BLOCK_TRADES, DAY_BEFORE) for _ in range(2))
    assert trades["vol"].to_pylist() == [10.0, 50.0, 50.0]
    assert trades["number"].to_pylist() == [1, 2, 3]
    assert again.equals(trades)


def test_a_column_of_ours_keeps_no_fault_from_being_told(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    def short(answer: dict[str, Any]) -> None:
        del answer["data"]["items"][0][1:]

    spoil(server, "block_trade", faults.edited(short))
    with pytest.raises(BadValue, match="does not have the"):
        tushare.day(BLOCK_TRADES, DAY_BEFORE)


def test_the_two_exchanges_are_asked_for_one_by_one(
    funds: tuple[TushareServer, WakefulTushare], caplog: pytest.LogCaptureFixture
) -> None:
    server, tushare = funds
    shares = tushare.day(FUND_SHARE, DAY_BEFORE)
    assert sorted(shares["ts_code"].to_pylist()) == sorted(FUNDS)
    assert [one["market"] for one in params_of(server, "fund_share")] == ["SH", "SZ"]
    server.faults["fund_share"] = deque([without_rows()])
    with caplog.at_level(logging.WARNING):
        tushare.day(FUND_SHARE, DAY_BEFORE)
    assert "there is no row of market SH." in caplog.text


def test_names_of_the_vendor_are_ours_in_the_table(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    def at_the_limit(answer: dict[str, Any]) -> None:
        fields, items = data_of(answer)
        assert "limit" in fields
        items[:] = [[1.0] * len(fields)]
        told = {"ts_code": CODES[0], "trade_date": f"{DAY:%Y%m%d}", "limit": "U", "pct_chg": 10.0}
        told |= dict.fromkeys(("name", "industry", "first_time", "last_time", "up_stat"), "x")
        for name, value in told.items():
            items[0][fields.index(name)] = value

    spoil(server, "limit_list_d", faults.edited(at_the_limit))
    assert tushare.day(LIMIT_LIST, DAY)["limit_type"].to_pylist() == ["U"]


def test_only_what_may_be_absent_may_be_absent_on_every_row(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    assert tushare.day(MARGIN_DETAIL, DAY_BEFORE)["name"].null_count == len(CODES)
    spoil(server, "margin_detail", column_set("rzye", *[None] * len(CODES)))
    with pytest.raises(BadValue, match="rzye is NULL on all"):
        tushare.day(MARGIN_DETAIL, DAY_BEFORE)
