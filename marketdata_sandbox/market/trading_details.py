"""Open, high, low, volume and amount of one session, derived from its closes.

Here belongs everything about a session's trading that no later session depends on. Each session
has its own random streams, so sessions can be asked for in any order.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from marketdata_sandbox.market.price_limits import Booleans, Integers
from marketdata_sandbox.market.price_path import PricePath
from marketdata_sandbox.market.random_streams import Purpose, random_stream
from marketdata_sandbox.market.share_counts import ShareRegister

Doubles = npt.NDArray[np.float64]

_MEDIAN_TURNOVER = 0.013
_SEALED_AT_OPEN_CHANCE = 0.12
_SHARES_PER_LOT = 100
_FEWEST_LOTS = 1000
_USUAL_SESSIONS = 5


@dataclasses.dataclass(frozen=True)
class Prices:
    """Prices in ticks, one entry for each instrument listed by then."""

    open: Integers
    high: Integers
    low: Integers


@dataclasses.dataclass(frozen=True)
class Turnover:
    """`shares` are whole shares; `amount` is in whole yuan."""

    shares: npt.NDArray[np.int64]
    amount: npt.NDArray[np.int64]


def draw_prices(seed: int, path: PricePath, session: int) -> Prices:
    """Open, high and low around the given close, all within the limits."""
    close, reference = path.close(session), path.pre_close(session)
    up, down = path.limits(session)
    count = close.size
    rng = random_stream(seed, Purpose.TRADING, session)
    # One row per instrument; the unrest of the day widens every range.
    draws = rng.standard_normal((count, 3))
    unrest = path.volatility(session).astype(np.float64) * path.market.agitation[session]
    day_return = close / reference - 1
    overnight = 0.26 * day_return + 0.4 * unrest * draws[:, 0]
    opening = np.rint(reference * (1 + overnight)).astype(np.int32)
    sealed = (rng.random(count) < _SEALED_AT_OPEN_CHANCE) & ((close == up) | (close == down))
    opening = np.clip(np.where(sealed, close, opening), down, up)

    reach = np.abs(draws[:, 1:]) * (0.48 * unrest)[:, np.newaxis]
    reach[sealed] = 0
    top, bottom = np.maximum(opening, close), np.minimum(opening, close)
    high = np.minimum(np.rint(top * (1 + reach[:, 0])).astype(np.int32), up)
    low = np.maximum(np.rint(bottom * (1 - reach[:, 1])).astype(np.int32), down)
    return Prices(opening, high, low)


def draw_shares(
    seed: int, path: PricePath, register: ShareRegister, session: int
) -> npt.NDArray[np.int64]:
    """Shares traded: large on days and in quarters of large moves."""
    close = path.close(session)
    count = close.size
    draws = random_stream(seed, Purpose.VOLUME, session).standard_normal(count)
    habits = random_stream(seed, Purpose.TRAITS, 4).standard_normal(path.traits.beta.size)
    habit = np.exp(0.6 * habits[:count])
    day_return = np.abs(close / path.pre_close(session) - 1)
    unrest = path.volatility(session) / path.traits.volatility[:count]
    rate = _MEDIAN_TURNOVER * habit * unrest**1.4 * path.market.agitation[session]
    rate = rate * np.exp(9 * np.minimum(day_return, 0.12) + 0.58 * draws)
    wanted = np.rint(register.on(session).floating * np.minimum(rate, 0.75)).astype(np.int64)
    shares: npt.NDArray[np.int64] = np.maximum(wanted, _FEWEST_LOTS * _SHARES_PER_LOT)
    return shares


def usual_shares(
    path: PricePath, shares_of: Callable[[int], npt.NDArray[np.int64]], session: int
) -> Doubles:
    """Mean of the shares traded in the five sessions before; NaN where there was no trading.

    `shares_of` tells the shares of a session as `draw_shares` does.
    """
    count = path.close(session).size
    traded_sum = np.zeros(count)
    traded_sessions = np.zeros(count)
    for earlier in range(max(session - _USUAL_SESSIONS, 0), session):
        shares = shares_of(earlier)
        trades = path.trades(earlier)
        traded_sum[: shares.size] += np.where(trades, shares, 0)
        traded_sessions[: shares.size] += trades
    usual = np.full(count, np.nan)
    np.divide(traded_sum, traded_sessions, out=usual, where=traded_sessions > 0)
    return usual


def settle(
    seed: int,
    session: int,
    shares: npt.NDArray[np.int64],
    low: Integers,
    high: Integers,
    ticks_per_yuan: Integers,
) -> Turnover:
    """The amount for the shares traded between `low` and `high`, which are in ticks.

    The average price lies within [low, high] even when computed as `amount * 10 / vol` from
    the printed values. A day with one price leaves no room for rounding: there the volume is
    moved to whole lots for which the printed values divide exactly.
    """
    weight = 0.2 + 0.6 * random_stream(seed, Purpose.AVERAGE_PRICE, session).random(shares.size)
    one_price = low == high
    lots = np.where(one_price, shares // _SHARES_PER_LOT, 0)
    shares = np.where(one_price, lots * _SHARES_PER_LOT, shares)
    average = (low + (high - low) * weight) / ticks_per_yuan
    amount = np.rint(shares * average).astype(np.int64)
    lowest, highest = low / ticks_per_yuan, high / ticks_per_yuan
    outside = _is_outside(shares, amount, lowest, highest)
    while outside.any():
        shares = shares + np.where(outside, _SHARES_PER_LOT, 0)
        amount = np.where(outside, np.rint(shares * average).astype(np.int64), amount)
        outside = _is_outside(shares, amount, lowest, highest)
    return Turnover(shares, amount)


def _is_outside(
    shares: npt.NDArray[np.int64], amount: npt.NDArray[np.int64], lowest: Doubles, highest: Doubles
) -> Booleans:
    printed = (amount / 1000) * 10 / (shares / _SHARES_PER_LOT)
    outside: Booleans = (printed < lowest) | (printed > highest)
    return outside
