"""Random numbers of the habits: what is struck on which day, and what a share is fated to.

Here belongs the drawing. Every draw is made anew from what it is about, so that no question moves
the answer of another. What is drawn from is handed in.
"""

import datetime as dt
import hashlib
from collections.abc import Sequence

import numpy as np

from marketdata_sandbox.habits.frequencies import Frequencies, Habit

_COUNT, _AT_ONCE, _CHOICE = range(3)


class Draws:
    def __init__(self, seed: int, frequencies: Frequencies) -> None:
        self._seed = seed
        self._frequencies = frequencies

    def count(self, habit: Habit, day: dt.date) -> int:
        """How many rows of `day` the habit strikes, if there are so many to choose from."""
        mean = self._frequencies.mean(habit, day.year)
        count = int(self._stream(habit, day, _COUNT).poisson(mean)) if mean else 0
        if habit is Habit.STALE_INDICATORS and count:
            most = self._frequencies.most_stale_at_once
            return 1 + int(self._stream(habit, day, _AT_ONCE).integers(most))
        return count

    def choice(self, habit: Habit, day: dt.date, candidates: Sequence[str]) -> frozenset[str]:
        """The candidates that the habit strikes on `day`."""
        size = min(self.count(habit, day), len(candidates))
        picked = self._stream(habit, day, _CHOICE).choice(len(candidates), size, replace=False)
        return frozenset(candidates[at] for at in picked.tolist())

    def of(self, *about: object) -> float:
        """From 0 up to 1, and always the same for what it is about."""
        text = " ".join(map(str, (self._seed, *about)))
        digest = hashlib.blake2b(text.encode(), digest_size=6).digest()
        return int.from_bytes(digest, "big") / 2**48

    def _stream(self, habit: Habit, day: dt.date, step: int) -> np.random.Generator:
        # Four numbers: the streams of the market have three.
        return np.random.Generator(np.random.SFC64([self._seed, int(habit), day.toordinal(), step]))
