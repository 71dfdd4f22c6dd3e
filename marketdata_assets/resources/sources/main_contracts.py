"""Which contract a main continuous one was each day, and what its changes did to the price.

Here belongs the arithmetic over what a source says; what it is asked is the source's own file.
"""

import datetime as dt
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import pyarrow as pa

from marketdata_assets.resources.sources.history import ROLLS

Closes: TypeAlias = Mapping[dt.date, float]
# The closes of a contract from a day to a day, both included.
ClosesOf: TypeAlias = Callable[[str, dt.date, dt.date], Closes]


class Rolls(NamedTuple):
    """Contract and factor of every bar, in ROLLS; the days whose contract is not known."""

    rows: pa.Table
    unknown: list[dt.date]


def rolls_of(closes: Closes, contracts: Mapping[dt.date, str], closes_of: ClosesOf) -> Rolls:
    """Contract and factor of every bar of a main continuous contract.

    `closes` are its own, by day in order, `contracts` what its source says which contract it was.
    That is believed where the contract has the same close. A factor is 1, or where the contract
    changed, close of the old one / close of the new one on the day of the bar before: adjusted by
    it, closes return what the new contract did. It is NULL on the first bar, and where a contract
    or that close is not known. `closes_of` is asked once for every stretch of one contract.
    """
    days = list(closes)
    mains: list[str | None] = []
    factors: list[float | None] = []
    for contract, stretch in itertools.groupby(days, key=contracts.get):
        own = list(stretch)
        before = days[len(mains) - 1] if mains else None
        theirs = closes_of(contract, before or own[0], own[-1]) if contract else {}
        for day in own:
            mains.append(contract if theirs.get(day) == closes[day] else None)
            factors.append(_factor(mains, closes, theirs, before))
            before = day
    unknown = [day for day, main in zip(days, mains, strict=True) if main is None]
    return Rolls(pa.table([mains, factors], schema=ROLLS), unknown)


def _factor(
    mains: Sequence[str | None], closes: Closes, theirs: Closes, before: dt.date | None
) -> float | None:
    """The factor of the last of `mains`, whose own closes are `theirs`."""
    if before is None or None in mains[-2:]:
        return None
    if mains[-2] == mains[-1]:
        return 1.0
    close = theirs.get(before)
    return closes[before] / close if close else None
