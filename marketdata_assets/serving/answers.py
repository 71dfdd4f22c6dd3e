"""What an answer is: rows, what they are of, and which version of which copy they come from.

Here belong the forms of answers, those of many codes too, and that nothing is stored of one. Where
the rows come from is `price_reader`.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.errors import MarketdataError
from marketdata_assets.instruments import Instrument
from marketdata_assets.serving.gaps import Days
from marketdata_assets.serving.ohlcv_view import schema_of
from marketdata_assets.storage.series import SERIES_ASSETS
from marketdata_assets.tables import Table

Span: TypeAlias = tuple[dt.date, dt.date]


class NotStored(MarketdataError, status=404):
    """Nothing is stored of a code that is well formed."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(f"{code} is not stored. Request its history, or track it.")


class NotByCode(NotStored):
    """Days are stored, and none by code yet: before the first refresh, or after a restore."""

    def __init__(self, code: str, table: Table) -> None:
        self.code = code
        MarketdataError.__init__(
            self,
            f"{code} is not stored by code: {table.name} has no series yet. Materialize "
            f"{SERIES_ASSETS[table.name]}.",
        )


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
    missing: Days | None
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


class ManyCodes(NamedTuple):
    """Rows with `code` and `date` first, those of a code together and by date.

    By code: `missing` are the sessions that were never stored, empty where nobody can tell, of each
    that was answered; `unfinished` the date of a last bar with days to come, and `stale` the last
    day of a history that ends early, where there is one; `failed` why there is no answer. `empty`
    are those that were answered without a row.
    """

    rows: pa.Table
    missing: dict[str, Days]
    unfinished: dict[str, dt.date]
    stale: dict[str, dt.date]
    failed: dict[str, MarketdataError]
    empty: tuple[str, ...] = ()


def span_of(dates: pa.ChunkedArray) -> Span | None:
    """The first and the last of dates in order; None where there is none."""
    return (dates[0].as_py(), dates[-1].as_py()) if len(dates) else None


def in_one_table(
    columns: Sequence[str],
    found: Mapping[str, Slice | MarketdataError],
    known: ManyCodes | None = None,
    order: Sequence[str] = (),
) -> ManyCodes:
    """What is `found` of some codes, and `known` of others, in the `order` of all."""
    names = ["code", "date", *(name for name in columns if name not in ("code", "date"))]
    schema = schema_of(names)
    slices = {code: one for code, one in found.items() if isinstance(one, Slice)}
    pieces = _by_code(known.rows.cast(schema)) if known else {}
    pieces |= {code: with_code(one).select(names).cast(schema) for code, one in slices.items()}
    return ManyCodes(
        pa.concat_tables(
            [schema.empty_table(), *(pieces[code] for code in order or pieces if code in pieces)]
        ),
        (known.missing if known else {})
        | {code: one.missing or () for code, one in slices.items()},
        {code: one.unfinished for code, one in slices.items() if one.unfinished},
        {code: one.stale for code, one in slices.items() if one.stale},
        {code: one for code, one in found.items() if not isinstance(one, Slice)},
        tuple(code for code, one in slices.items() if not one.rows.num_rows),
    )


def _by_code(rows: pa.Table) -> dict[str, pa.Table]:
    pieces, first = {}, 0
    for one in pc.value_counts(rows["code"]).to_pylist():
        pieces[one["values"]] = rows.slice(first, one["counts"])
        first += one["counts"]
    return pieces


def with_code(found: Slice) -> pa.Table:
    """Its rows with its present code in front; those of before are stored under its former one."""
    rows = found.rows
    if "code" in rows.column_names:
        rows = rows.drop_columns("code")
    return rows.add_column(0, "code", pa.repeat(pa.scalar(found.code), rows.num_rows))
