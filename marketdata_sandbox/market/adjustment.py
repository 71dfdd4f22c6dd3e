"""Adjustment factors as the vendor publishes them: grown by every ex-date, and wrong on one day.

Here belong the factors of one session. Who goes ex at which price is `ex_rights`.
"""

import datetime as dt

import numpy as np
import numpy.typing as npt

from marketdata_sandbox.market.price_path import PricePath
from marketdata_sandbox.market.random_streams import Purpose, random_stream
from marketdata_sandbox.market.vendor_numbers import Doubles

_DECIMALS = 4
_MOST_YEARLY_GROWTH = 0.15
_DAYS_A_YEAR = 365.25

# On this day the vendor's factors of many shares moved without a price gap, and back the day after.
_GLITCH_DAY = dt.date(2024, 6, 25)
_GLITCHED_SHARES = 857
_GLITCH = 0.0005


def adjustment_factors(seed: int, path: PricePath, session: int) -> Doubles:
    """The factors of all instruments listed by then.

    A share starts at 1 and grows by previous close over pre_close whenever it goes ex. One listed
    before the first session has grown already.
    """
    factor = _factors_before(seed, path)[: path.close(session).size]
    events = path.rights_agenda.before(session + 1)
    growth = path.rights.previous_close[events] / path.rights.reference[events]
    np.multiply.at(factor, path.rights.instrument[events], growth)
    if path.listings.sessions[session] == _GLITCH_DAY:
        glitched, error = _glitch(seed, path, session)
        factor[glitched] *= 1 + error
    return np.round(factor, _DECIMALS)


def _factors_before(seed: int, path: PricePath) -> Doubles:
    listings = path.listings
    is_older = listings.is_a_share & (listings.list_session < 0)
    years = (listings.session_days[0] - listings.list_day).astype(np.int64) / _DAYS_A_YEAR
    draws = random_stream(seed, Purpose.ADJUSTING).random(listings.board.size)
    factors: Doubles = np.where(is_older, np.exp(_MOST_YEARLY_GROWTH * years * draws), 1.0)
    return factors


def _glitch(seed: int, path: PricePath, session: int) -> tuple[npt.NDArray[np.intp], Doubles]:
    """Whose factors are wrong, and by which part: shares that trade, and go ex neither day."""
    trades = path.trades(session)
    is_candidate = trades & path.listings.is_a_share[: trades.size]
    is_candidate &= path.trades(session + 1)[: trades.size]
    for either_day in (session, session + 1):
        going_ex = path.rights.instrument[path.rights_agenda.at(either_day)]
        is_candidate[going_ex[going_ex < trades.size]] = False
    rng = random_stream(seed, Purpose.ADJUSTING, session)
    glitched = rng.choice(np.flatnonzero(is_candidate), _GLITCHED_SHARES, replace=False)
    return glitched, rng.choice([-_GLITCH, _GLITCH], _GLITCHED_SHARES)
