"""Factors of a fund, out of its own bars: what `pre_close` makes of the close before it.

Here belongs the arithmetic of one fund. The vendor's factors are of shares alone, and the exchange
tells of a split or a dividend in `pre_close`, which is the close before in the money of the day.
What is done with factors is `adjusting`.
"""

import datetime as dt

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from marketdata_assets.serving.adjusting import Factors, MissingFactors, Numbers
from marketdata_assets.serving.ohlcv_view import EPOCH
from marketdata_assets.storage.series import SERIES_ASSETS, Series
from marketdata_assets.tables import ETF_PREMIUM
from marketdata_assets.trading_calendar import sessions_between

BAR_COLUMNS = ("trade_date", "close", "pre_close")
# Half of the last digit of a fund's price.
HALF_A_TICK = 0.0005 + 1e-9
# A fund may move by a tenth or a fifth a day, a REIT by 30 % on its first.
LARGEST_MOVE = 0.5
MOST_PARTS = 10
Booleans = npt.NDArray[np.bool_]


def factors_of_fund(code: str, series: Series, rows: pa.Table, anchor: dt.date | None) -> Factors:
    """What the fund's `rows` of a series of ETF_PREMIUM are adjusted with; as `fund_factors`.

    Only what lies between these rows and the anchor, or without one the first day that is stored,
    has to be known.
    """
    bars = series.slice(code, columns=BAR_COLUMNS)
    days = rows["trade_date"]
    ends = [days[0].as_py(), days[-1].as_py()] if len(days) else []
    ends.append(dt.date.min if anchor is None else anchor)
    return Factors(fund_factors(code, bars, min(ends), max(ends)), series.days[-1], series.table)


def fund_factors(code: str, bars: pa.Table, since: dt.date, until: dt.date) -> pa.Table:
    """`trade_date` and `adj_factor` of every one of a fund's bars: 1 on the first day.

    `bars` has BAR_COLUMNS by day, prices in yuan. A factor is the one before times close before /
    pre_close where these differ by more than half a tick, so adjusted closes return close /
    pre_close - 1. After sessions without a bar pre_close may hold what the price did meanwhile, or
    the value of a day on which the fund was halted: it counts only where it is the last close, or
    that close divided or multiplied by a whole number up to MOST_PARTS.

    Raises `MissingFactors` where that fails after `since` and up to `until`, or where pre_close
    is not there, or can't belong to the close of its day.
    """
    days: npt.NDArray[np.int32] = bars["trade_date"].cast(pa.int32()).to_numpy()
    if not len(days):
        return _factors(bars["trade_date"], np.empty(0))
    close, pre_close = (_numbers(bars[name]) for name in ("close", "pre_close"))
    before, told, now = close[:-1], pre_close[1:], close[1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        is_same = np.abs(told - before) <= HALF_A_TICK
        fits = (before > 0) & (told > 0) & (np.abs(now / told - 1) <= LARGEST_MOVE)
        is_known = fits & (is_same | _is_next_session(days) | _is_whole_split(before, told))
        steps = np.where(is_same | ~is_known, 1.0, before / told)
    asked = (days[1:] > (since - EPOCH).days) & (days[1:] <= (until - EPOCH).days)
    unknown = np.flatnonzero(~is_known & asked)
    if len(unknown):
        raise MissingFactors(_unknown(code, bars, int(unknown[0]), len(unknown)))
    return _factors(bars["trade_date"], np.cumprod(np.concatenate([[1.0], steps])))


def _is_next_session(days: npt.NDArray[np.int32]) -> Booleans:
    """Of every bar but the first, whether that before it is of the session before."""
    first, last = (EPOCH + dt.timedelta(int(day)) for day in (days[0], days[-1]))
    sessions = np.array([(day - EPOCH).days for day in sessions_between(first, last)])
    is_next: Booleans = np.diff(np.searchsorted(sessions, days)) == 1
    return is_next


def _is_whole_split(before: Numbers, told: Numbers) -> Booleans:
    parts = np.clip(np.round(np.maximum(before / told, told / before)), 1, MOST_PARTS)
    split = np.abs(told - before / parts) <= HALF_A_TICK
    return split | (np.abs(told - before * parts) <= HALF_A_TICK)


def _numbers(column: pa.ChunkedArray) -> Numbers:
    numbers: Numbers = column.to_numpy().astype(np.float64)
    return numbers


def _factors(days: pa.ChunkedArray, factors: Numbers) -> pa.Table:
    return pa.table({"trade_date": days, "adj_factor": pa.array(factors, pa.float64())})


def _unknown(code: str, bars: pa.Table, number: int, count: int) -> str:
    """What is wrong with the bar that comes after bar `number`, and what to do."""
    last, one = bars.slice(number, 2).to_pylist()
    more = f" It is the first of {count} such days." if count > 1 else ""
    between = sessions_between(last["trade_date"], one["trade_date"])[1:-1]
    days = f"{one['trade_date']}"
    if between:
        days = f"{between[0]} to {between[-1]}" if len(between) > 1 else f"{between[0]}"
        why = (
            f"there is no bar of it on {len(between)} session(s), {days}, and nothing tells a "
            "split or a dividend from what the price did meanwhile"
        )
    else:
        why = "these don't belong together"
    return (
        f"{code} has no factor on {one['trade_date']}: its pre_close is {one['pre_close']}, its "
        f"close {one['close']}, and the close before, of {last['trade_date']}, {last['close']}; "
        f"{why}.{more} Materialize {ETF_PREMIUM.name} for {days}, then "
        f"{SERIES_ASSETS[ETF_PREMIUM.name]}, or ask for days and an anchor on one side of it with "
        "adjust=qfq."
    )
