"""Adjusted prices of one code, computed when asked and never stored.

Here belongs the arithmetic, and what can't be adjusted. Which rows and factors there are is up to
the caller; those of a fund are `fund_factors`, those of a main contract
`roll_factors`.

Source: Tushare's definition of its `adj_factor`: backward (后复权, hfq) is price × factor, forward
(前复权, qfq) is price × factor / factor at an anchor.
"""

import datetime as dt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.errors import MarketdataError
from marketdata_assets.instruments import FUND_KINDS, Instrument, Kind
from marketdata_assets.serving.former_codes import rows_under_both
from marketdata_assets.serving.ohlcv_view import EPOCH
from marketdata_assets.serving.queries import Adjust
from marketdata_assets.storage.series import SERIES_ASSETS, Series
from marketdata_assets.tables import ADJ_FACTOR, DAILY_PRICES, ETF_PREMIUM, Table
from marketdata_assets.tables.daily_prices import ADJUSTED_COLUMNS
from marketdata_assets.trading_calendar import previous_session

# The close before goes by another name in the tables of funds.
ADJUSTED_IN_ANY = (*ADJUSTED_COLUMNS, "pre_close")
ADJUSTABLE_KINDS = FUND_KINDS | {Kind.A_SHARE, Kind.FUTURES}
ONE_DAY = dt.timedelta(1)
FACTOR_SERIES = SERIES_ASSETS[ADJ_FACTOR.name]
Numbers = npt.NDArray[np.float64]


class MissingFactors(MarketdataError, status=409):
    """Prices that can't be adjusted, because the factor that they need is not there."""


class NotAdjustable(MarketdataError, is_final=True, status=400):
    """Adjusted prices were asked for of something that has no factors."""


class Factors(NamedTuple):
    """Rows in the columns of `adj_factor` of one code, by day, and the last day of which any are.

    `table` is what they come from.
    """

    own: pa.Table
    until: dt.date | None
    table: Table = ADJ_FACTOR


def refuse_unadjustable(instrument: Instrument, adjust: Adjust) -> None:
    """Raise `NotAdjustable` when adjusted prices are asked for of what has no factors."""
    if adjust is not Adjust.NONE and instrument.kind not in ADJUSTABLE_KINDS:
        raise NotAdjustable(
            f"{instrument.code} can't be adjusted: there are factors of A-shares, funds and main "
            f"contracts of futures alone, and it is: {instrument.kind.doc}. Ask with adjust=none."
        )


def refuse_without_factors(instrument: Instrument, adjust: Adjust) -> None:
    """Raise `MissingFactors` when what is stored by code alone is to be adjusted."""
    if adjust is not Adjust.NONE:
        tables = f"{DAILY_PRICES.name} and {ADJ_FACTOR.name}"
        if instrument.kind in FUND_KINDS:
            tables = ETF_PREMIUM.name
        raise MissingFactors(
            f"{instrument.code} is stored by code alone, without factors. Materialize {tables} "
            "for its days."
        )


def factors_in(series: Series | None, code: str, former: str = "") -> Factors:
    """The factors of a share out of their series. Raises `MissingFactors` without one.

    Those under the code it had before, which may be empty, count where the two agree.
    """
    if series is None:
        raise MissingFactors(f"{ADJ_FACTOR.name} has no series yet. Materialize {FACTOR_SERIES}.")
    return Factors(_factors_under(code, former, series), series.days[-1])


def adjusted(
    code: str, rows: pa.Table, factors: Factors, anchor: dt.date | None, date: str = "date"
) -> pa.Table:
    """Rows of one instrument as its table has them, their day in `date`, adjusted.

    Forward in the money of `anchor`, or backward without one. At an anchor without a factor
    (delisted by then, or no session) a share takes its last one before; rows with the anchor's
    factor keep their prices to the bit. Nothing is rounded, as cents would bend the returns of
    small prices. The columns that are not in `ADJUSTED_IN_ANY` stay as they are: volumes, and also
    the limits. The close before gets the factor of its row, so close over it stays what it was.

    Raises `MissingFactors`, also for a share that was listed after the anchor only, and when the
    factors end before the anchor, for what happened in between is then unknown.
    """
    scale = _factors_of(code, rows[date], factors)
    if anchor is not None:
        session = previous_session(anchor + ONE_DAY)
        if factors.until is None or factors.until < session:
            table = factors.table.name
            raise MissingFactors(
                f"{table} is there up to {factors.until} only, and the anchor is {anchor}. "
                f"Materialize {table} up to {session}, then {SERIES_ASSETS[table]}, or choose an "
                "earlier anchor."
            )
        scale = scale / _factor_at(code, anchor, factors)
    return _scaled(rows, scale)


def _factors_under(code: str, former: str, factors: Series) -> pa.Table:
    """The factors of a share by day; those under its former code where the two agree."""
    columns = ["trade_date", "adj_factor"]
    own = factors.slice(code, None, None, columns).drop_null()
    if not former:
        return own
    before = factors.slice(former, None, None, columns).drop_null()
    shared = own.join(before, "trade_date", right_suffix="_before", join_type="inner")
    agree = shared.num_rows and pc.all(pc.equal(*shared.columns[1:])).as_py()
    if own.num_rows and not agree:
        # Two counts that nothing connects can't be one.
        return own
    return rows_under_both(factors, code, former, None, None, columns, "trade_date").drop_null()


def _scaled(rows: pa.Table, scale: Numbers) -> pa.Table:
    for number, name in enumerate(rows.column_names):
        if name in ADJUSTED_IN_ANY:
            column = rows[name].combine_chunks()
            product = column.to_numpy(zero_copy_only=False) * scale
            is_null = column.is_null().to_numpy(zero_copy_only=False)
            rows = rows.set_column(number, name, pa.array(product, mask=is_null))
    return rows


def _factors_of(code: str, dates: pa.ChunkedArray, factors: Factors) -> Numbers:
    """The factor of each of `dates`, of the code's own by day."""
    known, wanted = _ordinals(factors.own["trade_date"]), _ordinals(dates)
    at = np.minimum(np.searchsorted(known, wanted), max(len(known) - 1, 0))
    found = np.full(len(wanted), np.nan)
    if len(known):
        hit = known[at] == wanted
        found[hit] = factors.own["adj_factor"].to_numpy()[at[hit]]
    missing = np.flatnonzero(~(found > 0))
    if len(missing):
        first = ", ".join(f"{code} {dates[int(n)]}" for n in missing[:3])
        more = " …" if len(missing) > 3 else ""
        table = factors.table.name
        raise MissingFactors(
            f"{table} has no factor of the day for {len(missing)} of the prices: {first}{more}. "
            f"Materialize {table} for these days, then {SERIES_ASSETS[table]}."
        )
    return found


def _factor_at(code: str, anchor: dt.date, factors: Factors) -> float:
    """The last factor on or before the anchor."""
    days, values = factors.own["trade_date"], factors.own["adj_factor"]
    before = np.searchsorted(_ordinals(days), (anchor - EPOCH).days, "right")
    value = values[int(before) - 1].as_py() if before else None
    if not (value and value > 0):
        raise MissingFactors(
            f"{factors.table.name} has no factor of {code} on or before the anchor {anchor}. "
            "Choose a later one."
        )
    return float(value)


def _ordinals(dates: pa.ChunkedArray) -> npt.NDArray[np.int32]:
    days: npt.NDArray[np.int32] = dates.cast(pa.int32()).to_numpy()
    return days
