"""Random numbers of the simulation: one independent stream per purpose and period.

Here belongs only the seeding rule. What is drawn from a stream belongs where it is used.
"""

import enum

import numpy as np


class Purpose(enum.IntEnum):
    """What a stream is drawn for; the numbers are part of the seed and must not change."""

    LISTINGS = 1
    LIFE_EVENTS = 2
    DESCRIPTIONS = 3
    TRAITS = 4
    MARKET = 5
    RETURNS = 6
    EX_RIGHTS = 7
    HALTS = 8
    TRADING = 9
    VOLUME = 10
    YEARLY_RESULTS = 11
    QUARTERLY_RESULTS = 12
    AVERAGE_PRICE = 13
    ADJUSTING = 14
    HALTS_WITHIN_A_DAY = 15
    FUNDS = 16
    PREMIUMS = 17


def random_stream(seed: int, purpose: Purpose, period: int = 0) -> np.random.Generator:
    """The generator of one purpose in one period (a year, a quarter, a session number).

    No stream depends on another, so a question about one day never moves the answer of another.
    """
    return np.random.Generator(np.random.SFC64([seed, int(purpose), period]))
