"""Funds as the vendor answers them: lists by status, bars beyond the cap, values told twice."""

import datetime as dt
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets.resources.tushare_errors import BadValue, NotPublishedYet, Truncated
from marketdata_assets.resources.tushare_navs import nav_dates, one_row_each
from marketdata_assets.tables import ETF_KLINE, ETF_NAV, FUND_NAV
from marketdata_assets.trading_calendar import FIRST_SESSION, is_session, sessions_between
from marketdata_assets_tests.resources.serving import DAY, WakefulTushare, serving, tushare_at
from marketdata_assets_tests.resources.spoiling import column_set, data_of, params_of, spoil
from marketdata_assets_tests.small_funds import DOMESTIC, ENDED, FUNDS, SmallFunds, value
from marketdata_sandbox import faults
from marketdata_sandbox.server import TushareServer

SATURDAY = dt.date(2025, 4, 5)
SESSIONS = sessions_between(dt.date(2005, 1, 5), dt.date(2026, 11, 20))


@pytest.fixture
def market() -> SmallFunds:
    return SmallFunds()


@pytest.fixture
def tushare(server: TushareServer, state: Path) -> Iterator[WakefulTushare]:
    with tushare_at(server, state) as tushare:
        yield tushare


def test_listed_and_ended_funds_are_asked_for_and_those_being_issued_are_not(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    assert set(tushare.fund_basic()["ts_code"].to_pylist()) == {*FUNDS, ENDED}
    asked = [(params["market"], params["status"]) for params in params_of(server, "fund_basic")]
    assert asked == [("E", "L"), ("E", "D")]


def test_a_cut_list_of_funds_is_refused(server: TushareServer, tushare: WakefulTushare) -> None:
    more = faults.edited(lambda answer: answer["data"].update(has_more=True))
    server.faults["fund_basic"] = deque([more])
    with pytest.raises(Truncated, match="more to come"):
        tushare.fund_basic()


def test_bars_beyond_the_cap_are_asked_again_by_the_codes_of_funds(state: Path) -> None:
    codes = [f"{510_000 + n}.SH" for n in range(2_300)]
    with serving(SmallFunds(codes)) as server, tushare_at(server, state) as tushare:
        assert sorted(tushare.day(ETF_KLINE, DAY)["ts_code"].to_pylist()) == codes
        whole, *parts = params_of(server, "fund_daily")
        assert params_of(server, "stock_basic") == []
    assert "ts_code" not in whole
    assert len(parts) == 3


def test_a_fund_that_no_list_has_is_not_lost_in_a_cut_answer(state: Path) -> None:
    class Unlisted(SmallFunds):
        def traded_on(self, day: dt.date) -> list[str]:
            return ["562999.SH", *self.funds]

    codes = [f"{510_000 + n}.SH" for n in range(2_300)]
    with serving(Unlisted(codes)) as server, tushare_at(server, state) as tushare:
        assert "562999.SH" in tushare.day(ETF_KLINE, DAY)["ts_code"].to_pylist()


def test_a_cut_answer_of_values_is_followed_to_its_end(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    def cut(answer: dict[str, Any]) -> None:
        del data_of(answer)[1][2:]
        answer["data"]["has_more"] = True

    server.faults["fund_nav"] = deque([faults.edited(cut)])
    assert sorted(tushare.fund_nav(DAY)["ts_code"].to_pylist()) == sorted(FUNDS)
    assert [params["offset"] for params in params_of(server, "fund_nav")] == [0, 2]


def test_a_saturday_without_values_is_empty_and_a_session_without_is_not_there_yet(
    market: SmallFunds, tushare: WakefulTushare
) -> None:
    assert tushare.fund_nav(SATURDAY).num_rows == 0
    market.late = {DAY: set(FUNDS)}
    with pytest.raises(NotPublishedYet, match="no value of 2025-04-03"):
        tushare.day(ETF_NAV, DAY)


@pytest.mark.parametrize("name", ["unit_nav", "accum_nav", "adj_nav", "ann_date"])
def test_of_all_values_of_a_day_the_unit_nav_alone_has_to_be_there(
    server: TushareServer, tushare: WakefulTushare, name: str
) -> None:
    def emptied(answer: dict[str, Any]) -> None:
        at = answer["data"]["fields"].index(name)
        answer["data"]["items"] = [
            [None if n == at else value for n, value in enumerate(row)]
            for row in answer["data"]["items"]
        ]

    server.faults["fund_nav"] = deque([faults.edited(emptied)])
    if name == "unit_nav":
        with pytest.raises(BadValue, match="unit_nav is NULL on all"):
            tushare.fund_nav(DAY)
    else:
        navs = tushare.fund_nav(DAY)
        assert navs[name].null_count == navs.num_rows == len(FUNDS)


def test_of_rows_told_twice_the_newest_is_kept(market: SmallFunds, tushare: WakefulTushare) -> None:
    market.more_navs = [(DOMESTIC, "20250403", "20250403", 1.5, "1")]
    navs = {row["ts_code"]: row["unit_nav"] for row in tushare.day(ETF_NAV, DAY).to_pylist()}
    assert navs == {code: 1.5 if code == DOMESTIC else value(code, DAY) for code in FUNDS}


def test_a_fund_whose_rows_contradict_each_other_has_no_value_and_the_others_have(
    market: SmallFunds, tushare: WakefulTushare, caplog: pytest.LogCaptureFixture
) -> None:
    market.more_navs = [(DOMESTIC, "20250403", "20250403", 1.5, "0")]
    navs = {row["ts_code"]: row["unit_nav"] for row in tushare.day(ETF_NAV, DAY).to_pylist()}
    assert navs == {code: None if code == DOMESTIC else value(code, DAY) for code in FUNDS}
    what = f"{DOMESTIC} has equally new rows that differ in unit_nav: 1.5 and 2"
    assert f"fund_nav 20250403: {what}" in caplog.text


def test_funds_whose_status_is_not_told_have_the_one_asked_for(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    spoil(server, "fund_basic", column_set("status", None))
    told = {row["ts_code"]: row["status"] for row in tushare.fund_basic().to_pylist()}
    assert told == {**dict.fromkeys(FUNDS, "L"), ENDED: "D"}


def nav(
    unit_nav: float | None,
    announced: int | None,
    flag: str | None,
    adj: float | None = None,
    accum: float | None = None,
):
    day = None if announced is None else dt.date(2025, 4, announced)
    row = ("A", DAY, day, unit_nav, accum, adj, flag)
    return dict(zip(FUND_NAV.column_names, row, strict=True))


def kept(*rows):
    return one_row_each(pa.Table.from_pylist(list(rows), schema=FUND_NAV.schema), {}).to_pylist()


@pytest.mark.parametrize(
    ("rows", "unit_nav"),
    [
        ([nav(1.0, 3, "0"), nav(1.1, 4, "0")], 1.1),
        ([nav(1.1, 3, "1"), nav(1.0, 3, "0")], 1.1),
        ([nav(1.0, 3, None), nav(1.1, 3, "0")], 1.1),
        ([nav(1.0, None, "0"), nav(1.1, 3, "0")], 1.1),
        ([nav(1.0, 3, "0"), nav(1.0, 3, "0")], 1.0),
        ([nav(1.0, 3, "0"), nav(1.1, 3, "1"), nav(1.2, 4, "1")], 1.2),
    ],
)
def test_newer_is_what_is_amended_or_announced_later(rows, unit_nav: float) -> None:
    for order in (rows, rows[::-1]):
        assert [row["unit_nav"] for row in kept(*order)] == [unit_nav]


def test_equally_new_rows_complete_each_other() -> None:
    [row] = kept(nav(1.0, 3, "0", adj=None), nav(None, 3, "0", adj=2.0))
    assert (row["unit_nav"], row["adj_nav"]) == (1.0, 2.0)


def test_amended_before_it_was_announced_is_nothing_to_choose_between(
    caplog: pytest.LogCaptureFixture,
) -> None:
    [row] = kept(nav(1.0, 3, "1"), nav(1.1, 4, "0"), nav(0.9, 3, "0"))
    assert row["unit_nav"] is None
    what = "A has rows, one amended and another announced later, that differ in unit_nav: 1.0 and"
    assert what in caplog.text


def test_rows_that_agree_are_one_whichever_is_newer() -> None:
    amended, later = nav(1.0, 3, "1", adj=2.0, accum=3.0), nav(1.0, 4, "0", adj=2.0, accum=3.0)
    for rows in ([amended, later], [later, amended]):
        assert kept(*rows) == [amended]


@pytest.mark.parametrize("other", [("0", 3), ("1", 2)])
@pytest.mark.parametrize("name", ["unit_nav", "accum_nav", "adj_nav"])
def test_a_contradiction_leaves_that_column_unknown(name: str, other: tuple[str, int]) -> None:
    flag, announced = other
    one = nav(1.0, 3, "0", adj=2.0, accum=3.0)
    differs = nav(1.0, announced, flag, adj=2.0, accum=3.0) | {name: 2.5}
    for rows in ([one, differs], [differs, one]):
        [row] = kept(*rows)
        assert row[name] is None
        told = {"unit_nav": 1.0, "adj_nav": 2.0, "accum_nav": 3.0}
        assert {other: row[other] for other in told if other != name} == {
            other: value for other, value in told.items() if other != name
        }


def test_what_an_older_row_says_is_no_contradiction() -> None:
    [row] = kept(nav(1.0, 3, "0", adj=2.0), nav(1.0, 4, "0", adj=2.5), nav(9.0, 3, "0", adj=9.0))
    assert (row["unit_nav"], row["adj_nav"]) == (1.0, 2.5)


@given(st.sampled_from(range(1, len(SESSIONS))))
def test_every_calendar_day_belongs_to_one_session(number: int) -> None:
    days, before = nav_dates(SESSIONS[number]), nav_dates(SESSIONS[number - 1])
    assert days[-1] == SESSIONS[number]
    assert not any(is_session(day) for day in days[:-1])
    assert days[0] == before[-1] + dt.timedelta(1)
    assert days[0] > FIRST_SESSION
