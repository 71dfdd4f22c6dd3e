"""Rows as JSON, CSV, Arrow or Parquet.

Here belongs how values are written: numbers exactly, so that reading them gives the same double,
days as YYYY-MM-DD, and what is missing as null, in JSON also what is no number.
"""

import codecs
import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import compress

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from fastapi.responses import Response

from marketdata_assets.serving.queries import Encoding, Format

MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv; charset=utf-8",
    Format.ARROW: "application/vnd.apache.arrow.stream",
    Format.PARQUET: "application/vnd.apache.parquet",
}

# The days since 1970 of 1900-01-01, and how many from there on are known as text.
FIRST_DAY, DAYS = -25_567, 75_000
# Together they are written a third quicker than one by one, or all at once.
ROWS_AT_ONCE = 4_000


def json_response(
    body: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Any plain object as JSON."""
    return Response(orjson.dumps(body), status, dict(headers or {}), MEDIA_TYPES[Format.JSON])


def json_records(rows: pa.Table) -> bytes:
    """A JSON list with an object a row."""
    return json_lists([rows])[0]


def json_lists(tables: Sequence[pa.Table]) -> list[bytes]:
    """Each of some tables of the same columns as a JSON list with an object a row.

    Columns are written as a whole and joined by Arrow: hardly a value is ever an object of Python.
    Many small tables are written as few larger ones, each in the processor's reach.
    """
    lists: list[bytes] = []
    group: list[pa.Table] = []
    for rows in tables:
        group.append(rows)
        if sum(one.num_rows for one in group) >= ROWS_AT_ONCE:
            lists += _lists(group)
            group = []
    return lists + _lists(group) if group else lists


def _lists(tables: Sequence[pa.Table]) -> list[bytes]:
    texts = _objects(pa.concat_tables(tables).combine_chunks())
    ends = np.cumsum([rows.num_rows for rows in tables])
    starts = [0, *ends[:-1]]
    letters, offsets = _letters_of(texts)
    # Without the comma before the first object.
    pieces = [
        letters[offsets[first] + 1 : offsets[end]] for first, end in zip(starts, ends, strict=True)
    ]
    return [b"".join((b"[", piece, b"]")) for piece in pieces]


def _objects(rows: pa.Table) -> pa.Array:
    """Each row as a JSON object with a comma before it."""
    if not rows.num_rows:
        return pa.array([], pa.string())
    columns = [column.chunk(0) for column in rows.itercolumns()]
    are_numbers = [pa.types.is_float64(column.type) for column in columns]
    numbers = iter(_numbers(list(compress(columns, are_numbers)), "}" if are_numbers[-1] else ","))
    parts, before = [], ",{"
    for left, (name, column) in enumerate(
        zip(rows.column_names, columns, strict=True), 1 - len(columns)
    ):
        is_number = pa.types.is_float64(column.type)
        parts.append(f"{before}{orjson.dumps(name).decode()}:")
        parts.append(next(numbers) if is_number else _written(column, "," if left else "}"))
        before = ""
    return pc.binary_join_element_wise(*parts, "")


def _numbers(columns: Sequence[pa.Array], end: str) -> list[pa.Array]:
    """Each number of some columns as JSON with a comma after it, of the last one with `end`."""
    if not columns:
        return []
    count = len(columns[0])
    numbers = np.concatenate([one.to_numpy(zero_copy_only=False) for one in columns])
    text = orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)
    # From [1.0,2.5] to [1.0,2.5}: each text ends where the next one begins.
    letters = np.frombuffer(bytearray(text.replace(b"]", b",")), np.uint8)
    places = np.flatnonzero(letters == ord(","))
    letters[places[-count:]] = ord(end)
    offsets = np.concatenate(([1], places + 1)).astype(np.int32)
    texts = pa.StringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(letters))
    return [texts.slice(first, count) for first in range(0, len(numbers), count)]


def _written(column: pa.Array, end: str) -> pa.Array:
    """Each value as JSON with `end` after it, as texts."""
    if pa.types.is_date(column.type):
        with suppress(pa.ArrowIndexError):
            days = pc.subtract(column.cast(pa.int32()), FIRST_DAY)
            return _days(end).take(days).fill_null(f"null{end}")
    if pa.types.is_string(column.type):
        quoted = pc.binary_join_element_wise('"', column, f'"{end}', "")
        if _is_plain(quoted, column.null_count):
            return quoted.fill_null(f"null{end}")
    return pa.array([orjson.dumps(one).decode() + end for one in column.to_pylist()], pa.string())


def _is_plain(quoted: pa.Array, nulls: int) -> bool:
    """Whether nothing between the quotes has to be escaped."""
    letters, _ = _letters_of(quoted)
    text = bytes(letters)
    return (
        text.count(b'"') == 2 * (len(quoted) - nulls)
        and b"\\" not in text
        and bool((np.frombuffer(text, np.uint8) >= ord(" ")).all())
    )


@functools.cache
def _days(end: str) -> pa.Array:
    """The days from FIRST_DAY on, as JSON with `end` after them; formatting them takes longer."""
    days = pa.array(np.arange(FIRST_DAY, FIRST_DAY + DAYS, dtype=np.int32)).cast(pa.date32())
    return pc.binary_join_element_wise('"', days.cast(pa.string()), f'"{end}', "")


def _letters_of(texts: pa.Array) -> tuple[memoryview, npt.NDArray[np.int32]]:
    """The letters of a whole array of texts, and where each text begins, and the last one ends."""
    _, places, letters = texts.buffers()
    offsets = np.frombuffer(places, np.int32)[: len(texts) + 1]
    return memoryview(letters)[: offsets[-1]], offsets


def table_bytes(rows: pa.Table, form: Format, encoding: Encoding = Encoding.UTF_8) -> bytes:
    """A table as a file of one of the other forms; the encoding is that of CSV."""
    sink = pa.BufferOutputStream()
    if encoding is Encoding.UTF_8_SIG:
        sink.write(codecs.BOM_UTF8)
    _WRITERS[form](rows, sink)
    return bytes(sink.getvalue())


def _write_arrow(rows: pa.Table, sink: pa.BufferOutputStream) -> None:
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        # One batch: the pieces that rows are stored in are nobody's business.
        writer.write_table(rows.combine_chunks())


def _write_csv(rows: pa.Table, sink: pa.BufferOutputStream) -> None:
    pa.csv.write_csv(rows, sink)


def _write_parquet(rows: pa.Table, sink: pa.BufferOutputStream) -> None:
    pa.parquet.write_table(rows, sink, compression="zstd")


_WRITERS: dict[Format, Callable[[pa.Table, pa.BufferOutputStream], None]] = {
    Format.ARROW: _write_arrow,
    Format.CSV: _write_csv,
    Format.PARQUET: _write_parquet,
}
