"""Factors and suspensions of the simulated exchange agree with its bars and its list of stocks."""

import datetime as dt
import json

import pandas as pd
import pytest

from marketdata_assets.trading_calendar import previous_session, sessions_between
from marketdata_assets_tests.sandbox.market.test_exchange import LATEST, every_day
from marketdata_sandbox.market.exchange import SimulatedExchange

PAYING_SEASON = sessions_between(dt.date(2023, 6, 12), dt.date(2023, 7, 14))
WIDELY_SUSPENDED = sessions_between(dt.date(2015, 7, 6), dt.date(2015, 7, 24))
GLITCH_DAYS = [dt.date(2024, 6, 25), dt.date(2024, 6, 26)]
TOLERANCE = 5e-4


def factors(exchange: SimulatedExchange, day: dt.date) -> pd.Series:
    return pd.DataFrame(exchange.adj_factor(day)).set_index("ts_code")["adj_factor"]


def bars(exchange: SimulatedExchange, day: dt.date) -> pd.DataFrame:
    return pd.DataFrame(exchange.daily(day)).set_index("ts_code")


def ratios(exchange: SimulatedExchange, day: dt.date) -> pd.DataFrame:
    """Growth of the factor and of the price gap, of the shares with bars on both sessions."""
    before = previous_session(day)
    return pd.DataFrame(
        {
            "factor": factors(exchange, day) / factors(exchange, before),
            "gap": bars(exchange, before)["close"] / bars(exchange, day)["pre_close"],
        }
    ).dropna()


def suspended(exchange: SimulatedExchange, day: dt.date) -> pd.DataFrame:
    return pd.DataFrame(exchange.suspend_d(day))


@every_day
def test_every_listed_share_has_one_factor(exchange: SimulatedExchange, day: dt.date) -> None:
    stocks, table = exchange.stock_basic(day), exchange.adj_factor(day)
    states = zip(stocks["ts_code"], stocks["list_status"], strict=True)
    assert table["ts_code"] == sorted(code for code, state in states if state != "D")
    assert set(table["trade_date"]) == {f"{day:%Y%m%d}"}
    assert all(factor >= 1 and factor == round(factor, 4) for factor in table["adj_factor"])
    json.dumps(table, allow_nan=False)


@pytest.mark.parametrize("days", [PAYING_SEASON, WIDELY_SUSPENDED], ids=["paying", "suspended"])
def test_a_factor_grows_by_the_gap_on_ex_dates_and_never_else(
    exchange: SimulatedExchange, days: list[dt.date]
) -> None:
    events = 0
    for day in days:
        both = ratios(exchange, day)
        goes_ex = both["gap"] != 1
        assert (both["factor"][~goes_ex] == 1).all(), day
        error = both["factor"] / both["gap"] - 1
        assert (error[goes_ex].abs() < TOLERANCE).all(), day
        events += goes_ex.sum()
    assert events > 200


def test_a_suspended_share_keeps_its_factor(exchange: SimulatedExchange) -> None:
    for day in WIDELY_SUSPENDED:
        before, now = factors(exchange, previous_session(day)), factors(exchange, day)
        silent = now.index.difference(bars(exchange, day).index).intersection(before.index)
        assert len(silent) > 100
        assert (now[silent] == before[silent]).all()


def test_a_new_share_starts_at_one(exchange: SimulatedExchange) -> None:
    opening = dt.date(2019, 7, 22)
    opened = factors(exchange, opening)
    star = opened[opened.index.str.startswith("688")]
    assert len(star) >= 20
    assert (star == 1).all()


def test_on_one_day_many_factors_move_without_a_gap_and_move_back(
    exchange: SimulatedExchange,
) -> None:
    moved = []
    for day in GLITCH_DAYS:
        both = ratios(exchange, day)
        error = both["factor"] / both["gap"] - 1
        moved.append(set(error.index[(error.abs() > TOLERANCE / 2)]))
        assert (both.loc[sorted(moved[-1]), "gap"] == 1).all()
    assert len(moved[0]) == 857
    assert moved[0] == moved[1]
    before, after = dt.date(2024, 6, 24), GLITCH_DAYS[1]
    codes = sorted(moved[0])
    assert (factors(exchange, before)[codes] == factors(exchange, after)[codes]).all()
    signs = factors(exchange, GLITCH_DAYS[0])[codes] > factors(exchange, before)[codes]
    assert 0.3 < signs.mean() < 0.7


@every_day
def test_a_listed_share_has_a_bar_or_is_suspended_for_the_whole_day(
    exchange: SimulatedExchange, day: dt.date
) -> None:
    rows = suspended(exchange, day)
    assert set(rows["trade_date"]) == {f"{day:%Y%m%d}"}
    assert not rows.duplicated().any()
    whole_day = rows[(rows["suspend_type"] == "S") & rows["suspend_timing"].isna()]["ts_code"]
    traded, listed = set(exchange.daily(day)["ts_code"]), set(exchange.adj_factor(day)["ts_code"])
    assert set(whole_day) == listed - traded
    assert len(whole_day) == len(set(whole_day))
    others = rows.drop(whole_day.index)
    assert set(others["ts_code"]) <= traded
    assert others["suspend_timing"][others["suspend_type"] == "R"].isna().all()
    json.dumps(exchange.suspend_d(day), allow_nan=False)


@every_day
def test_those_resume_who_were_suspended_on_the_session_before(
    exchange: SimulatedExchange, day: dt.date
) -> None:
    rows = suspended(exchange, day)
    resumed = set(rows["ts_code"][rows["suspend_type"] == "R"])
    if day == dt.date(2005, 1, 4):
        assert resumed == set()
        return
    earlier = suspended(exchange, previous_session(day))
    is_whole_day = (earlier["suspend_type"] == "S") & earlier["suspend_timing"].isna()
    assert resumed == set(earlier["ts_code"][is_whole_day]) & set(exchange.daily(day)["ts_code"])


def test_a_share_can_be_halted_twice_within_a_day(exchange: SimulatedExchange) -> None:
    days = sessions_between(dt.date(2024, 1, 1), dt.date(2024, 6, 30))
    rows = pd.concat(suspended(exchange, day) for day in days)
    halts = rows[rows["suspend_timing"].notna()]
    assert set(halts["suspend_type"]) == {"S"}
    assert halts.duplicated(["ts_code", "trade_date"]).sum() > 10
    assert not halts.duplicated().any()
    assert 1 < len(halts) / len(days) < 4


def test_factors_and_suspensions_do_not_depend_on_the_object(exchange: SimulatedExchange) -> None:
    fresh = SimulatedExchange()
    for day in (LATEST, GLITCH_DAYS[0], dt.date(2005, 1, 4)):
        assert fresh.suspend_d(day) == exchange.suspend_d(day)
        assert fresh.adj_factor(day) == exchange.adj_factor(day)
