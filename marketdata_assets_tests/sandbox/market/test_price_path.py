"""Price limits and the simulated course of the closes.

Here belong the rules in ticks and the statistics of the path. The tables the vendor would print
are tested in `test_exchange`.
"""

import csv
import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets import trading_calendar
from marketdata_sandbox.market import price_limits
from marketdata_sandbox.market.boards import MAIN_BOARDS, Board
from marketdata_sandbox.market.ex_rights import ex_rights_price
from marketdata_sandbox.market.life_events import build_life_events
from marketdata_sandbox.market.listings import build_listings
from marketdata_sandbox.market.price_path import PricePath
from marketdata_sandbox.market.price_walk import simulate

SEED = 20050104
REAL_DAY = Path(__file__).parents[4] / "shared/data/real/tushare_2025-04-03"


@pytest.fixture(scope="module")
def path() -> PricePath:
    first, last = trading_calendar.FIRST_SESSION, trading_calendar.last_published_session()
    listings = build_listings(SEED, trading_calendar.sessions_between(first, last))
    return simulate(SEED, listings, build_life_events(SEED, listings))


def _percents(
    board: Board,
    day: str,
    *,
    is_st: bool = False,
    list_day: str = "2000-01-04",
    age: int = 1000,
    opens_delisting: bool = False,
) -> tuple[int, int]:
    up, down = price_limits.limit_percents(
        np.array([board], dtype=np.int8),
        np.array([is_st]),
        np.array([list_day], dtype="datetime64[D]"),
        np.array([age], dtype=np.int32),
        np.array([opens_delisting]),
        np.datetime64(day),
    )
    return int(up[0]), int(down[0])


UNLIMITED = (price_limits.UNLIMITED_UP, price_limits.UNLIMITED_DOWN)


@pytest.mark.parametrize(
    ("board", "day", "percent"),
    [
        (Board.SSE_MAIN, "2010-01-04", 10),
        (Board.CHINEXT, "2020-08-21", 10),
        (Board.CHINEXT, "2020-08-24", 20),
        (Board.STAR, "2019-09-02", 20),
        (Board.BSE, "2022-01-04", 30),
        (Board.FUND, "2025-04-03", 10),
        (Board.WIDE_FUND, "2025-04-03", 20),
        (Board.B_SHARE_SSE, "2025-04-03", 10),
    ],
)
def test_the_ordinary_limit(board: Board, day: str, percent: int) -> None:
    assert _percents(board, day) == (percent, percent)


@pytest.mark.parametrize(
    ("board", "day", "percent"),
    [
        (Board.SZSE_MAIN, "2026-07-03", 5),
        (Board.SZSE_MAIN, "2026-07-06", 10),
        (Board.STAR, "2025-04-03", 20),
        (Board.CHINEXT, "2025-04-03", 20),
    ],
)
def test_the_limit_of_st_stocks(board: Board, day: str, percent: int) -> None:
    assert _percents(board, day, is_st=True) == (percent, percent)


@pytest.mark.parametrize(
    ("board", "list_day", "age", "expected"),
    [
        (Board.SSE_MAIN, "2010-05-05", 0, UNLIMITED),
        (Board.SSE_MAIN, "2010-05-05", 1, (10, 10)),
        (Board.SSE_MAIN, "2015-05-05", 0, (44, 36)),
        (Board.CHINEXT, "2020-08-21", 0, (44, 36)),
        (Board.CHINEXT, "2020-08-24", 4, UNLIMITED),
        (Board.CHINEXT, "2020-08-24", 5, (20, 20)),
        (Board.SZSE_MAIN, "2023-04-07", 0, (44, 36)),
        (Board.SZSE_MAIN, "2023-04-10", 4, UNLIMITED),
        (Board.SZSE_MAIN, "2023-04-10", 5, (10, 10)),
        (Board.STAR, "2019-07-22", 4, UNLIMITED),
        (Board.BSE, "2022-03-01", 0, UNLIMITED),
        (Board.BSE, "2022-03-01", 1, (30, 30)),
    ],
)
def test_the_first_days_of_a_listing(
    board: Board, list_day: str, age: int, expected: tuple[int, int]
) -> None:
    day = str(np.busday_offset(dt.date.fromisoformat(list_day), age))
    assert _percents(board, day, list_day=list_day, age=age) == expected


def test_the_first_day_of_a_delisting_period_has_no_limit() -> None:
    assert _percents(Board.SSE_MAIN, "2022-05-05", is_st=True, opens_delisting=True) == UNLIMITED


@given(
    pre_close=st.integers(min_value=100, max_value=300_000),
    percent=st.sampled_from([5, 10, 20, 30]),
    board=st.sampled_from(list(Board)),
)
def test_limits_are_the_nearest_prices_the_rule_allows(
    pre_close: int, percent: int, board: Board
) -> None:
    ticks, percents = np.array([pre_close], np.int32), np.array([percent], np.int32)
    up, down = price_limits.limit_ticks(ticks, percents, percents, np.array([board], np.int8))
    exact_up, exact_down = pre_close * (100 + percent), pre_close * (100 - percent)
    if board is Board.BSE:
        assert up[0] * 100 <= exact_up < (up[0] + 1) * 100
        assert (down[0] - 1) * 100 < exact_down <= down[0] * 100
    else:
        assert -50 < up[0] * 100 - exact_up <= 50
        assert -50 < down[0] * 100 - exact_down <= 50


def test_limits_equal_those_of_a_real_day() -> None:
    if not REAL_DAY.is_dir():
        pytest.skip(f"the real tables are not there: {REAL_DAY}")

    def rows(name: str) -> list[dict[str, str]]:
        with (REAL_DAY / name).open(encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def board_of(code: str) -> Board:
        if code.endswith(".BJ"):
            return Board.BSE
        for prefix, board in (("688", Board.STAR), ("689", Board.STAR), ("30", Board.CHINEXT)):
            if code.startswith(prefix):
                return board
        return Board.SSE_MAIN if code.endswith(".SH") else Board.SZSE_MAIN

    limits = {row["ts_code"]: row for row in rows("stk_limit.csv")}
    names = {row["ts_code"]: row["name"] for row in rows("stock_basic.csv")}
    compared = unlimited = 0
    for bar in rows("daily.csv"):
        code = bar["ts_code"]
        printed_up = float(limits[code]["up_limit"])
        if printed_up > 90_000:
            unlimited += 1
            continue
        board = board_of(code)
        # A bare S marks a company without the share reform of 2005; its limit is that of ST.
        is_st = names[code].startswith(("S", "*ST"))
        percents = _percents(board, "2025-04-03", is_st=is_st)
        up, down = price_limits.limit_ticks(
            np.array([round(float(bar["pre_close"]) * 100)], np.int32),
            np.array([percents[0]], np.int32),
            np.array([percents[1]], np.int32),
            np.array([board], np.int8),
        )
        expected = (printed_up, float(limits[code]["down_limit"]))
        assert (up[0] / 100, down[0] / 100) == expected, code
        compared += 1
    assert unlimited == 1
    assert compared == 5392


@given(
    previous_close=st.integers(min_value=100, max_value=300_000),
    cash=st.integers(min_value=1, max_value=500),
    bonus=st.integers(min_value=0, max_value=10),
)
def test_the_ex_rights_price_is_rounded_half_up(previous_close: int, cash: int, bonus: int) -> None:
    price = ex_rights_price(*(np.array([n], np.int32) for n in (previous_close, cash, bonus)))[0]
    difference = 2 * price * (10 + bonus) - 2 * (10 * previous_close - cash)
    assert -(10 + bonus) < difference <= 10 + bonus


def test_a_longer_calendar_changes_no_past_close(path: PricePath) -> None:
    last = dt.date(2009, 12, 31)
    sessions = trading_calendar.sessions_between(trading_calendar.FIRST_SESSION, last)
    listings = build_listings(SEED, sessions)
    short = simulate(SEED, listings, build_life_events(SEED, listings))
    assert (short.closes == path.closes[: short.closes.size]).all()
    for few, all_ in zip(short.halted, path.halted, strict=False):
        assert (few == all_).all()
    for session in (0, 500, len(sessions) - 1):
        assert (short.pre_close(session) == path.pre_close(session)).all()


def test_every_close_lies_within_the_limits(path: PricePath) -> None:
    for session in range(0, len(path.listings.sessions), 50):
        up, down = path.limits(session)
        trades = path.trades(session)
        assert (path.close(session) <= up)[trades].all()
        assert (path.close(session) >= down)[trades].all()


def test_a_halted_stock_keeps_its_close(path: PricePath) -> None:
    for session in range(1, len(path.listings.sessions), 100):
        halted = ~path.trades(session) & path.is_listed(session)
        assert (path.close(session) == path.pre_close(session))[halted].all()


def test_pre_close_differs_from_the_last_close_on_ex_dates_only(path: PricePath) -> None:
    rights = path.rights
    for session in range(1, len(path.listings.sessions), 25):
        previous = path.close(session - 1)
        differing = np.flatnonzero(path.pre_close(session)[: previous.size] != previous)
        events = path.rights_agenda.at(session)
        assert set(differing) <= set(rights.instrument[events])
        assert (rights.previous_close[events] == previous[rights.instrument[events]]).all()


def test_most_stocks_pay_once_a_year_and_mostly_in_summer(path: PricePath) -> None:
    days = np.array(path.listings.sessions, dtype="datetime64[D]")[path.rights.session]
    for year in (2006, 2014, 2025):
        paid = (days.astype("datetime64[Y]") == np.datetime64(str(year))).sum()
        session = path.listings.sessions.index(
            next(d for d in path.listings.sessions if d.year == year)
        )
        assert 0.5 <= paid / (path.trades(session) & _stocks(path, session)).sum() <= 0.7
    months = days.astype("datetime64[M]").astype(int) % 12 + 1
    assert np.isin(months, (5, 6, 7)).mean() > 0.8
    assert 0.03 < (path.rights.bonus_per_10 > 0).mean() < 0.3


def _stocks(path: PricePath, session: int) -> np.ndarray:
    return path.listings.is_a_share[: path.close(session).size]


def _settled_main_board(path: PricePath, session: int) -> np.ndarray:
    count = path.close(session).size
    is_main = np.isin(path.listings.board[:count], MAIN_BOARDS)
    return path.trades(session) & is_main & (session - path.listings.list_session[:count] > 5)


@pytest.mark.parametrize("year", [2008, 2017, 2024])
def test_the_returns_of_a_year_look_like_the_real_ones(path: PricePath, year: int) -> None:
    returns, at_up, at_down = [], [], []
    for session, day in enumerate(path.listings.sessions):
        if day.year != year:
            continue
        stocks = _settled_main_board(path, session)
        close, reference = path.close(session)[stocks], path.pre_close(session)[stocks]
        up, down = (limit[stocks] for limit in path.limits(session))
        returns.append(close / reference - 1)
        at_up.append((close == up).mean())
        at_down.append((close == down).mean())
    pooled = np.concatenate(returns)
    assert 0.025 <= pooled.std() <= 0.042
    assert ((pooled - pooled.mean()) ** 4).mean() / pooled.var() ** 2 > 3.5
    assert 0.008 <= np.mean(at_up) <= 0.035
    assert 0.002 <= np.mean(at_down) <= 0.03
    # Limits cluster: the worst day has many times the usual share.
    assert max(at_down) > 5 * np.mean(at_down)


def test_large_moves_come_in_a_row(path: PricePath) -> None:
    start = path.listings.sessions.index(dt.date(2024, 1, 2))
    stocks = np.flatnonzero(_settled_main_board(path, start))
    moves = np.array(
        [
            np.abs(path.close(n)[stocks] / path.pre_close(n)[stocks] - 1)
            for n in range(start, start + 240)
        ]
    )
    moves -= moves.mean(axis=0)
    autocovariance = (moves[1:] * moves[:-1]).mean(axis=0)
    variance = moves.var(axis=0)
    assert np.mean(autocovariance[variance > 0] / variance[variance > 0]) > 0.1


def test_prices_keep_a_reasonable_level(path: PricePath) -> None:
    for session in range(0, len(path.listings.sessions), 60):
        stocks = path.is_listed(session) & _stocks(path, session)
        prices = path.close(session)[stocks] / 100
        assert prices.min() >= 0.5
        assert prices.max() <= 3000
        assert 5 <= np.median(prices) <= 30
