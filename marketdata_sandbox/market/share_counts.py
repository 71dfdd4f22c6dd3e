"""Share counts: total, tradable and free-floating shares of every company on a session.

Here belong the shares alone. What they are worth is computed in `fundamentals`.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from marketdata_sandbox.market.price_path import PricePath
from marketdata_sandbox.market.random_streams import Purpose, random_stream

Shares = npt.NDArray[np.int64]

_MEDIAN_SHARES = 3.6e8
_FEWEST_SHARES = 3.2e7
# Sessions after the listing on which locked shares become tradable, and the part tradable before.
_FIRST_UNLOCK, _LAST_UNLOCK = 242, 726
_PART_AT_LISTING, _PART_BETWEEN = 0.28, 0.6


@dataclasses.dataclass(frozen=True)
class ShareCounts:
    """Single shares, one entry for each instrument listed by then; free <= float <= total."""

    total: Shares
    floating: Shares
    free: Shares


class ShareRegister:
    """The traits of all companies that decide their share counts."""

    def __init__(self, seed: int, path: PricePath) -> None:
        self._path = path
        # One row per instrument, so that the first rows do not depend on how many follow.
        draws = random_stream(seed, Purpose.TRAITS, 1).standard_normal((path.traits.beta.size, 3))
        self._issued = np.maximum(_MEDIAN_SHARES * np.exp(1.1 * draws[:, 0]), _FEWEST_SHARES)
        self._float_part = np.minimum(0.93 + 0.12 * draws[:, 1], 1.0).clip(0.4)
        self._free_part = (0.55 + 0.16 * draws[:, 2]).clip(0.2, 1.0)

    def on(self, session: int) -> ShareCounts:
        """Counts on the session; bonus shares of that session are included."""
        grown = self._path.bonus_factor(session)
        count = grown.size
        age = session - self._path.listings.list_session[:count]
        unlocked = np.select(
            [age < _FIRST_UNLOCK, age < _LAST_UNLOCK], [_PART_AT_LISTING, _PART_BETWEEN], 1.0
        )
        total = np.rint(self._issued[:count] * grown)
        floating = np.rint(total * self._float_part[:count] * unlocked)
        free = np.rint(floating * self._free_part[:count])
        return ShareCounts(total.astype(np.int64), floating.astype(np.int64), free.astype(np.int64))
