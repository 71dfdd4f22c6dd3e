"""Rows as JSON, CSV, Arrow or Parquet.

Here belongs how values are written: numbers exactly, so that reading them gives the same double,
days as YYYY-MM-DD, and what is missing as null, in JSON also what is no number.
"""

import codecs
import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import compress, pairwise

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
# Small tables are written together; more rows would be in memory more than once.
ROWS_AT_ONCE = 20_000


def json_response(
    body: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Any plain object as JSON."""
    return Response(orjson.dumps(body), status, dict(headers or {}), MEDIA_TYPES[Format.JSON])


def rows_response(
    rows: pa.Table, facts: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> Response:
    """Rows as JSON, and what is told beside them."""
    body = with_data(json_records(rows), facts)
    return Response(body, headers=dict(headers or {}), media_type=MEDIA_TYPES[Format.JSON])


def with_data(records: bytes, facts: Mapping[str, object]) -> bytes:
    """One JSON object of rows that are written, as its `data`, and what is told beside them."""
    return b"".join((b'{"data":', records, b",", orjson.dumps(facts)[1:]))


def json_records(rows: pa.Table) -> bytes:
    """A JSON list with an object a row."""
    return json_lists([rows])[0]


def json_lists(tables: Sequence[pa.Table]) -> list[bytes]:
    """Each of some tables of the same columns as a JSON list with an object a row.

    Columns are written as a whole and put in order by Arrow: hardly a value is ever an object of
    Python. Many small tables are written as few larger ones.
    """
    lists: list[bytes] = []
    group: list[pa.Table] = []
    count = 0
    for rows in tables:
        group.append(rows)
        count += rows.num_rows
        if count >= ROWS_AT_ONCE:
            lists += _lists(group)
            group, count = [], 0
    return lists + _lists(group) if group else lists


def _lists(tables: Sequence[pa.Table]) -> list[bytes]:
    letters, offsets = _objects(pa.concat_tables(tables).combine_chunks())
    ends = offsets[np.cumsum([0, *(rows.num_rows for rows in tables)])].tolist()
    # Without the comma before the first object.
    return [b"".join((b"[", letters[first + 1 : end], b"]")) for first, end in pairwise(ends)]


def _objects(rows: pa.Table) -> tuple[memoryview, npt.NDArray[np.int32]]:
    """Each row as a JSON object with a comma before it, and where each begins, and the last ends.

    All names and values are texts of one array; taken in the order of the rows they are the answer.
    """
    count, width = rows.shape
    if not count:
        return memoryview(b""), np.zeros(1, np.int32)
    columns = [column.chunk(0) for column in rows.itercolumns()]
    ends = [*("," * (width - 1)), "}"]
    are_numbers = [pa.types.is_float64(column.type) for column in columns]
    end_of_numbers = ends[-1] if are_numbers[-1] else ","
    numbers = iter(_numbers(list(compress(columns, are_numbers)), end_of_numbers))
    values = [
        next(numbers) if is_number else _written(column, end)
        for is_number, column, end in zip(are_numbers, columns, ends, strict=True)
    ]
    names = [f"{orjson.dumps(name).decode()}:" for name in rows.column_names]
    names[0] = f",{{{names[0]}"
    order = np.empty((count, width, 2), np.int32)
    order[:, :, 0] = np.arange(width)
    order[:, :, 1] = np.arange(width, width + width * count).reshape(width, count).T
    texts = pa.concat_arrays([pa.array(names, pa.string()), *values]).take(pa.array(order.ravel()))
    letters, offsets = _letters_of(texts)
    return letters, offsets[:: 2 * width]


def _numbers(columns: Sequence[pa.Array], end: str) -> list[pa.Array]:
    """Each number of some columns as JSON with a comma after it, of the last one with `end`."""
    if not columns:
        return []
    count = len(columns[0])
    numbers = np.concatenate([one.to_numpy(zero_copy_only=False) for one in columns])
    text = orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)
    # From [1.0,2.5] to [1.0,2.5}: each text ends where the next one begins.
    letters = np.frombuffer(bytearray(text), np.uint8)
    letters[-1] = ord(",")
    places = np.flatnonzero(letters == ord(","))
    letters[places[-count:]] = ord(end)
    offsets = np.concatenate(([0], places), dtype=np.int32) + 1
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


_WRITERS: dict[Format, Callable[[pa.Table, pa.BufferOutputStream], None]] = {
    Format.ARROW: _write_arrow,
    Format.CSV: pa.csv.write_csv,
    Format.PARQUET: functools.partial(pa.parquet.write_table, compression="zstd"),
}
