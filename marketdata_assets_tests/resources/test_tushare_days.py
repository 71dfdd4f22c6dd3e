"""Many days: in order, several at a time, and what a bad one does to the others."""

import datetime as dt
import threading
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from marketdata_assets.resources.tushare_days import DAYS_AHEAD
from marketdata_assets.resources.tushare_errors import (
    BadValue,
    DuplicateRows,
    NotPublishedYet,
    QuotaExhausted,
    WrongAnswer,
)
from marketdata_assets.tables import (
    DAILY_KLINE,
)
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.resources.serving import (
    DAY,
    WakefulTushare,
    serving,
    tushare_at,
)
from marketdata_assets_tests.resources.spoiling import column_set, params_of, spoil
from marketdata_assets_tests.small_market import CODES, SmallMarket
from marketdata_sandbox import faults
from marketdata_sandbox.faults import Fault
from marketdata_sandbox.server import TushareServer

PATIENCE_SECONDS = 20
SESSIONS = sessions_between(dt.date(2025, 3, 3), DAY)
# Rows of the session before that leave a call no room for two.
ONE_DAY_FITS = [5_000]


def test_days_come_in_the_order_asked_for(tushare: WakefulTushare) -> None:
    shuffled = SESSIONS[::2] + SESSIONS[1::2][::-1]
    got: Any = list(tushare.days(DAILY_KLINE, shuffled))
    assert [one.day for one in got] == shuffled
    assert [one.outcome["trade_date"][0].as_py() for one in got] == shuffled


def test_no_day_asked_for_is_no_call(server: TushareServer, tushare: WakefulTushare) -> None:
    assert list(tushare.days(DAILY_KLINE, [])) == []
    assert server.requests == []


def test_several_days_are_in_flight_at_once(server: TushareServer, tushare: WakefulTushare) -> None:
    together = threading.Barrier(4)

    def answer_when_all_are_there(handler: Any, answer: bytes) -> None:
        together.wait(PATIENCE_SECONDS)
        handler.reply(200, answer)

    spoil(server, "daily", answer_when_all_are_there, times=together.parties)
    assert len(list(tushare.days(DAILY_KLINE, SESSIONS, ONE_DAY_FITS))) == len(SESSIONS)
    assert not together.broken


def test_the_next_days_are_asked_for_while_nobody_takes_any(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    asked = threading.Semaphore(0)

    def answer_and_count(handler: Any, answer: bytes) -> None:
        asked.release()
        handler.reply(200, answer)

    spoil(server, "daily", answer_and_count, times=len(SESSIONS))
    days: Any = tushare.days(DAILY_KLINE, SESSIONS, ONE_DAY_FITS)
    next(days)
    for _ in range(DAYS_AHEAD):
        assert asked.acquire(timeout=PATIENCE_SECONDS)
    days.close()


def test_a_day_that_is_not_there_is_told_in_its_place_and_the_others_come(state: Path) -> None:
    quiet = SESSIONS[2:4]
    with (
        serving(SmallMarket(quiet=quiet)) as server,
        tushare_at(server, state, calls_per_minute=30) as tushare,
    ):
        got: Any = list(tushare.days(DAILY_KLINE, SESSIONS))
    assert [one.day for one in got] == SESSIONS
    for day, outcome, _ in got:
        if day in quiet:
            assert isinstance(outcome, NotPublishedYet)
            assert str(day) in str(outcome)
        else:
            assert outcome["trade_date"][0].as_py() == day


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (column_set("ts_code", CODES[0], CODES[0]), DuplicateRows),
        (column_set("close", *["10.5"] * len(CODES)), BadValue),
        (column_set("trade_date", "20250102"), BadValue),
    ],
    ids=["repeated", "texts for numbers", "a row of another day"],
)
def test_a_wrong_day_is_told_in_its_place(
    server: TushareServer, tushare: WakefulTushare, fault: Fault, error: type[WrongAnswer]
) -> None:
    spoil(server, "daily", fault, times=1)
    got = [one.outcome for one in tushare.days(DAILY_KLINE, SESSIONS)]
    wrong = [outcome for outcome in got if isinstance(outcome, WrongAnswer)]
    assert [type(outcome) for outcome in wrong] == [error]
    assert len(got) == len(SESSIONS)


def test_a_refusal_ends_it_after_the_earlier_days(state: Path) -> None:
    with (
        serving(SmallMarket()) as server,
        tushare_at(server, state, calls_per_minute=30) as tushare,
    ):
        good = faults.edited(lambda answer: None)
        refused = faults.refusal(40203, "抱歉，您每天最多访问该接口2次")
        server.faults["daily"] = deque([good, good, *[refused] * len(SESSIONS)])
        got: list[dt.date] = []
        with pytest.raises(QuotaExhausted):
            got.extend(one.day for one in tushare.days(DAILY_KLINE, SESSIONS, ONE_DAY_FITS))
        asked = [params["trade_date"] for params in params_of(server, "daily")]
    assert len(got) <= 2
    assert f"{SESSIONS[-1]:%Y%m%d}" not in asked


@pytest.mark.parametrize("calls_per_minute", [120, 500, 60_000])
def test_a_consumer_that_stops_has_not_had_everything_fetched(
    state: Path, calls_per_minute: int
) -> None:
    days = sessions_between(dt.date(2024, 7, 1), DAY)
    with (
        serving(SmallMarket()) as server,
        tushare_at(server, state, calls_per_minute) as tushare,
    ):
        some: Any = tushare.days(DAILY_KLINE, days, ONE_DAY_FITS)
        assert next(some).day == days[0]
        some.close()
        assert len(server.requests) < len(days) / 2
