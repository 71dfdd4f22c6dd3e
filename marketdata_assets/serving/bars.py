"""Bars of a week or a month, out of those of its days.

Here belongs how days become a bar, and which bar is not finished. The days are adjusted before:
the highest price of a month is one of adjusted prices.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from marketdata_assets.errors import MarketdataError
from marketdata_assets.instruments import Instrument, Kind
from marketdata_assets.serving.answers import Slice
from marketdata_assets.trading_calendar import next_session

# Since 1970-01-01, a Thursday, weeks begin on Monday.
MONDAY = 3
SATURDAY = 5
ONE_DAY = dt.timedelta(1)
FIRST, LAST, HIGHEST, LOWEST, SUM = "first", "last", "highest", "lowest", "sum"
# Of daily columns alone can be told what they are of a week; a return or a ratio of it is another.
FOLDED = {
    "code": LAST,
    "date": LAST,
    "open": FIRST,
    "prev_close": FIRST,
    "pre_close": FIRST,
    "high": HIGHEST,
    "low": LOWEST,
    "close": LAST,
    "name": LAST,
    "volume": SUM,
    "turnover": SUM,
}


class Frequency(StrEnum):
    """What a bar is of: a day, a trading week, a trading month."""

    DAY = "D"
    WEEK = "W"
    MONTH = "M"


class NotInBars(MarketdataError, is_final=True, status=400):
    """A column of days was asked for that a week or a month does not have."""

    def __init__(self, frequency: Frequency, names: Sequence[str]) -> None:
        super().__init__(
            f"Bars of frequency={frequency} have no column {', '.join(names)}, which is of a day. "
            f"They have: {', '.join(FOLDED)}. Ask with frequency=D."
        )


def refuse_daily_columns(frequency: Frequency, columns: Sequence[str]) -> None:
    """Raise `NotInBars` for columns that only a day has."""
    daily = [name for name in columns if name not in FOLDED]
    if daily and frequency is not Frequency.DAY:
        raise NotInBars(frequency, daily)


def beginning(frequency: Frequency, day: dt.date) -> dt.date:
    """The first calendar day of the week or month of `day`, so that no bar begins in its middle."""
    if frequency is Frequency.WEEK:
        return dt.date.fromordinal(max(1, day.toordinal() - day.weekday()))
    return day.replace(day=1) if frequency is Frequency.MONTH else day


def in_bars(found: Slice, frequency: Frequency, end: dt.date | None, moment: dt.datetime) -> Slice:
    """The days of `found` as bars; `date` is the last day with a row in each.

    `unfinished` is the date of a last bar that has days to come: after `end`, or after the last
    day that was over at `moment`. Open is that of the first day, close of the last, volume and
    turnover are sums; what one of its days lacks, a bar lacks.
    """
    if not found.rows.num_rows:
        return found
    days = found.rows["date"].cast(pa.int32()).to_numpy()
    periods = _periods(days, frequency)
    firsts = np.flatnonzero(np.diff(periods, prepend=periods[0] - 1))
    lasts = np.append(firsts[1:], len(days)) - 1
    columns = {
        name: _folded(found.rows[name], FOLDED[name], firsts, lasts)
        for name in found.rows.column_names
    }
    newest = found.rows["date"][-1].as_py()
    over = found.instrument.market.last_final_day(moment)
    following = _next_day(found.instrument, min(end, over) if end else over)
    is_over = beginning(frequency, following) != beginning(frequency, newest)
    return replace(found, rows=pa.table(columns), unfinished=None if is_over else newest)


def _next_day(instrument: Instrument, day: dt.date) -> dt.date:
    """The next day that may have a row; of markets without a calendar here, the next weekday.

    Coins trade on all of them.
    """
    if instrument.market.timezone == "Asia/Shanghai":
        return next_session(day)
    following = day + ONE_DAY
    if instrument.kind is Kind.CRYPTO or following.weekday() < SATURDAY:
        return following
    return following + dt.timedelta(7 - following.weekday())


def _periods(days: npt.NDArray[np.int32], frequency: Frequency) -> npt.NDArray[np.int64]:
    """A number for the week or month of each day."""
    if frequency is Frequency.WEEK:
        return (days.astype(np.int64) + MONDAY) // 7
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def _folded(
    column: pa.ChunkedArray, how: str, firsts: npt.NDArray[np.intp], lasts: npt.NDArray[np.intp]
) -> pa.Array | pa.ChunkedArray:
    if how in (FIRST, LAST):
        return column.take(pa.array(firsts if how is FIRST else lasts))
    fold = {HIGHEST: np.maximum, LOWEST: np.minimum, SUM: np.add}[how]
    # A missing number is none to numpy, and whatever it meets becomes one.
    numbers = column.to_numpy().astype(np.float64)
    return pa.array(fold.reduceat(numbers, firsts), column.type, from_pandas=True)
