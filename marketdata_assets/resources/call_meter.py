"""What calls take: how many were sent, how long they waited to be allowed, how long for an answer.

Here belong the counter and what it says of a stretch of work. Where calls are made is
`tushare_client`; who shows it is `assets.fetching`.
"""

import math
import threading
import time
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Bottleneck(StrEnum):
    """What kept a stretch of work from being done sooner."""

    ALLOWANCE = "the account's allowance"
    LATENCY = "the vendor's answers"
    OURSELVES = "this machine"


class Calls(NamedTuple):
    """Calls sent, and the seconds that they waited to be allowed and to be answered, all summed."""

    sent: int = 0
    for_allowance: float = 0.0
    for_answers: float = 0.0

    def since(self, earlier: "Calls") -> "Calls":
        return Calls(
            self.sent - earlier.sent,
            self.for_allowance - earlier.for_allowance,
            self.for_answers - earlier.for_answers,
        )


class CallMeter:
    """Counts the calls of all threads of a process."""

    def __init__(self) -> None:
        self._calls = Calls()
        self._lock = threading.Lock()

    def note(self, for_allowance: float, for_answer: float) -> None:
        with self._lock:
            sent, allowance, answers = self._calls
            self._calls = Calls(sent + 1, allowance + for_allowance, answers + for_answer)

    def read(self) -> Calls:
        with self._lock:
            return self._calls


class Stretch:
    """The calls of a stretch of work, which begins when this is made."""

    def __init__(self, meter: CallMeter) -> None:
        self._meter = meter
        self._before = meter.read()
        self._began = time.monotonic()
        self._waited = 0.0

    def waiting_for(self, items: Iterator[T]) -> Iterator[T]:
        """The items; the time that each takes to come is time that the work stands still."""
        while True:
            began = time.monotonic()
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                self._waited += time.monotonic() - began
            yield item

    def told(self, calls_per_minute: int) -> dict[str, int | str]:
        """Calls used and allowed in the time, and what bound it, as the UI shows them."""
        seconds = time.monotonic() - self._began
        calls = self._meter.read().since(self._before)
        return {
            "calls": calls.sent,
            "calls allowed": math.ceil(calls_per_minute * seconds / 60),
            "bound by": bottleneck(calls, self._waited, seconds).value,
        }


def bottleneck(calls: Calls, waited: float, seconds: float) -> Bottleneck:
    """What bound work of so many `seconds`, `waited` of which it stood still for calls."""
    if waited < seconds / 2:
        return Bottleneck.OURSELVES
    return Bottleneck.ALLOWANCE if calls.for_allowance > calls.for_answers else Bottleneck.LATENCY
