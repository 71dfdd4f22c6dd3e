"""Reading a series: slices by code, cross-sections by day, all of one generation.

Here belongs what a user of the series calls; it needs no lake and no Dagster. Everything is open
from the beginning, nothing changes afterwards, so any number of threads may share a `Series`.
"""

import datetime as dt
import logging
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from marketdata_assets.errors import MarketdataError
from marketdata_assets.storage.lake import FileIdentity
from marketdata_assets.storage.series.generation import (
    MANIFEST,
    DamagedSeries,
    Generation,
    load_generation,
    series_folder,
)
from marketdata_assets.storage.series.segment import Segment
from marketdata_assets.tables import Table

# The name of the threads that compare what nobody has asked for yet.
CHECK = "series check"
logger = logging.getLogger(__name__)


class DayNotInSeries(MarketdataError, status=404):
    """A day that was asked for is in no segment of the generation."""


class Series:
    """One generation of a table's series; `open` the newest, `newest` to follow.

    Answers have the declared columns, types and NULLs, ordered by code as asked and date. Numbers
    are not copied: an answer keeps the mapped files it points into, until it is dropped. What it
    is made of has been compared with its checksum, by then or by a thread that begins at opening;
    whatever touches a damaged part of a file raises `DamagedSeries`.
    """

    def __init__(
        self,
        root: Path,
        table: Table,
        generation: Generation,
        manifest: FileIdentity,
        segments: list[Segment],
    ) -> None:
        self.table = table
        self.generation = generation.number
        self.origins = sorted({origin for one in generation.segments for origin in one.origins})
        versions = generation.days()
        self.days = list(versions)
        self.stored_at = max(version.stored_at for version in versions.values())
        self._root = root
        self._entries = generation.segments
        self._spans = [
            (one.first, one.last, segment)
            for one, segment in zip(generation.segments, segments, strict=True)
        ]
        self._manifest = manifest
        # As text: looked at for every answer.
        self._published = str(series_folder(root, table) / MANIFEST)
        self._segments = segments

    @classmethod
    def open(cls, root: Path, table: Table) -> "Series":
        """The newest generation. Raises `NoSeries` or `DamagedSeries`, saying what to do."""
        return cls._open(root, table, {})

    @classmethod
    def _open(cls, root: Path, table: Table, known: dict[str, Segment]) -> "Series":
        while True:
            generation, manifest = load_generation(root, table)
            try:
                segments = [
                    known.get(entry.file) or Segment(root, table, entry)
                    for entry in generation.segments
                ]
            except DamagedSeries:
                # A refresh may have published, and removed these files, in between.
                newer, _ = load_generation(root, table)
                if newer.number == generation.number:
                    raise
            else:
                threading.Thread(target=_check, args=(segments,), name=CHECK, daemon=True).start()
                return cls(root, table, generation, manifest, segments)

    def is_newest(self) -> bool:
        """Whether nothing newer is published: a look at one file, cheap to repeat."""
        try:
            return FileIdentity.of(os.stat(self._published)) == self._manifest  # noqa: PTH116
        except FileNotFoundError:
            return False

    def is_compared(self) -> bool:
        """Whether all of it has been read and compared once, which takes seconds after opening."""
        return all(segment.is_compared for segment in self._segments)

    def newest(self) -> "Series":
        """This one, or the newest where there is a newer."""
        if self.is_newest():
            return self
        pairs = zip(self._entries, self._segments, strict=True)
        # A damaged file may have been brought again under its name.
        known = {entry.file: segment for entry, segment in pairs if not segment.is_damaged}
        return self._open(self._root, self.table, known)

    def __contains__(self, code: str) -> bool:
        return any(code in segment.codes for segment in self._segments)

    def codes(self) -> list[str]:
        """Every code with a row, sorted."""
        return sorted({code for segment in self._segments for code in segment.codes})

    def span(self, code: str) -> tuple[dt.date, dt.date] | None:
        """The first and the last day of a code, or None where it has no row."""
        holding = [segment for segment in self._segments if code in segment.codes]
        if not holding:
            return None
        first, _ = holding[0].rows_of(code, None, None)
        _, end = holding[-1].rows_of(code, None, None)
        return holding[0].date_at(first), holding[-1].date_at(end - 1)

    def slice(
        self,
        code: str,
        start: dt.date | None = None,
        end: dt.date | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """The rows of one code from `start` to `end`, both included, by date.

        No row is an empty table. Raises `ValueError` naming columns that the table does not have.
        """
        return self.slices([code], start, end, columns)

    def slices(
        self,
        codes: Iterable[str],
        start: dt.date | None = None,
        end: dt.date | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """The rows of several codes, in the order asked for, each once; as `slice`."""
        return self.counted_slices(dict.fromkeys(codes), start, end, columns)[0]

    def counted_slices(
        self,
        codes: Iterable[str],
        start: dt.date | None = None,
        end: dt.date | None = None,
        columns: Sequence[str] | None = None,
    ) -> tuple[pa.Table, list[int]]:
        """The rows of each of `codes`, one after the other, and how many it has; as `slice`."""
        schema = self._schema(columns)
        # A segment that lies within the range as a whole is not searched for its ends.
        within = [
            (
                segment,
                None if start is None or begins >= start else start,
                None if end is None or ends <= end else end,
            )
            for begins, ends, segment in self._spans
            if (start is None or ends >= start) and (end is None or begins <= end)
        ]
        batches, counts = [], []
        for code in codes:
            count = 0
            for segment, since, until in within:
                first, last = segment.rows_of(code, since, until)
                if first < last:
                    batches.append(segment.slice(code, first, last, schema))
                    count += last - first
            counts.append(count)
        return pa.Table.from_batches(batches, schema), counts

    def cross_section(self, day: dt.date, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows of one day, by code. Raises `DayNotInSeries`, or `ValueError` as `slice`."""
        schema = self._schema(columns)
        for entry, segment in zip(self._entries, self._segments, strict=True):
            if day in entry.days:
                return pa.Table.from_arrays(segment.day(day, schema.names), schema=schema)
        raise DayNotInSeries(
            f"{self.table.name} {day} is not in generation {self.generation} of its series, which "
            f"has {len(self.days)} days from {self.days[0]} to {self.days[-1]}. A trading day has "
            "to be materialized, and the series refreshed."
        )

    def _schema(self, columns: Sequence[str] | None) -> pa.Schema:
        if columns is None:
            return self.table.schema
        if unknown := [name for name in columns if name not in self.table.column_names]:
            raise ValueError(
                f"{self.table.name} has no column {', '.join(unknown)}. "
                f"It has: {', '.join(self.table.column_names)}."
            )
        return pa.schema([self.table.schema.field(name) for name in dict.fromkeys(columns)])


def _check(segments: Sequence[Segment]) -> None:
    """Compare what nobody has asked for yet, gigabytes perhaps; damage is noted and logged."""
    for segment in segments:
        try:
            segment.compare_all()
        except DamagedSeries as damage:
            logger.warning("%s", damage)
