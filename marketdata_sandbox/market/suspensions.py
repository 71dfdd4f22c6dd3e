"""The vendor's list of suspensions of one session: whole days, hours, resumptions.

Here belong the rows, and the halts within a day, which leave no other trace. Suspensions that
last are drawn in `trading_halts` and `life_events`.
"""

from typing import NamedTuple

import numpy as np

from marketdata_sandbox.market.price_path import PricePath
from marketdata_sandbox.market.random_streams import Purpose, random_stream

_MEAN_HALTS_WITHIN_A_DAY = 2.0
_SECOND_HALT_CHANCE = 0.2
_TIMINGS = ("09:30-10:00", "10:05-10:35", "13:00-13:30", "14:00-14:30")


class Suspension(NamedTuple):
    """`timing` is None for a whole day; `type` is S for suspended, R for resumed."""

    instrument: int
    timing: str | None
    type: str


def suspensions_on(seed: int, path: PricePath, session: int) -> list[Suspension]:
    """Every share that is listed and does not trade, was halted for a while, or trades again."""
    trades, listed = path.trades(session), path.is_listed(session)
    is_a_share = path.listings.is_a_share[: trades.size]
    whole_day = np.flatnonzero(listed & ~trades & is_a_share)
    rows = [Suspension(int(number), None, "S") for number in whole_day]
    rows += _halts_within_the_day(seed, np.flatnonzero(trades & is_a_share).tolist(), session)
    if session > 0:
        before = path.trades(session - 1)
        resumed = np.flatnonzero(trades[: before.size] & ~before & is_a_share[: before.size])
        rows += [Suspension(int(number), None, "R") for number in resumed]
    return rows


def _halts_within_the_day(seed: int, traded: list[int], session: int) -> list[Suspension]:
    rng = random_stream(seed, Purpose.HALTS_WITHIN_A_DAY, session)
    count = min(int(rng.poisson(_MEAN_HALTS_WITHIN_A_DAY)), len(traded))
    rows = []
    for number in rng.choice(traded, count, replace=False):
        first = int(rng.integers(len(_TIMINGS)))
        twice = rng.random() < _SECOND_HALT_CHANCE
        timings = _TIMINGS[first : first + (2 if twice else 1)]
        rows += [Suspension(int(number), timing, "S") for timing in timings]
    return rows
