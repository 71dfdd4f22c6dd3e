"""Factors of a main continuous contract, out of its own history: what its changes did to the price.

Here belongs the arithmetic of one history. Where the factor of a day comes from is
`resources.sources.main_contracts`, what is done with factors `adjusting`.
"""

import datetime as dt

import numpy as np
import pyarrow as pa

from marketdata_assets.serving.adjusting import Factors, MissingFactors, adjusted
from marketdata_assets.serving.ohlcv_view import EPOCH, between
from marketdata_assets.serving.queries import Adjust, Range
from marketdata_assets.tables import INSTRUMENT_HISTORY
from marketdata_assets.trading_calendar import previous_session


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
    if anchor and not first <= previous_session(anchor + dt.timedelta(1)) <= last:
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
    steps = history["roll_factor"].to_numpy().astype(np.float64)
    days = history["date"].cast(pa.int32()).to_numpy()
    asked = (days > (since - EPOCH).days) & (days <= (until - EPOCH).days)
    unknown = np.flatnonzero(asked & ~(steps > 0))
    if len(unknown):
        raise MissingFactors(_unknown(code, history, int(unknown[0]), len(unknown)))
    known = np.where(steps > 0, steps, 1.0)
    known[0] = 1.0
    return pa.table({"trade_date": history["date"], "adj_factor": np.cumprod(known)})


def _unknown(code: str, history: pa.Table, number: int, count: int) -> str:
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
    more = f" It is the first of {count} such days." if count > 1 else ""
    return (
        f"{code} has no factor on {one['date']}: {why}.{more} Materialize "
        f"{INSTRUMENT_HISTORY.name} for {code} again, ask for days and an anchor on one side of it "
        "with adjust=qfq, or ask with adjust=none."
    )
