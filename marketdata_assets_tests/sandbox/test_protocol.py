import datetime as dt
import json
import urllib.request
import weakref
from typing import Any

import pytest

from marketdata_assets.trading_calendar import SHANGHAI
from marketdata_assets_tests.small_market import CODES, SmallMarket, many_codes
from marketdata_sandbox.columns import Columns
from marketdata_sandbox.market.exchange import SimulatedExchange
from marketdata_sandbox.protocol import DAYS_HELD, TushareProtocol
from marketdata_sandbox.server import TushareServer

DAY = dt.date(2025, 4, 3)


def at(hour: int, day: dt.date = DAY) -> TushareProtocol:
    """The protocol over the small market, when it is `hour` o'clock on `day`."""
    moment = dt.datetime.combine(day, dt.time(hour), SHANGHAI)
    return TushareProtocol(SmallMarket(), now=lambda: moment)


def ask(protocol: TushareProtocol, call: str, fields: str = "", **params: object):
    body = {"api_name": call, "token": "x", "params": params, "fields": fields}
    return json.loads(protocol.answer(json.dumps(body).encode()))


def rows(answer) -> list[list[Any]]:
    assert answer["code"] == 0, answer
    return answer["data"]["items"]


def test_an_answer_has_the_vendors_shape() -> None:
    answer = ask(at(20), "daily", "ts_code,close", trade_date="20250403")
    assert set(answer) == {"request_id", "code", "msg", "data"}
    assert set(answer["data"]) == {"fields", "items", "has_more", "count"}
    assert answer["data"]["fields"] == ["ts_code", "close"]
    assert [row[0] for row in answer["data"]["items"]] == list(CODES)


@pytest.mark.parametrize(
    ("call", "before", "after"),
    [
        ("stk_limit", 8, 9),
        ("adj_factor", 9, 10),
        ("suspend_d", 9, 10),
        ("daily", 15, 16),
        ("daily_basic", 16, 17),
    ],
)
def test_a_day_is_empty_until_its_hour_of_publication(call: str, before: int, after: int) -> None:
    assert rows(ask(at(before), call, trade_date="20250403")) == []
    assert len(rows(ask(at(after), call, trade_date="20250403"))) == len(CODES)


def test_days_that_do_not_trade_or_lie_before_the_limits_are_empty() -> None:
    assert rows(ask(at(20), "daily", trade_date="20250404")) == []
    assert rows(ask(at(20), "stk_limit", trade_date="20061229")) == []
    assert len(rows(ask(at(20), "daily", trade_date="20061229"))) == len(CODES)


def test_the_newest_rows_of_a_share_come_first_and_the_cap_drops_the_oldest() -> None:
    span = {"ts_code": CODES[0], "start_date": "20050104", "end_date": "20250403"}
    answer = ask(at(20), "daily", "trade_date", **span)
    assert answer["data"]["items"][0] == ["20250403"]
    limited = ask(at(20), "daily", "trade_date", limit=2, **span)
    assert limited["data"]["items"] == answer["data"]["items"][:2]
    assert limited["data"]["has_more"]


def test_rows_at_the_cap_are_said_to_have_more() -> None:
    protocol = TushareProtocol(SmallMarket(many_codes(6_001)))
    answer = ask(protocol, "daily", "ts_code", trade_date="20250403")
    assert len(rows(answer)) == 6_000
    assert answer["data"]["has_more"]
    rest = ask(protocol, "daily", "ts_code", trade_date="20250403", offset=6_000)
    assert len(rows(rest)) == 1
    assert not rest["data"]["has_more"]


def test_suspensions_can_be_asked_for_by_range_and_type(exchange: SimulatedExchange) -> None:
    protocol = TushareProtocol(exchange)
    span = {"start_date": "20240624", "end_date": "20240626"}
    fields = "trade_date,ts_code,suspend_timing,suspend_type"
    every = rows(ask(protocol, "suspend_d", fields, **span))
    assert [row[0] for row in every] == sorted((row[0] for row in every), reverse=True)
    assert {row[0] for row in every} == {"20240624", "20240625", "20240626"}
    for kind in ("S", "R"):
        asked = rows(ask(protocol, "suspend_d", fields, suspend_type=kind, **span))
        assert asked == [row for row in every if row[3] == kind] != []
    [code] = {row[1] for row in every[:1]}
    own = rows(ask(protocol, "suspend_d", fields, ts_code=code, **span))
    assert own == [row for row in every if row[1] == code]


def test_ranges_of_the_whole_market_come_newest_first_and_the_cap_drops_the_oldest() -> None:
    span = {"start_date": "20250401", "end_date": "20250403"}
    every = rows(ask(at(20), "adj_factor", "trade_date,ts_code", **span))
    days = [f"202504{day:02}" for day in (3, 2, 1)]
    assert every == [[day, code] for day in days for code in CODES]
    large = TushareProtocol(SmallMarket(many_codes(2_500)))
    answer = ask(large, "adj_factor", "trade_date", **span)
    assert len(rows(answer)) == 6_000
    assert answer["data"]["has_more"]
    oldest = [row for row in rows(answer) if row == [days[2]]]
    assert len(oldest) == 1_000
    rest = ask(large, "adj_factor", "trade_date", **span, offset=6_000)
    assert rows(rest) == [[days[2]]] * 1_500
    assert not rest["data"]["has_more"]


def test_factors_of_a_share_come_newest_first(exchange: SimulatedExchange) -> None:
    span = {"ts_code": "600001.SH", "start_date": "20050104", "end_date": "20050114"}
    answer = ask(TushareProtocol(exchange), "adj_factor", **span)
    assert answer["data"]["fields"] == ["ts_code", "trade_date", "adj_factor"]
    days = [row[1] for row in rows(answer)]
    assert days[0] == "20050114"
    assert days == sorted(days, reverse=True)


def test_the_stock_list_is_of_listed_shares_unless_asked_otherwise() -> None:
    listed = ask(at(20), "stock_basic")
    assert len(rows(listed)) == len(CODES)
    assert "delist_date" not in listed["data"]["fields"]
    both = ask(at(20), "stock_basic", "ts_code,list_status", list_status="L,D")
    assert {row[1] for row in rows(both)} == {"L", "D"}


def test_the_calendar_says_which_days_are_open() -> None:
    days = ask(at(20), "trade_cal", start_date="20241001", end_date="20241008")
    assert [row[2] for row in rows(days)] == [0] * 7 + [1]
    assert rows(days)[-1][0] == "SSE"
    assert {row[3] for row in rows(days)} == {"20240930"}


@pytest.mark.parametrize(
    ("call", "params", "code", "message"),
    [
        ("daily", {}, 50101, "必填参数"),
        ("index_daily", {"trade_date": "20250403"}, 50101, "必填参数, ts_code"),
        ("index_daily", {"ts_code": "000300.SH"}, 50101, "必填参数, trade_date"),
        ("fut_daily", {"trade_date": "20250403"}, 50101, "必填参数, ts_code"),
        ("opt_daily", {"trade_date": "20250403"}, 40203, "没有接口(opt_daily)访问权限"),
    ],
)
def test_what_the_vendor_refuses(call: str, params, code: int, message: str) -> None:
    answer = ask(at(20), call, **params)
    assert answer["code"] == code
    assert message in answer["msg"]
    assert answer["data"] is None


def test_another_token_is_refused() -> None:
    answer = ask(TushareProtocol(SmallMarket(), token="right"), "stock_basic")
    assert answer["code"] == 40101


def test_more_calls_of_one_name_than_allowed_are_refused_with_the_limit() -> None:
    protocol = TushareProtocol(SmallMarket(), calls_per_minute=2)
    codes = [ask(protocol, "stock_basic")["code"] for _ in range(3)]
    assert codes == [0, 0, 40203]
    assert "2次/分钟" in ask(protocol, "stock_basic")["msg"]
    assert ask(protocol, "trade_cal")["code"] == 0


def test_the_server_speaks_the_same_over_http_and_remembers_its_requests() -> None:
    with TushareServer(at(20)).running() as server:
        body = {"api_name": "daily", "token": "x", "params": {"trade_date": "20250403"}}
        request = urllib.request.Request(f"{server.url}/daily", json.dumps(body).encode())
        with urllib.request.urlopen(request) as response:
            assert len(rows(json.load(response))) == len(CODES)
        assert [(r.call, r.params) for r in server.requests] == [("daily", body["params"])]


def test_a_request_without_parameters_is_answered_as_one_with_none() -> None:
    with TushareServer(at(20)).running() as server:
        body = json.dumps({"api_name": "stock_basic", "token": "x"}).encode()
        with urllib.request.urlopen(urllib.request.Request(server.url, body)) as response:
            assert len(rows(json.load(response))) == len(CODES)


class Day(dict):
    """A day of the whole market that can be told to be still there."""

    __hash__ = object.__hash__  # type: ignore[assignment]


def test_years_of_one_share_hold_few_days_of_the_market_at_a_time() -> None:
    there: weakref.WeakSet[Day] = weakref.WeakSet()
    most = 0

    class Watched(SmallMarket):
        def daily(self, day: dt.date) -> Columns:
            nonlocal most
            made = Day(super().daily(day))
            there.add(made)
            most = max(most, len(there))
            return made

    moment = dt.datetime.combine(DAY, dt.time(20), SHANGHAI)
    protocol = TushareProtocol(Watched(), now=lambda: moment)
    asked = {"ts_code": CODES[0], "start_date": "20240403", "end_date": "20250403"}
    assert len(rows(ask(protocol, "daily", **asked))) == 242
    assert most <= DAYS_HELD + 1
