"""Stretches of days that are made while those before them are stored."""

import datetime as dt
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from marketdata_assets.assets.stored_days import DAYS_TOGETHER, made_ahead
from marketdata_assets.trading_calendar import sessions_between

DAYS = sessions_between(dt.date(2025, 3, 3), dt.date(2025, 4, 11))
PATIENCE_SECONDS = 60


def test_a_stretch_that_fails_is_told_after_the_days_before_it() -> None:
    def make(part: Sequence[dt.date]) -> Sequence[dt.date]:
        if part[0] >= DAYS[2 * DAYS_TOGETHER]:
            raise ValueError("not to be judged")
        return part

    made = made_ahead(DAYS, make)
    assert [next(made) for _ in range(2 * DAYS_TOGETHER)] == DAYS[: 2 * DAYS_TOGETHER]
    with pytest.raises(ValueError, match="not to be judged"):
        next(made)


def test_the_next_stretch_is_made_before_the_days_are_taken_and_no_other() -> None:
    begun = threading.Semaphore(0)

    def make(part: Sequence[dt.date]) -> Sequence[dt.date]:
        begun.release()
        return part

    made: Any = made_ahead(DAYS, make)
    assert next(made) == DAYS[0]
    assert all(begun.acquire(timeout=PATIENCE_SECONDS) for _ in range(2))
    made.close()
    assert not begun.acquire(blocking=False)
