"""The CSV: the chosen universe by date and code, byte for byte what pandas would have written.

But for a line break in a text, which is a space: a row is a line, by which days are found.

It is some gigabytes large and never in memory. Since it is sorted by date, a day is a stretch of
it that bisection finds: a new day is appended to the local copy, a restated one is spliced.
"""

import bisect
import datetime as dt
import errno
import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import BinaryIO

import duckdb
import pyarrow as pa

from marketdata_assets.errors import MarketdataError
from marketdata_assets.storage.bounded_duckdb import bounded_duckdb
from marketdata_assets.storage.durable_files import sync_file
from marketdata_assets.storage.reading import quoted, rows_of
from marketdata_assets.tables import DAILY_PRICES, Column
from marketdata_assets.tables.daily_prices import ORIGINAL_COLUMNS

CHUNK = 1 << 20
MISPLACED = """
    date < lag(date) OVER () OR (date = lag(date) OVER () AND code <= lag(code) OVER ())
"""
_ROW = re.compile(rb"^[^,\n]*,(\d{4}-\d\d-\d\d),", re.MULTILINE)


class NotInOrder(MarketdataError, is_final=True):
    """The rows of the parquet files, one file after the other, are not by date and code."""


def write_csv(
    target: Path,
    sources: Sequence[Path],
    universe: str,
    days: Collection[dt.date] = (),
    columns: Sequence[str] = ORIGINAL_COLUMNS,
) -> int:
    """Write the rows of parquet files that are in the universe, of some days or of all; how many.

    All rows are streamed as they stand, since sorting twenty years takes minutes and gigabytes.
    Raises `NotInOrder` unless that is by date and code, each key once; `OSError` as writing does.
    """
    written = ", ".join(_as_pandas_writes(DAILY_PRICES[name]) for name in columns)
    target.parent.mkdir(parents=True, exist_ok=True)
    with bounded_duckdb(target.parent / "spill") as connection:
        connection.execute("SET preserve_insertion_order = true")
        rows = rows_of(connection, DAILY_PRICES, sources)
        if universe:
            rows = rows.filter(f"market = {quoted(universe)}")
        if days:
            # Few enough to be sorted; and DuckDB makes of a long list a join, which keeps no order.
            wanted = ", ".join(f"DATE '{day}'" for day in sorted(days))
            rows = rows.filter(f"date IN ({wanted})").order("date, code")
        [[misplaced]] = rows.select(f"{MISPLACED} AS wrong").filter("wrong").count("*").fetchall()
        if misplaced:
            raise NotInOrder(
                f"{sources[0].name} … {sources[-1].name}: {misplaced} rows are not in the order of "
                "date and code, or not unique. Materialize daily_prices of these days again; if "
                "they were published so, restore an older revision of the dataset."
            )
        rows.select(written).create_view("csv_rows")
        form = "FORMAT csv, HEADER, QUOTE '', ESCAPE ''"
        try:
            [[count]] = connection.execute(
                f"COPY csv_rows TO {quoted(str(target))} ({form})"
            ).fetchall()
        except duckdb.IOException as refusal:
            raise OSError(errno.EIO, str(refusal)) from refusal
    return int(count)


def _as_pandas_writes(column: Column) -> str:
    """The value as it stands in the file: DuckDB would quote an empty text, and one with a #."""
    name = column.name
    if pa.types.is_boolean(column.type):
        return f"""CASE "{name}" WHEN true THEN 'True' WHEN false THEN 'False' END AS "{name}" """
    if not pa.types.is_string(column.type):
        return f'"{name}"'
    return f"""
        CASE WHEN "{name}" = '' THEN NULL
        WHEN regexp_matches("{name}", '[",\\r\\n]')
        THEN '"' || replace(regexp_replace("{name}", '[\\r\\n]+', ' ', 'g'), '"', '""') || '"'
        ELSE "{name}" END AS "{name}"
    """


def merge_days(
    csv: Path, patch: Path, days: Collection[dt.date], spliced: Path, may_grow: bool = True
) -> tuple[Path, int] | None:
    """`csv` with `days` as `patch` has them: where it lies, and how many rows it has more.

    None when they are there already.

    Days after the last one are appended to `csv` itself if it `may_grow`, anything else is written
    to `spliced`.
    """
    with csv.open("rb") as old, patch.open("rb") as new:
        changed = [day for day in sorted(days) if _rows(old, day) != _rows(new, day)]
        if not changed:
            return None
        added = sum(_rows(new, day).count(b"\n") for day in changed)
        removed = sum(_rows(old, day).count(b"\n") for day in changed)
        end = _size(old)
        if may_grow and _span(old, changed[0])[0] == end:
            with csv.open("ab") as file:
                file.writelines(_rows(new, day) for day in changed)
            sync_file(csv)
            return csv, added
        with spliced.open("wb") as file:
            position = 0
            for day in changed:
                start, after = _span(old, day)
                _copy(old, position, start, file)
                file.write(_rows(new, day))
                position = after
            _copy(old, position, end, file)
        sync_file(spliced)
    return spliced, added - removed


def has_columns(csv: Path, columns: Sequence[str]) -> bool:
    """Whether its columns are these, in this order."""
    with csv.open("rb") as file:
        return file.readline() == (",".join(columns) + "\n").encode()


def first_and_last(csv: Path) -> tuple[dt.date | None, dt.date | None]:
    """The dates of the first and the last row."""
    with csv.open("rb") as file:
        first = _date_at(file, _after_header(file))
        size = _size(file)
        file.seek(max(0, size - CHUNK))
        rows = _ROW.findall(file.read())
    return first, dt.date.fromisoformat(rows[-1].decode()) if first and rows else None


def _span(file: BinaryIO, day: dt.date) -> tuple[int, int]:
    """From where to where the rows of a day lie; empty where they would."""
    return _offset(file, day), _offset(file, day + dt.timedelta(1))


def _rows(file: BinaryIO, day: dt.date) -> bytes:
    start, end = _span(file, day)
    file.seek(start)
    return file.read(end - start)


def _offset(file: BinaryIO, day: dt.date) -> int:
    """Where the first row of `day` or later begins, by bisection over the bytes."""
    first = _after_header(file)

    def of_row_at(position: int) -> dt.date:
        return _date_at(file, _row_start(file, position, first)) or dt.date.max

    rows = range(first, _size(file))
    return first + bisect.bisect_left(rows, day, key=of_row_at)


def _after_header(file: BinaryIO) -> int:
    file.seek(0)
    return len(file.readline())


def _row_start(file: BinaryIO, position: int, at_least: int) -> int:
    """The start of the row that holds the byte at `position`."""
    window = 4_096
    while True:
        start = max(at_least, position - window)
        file.seek(start)
        before = file.read(position - start)
        cut = before.rfind(b"\n")
        if cut >= 0:
            return start + cut + 1
        if start == at_least:
            return at_least
        window *= 4


def _date_at(file: BinaryIO, position: int) -> dt.date | None:
    file.seek(position)
    match = _ROW.match(file.readline())
    return dt.date.fromisoformat(match[1].decode()) if match else None


def _copy(source: BinaryIO, start: int, end: int, target: BinaryIO) -> None:
    source.seek(start)
    while start < end and (chunk := source.read(min(CHUNK, end - start))):
        target.write(chunk)
        start += len(chunk)


def _size(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)
