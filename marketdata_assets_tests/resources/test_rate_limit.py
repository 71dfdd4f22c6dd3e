"""One allowance for all processes, threads and restarts that use one token.

Free places are taken until there is none; nobody waits for a minute to pass.
"""

import contextlib
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.context import ForkServerContext
from pathlib import Path

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyrate_limiter import RateItem

from marketdata_assets.allowance_counter import shared_path
from marketdata_assets.resources.rate_limit import WINDOW_MS, Allowance

CALLS = 30
PROCESSES = 3
PATIENCE_SECONDS = 0.2
URL = "https://api.tushare.pro/dataapi"

tokens = st.text("0123456789abcdef", min_size=32, max_size=64)


@contextlib.contextmanager
def _allowance(path: Path) -> Iterator[Allowance]:
    with contextlib.closing(Allowance(CALLS, path)) as allowance:
        yield allowance


def _taken(allowance: Allowance, most: int = 2 * CALLS) -> int:
    """How many calls, at most `most`, are allowed before the first one that has to wait.

    A patience instead of `blocking=False`: that one fails with the newer filelock.
    """
    tries = range(most)
    allowed = (allowance._limiter.try_acquire("call", timeout=PATIENCE_SECONDS) for _ in tries)
    return sum(1 for _ in itertools.takewhile(bool, allowed))


def _taken_elsewhere(path: Path) -> int:
    with _allowance(path) as allowance:
        return _taken(allowance)


def test_processes_share_one_allowance(processes: ForkServerContext, tmp_path: Path) -> None:
    path = tmp_path / "allowance.sqlite"
    with ProcessPoolExecutor(PROCESSES, mp_context=processes) as pool:
        taken = sum(pool.map(_taken_elsewhere, [path] * PROCESSES))
    # Whoever waited too long for another's lock gave up early, so some places may be left.
    with _allowance(path) as allowance:
        taken += _taken(allowance)
    assert taken == CALLS


def test_threads_share_one_allowance(tmp_path: Path) -> None:
    with _allowance(tmp_path / "a.sqlite") as allowance, ThreadPoolExecutor(4) as pool:
        taken = sum(pool.map(lambda _: _taken(allowance), range(4)))
        assert taken + _taken(allowance) == CALLS


def test_a_restart_does_not_forget_the_calls_of_the_last_minute(tmp_path: Path) -> None:
    path = tmp_path / "allowance.sqlite"
    with _allowance(path) as allowance:
        assert _taken(allowance, CALLS - 1) == CALLS - 1
    with _allowance(path) as allowance:
        assert _taken(allowance) == 1


def test_what_the_window_has_passed_is_forgotten_and_nobody_asks_a_closed_counter(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.sqlite"
    threads = threading.active_count()
    with _allowance(path) as allowance:
        assert _taken(allowance, 3) == 3
        assert threading.active_count() == threads
        long_ago = allowance._counter.conn
        long_ago.execute(
            f'UPDATE "{allowance._counter.table}" SET item_timestamp = item_timestamp - {WINDOW_MS}'
        )
        long_ago.commit()
    with _allowance(path) as allowance:
        assert allowance._counter.count() == 0


def test_a_call_that_waited_its_turn_counts(tmp_path: Path) -> None:
    with _allowance(tmp_path / "a.sqlite") as allowance:
        for _ in range(CALLS):
            allowance.acquire()
        assert _taken(allowance, 1) == 0


def test_a_call_counts_when_it_is_allowed_however_long_it_was_held_up(tmp_path: Path) -> None:
    with _allowance(tmp_path / "a.sqlite") as allowance:
        counter = allowance._counter
        now = counter.now()
        # Asked a minute ago, and then this machine was asleep.
        assert counter.put(RateItem("call", now - WINDOW_MS))
        assert counter.peek(0).timestamp >= now


def test_of_a_clock_that_was_set_back_nobody_waits_for_the_hour_it_showed(tmp_path: Path) -> None:
    path, an_hour = tmp_path / "a.sqlite", 3_600_000
    with _allowance(path) as allowance, _allowance(path) as other:
        assert _taken(allowance, CALLS) == CALLS
        counter = allowance._counter
        with counter.conn:
            counter.conn.execute(
                f'UPDATE "{counter.table}" SET item_timestamp = item_timestamp + {an_hour}'
            )
        for one in (allowance, other):
            call = RateItem("call", one._counter.now())
            # They count as made at this moment, for nobody knows when they were.
            assert not one._counter.put(call)
            wait = one._counter.waiting(call)
            assert isinstance(wait, int)
            assert wait <= WINDOW_MS + 1


def test_the_window_is_longer_than_the_vendors_minute() -> None:
    assert WINDOW_MS > 60_000


def test_the_counters_folder_is_made(tmp_path: Path) -> None:
    with _allowance(tmp_path / "not" / "yet" / "a.sqlite") as allowance:
        assert _taken(allowance, 1) == 1


@given(token=tokens)
def test_the_counters_name_does_not_show_the_token(token: str) -> None:
    name = shared_path(token, URL, "state").name
    assert token not in name
    assert not any(token[n : n + 16] in name for n in range(len(token) - 15))


@given(token=tokens, other=tokens)
def test_a_token_has_one_counter_and_no_other_token_has_it(token: str, other: str) -> None:
    same = shared_path(token, URL, "state") == shared_path(other, URL, "state")
    assert same == (token == other)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8765", "https://sandbox.invalid/dataapi"])
def test_another_server_has_another_allowance(url: str) -> None:
    assert shared_path("token", url, "state") != shared_path("token", URL, "state")


def test_the_counter_lies_with_the_user_and_not_with_the_data() -> None:
    path = shared_path("token", URL)
    assert path.parent == Path(platformdirs.user_state_dir("marketdata-assets"))


def test_a_trailing_slash_is_the_same_server() -> None:
    assert shared_path("token", f"{URL}/", "state") == shared_path("token", URL, "state")
