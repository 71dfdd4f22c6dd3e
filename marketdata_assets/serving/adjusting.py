"""Adjusted prices of one code, computed when asked and never stored.

Here belongs the arithmetic, and what can't be adjusted; which rows there are is up to the caller.
The vendor's factors are of shares alone. Of a fund the exchange tells of a split or a dividend in
`pre_close`, which is the close before in the money of the day; what a change of contract did to the
price of a main contract is in its history, see `resources.sources.tushare_history`.

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
from marketdata_assets.serving.ohlcv_view import EPOCH, between
from marketdata_assets.serving.queries import Adjust, Range
from marketdata_assets.storage.series import SERIES_ASSETS, Series
from marketdata_assets.tables import (
    ADJ_FACTOR,
    DAILY_PRICES,
    ETF_PREMIUM,
    INSTRUMENT_HISTORY,
    Table,
)
from marketdata_assets.tables.daily_prices import ADJUSTED_COLUMNS
from marketdata_assets.trading_calendar import (
    is_session,
    last_published_session,
    previous_session,
    sessions_between,
)

# The close before goes by another name in the tables of funds.
ADJUSTED_IN_ANY = (*ADJUSTED_COLUMNS, "pre_close")
ADJUSTABLE_KINDS = FUND_KINDS | {Kind.A_SHARE, Kind.FUTURES}
BAR_COLUMNS = ("trade_date", "close", "pre_close")
# Half of the last digit of a fund's price.
HALF_A_TICK = 0.0005 + 1e-9
# A fund may move by a tenth or a fifth a day, a REIT by 30 % on its first.
LARGEST_MOVE = 0.5
MOST_PARTS = 10
Numbers = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]


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
        made_by = SERIES_ASSETS[ADJ_FACTOR.name]
        raise MissingFactors(f"{ADJ_FACTOR.name} has no series yet. Materialize {made_by}.")
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
        if not _reaches(factors.until, anchor):
            table = factors.table.name
            raise MissingFactors(
                f"{table} is there up to {factors.until} only, and the anchor is {anchor}. "
                f"Materialize {table} up to {session_of(anchor)}, then {SERIES_ASSETS[table]}, or "
                "choose an earlier anchor."
            )
        scale = scale / _factor_at(code, anchor, factors)
    return _scaled(rows, scale)


def session_of(anchor: dt.date) -> dt.date:
    """The anchor, or the session before it, whose factor counts there."""
    return anchor if is_session(anchor) else previous_session(anchor)


def _reaches(until: dt.date | None, anchor: dt.date) -> bool:
    """Whether what is stored up to `until`, maybe of days that the installed calendar does not
    know, has the session of the anchor."""
    return until is not None and (until >= anchor or until >= session_of(anchor))


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
            f"Materialize {table} for these days, then {SERIES_ASSETS[table]}. Where the vendor "
            "has none, ask for other days, or with adjust=none."
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
    days = _ordinals(bars["trade_date"])
    if not len(days):
        return _factors(bars["trade_date"], np.empty(0))
    close, pre_close = (_numbers(bars[name]) for name in ("close", "pre_close"))
    before, told, now = close[:-1], pre_close[1:], close[1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        is_same = np.abs(told - before) <= HALF_A_TICK
        fits = (before > 0) & (told > 0) & (np.abs(now / told - 1) <= LARGEST_MOVE)
        is_known = fits & (is_same | _is_next_session(days) | _is_whole_split(before, told))
        steps = np.where(is_same | ~is_known, 1.0, before / told)
    unknown = np.flatnonzero(~is_known & _lies_between(days, since, until)[1:])
    if len(unknown):
        raise MissingFactors(_unknown_of_fund(code, bars, int(unknown[0]), len(unknown)))
    return _factors(bars["trade_date"], np.cumprod(np.concatenate([[1.0], steps])))


def rolled(code: str, history: pa.Table, asked: Range) -> pa.Table:
    """The rows of a main contract's `history` that are `asked` for, adjusted where that is.

    Forward (qfq) prices are those of the contract that was the main one at the anchor, without one
    on the last day; backward (hfq) ones those of the first contract of the history. Only what lies
    between the rows and there has to be known. Raises `MissingFactors`.
    """
    rows = between(history, asked.start, asked.end)
    if asked.adjust is Adjust.NONE or not len(rows):
        return rows
    days = history["date"]
    first, last = days[0].as_py(), days[-1].as_py()
    anchor = (asked.anchor or last) if asked.adjust is Adjust.QFQ else None
    if anchor and not (first <= anchor and _reaches(last, anchor)):
        raise MissingFactors(
            f"{INSTRUMENT_HISTORY.name} has {code} from {first} to {last}, and the anchor is "
            f"{anchor}. Choose one of these days."
        )
    ends = [rows["date"][0].as_py(), rows["date"][-1].as_py(), anchor or first]
    factors = roll_factors(code, history, min(ends), max(ends))
    return adjusted(code, rows, Factors(factors, last, INSTRUMENT_HISTORY), anchor)


def roll_factors(code: str, history: pa.Table, since: dt.date, until: dt.date) -> pa.Table:
    """`trade_date` and `adj_factor` of every bar: 1 on the first, then times each `roll_factor`.

    Raises `MissingFactors` where one is not known after `since` and up to `until`.
    """
    steps = _numbers(history["roll_factor"])
    unknown = np.flatnonzero(~(steps > 0) & _lies_between(_ordinals(history["date"]), since, until))
    if len(unknown):
        raise MissingFactors(_unknown_of_contract(code, history, int(unknown[0]), len(unknown)))
    known = np.where(steps > 0, steps, 1.0).astype(np.float64)
    known[0] = 1.0
    return _factors(history["date"], np.cumprod(known))


def _is_next_session(days: npt.NDArray[np.int32]) -> Booleans:
    """Of every bar but the first, whether that before it is of the session before."""
    first, last = (EPOCH + dt.timedelta(int(day)) for day in (days[0], days[-1]))
    known = sessions_between(first, min(last, last_published_session()))
    sessions = np.array([(day - EPOCH).days for day in known])
    is_next: Booleans = np.diff(np.searchsorted(sessions, days)) == 1
    # Of a day beyond the installed calendar nobody can say.
    return is_next & np.isin(days[1:], sessions)


def _is_whole_split(before: Numbers, told: Numbers) -> Booleans:
    parts = np.clip(np.round(np.maximum(before / told, told / before)), 1, MOST_PARTS)
    split = np.abs(told - before / parts) <= HALF_A_TICK
    return split | (np.abs(told - before * parts) <= HALF_A_TICK)


def _lies_between(days: npt.NDArray[np.int32], since: dt.date, until: dt.date) -> Booleans:
    """Which days, counted since 1970, come after `since`, and not after `until`."""
    between: Booleans = (days > (since - EPOCH).days) & (days <= (until - EPOCH).days)
    return between


def _numbers(column: pa.ChunkedArray) -> Numbers:
    numbers: Numbers = column.to_numpy().astype(np.float64)
    return numbers


def _factors(days: pa.ChunkedArray, factors: npt.NDArray[np.floating]) -> pa.Table:
    return pa.table({"trade_date": days, "adj_factor": pa.array(factors, pa.float64())})


def _unknown_of_fund(code: str, bars: pa.Table, number: int, count: int) -> str:
    """What is wrong with the bar that comes after bar `number`, and what to do."""
    last, one = bars.slice(number, 2).to_pylist()
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
        f"{why}.{_more(count)} Materialize {ETF_PREMIUM.name} for {days}, then "
        f"{SERIES_ASSETS[ETF_PREMIUM.name]}, or ask for days and an anchor on one side of it with "
        "adjust=qfq."
    )


def _unknown_of_contract(code: str, history: pa.Table, number: int, count: int) -> str:
    """Why there is no factor on the bar `number`, and what to do."""
    last, one = history.slice(number - 1, 2).to_pylist()
    why = (
        f"it changed from {last['main_contract']} to {one['main_contract']}, of which there is no "
        f"close of {last['date']}"
    )
    for bar in (one, last):
        if bar["main_contract"] is None:
            why = (
                f"which contract was the main one on {bar['date']} is not known, from "
                f"{bar['source']}"
            )
    return (
        f"{code} has no factor on {one['date']}: {why}.{_more(count)} Materialize "
        f"{INSTRUMENT_HISTORY.name} for {code} again, ask for days and an anchor on one side of it "
        "with adjust=qfq, or ask with adjust=none."
    )


def _more(count: int) -> str:
    return f" It is the first of {count} such days." if count > 1 else ""
