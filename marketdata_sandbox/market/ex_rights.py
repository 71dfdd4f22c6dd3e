"""Cash dividends and bonus shares: who goes ex on which session, and at which reference price.

Here belong the drawn plans, the split of a fund, and the arithmetic of the ex-rights price. When
the price path has been simulated, what was really paid stands in `PaidRights`.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from marketdata_sandbox.market.listings import Listings, sessions_of_year
from marketdata_sandbox.market.price_limits import Integers
from marketdata_sandbox.market.random_streams import Purpose, random_stream

_NEVER_PAYING_SHARE = 0.17
_YEARLY_CHANCE = 0.74  # of the others, so that about 60 % of all stocks pay in a year
_SEASON_SHARE = 0.92
_SEASON = (0.36, 0.46, 0.58)  # May to July, as parts of a year: earliest, usual, latest
_BONUS_PER_10 = np.array([1, 2, 3, 4, 5, 8, 10])
_BONUS_CHANCES = np.array([0.1, 0.15, 0.2, 0.2, 0.15, 0.1, 0.1])
_EARLY_BONUS_SHARE = 0.22
_BONUS_SHARE = 0.12
_RESTRAINED_SINCE = 2018
FUND_SPLIT = ("513100.SH", "2022-01-14")
_SPLIT_BONUS_PER_10 = 10


@dataclasses.dataclass(frozen=True)
class PlannedRights:
    """What is to be paid, if the stock trades on that session; yields are parts of the price."""

    instrument: npt.NDArray[np.int32]
    session: npt.NDArray[np.int32]
    cash_yield: npt.NDArray[np.float64]
    bonus_per_10: Integers


@dataclasses.dataclass(frozen=True)
class PaidRights:
    """What was paid, in order of session.

    `cash_per_10` is in 0.01 yuan for ten shares, `bonus_per_10` in shares for ten shares; the
    two prices are in ticks. An adjustment factor grows by `previous_close / reference`.
    """

    instrument: npt.NDArray[np.int32]
    session: npt.NDArray[np.int32]
    cash_per_10: Integers
    bonus_per_10: Integers
    previous_close: Integers
    reference: Integers


def never_pays(seed: int, instrument_count: int) -> npt.NDArray[np.bool_]:
    """The companies that never share out anything."""
    rng = random_stream(seed, Purpose.EX_RIGHTS)
    return rng.random(instrument_count) < _NEVER_PAYING_SHARE


def plan_rights(seed: int, listings: Listings) -> PlannedRights:
    """Draw the plans year by year: most stocks once a year, mostly from May to July."""
    is_payer = listings.is_a_share & ~never_pays(seed, listings.board.size)
    instruments, sessions, yields, bonuses = [], [], [], []
    for year in range(listings.sessions[0].year, listings.sessions[-1].year + 1):
        rng = random_stream(seed, Purpose.EX_RIGHTS, year)
        in_year = sessions_of_year(listings.sessions, year)
        candidates = np.flatnonzero(is_payer & (listings.list_session < in_year.start))
        paying = candidates[rng.random(candidates.size) < _YEARLY_CHANCE]
        count = paying.size
        part_of_year = np.where(
            rng.random(count) < _SEASON_SHARE,
            rng.triangular(*_SEASON, size=count),
            rng.uniform(0.6, 1.0, size=count),
        )
        bonus_share = _EARLY_BONUS_SHARE if year < _RESTRAINED_SINCE else _BONUS_SHARE
        bonus = rng.choice(_BONUS_PER_10, size=count, p=_BONUS_CHANCES)
        bonus[rng.random(count) >= bonus_share] = 0
        instruments.append(paying)
        sessions.append(in_year.start + (part_of_year * len(in_year)).astype(np.int64))
        yields.append(np.minimum(0.01 * np.exp(0.8 * rng.standard_normal(count)), 0.08))
        bonuses.append(bonus)
    split, session = fund_split(listings)
    instruments.append(split)
    sessions.append(session)
    yields.append(np.zeros(split.size))
    bonuses.append(np.full(split.size, _SPLIT_BONUS_PER_10))
    return PlannedRights(
        np.concatenate(instruments).astype(np.int32),
        np.concatenate(sessions).astype(np.int32),
        np.concatenate(yields),
        np.concatenate(bonuses).astype(np.int32),
    )


def fund_split(listings: Listings) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]]:
    """The one fund that splits and the session of its first price after that, or nothing.

    On the session before it is halted, while its value is told for the new shares already.
    """
    code, day = FUND_SPLIT
    numbers = np.flatnonzero(listings.session_days == np.datetime64(day))
    fund = np.flatnonzero(listings.ts_code == code)[: numbers.size]
    return fund, numbers[: fund.size]


def cash_per_10_shares(previous_close: Integers, cash_yield: npt.NDArray[np.float64]) -> Integers:
    """The payment for ten shares in 0.01 yuan, given the close in 0.01 yuan."""
    cash = np.maximum(np.rint(previous_close * 10 * cash_yield), 1).astype(np.int32)
    return np.where(cash_yield > 0, cash, 0).astype(np.int32)


def ex_rights_price(
    previous_close: Integers, cash_per_10: Integers, bonus_per_10: Integers
) -> Integers:
    """pre_close of the ex-date in 0.01 yuan: (close - cash) / (1 + bonus), rounded half up."""
    divisor = 10 + bonus_per_10
    return (2 * (10 * previous_close - cash_per_10) + divisor) // (2 * divisor)
