"""The habits of the vendor by name, and how often each shows: so each can be switched off.

Here belong names and numbers alone. What a habit does to an answer is in `vendor` and its
neighbours.

Sources of the real ones: counts on the vendor's own answers and on copies of them, 2005 to 2026.
Where a habit is known from single cases only, the number is its order of magnitude.
"""

import dataclasses
import enum
from collections.abc import Mapping

# Pairs of a year and a mean number a session, which holds from that year on.
ByYear = tuple[tuple[int, float], ...]


class Habit(enum.IntEnum):
    """What happens to single rows of a session; the numbers are part of the seed."""

    SUSPENDED_YET_TRADED = 1  # an untimed S beside a bar
    SUSPENDED_AND_RESUMED = 2  # S and R beside a bar
    HALT_OF_NO_WIDTH = 3  # a whole day, written 09:30-09:30
    NOTICE_TWICE = 4  # one row of suspend_d as two
    ROUGH_AMOUNT = 5  # two decimals on a day of one price
    STALE_INDICATORS = 6  # the row of the session before; here days, on which some shares have it
    INDICATORS_WITHOUT_BAR = 7  # of a share that is halted since today
    NEGATIVE_FREE_SHARE = 8
    CHANGE_NOT_TOLD = 9  # pre_close, change, pct_chg are NULL; first days of Beijing shares first
    AMOUNT_NOT_TOLD = 10
    ZERO_LIMITS = 11  # of a halted share
    OTHER_SENTINEL = 12  # another number for "no limit"
    BAR_MISSING = 13  # of a share whose price did not move, without a notice
    FACTOR_MISSING = 14
    WITHOUT_EX_PRICE = 15  # an ex-date with the last close for pre_close, resumptions first
    FUND_BAR_MISSING = 16


@dataclasses.dataclass(frozen=True)
class Frequencies:
    """How many rows a session, which part of the shares or funds, and whether at all."""

    rows: Mapping[Habit, ByYear]
    # Stale indicators come for several shares at once: up to so many.
    most_stale_at_once: int = 1

    late_factors: float = 0  # of Beijing shares
    longest_factor_delay: int = 1  # in calendar days after the listing
    bars_before_listing: float = 0  # of Beijing shares listed up to 2022
    listed_a_day_late: float = 0  # of all shares
    names_told_twice: float = 0  # of the rows of namechange
    numbers_used_twice: float = 0  # of funds
    funds_ended_without_date: int = 0

    rounded_twice: bool = False  # pct_chg up to 2018-07-19
    beijing_limits_missing: bool = False  # before 2023
    changes_of_code: bool = False

    def mean(self, habit: Habit, year: int) -> float:
        """The mean number a session in `year`; 0 before the first year named."""
        by_year = self.rows.get(habit, ())
        begun = [(since, mean) for since, mean in by_year if since <= year]
        return max(begun, default=(0, 0.0))[1]

    @classmethod
    def clean(cls) -> "Frequencies":
        """A vendor without habits: every answer is the market's own."""
        return cls({})

    @classmethod
    def sample(cls) -> "Frequencies":
        """Something on every second or third day, and little on any one."""
        return cls(
            {
                Habit.SUSPENDED_YET_TRADED: always(0.05),
                Habit.SUSPENDED_AND_RESUMED: always(0.02),
                Habit.HALT_OF_NO_WIDTH: always(0.03),
                Habit.NOTICE_TWICE: always(0.05),
                Habit.ROUGH_AMOUNT: always(0.1),
                Habit.STALE_INDICATORS: always(0.04),
                Habit.INDICATORS_WITHOUT_BAR: always(0.04),
                Habit.NEGATIVE_FREE_SHARE: always(0.03),
                Habit.CHANGE_NOT_TOLD: always(0.03),
                Habit.AMOUNT_NOT_TOLD: always(0.02),
                Habit.ZERO_LIMITS: always(0.05),
                Habit.OTHER_SENTINEL: always(0.05),
                Habit.BAR_MISSING: always(0.05),
                Habit.FACTOR_MISSING: always(0.05),
                Habit.WITHOUT_EX_PRICE: ((2005, 0.1), (2020, 0)),
                Habit.FUND_BAR_MISSING: always(0.05),
            },
            late_factors=0.05,
            longest_factor_delay=3,
            bars_before_listing=0.02,
            listed_a_day_late=0.1,
            names_told_twice=0.01,
            numbers_used_twice=0.002,
            funds_ended_without_date=1,
            rounded_twice=True,
            beijing_limits_missing=True,
            changes_of_code=True,
        )

    @classmethod
    def real(cls) -> "Frequencies":
        """As in the vendor's own answers."""
        return cls(
            {
                Habit.SUSPENDED_YET_TRADED: (
                    (2005, 12),
                    (2008, 15),
                    (2009, 5),
                    (2010, 1),
                    (2011, 0.05),
                ),
                Habit.SUSPENDED_AND_RESUMED: always(0.01),
                Habit.HALT_OF_NO_WIDTH: ((2025, 0.02),),
                Habit.NOTICE_TWICE: always(0.02),
                Habit.ROUGH_AMOUNT: always(1),
                Habit.STALE_INDICATORS: always(0.01),
                Habit.INDICATORS_WITHOUT_BAR: always(0.05),
                Habit.NEGATIVE_FREE_SHARE: always(0.01),
                Habit.CHANGE_NOT_TOLD: always(0.02),
                Habit.AMOUNT_NOT_TOLD: ((2005, 0.002), (2015, 0)),
                Habit.ZERO_LIMITS: always(0.05),
                Habit.OTHER_SENTINEL: ((2007, 3), (2008, 0.1)),
                # 1,700 of 7 million listed share-days.
                Habit.BAR_MISSING: (
                    (2005, 0.35),
                    (2010, 0.5),
                    (2015, 0.7),
                    (2020, 1),
                    (2023, 1.3),
                ),
                Habit.FACTOR_MISSING: always(0.005),
                Habit.WITHOUT_EX_PRICE: ((2005, 0.27), (2020, 0)),
                Habit.FUND_BAR_MISSING: always(0.05),
            },
            most_stale_at_once=10,
            late_factors=0.01,
            longest_factor_delay=365,
            bars_before_listing=0.5,
            listed_a_day_late=0.01,
            names_told_twice=0.01,
            numbers_used_twice=21 / 2164,
            funds_ended_without_date=3,
            rounded_twice=True,
            beijing_limits_missing=True,
            changes_of_code=True,
        )


def always(mean: float) -> ByYear:
    """The same mean in all years."""
    return ((0, mean),)
