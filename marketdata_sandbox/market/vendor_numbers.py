"""Numbers the way the vendor prints them: decimals, rounding, nothing for NaN.

Here belongs arithmetic on the way out. What the numbers mean belongs to those who compute them.
"""

import numpy as np
import numpy.typing as npt

from marketdata_sandbox.market.price_limits import Integers

Doubles = npt.NDArray[np.float64]


def percent_change(close: Integers, pre_close: Integers, decimals: int) -> Doubles:
    """The change in percent, rounded half away from zero on the exact ratio of the ticks."""
    scaled = np.abs(close.astype(np.int64) - pre_close) * 100 * 10**decimals
    magnitude = (2 * scaled + pre_close) // (2 * pre_close)
    # Integers keep a rounded zero from becoming a negative zero.
    signed = np.where(close < pre_close, -magnitude, magnitude)
    percent: Doubles = signed / 10**decimals
    return percent


def rounded_or_none(values: Doubles, decimals: int) -> list[float | None]:
    """Rounded to the nearest decimal, None for NaN."""
    rounded = np.round(values, decimals).astype(object)
    rounded[np.isnan(values)] = None
    printed: list[float | None] = rounded.tolist()
    return printed


def market_value(ticks: npt.NDArray[np.int64], shares: npt.NDArray[np.int64]) -> list[float]:
    """万元 with four decimals, from 0.01 yuan and single shares."""
    value: list[float] = ((ticks * shares + 50) // 100 / 10_000).tolist()
    return value
