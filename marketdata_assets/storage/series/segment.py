"""Segments: immutable files with the rows of some days, by code and then by date.

Here belongs the format: one uncompressed Arrow record batch, read through a memory map. The code
column is run-end encoded, so its run ends are the index from a code to its rows; the other texts
are dictionaries. Which days a segment holds, and which segments there are, is `generation`.

A damaged segment answers nothing wrong: what says where everything lies, the dictionaries and the
codes are compared with their checksums before Arrow reads them, numbers before they are answered.
"""

import contextlib
import datetime as dt
import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.storage.sealed_parquet import DamagedFile
from marketdata_assets.storage.series.blocks import Blocks
from marketdata_assets.storage.series.generation import DamagedSeries, SegmentEntry, series_folder
from marketdata_assets.tables import Table

EPOCH = dt.date(1970, 1, 1)
DAYS_IN_A_BLOCK = 30


def code_column(table: Table) -> str:
    """The column of a daily table's key that is not its day. Raises `ValueError`."""
    rest = [name for name in table.key if name != table.date_column]
    if table.date_column is None or len(rest) != 1:
        raise ValueError(f"{table.name} is not keyed by a day and a code; it can have no series.")
    return rest[0]


def write_segment(path: Path, table: Table, days: Iterable[pa.Table]) -> int:
    """Write the rows of `days`, which come in order, to a new file; the number of rows.

    The file is on disk when this returns. Needs about twice the memory of the rows.
    """
    columns = _columns_of(pa.concat_tables(_in_blocks(days)))
    codes = columns[code_column(table)].combine_chunks().dictionary_encode()
    names = codes.dictionary.to_pylist()
    by_name = sorted(range(len(names)), key=names.__getitem__)
    ranks = np.empty(len(names), np.int32)
    ranks[by_name] = np.arange(len(names), dtype=np.int32)
    rank_of_row = ranks[codes.indices.to_numpy()]
    # Stable: the days of a code stay in order.
    order = pa.array(np.argsort(rank_of_row, kind="stable"))
    ends = np.cumsum(np.bincount(rank_of_row, minlength=len(names)), dtype=np.int32)
    columns[code_column(table)] = None
    arrays = []
    for field in table.schema:
        if field.name == code_column(table):
            sorted_names = pa.array([names[n] for n in by_name], field.type)
            array = pa.RunEndEncodedArray.from_arrays(pa.array(ends), sorted_names)
        else:
            # Out of the mapping, so that no column is in memory twice for longer than its turn.
            column = columns.pop(field.name).combine_chunks()
            array = (column.dictionary_encode() if _is_text(field) else column).take(order)
        arrays.append(array)
    batch = pa.RecordBatch.from_arrays(arrays, names=table.column_names)
    with path.open("xb") as file:
        with pa.ipc.new_file(file, batch.schema) as writer:
            writer.write_batch(batch)
        file.flush()
        os.fsync(file.fileno())
    return int(batch.num_rows)


def numbers_of(path: Path) -> tuple[int, int]:
    """Where in the file of a segment its numbers begin and end; all else is read when it opens."""
    mapped = pa.memory_map(str(path)).read_buffer()
    batch = pa.ipc.open_file(mapped).get_batch(0)
    parts = [part for column in batch.columns for part in _parts(mapped, column)]
    # Days without rows have none: all of the file is read when it opens.
    return min((first for first, _ in parts), default=0), max((end for _, end in parts), default=0)


def _parts(mapped: pa.Buffer, array: pa.Array) -> list[tuple[int, int]]:
    """Where in a mapped file the buffers of an array begin and end."""
    starts = [(buffer.address - mapped.address, buffer) for buffer in array.buffers() if buffer]
    return [(start, start + buffer.size) for start, buffer in starts]


def _in_blocks(days: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in larger pieces: thousands of small buffers waste half their memory."""
    days = iter(days)
    while block := list(itertools.islice(days, DAYS_IN_A_BLOCK)):
        yield pa.concat_tables(block).combine_chunks()


def _columns_of(rows: pa.Table) -> dict[str, pa.ChunkedArray]:
    return dict(zip(rows.column_names, rows.columns, strict=True))


def _is_text(field: pa.Field) -> bool:
    return bool(pa.types.is_string(field.type))


class Segment:
    """An open segment; its mapped file stays readable when its name is gone.

    A column that was declared after the file was written is NULL. Everything raises `DamagedSeries`
    when the file is missing or not as `entry` says, and leaves a note of it beside the file.
    """

    def __init__(self, root: Path, table: Table, entry: SegmentEntry) -> None:
        self.table = table
        self.is_damaged = False
        self._path = series_folder(root, table) / entry.file
        with self._noting_damage():
            if (size := self._path.stat().st_size) != entry.bytes:
                raise DamagedFile(f"{size} bytes, written were {entry.bytes}")
            self._blocks = Blocks(self._path, entry.checksums)
            self._mapped = pa.memory_map(str(self._path)).read_buffer()
        first, end = entry.numbers
        self._compare(0, first)
        self._compare(end, entry.bytes)
        batch = pa.ipc.open_file(self._mapped).get_batch(0)
        self._columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        self._code_column = code_column(table)
        codes = self._columns[self._code_column]
        for part in _parts(self._mapped, codes):
            self._compare(*part)
        self._ends = codes.run_ends.to_numpy()
        self._names = codes.values
        # The same few thousand texts in every segment: kept once.
        self.codes = {sys.intern(name): n for n, name in enumerate(codes.values.to_pylist())}
        self._dates = self._columns[table.date_column].view(pa.int32()).to_numpy()
        # What lies in the file as it is answered.
        fields = [
            field
            for field in table.schema
            if field.name in self._columns and self._columns[field.name].type == field.type
        ]
        self._as_declared = frozenset(field.name for field in fields)
        self._numbers = pa.RecordBatch.from_arrays(
            [self._columns[field.name] for field in fields], schema=pa.schema(fields)
        )
        # What was asked for last: most ask for the same.
        self._selected = self._numbers.schema.names, self._numbers

    @property
    def is_compared(self) -> bool:
        """Whether all of the file has been compared, and so was read once since it was opened."""
        return self._blocks.are_whole

    def compare_all(self) -> None:
        """Compare whatever of the file has not been asked for yet."""
        with self._noting_damage():
            self._blocks.compare_all()

    def rows_of(self, code: str, start: dt.date | None, end: dt.date | None) -> tuple[int, int]:
        """The first row of `code` from `start` on, and the one after its last up to `end`."""
        number = self.codes.get(code)
        if number is None:
            return 0, 0
        first = int(self._ends[number - 1]) if number else 0
        last = int(self._ends[number])
        if start is None and end is None:
            return first, last
        self._compare_rows([self.table.date_column], first, last)
        dates = self._dates[first:last]
        if end is not None:
            last = first + int(dates.searchsorted(_ordinal(end), "right"))
        if start is not None:
            first += int(dates.searchsorted(_ordinal(start), "left"))
        return first, max(first, last)

    def slice(self, code: str, first: int, last: int, schema: pa.Schema) -> pa.RecordBatch:
        """The rows of one code from `first` to before `last`, without a copy of the numbers."""
        names = schema.names
        self._compare_rows(names, first, last)
        if self._as_declared.issuperset(names):
            known, selected = self._selected
            if known != names:
                selected = self._numbers.select(names)
                self._selected = names, selected
            return selected.slice(first, last - first)
        arrays = []
        for name in names:
            if name == self._code_column:
                arrays.append(pa.repeat(pa.scalar(code, self.table[name].type), last - first))
            elif name in self._columns:
                arrays.append(_plain(self._columns[name].slice(first, last - first)))
            else:
                arrays.append(pa.nulls(last - first, self.table[name].type))
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def day(self, day: dt.date, columns: Sequence[str]) -> list[pa.Array]:
        """All rows of one day, by code."""
        self._compare_rows([self.table.date_column, *columns], 0, len(self._dates))
        rows = np.flatnonzero(self._dates == _ordinal(day))
        arrays = []
        for name in columns:
            if name == self._code_column:
                number_of_row = np.searchsorted(self._ends, rows, "right")
                arrays.append(self._names.take(pa.array(number_of_row)))
            elif name in self._columns:
                arrays.append(_plain(pc.take(self._columns[name], pa.array(rows))))
            else:
                arrays.append(pa.nulls(len(rows), self.table[name].type))
        return arrays

    def date_at(self, row: int) -> dt.date:
        self._compare_rows([self.table.date_column], row, row + 1)
        return EPOCH + dt.timedelta(int(self._dates[row]))

    def _compare_rows(self, columns: Sequence[str | None], first: int, last: int) -> None:
        """Compare where the rows from `first` to before `last` of some columns lie."""
        if self._blocks.are_whole:
            return
        stored = [name for name in columns if name in self._columns and name != self._code_column]
        for array in [self._columns[name] for name in stored]:
            kind = array.type.index_type if pa.types.is_dictionary(array.type) else array.type
            for buffer, bits in zip(array.buffers(), (1, kind.bit_width), strict=True):
                if buffer:
                    at = buffer.address - self._mapped.address
                    self._compare(at + first * bits // 8, at + (last * bits + 7) // 8)

    def _compare(self, first: int, end: int) -> None:
        with self._noting_damage():
            self._blocks.compare(first, end)

    @contextlib.contextmanager
    def _noting_damage(self) -> Iterator[None]:
        try:
            yield
        except (DamagedFile, OSError) as error:
            self.is_damaged = True
            # That a file is missing everybody sees, and a refresh may just have removed it.
            if not isinstance(error, FileNotFoundError):
                with contextlib.suppress(OSError):
                    note_of(self._path).touch()
            raise DamagedSeries(self.table, self._path.name, error) from error


def note_of(segment: Path) -> Path:
    """What lies beside a segment that somebody found damaged, so that it is made again."""
    return segment.with_suffix(".damaged")


def noted_segments(root: Path) -> list[Path]:
    """The segments of every series that have such a note, below `root`."""
    notes = (root / "series").glob("*/*.damaged")
    return sorted(note.with_suffix(".arrow").relative_to(root) for note in notes)


def _plain(array: pa.Array) -> pa.Array:
    is_dictionary = pa.types.is_dictionary(array.type)
    return array.dictionary_decode() if is_dictionary else array


def _ordinal(day: dt.date) -> int:
    return (day - EPOCH).days
