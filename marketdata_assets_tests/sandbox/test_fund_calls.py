"""The vendor's calls about funds, as the sandbox answers them."""

import datetime as dt
import itertools
import json
from typing import Any

import pytest

from marketdata_assets.instruments import FUND_KINDS, Kind, identify
from marketdata_assets.trading_calendar import SHANGHAI
from marketdata_assets_tests.small_funds import ABROAD, BEING_ISSUED, ENDED, FUNDS, SmallFunds
from marketdata_assets_tests.small_market import SmallMarket
from marketdata_assets_tests.test_instruments import CODES
from marketdata_sandbox.market.exchange import SimulatedExchange
from marketdata_sandbox.protocol import TushareProtocol

THURSDAY, FRIDAY, MONDAY = "20250410", "20250411", "20250414"


def at(exchange, moment: str) -> TushareProtocol:
    now = dt.datetime.fromisoformat(moment).replace(tzinfo=SHANGHAI)
    return TushareProtocol(exchange, now=lambda: now)


def ask(protocol: TushareProtocol, call: str, **params: object):
    body = {"api_name": call, "token": "x", "params": params, "fields": ""}
    return json.loads(protocol.answer(json.dumps(body).encode()))


def rows(protocol: TushareProtocol, call: str, **params: object) -> list[dict[str, Any]]:
    answer = ask(protocol, call, **params)
    assert answer["code"] == 0, answer
    fields = answer["data"]["fields"]
    return [dict(zip(fields, row, strict=True)) for row in answer["data"]["items"]]


def test_funds_are_told_by_status_and_market() -> None:
    protocol = TushareProtocol(SmallFunds())
    codes = {row["ts_code"]: row["status"] for row in rows(protocol, "fund_basic", market="E")}
    assert codes == {**dict.fromkeys(FUNDS, "L"), ENDED: "D", BEING_ISSUED: "I"}
    listed = rows(protocol, "fund_basic", market="E", status="L")
    assert {row["ts_code"] for row in listed} == set(FUNDS)
    assert rows(protocol, "fund_basic", market="O") == []


def test_a_market_without_funds_does_not_open_their_calls() -> None:
    for call in ("fund_basic", "fund_daily", "fund_nav"):
        answer = ask(TushareProtocol(SmallMarket()), call, trade_date=THURSDAY)
        assert answer["code"] == 40203
        assert f"没有接口({call})访问权限" in answer["msg"]


def test_values_are_out_in_the_evening_and_those_from_abroad_the_next_trading_morning(
    exchange: SimulatedExchange,
) -> None:
    def out(moment: str) -> set[object]:
        found = rows(at(exchange, moment), "fund_nav", nav_date=FRIDAY, market="E")
        return {row["ts_code"] for row in found}

    assert out("2025-04-11 19:59") == set()
    evening, morning = out("2025-04-11 20:00"), out("2025-04-14 08:00")
    assert "510300.SH" in evening
    assert ABROAD not in evening
    assert ABROAD in morning
    assert evening == out("2025-04-14 07:59") < morning
    assert 20 < len(morning - evening) < 300


def test_a_day_has_more_bars_than_one_answer_and_more_can_be_asked_for(
    exchange: SimulatedExchange,
) -> None:
    protocol = at(exchange, "2026-11-20 20:00")
    answer = ask(protocol, "fund_daily", trade_date="20261119")
    assert len(answer["data"]["items"]) == 2_000
    assert answer["data"]["has_more"]
    codes = "510300.SH,513100.SH"
    part = rows(protocol, "fund_daily", trade_date="20261119", ts_code=codes)
    assert {row["ts_code"] for row in part} == {"510300.SH", "513100.SH"}


def test_half_years_end_with_values_whether_they_trade_or_not(exchange: SimulatedExchange) -> None:
    protocol = at(exchange, "2025-04-11 20:00")
    assert rows(protocol, "fund_nav", nav_date="20231230") == []
    year_end = rows(protocol, "fund_nav", nav_date="20231231")
    assert {row["ann_date"] for row in year_end} == {"20240102"}
    assert len(year_end) > 1_000


def test_the_values_of_one_fund_come_newest_first(exchange: SimulatedExchange) -> None:
    span = {"ts_code": ABROAD, "start_date": "20250401", "end_date": FRIDAY}
    found = rows(at(exchange, "2025-04-11 20:00"), "fund_nav", **span)
    days = [row["nav_date"] for row in found]
    assert days[0] == THURSDAY
    assert days == sorted(days, reverse=True)
    assert {row["ts_code"] for row in found} == {ABROAD}
    assert ask(at(exchange, "2025-04-11 20:00"), "fund_nav", ts_code=ABROAD)["code"] == 50101


def test_funds_that_people_know_are_among_the_simulated_ones(exchange: SimulatedExchange) -> None:
    known = {row["ts_code"]: row for row in rows(at(exchange, "2025-04-11 20:00"), "fund_basic")}
    # One has ended, two have numbers that were used twice.
    others = {"150018.SZ", "1500011.SZ", "5020561.SH"}
    funds = {code for code, kind, *_ in CODES if kind is Kind.CHINA_ETF} - others
    assert funds <= set(known)
    assert len(known) == len(set(known)) > 1_500
    assert known[ABROAD]["invest_type"] == "QDII"
    assert known["511990.SH"]["fund_type"] == "货币市场型"
    for code in known:
        assert identify(code).kind in FUND_KINDS, code


def series(exchange: SimulatedExchange, code: str, first: str, last: str):
    """Closes and values of a fund by day, once all are out."""
    protocol = at(exchange, "2025-12-31 20:00")
    span = {"ts_code": code, "start_date": first, "end_date": last}
    closes = {row["trade_date"]: row["close"] for row in rows(protocol, "fund_daily", **span)}
    navs = {row["nav_date"]: row["unit_nav"] for row in rows(protocol, "fund_nav", **span)}
    return closes, navs


def test_before_a_split_trades_its_value_is_told_and_there_is_no_bar(
    exchange: SimulatedExchange,
) -> None:
    closes, navs = series(exchange, ABROAD, "20220112", "20220114")
    assert set(navs) == {"20220112", "20220113", "20220114"}
    assert set(closes) == {"20220112", "20220114"}
    assert navs["20220113"] / navs["20220112"] == pytest.approx(0.5, abs=0.03)
    assert closes["20220114"] / closes["20220112"] == pytest.approx(0.5, abs=0.06)


def test_premiums_are_small_at_home_and_large_and_lasting_abroad(
    exchange: SimulatedExchange,
) -> None:
    def premiums(code: str) -> list[float]:
        closes, navs = series(exchange, code, "20230103", "20230630")
        return [closes[day] / navs[day] - 1 for day in sorted(closes)]

    def sd(values: list[float]) -> float:
        mean = sum(values) / len(values)
        return (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5

    home, abroad = premiums("510300.SH"), premiums(ABROAD)
    assert 0.0012 < sd(home) < 0.0025
    assert 0.02 < sd(abroad) < 0.06
    mean = sum(abroad) / len(abroad)
    pairs = itertools.pairwise(abroad)
    lag = sum((a - mean) * (b - mean) for a, b in pairs) / (len(abroad) - 1) / sd(abroad) ** 2
    assert 0.7 < lag < 0.97


def test_a_money_market_fund_is_quoted_at_a_hundred_and_told_at_one(
    exchange: SimulatedExchange,
) -> None:
    closes, navs = series(exchange, "511990.SH", "20250401", "20250411")
    assert set(navs.values()) == {1.0}
    assert all(99 < close < 101 for close in closes.values())


def test_bars_lie_within_the_limits_of_the_day(exchange: SimulatedExchange) -> None:
    protocol = at(exchange, "2025-04-11 20:00")
    bars = rows(protocol, "fund_daily", trade_date=FRIDAY)
    limits: dict[str, Any] = {}
    for offset in (0, 4_000):
        page = rows(protocol, "stk_limit", trade_date=FRIDAY, limit=4_000, offset=offset)
        limits |= {row["ts_code"]: row for row in page}
    for bar in bars:
        limit = limits[bar["ts_code"]]
        assert limit["down_limit"] <= bar["low"] <= bar["high"] <= limit["up_limit"]
        assert bar["pre_close"] == limit["pre_close"]
