"""The prices of many codes as one table.

Here belongs how slices of single codes are put together, and what is told of them beside. Where the
slices come from is `price_reader`.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.errors import MarketdataError
from marketdata_assets.serving.answers import Slice
from marketdata_assets.serving.gaps import Days
from marketdata_assets.serving.ohlcv_view import column_type


class ManyCodes(NamedTuple):
    """Rows with `code` and `date` first, those of a code together and by date.

    By code: `missing` are the sessions that were never stored, empty where nobody can tell, of each
    that was answered; `unfinished` the date of a last bar with days to come, and `stale` the last
    day of a history that ends early, where there is one; `failed` why there is no answer.
    """

    rows: pa.Table
    missing: dict[str, Days]
    unfinished: dict[str, dt.date]
    stale: dict[str, dt.date]
    failed: dict[str, MarketdataError]


def in_one_table(
    columns: Sequence[str],
    found: Mapping[str, Slice | MarketdataError],
    known: ManyCodes | None = None,
    order: Sequence[str] = (),
) -> ManyCodes:
    """What is `found` of some codes, and `known` of others, in the `order` of all."""
    names = ["code", "date", *(name for name in columns if name not in ("code", "date"))]
    schema = pa.schema([(name, column_type(name)) for name in names])
    slices = {code: one for code, one in found.items() if isinstance(one, Slice)}
    pieces = _by_code(known.rows.cast(schema)) if known else {}
    pieces |= {code: _with_code(one).select(names).cast(schema) for code, one in slices.items()}
    return ManyCodes(
        pa.concat_tables(
            [schema.empty_table(), *(pieces[code] for code in order or pieces if code in pieces)]
        ),
        (known.missing if known else {})
        | {code: one.missing or () for code, one in slices.items()},
        {code: one.unfinished for code, one in slices.items() if one.unfinished},
        {code: one.stale for code, one in slices.items() if one.stale},
        {code: one for code, one in found.items() if not isinstance(one, Slice)},
    )


def _by_code(rows: pa.Table) -> dict[str, pa.Table]:
    pieces, first = {}, 0
    for one in pc.value_counts(rows["code"]).to_pylist():
        pieces[one["values"]] = rows.slice(first, one["counts"])
        first += one["counts"]
    return pieces


def _with_code(found: Slice) -> pa.Table:
    """Its rows with its code in front."""
    rows = found.rows
    if "code" in rows.column_names:
        return rows
    return rows.add_column(0, "code", pa.repeat(pa.scalar(found.code), rows.num_rows))
