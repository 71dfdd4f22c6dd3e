"""The lake's day files as a series takes them: their rows with their version.

Here belongs the way from day files to a segment. Version and rows come from one open file, so
that a day that is written again meanwhile is recorded as what was read.
"""

import datetime as dt
import secrets
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.storage.lake import Lake, UnfitPartitions
from marketdata_assets.storage.series.blocks import checksums_of
from marketdata_assets.storage.series.generation import (
    DayVersion,
    SegmentEntry,
    series_folder,
)
from marketdata_assets.storage.series.segment import numbers_of, write_segment
from marketdata_assets.tables import Table


def folders_changed(lake: Lake, table: Table) -> dict[str, int]:
    """When the folders of a table's years, and that of its series, have last changed.

    Nanoseconds since 1970. A file that comes, goes or is renamed into its place changes its folder;
    one that is written over where it lies does not.
    """
    folders = [
        *lake.path(table, None).parent.glob("[0-9][0-9][0-9][0-9]"),
        series_folder(lake.root, table),
    ]
    return {str(folder): folder.stat().st_mtime_ns for folder in folders if folder.is_dir()}


def make_segment(lake: Lake, table: Table, days: Sequence[dt.date]) -> SegmentEntry:
    """Write the rows of `days`, all of one year, to a new segment.

    Raises `MissingPartitions` or `UnfitPartitions` naming a day that can't be read.
    """
    versions: dict[dt.date, DayVersion] = {}
    origins: set[str] = set()

    def rows() -> Iterator[pa.Table]:
        for day in days:
            versions[day], origin, data = _read(lake, table, day)
            origins.add(origin)
            yield data

    path = series_folder(lake.root, table) / f"{days[0].year}-{secrets.token_hex(4)}.arrow"
    count = write_segment(path, table, rows())
    # What Arrow has freed is kept for later; between two years it is better given back.
    pa.default_memory_pool().release_unused()
    return SegmentEntry(
        file=path.name,
        bytes=path.stat().st_size,
        numbers=numbers_of(path),
        checksums=checksums_of(path),
        rows=count,
        origins=sorted(origins),
        days=versions,
    )


def _read(lake: Lake, table: Table, day: dt.date) -> tuple[DayVersion, str, pa.Table]:
    stored, rows, file = lake.load(table, day)
    if not _is_of(day, rows[table.date_column]):
        below = lake.path(table, day).relative_to(lake.root)
        raise UnfitPartitions(table, [below], "it holds rows of other days")
    version = DayVersion(stored.stored_at, stored.rows, file)
    return version, stored.origin, rows.replace_schema_metadata()


def _is_of(day: dt.date, dates: pa.ChunkedArray) -> bool:
    return len(dates) == 0 or pc.min_max(dates).as_py() == {"min": day, "max": day}
