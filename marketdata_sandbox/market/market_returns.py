"""The returns the simulated traders would like to see, before limits and ticks cut them.

Here belong the market factor, each instrument's traits and the blocks of returns of a quarter.
What becomes of them within the limits is `price_path`'s matter.

The constants are set so that the closes come near the real market: a daily standard deviation
of 3 %, heavy tails, limits that cluster on common days.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from marketdata_sandbox.market.boards import Board
from marketdata_sandbox.market.listings import Listings
from marketdata_sandbox.market.random_streams import Purpose, random_stream

Floats = npt.NDArray[np.float32]

MONEY_MARKET_FUNDS = ("511990.SH",)

_DAILY_REVERSION = 0.002
_MARKET_VOLATILITY = 0.0125
_MARKET_PERSISTENCE = 0.98
# Shape of the idiosyncratic shocks: z (a + b z + c z²) - b, a normal z with skew and heavy tails.
_LINEAR, _SKEW, _CUBIC = 0.72, 0.13, 0.085
# A shock of size |z| multiplies the shock of the next day: large moves come in a row.
_UNREST, _UNREST_AFTER_SHOCK = 0.70, 0.375
_QUARTERLY_SPREAD = 0.22


@dataclasses.dataclass(frozen=True)
class Traits:
    """What distinguishes the instruments: price level in yuan, daily volatility, market beta."""

    level: npt.NDArray[np.float64]
    volatility: Floats
    beta: Floats


@dataclasses.dataclass(frozen=True)
class Market:
    """One entry a session: the common return and how agitated everybody is (1 on average)."""

    factor: Floats
    agitation: Floats


def draw_traits(seed: int, listings: Listings) -> Traits:
    """Draw the traits; a longer calendar changes those of no instrument listed before."""
    board = listings.board
    # One row per instrument, so that the first rows do not depend on how many follow.
    draws = random_stream(seed, Purpose.TRAITS).standard_normal((board.size, 3))
    level = np.clip(21 * np.exp(0.72 * draws[:, 0]), 6, 900)
    level = np.where(board == Board.STAR, np.minimum(1.8 * level, 1200), level)
    is_fund = np.isin(board, (Board.FUND, Board.WIDE_FUND))
    level = np.where(is_fund, 1.3 * np.exp(0.35 * draws[:, 0]), level)
    level = np.where(board == Board.B_SHARE_SSE, 0.6 * np.exp(0.5 * draws[:, 0]), level)
    volatility = 0.0265 * np.exp(0.2 * draws[:, 1])
    volatility = np.where(board == Board.BSE, 1.2 * volatility, volatility)
    volatility = np.where(is_fund, 0.2 * volatility, volatility)
    beta = np.clip(1 + 0.25 * draws[:, 2], 0.2, 2)
    # Quoted for a hundred yuan, which hardly moves.
    is_money = np.isin(listings.ts_code, MONEY_MARKET_FUNDS)
    level = np.where(is_money, 100, level)
    volatility = np.where(is_money, 2e-5, volatility)
    beta = np.where(is_money, 0, beta)
    return Traits(level, volatility.astype(np.float32), beta.astype(np.float32))


def draw_market(seed: int, session_count: int) -> Market:
    """Draw the common course of the market, with calm and agitated times."""
    draws = random_stream(seed, Purpose.MARKET).standard_normal((session_count, 3))
    log_agitation = np.empty(session_count)
    state = 0.0
    for session, push in enumerate(draws[:, 0].tolist()):
        state = _MARKET_PERSISTENCE * state + 0.06 * push
        log_agitation[session] = state
    agitation = np.exp(log_agitation)
    shock = draws[:, 1]
    heavy = np.where(shock < -2.0, 1.6, 1.0) * (0.9 + 0.05 * shock**2)
    factor = _MARKET_VOLATILITY * agitation * shock * heavy
    return Market(factor.astype(np.float32), np.sqrt(agitation).astype(np.float32))


def draw_quarter(
    seed: int, quarter: int, sessions: range, count: int, market: Market, traits: Traits
) -> tuple[Floats, Floats]:
    """The wished growth (1 + return) of one quarter, and each instrument's volatility in it.

    `quarter` is its number since the year 0, `count` how many instruments are listed by its end.
    The growth has one row a session.
    """
    rng = random_stream(seed, Purpose.RETURNS, quarter)
    volatility = traits.volatility[:count] * np.exp(
        _QUARTERLY_SPREAD * rng.standard_normal(count, dtype=np.float32)
    )
    normal = rng.standard_normal((len(sessions), count), dtype=np.float32)
    growth = normal * np.float32(_CUBIC)
    growth += np.float32(_SKEW)
    growth *= normal
    growth += np.float32(_LINEAR)
    growth *= normal
    growth -= np.float32(_SKEW)
    growth *= volatility
    unrest = np.abs(normal[:-1], out=normal[:-1])
    unrest *= np.float32(_UNREST_AFTER_SHOCK)
    unrest += np.float32(_UNREST)
    growth[1:] *= unrest
    days = slice(sessions.start, sessions.stop)
    growth *= market.agitation[days, np.newaxis]
    growth += market.factor[days, np.newaxis] * traits.beta[:count]
    growth += np.float32(1)
    return growth, volatility


def reversion(close_in_yuan: Floats, level: npt.NDArray[np.float64]) -> Floats:
    """The small daily return that pulls a price back to its level over the years."""
    return (_DAILY_REVERSION * np.log(level / close_in_yuan)).astype(np.float32)
