"""The population of the simulated exchange: who is listed when, and what becomes of them.

Here belong tests that need no price. The tables of a day are tested in `test_exchange`.
"""

import collections
import datetime as dt

import numpy as np
import pytest

from marketdata_assets import trading_calendar
from marketdata_sandbox.market.boards import MAIN_BOARDS, Board
from marketdata_sandbox.market.exchange import SimulatedExchange
from marketdata_sandbox.market.life_events import NEVER, LifeEvents, build_life_events
from marketdata_sandbox.market.listings import Listings, build_listings
from marketdata_sandbox.market.trading_halts import build_halts

SEED = 20050104


def _sessions(last: dt.date) -> list[dt.date]:
    return trading_calendar.sessions_between(trading_calendar.FIRST_SESSION, last)


@pytest.fixture(scope="module")
def listings() -> Listings:
    return build_listings(SEED, _sessions(dt.date(2026, 12, 31)))


@pytest.fixture(scope="module")
def life(listings: Listings) -> LifeEvents:
    return build_life_events(SEED, listings)


def _stocks_listed(listings: Listings, life: LifeEvents, day: dt.date) -> np.ndarray:
    session = listings.sessions.index(day)
    listed = (listings.list_session <= session) & (session < life.delist_session)
    return listed & listings.is_a_share


@pytest.mark.parametrize(
    ("day", "least", "most"),
    [
        (dt.date(2005, 1, 4), 1300, 1400),
        (dt.date(2010, 1, 4), 1600, 1800),
        (dt.date(2020, 1, 2), 3650, 3850),
        (dt.date(2025, 4, 3), 5330, 5480),
        (dt.date(2026, 8, 10), 5430, 5620),
    ],
)
def test_as_many_stocks_are_listed_as_in_the_real_market(
    listings: Listings, life: LifeEvents, day: dt.date, least: int, most: int
) -> None:
    assert least <= _stocks_listed(listings, life, day).sum() <= most


def test_codes_are_unique_and_belong_to_their_board(listings: Listings) -> None:
    prefixes = {
        Board.SSE_MAIN: ("600", "601", "603", "605"),
        Board.SZSE_MAIN: ("000", "001", "002", "003"),
        Board.CHINEXT: ("300", "301"),
        Board.STAR: ("688", "689"),
        Board.BSE: ("920",),
        Board.FUND: ("15", "16", "18", "50", "51", "52", "53", "56"),
        Board.WIDE_FUND: ("1599", "588"),
        Board.B_SHARE_SZSE: ("200",),
        Board.B_SHARE_SSE: ("900",),
    }
    assert len(set(listings.ts_code)) == listings.ts_code.size
    for code, board in zip(listings.ts_code, listings.board, strict=True):
        assert len(code) == 9
        assert code.startswith(prefixes[Board(board)])
    assert "689009.SH" in listings.ts_code


@pytest.mark.parametrize(
    ("board", "opening"),
    [
        (Board.CHINEXT, dt.date(2009, 10, 30)),
        (Board.STAR, dt.date(2019, 7, 22)),
        (Board.BSE, dt.date(2021, 11, 15)),
    ],
)
def test_a_board_opens_with_a_cohort(listings: Listings, board: Board, opening: dt.date) -> None:
    days = listings.list_day[listings.board == board]
    assert days.min() == np.datetime64(opening)
    assert (days == days.min()).sum() >= 20


def test_listings_follow_the_years_of_the_real_market(listings: Listings) -> None:
    years = listings.list_day[listings.is_a_share].astype("datetime64[Y]").astype(int) + 1970
    count = collections.Counter(years.tolist())
    assert count[2013] == 0
    assert count[2005] < 20
    assert min(count[2010], count[2017], count[2021], count[2022]) > 300


def test_everyone_is_listed_and_delisted_on_a_session(listings: Listings, life: LifeEvents) -> None:
    days = set(listings.sessions)
    later = listings.list_day[listings.list_session >= 0].tolist()
    assert set(later) <= days
    assert all(day.weekday() < 5 for day in listings.list_day.tolist())
    delisted = life.delist_session < NEVER
    assert (listings.list_session < life.delist_session)[delisted].all()
    known = life.delist_session < len(listings.sessions)
    assert 280 <= known.sum() <= 380
    recent = life.delist_session >= listings.sessions.index(dt.date(2020, 1, 2))
    assert (known & recent).sum() > 0.6 * known.sum()


@pytest.mark.parametrize("year", [2005, 2009, 2014, 2019, 2023, 2026])
def test_two_to_five_percent_of_the_main_board_are_st(
    listings: Listings, life: LifeEvents, year: int
) -> None:
    day = next(d for d in listings.sessions if d >= dt.date(year, 1, 1))
    session = listings.sessions.index(day)
    main = _stocks_listed(listings, life, day) & np.isin(listings.board, MAIN_BOARDS)
    is_st = life.st.covers(session, listings.board.size)
    assert 0.015 <= is_st[main].mean() <= 0.05


def test_spells_of_one_company_do_not_overlap(life: LifeEvents) -> None:
    order = np.lexsort((life.st.start, life.st.instrument))
    instrument, start, end = (
        column[order] for column in (life.st.instrument, life.st.start, life.st.end)
    )
    assert (start < end).all()
    same = instrument[1:] == instrument[:-1]
    assert (start[1:] >= end[:-1])[same].all()


def test_pairs_are_covered_as_sessions_are(listings: Listings, life: LifeEvents) -> None:
    everyone = np.arange(listings.board.size)
    for session in (0, 1, 700, 2500, 5000):
        pairs = life.st.cover_pairs(everyone, np.full(everyone.size, session, dtype=np.int32))
        assert (pairs == life.st.covers(session, everyone.size)).all()


def test_a_longer_calendar_changes_no_past_day(listings: Listings, life: LifeEvents) -> None:
    short = build_listings(SEED, _sessions(dt.date(2015, 12, 31)))
    size = short.board.size
    assert (short.ts_code == listings.ts_code[:size]).all()
    assert (short.list_day == listings.list_day[:size]).all()
    short_life = build_life_events(SEED, short)
    last = len(short.sessions) - 1
    for session in (0, 1000, last):
        assert (short_life.st.covers(session, size) == life.st.covers(session, size)).all()
        assert (
            (short_life.delist_session <= session) == (life.delist_session[:size] <= session)
        ).all()


def test_halts_are_rare_now_and_were_frequent_once(listings: Listings, life: LifeEvents) -> None:
    halts = build_halts(SEED, listings, life)

    def part_halted(day: dt.date) -> float:
        session = listings.sessions.index(day)
        stocks = _stocks_listed(listings, life, day)
        halted = np.zeros(listings.board.size, dtype=np.bool_)
        halted[halts.instrument[(halts.start <= session) & (session < halts.resume)]] = True
        return float(halted[stocks].mean())

    assert 0.001 <= part_halted(dt.date(2025, 4, 3)) <= 0.006
    assert 0.015 <= part_halted(dt.date(2010, 6, 1)) <= 0.06
    assert part_halted(dt.date(2015, 7, 9)) > 0.25


@pytest.fixture(scope="module")
def exchange() -> SimulatedExchange:
    return SimulatedExchange(SEED)


@pytest.mark.parametrize("today", [dt.date(2005, 1, 4), dt.date(2015, 7, 12), dt.date(2025, 4, 3)])
def test_the_columns_are_complete_and_consistent(
    exchange: SimulatedExchange, today: dt.date
) -> None:
    table = exchange.stock_basic(today)
    assert len({len(values) for values in table.values()}) == 1
    assert len(set(table["ts_code"])) == len(table["ts_code"])
    assert len(set(table["name"])) == len(table["name"])
    assert max(table["list_date"]) <= f"{today:%Y%m%d}"
    for status, delist_date in zip(table["list_status"], table["delist_date"], strict=True):
        assert (delist_date is not None) == (status == "D")
        assert delist_date is None or delist_date <= f"{today:%Y%m%d}"


def test_markets_states_and_gaps(exchange: SimulatedExchange) -> None:
    table = exchange.stock_basic(dt.date(2025, 4, 3))
    assert set(table["market"]) == {"主板", "创业板", "科创板", "北交所"}
    assert set(table["exchange"]) == {"SSE", "SZSE", "BSE"}
    states = collections.Counter(table["list_status"])
    assert 1 <= states["P"] <= 10
    assert 250 <= states["D"] <= 340
    assert 1 <= table["area"].count(None) <= 60
    assert 1 <= table["industry"].count(None) <= 60


def test_the_name_is_the_one_of_today(exchange: SimulatedExchange) -> None:
    earlier = exchange.stock_basic(dt.date(2015, 1, 5))
    later = exchange.stock_basic(dt.date(2025, 4, 3))
    names = dict(zip(later["ts_code"], later["name"], strict=True))
    changed = [
        (name, names[code])
        for code, name in zip(earlier["ts_code"], earlier["name"], strict=True)
        if names[code] != name
    ]
    assert len(changed) > 50
    plain = [{name.lstrip("*ST").rstrip("退") for name in pair} for pair in changed]
    assert all(len(names) == 1 for names in plain)
    for name, status in zip(later["name"], later["list_status"], strict=True):
        assert status != "D" or name.endswith("退")
