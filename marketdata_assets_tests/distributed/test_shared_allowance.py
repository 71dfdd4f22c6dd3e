"""One token's calls, counted for all hosts together."""

import bisect
import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("obstore", reason="the extra `distributed` is not installed")

from psycopg_pool import PoolClosed, PoolTimeout
from pyrate_limiter import Rate, RateItem, SQLiteBucket

from marketdata_assets.hosts import Hosts
from marketdata_assets.resources.rate_limit import WINDOW_MS, Allowance, SharedCounter
from marketdata_assets_tests.distributed.conftest import OneDatabase

# A minute of 200 takes too long here.
CALLS, WINDOW, SECONDS = 30, 3.0, 8
HOSTS = 4


def calls_of_hosts(shared: Hosts, calls: int, milliseconds: int, seconds: float) -> list[float]:
    """When each call of several hosts was allowed, in order."""
    settings = {
        "MARKETDATA_DATABASE": shared.database,
        "MARKETDATA_LAKE": shared.lake,
        "MARKETDATA_BROKER": shared.broker,
    }
    command = (sys.executable, "-m", "marketdata_assets_tests.distributed.caller", "calls")
    callers = [
        subprocess.Popen(
            [*command, str(calls), str(milliseconds), str(seconds)],
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(HOSTS)
    ]
    return sorted(float(moment) for one in callers for moment in one.communicate()[0].split())


def most_within(moments: list[float], seconds: float) -> int:
    return max(
        bisect.bisect_left(moments, moment + seconds) - number
        for number, moment in enumerate(moments)
    )


def test_no_window_has_more_calls_than_allowed_whoever_makes_them(shared: Hosts) -> None:
    """Four hosts of three threads; half the window, as a loaded machine tells the time late."""
    moments = calls_of_hosts(shared, CALLS, int(WINDOW * 1_000), SECONDS)
    assert most_within(moments, WINDOW / 2) <= CALLS
    assert len(moments) > CALLS


def test_a_place_that_has_just_become_free_is_waited_for(shared: Hosts) -> None:
    with contextlib.closing(SharedCounter(shared.database, "free", [Rate(1, 1_000)])) as counter:
        one = RateItem("call", 0)
        assert counter.put(one)
        # Another host held the table when this one asked, so that nobody told how long to wait.
        counter.failing_rate, counter._last_wait = counter.rates[0], None
        assert counter.waiting(RateItem("call", one.timestamp + 1_002)) == 0


def test_a_call_that_waits_when_the_run_ends_is_given_up_at_once(
    shared: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MARKETDATA_DATABASE", shared.database)
    monkeypatch.setenv("MARKETDATA_LAKE", shared.lake)
    monkeypatch.setenv("MARKETDATA_BROKER", shared.broker)
    allowance = Allowance(CALLS, tmp_path / "allowance-2.sqlite")
    allowance.close()
    with pytest.raises(PoolClosed):
        allowance.acquire()
    assert "asked again" not in caplog.text


def test_calls_are_counted_again_as_soon_as_the_database_may_be_written_again(
    one_database: OneDatabase,
) -> None:
    with contextlib.closing(SharedCounter(one_database.address, "calls", [Rate(1, 1)])) as counter:
        one_database.only_read(True)
        one_database.cut_off()
        with pytest.raises(PoolTimeout):
            counter.pool.getconn(timeout=1)
        one_database.only_read(False)
        assert counter.put(RateItem("call", 0))


def test_the_count_of_a_token_is_in_the_database(
    shared: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = Allowance(CALLS, tmp_path / "allowance-1.sqlite")
    monkeypatch.setenv("MARKETDATA_DATABASE", shared.database)
    monkeypatch.setenv("MARKETDATA_LAKE", shared.lake)
    monkeypatch.setenv("MARKETDATA_BROKER", shared.broker)
    together = Allowance(CALLS, tmp_path / "allowance-1.sqlite")
    for allowance, kind in ((alone, SQLiteBucket), (together, SharedCounter)):
        assert isinstance(allowance._counter, kind)
        assert [rate.interval for rate in allowance._counter.rates] == [WINDOW_MS]
        allowance.acquire()
        allowance.close()
