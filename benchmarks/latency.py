"""How long one of many like calls takes. It imports nothing but Python's own library."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class Latency(NamedTuple):
    """Milliseconds."""

    p50: float
    p95: float

    def in_words(self) -> str:
        return f"{_short(self.p50)} / {_short(self.p95)}"


def timed(call: Callable[[int], object], repeats: int) -> Latency:
    """`call(0)`, `call(1)` …, after one call that does not count."""
    call(0)
    taken = []
    for number in range(repeats):
        began = time.perf_counter()
        call(number)
        taken.append((time.perf_counter() - began) * 1e3)
    return summary(taken)


def summary(taken: list[float]) -> Latency:
    return Latency(statistics.median(taken), statistics.quantiles(taken, n=20)[-1])


def _short(milliseconds: float) -> str:
    return f"{milliseconds:,.0f}" if milliseconds >= 100 else f"{milliseconds:.2g}"
