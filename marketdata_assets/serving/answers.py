"""What an answer is: rows, what they are of, and which version of which copy they come from.

Here belong the forms of answers, and the refusals that are about one instrument.
"""

import datetime as dt
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa

from marketdata_assets.errors import MarketdataError
from marketdata_assets.instruments import Instrument
from marketdata_assets.tables import Table

Span: TypeAlias = tuple[dt.date, dt.date]


class NotStored(MarketdataError, status=404):
    """Nothing is stored of a code that is well formed."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(f"{code} is not stored. Request its history, or track it.")


@dataclass(frozen=True)
class Slice:
    """Rows of one instrument by date, and what they are.

    `available` is the first and the last day that are stored of it. `generation` grows with every
    new version of the source, `stored_at` is when its newest day was stored. Where the question
    was about a former moment `available` is of the rows, None without any, `generation` is None,
    and `stored_at` is that moment. `missing` are the sessions of the range that were never stored,
    None where it is not stored by day, and so nobody can tell. Of a history by code `stale` is its
    last day, where sessions are over that came more than a few after it, and `origin` who it comes
    from; None of everything else. `unfinished` is the date of a last bar whose week or month has
    days to come.
    """

    code: str
    instrument: Instrument
    rows: pa.Table
    available: Span | None
    source: Table
    generation: int | None
    stored_at: dt.datetime
    missing: tuple[dt.date, ...] | None
    stale: dt.date | None = None
    origin: str | None = None
    unfinished: dt.date | None = None


@dataclass(frozen=True)
class CrossSection:
    """All instruments of a daily table on one day, by code."""

    date: dt.date
    rows: pa.Table
    source: Table
    generation: int
    stored_at: dt.datetime
