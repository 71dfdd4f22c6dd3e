"""The refresh: brings a series to what the lake holds, one writer at a time.

Here belongs what is compared and made. It needs no notice of what happened: the newest generation
says which version of every day it holds, and the lake says which there are, so it may be killed,
late or run twice. What it reads of the lake is `lake_days`.
"""

import datetime as dt
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from marketdata_assets.storage.durable_files import UNFINISHED, make_folder, refusals_told
from marketdata_assets.storage.lake import FileIdentity, Lake, MissingPartitions
from marketdata_assets.storage.sealed_parquet import DamagedFile
from marketdata_assets.storage.series.generation import (
    DamagedSeries,
    Generation,
    SegmentEntry,
    declared,
    publish_generation,
    read_manifest,
    series_folder,
)
from marketdata_assets.storage.series.lake_days import make_segment
from marketdata_assets.storage.series.segment import Segment, code_column, note_of
from marketdata_assets.tables import Table

# The days beside a year's big segment are written again with every new one: a month of them
# takes half a second, and the year is merged a dozen times.
DAYS_BESIDE = 20
Files = Mapping[dt.date, FileIdentity]


class Difference(NamedTuple):
    """The days that the lake and the newest generation don't have in common, oldest first.

    `damaged` are the files of the generation that are missing or not as they were written.
    """

    new: list[dt.date]
    rewritten: list[dt.date]
    removed: list[dt.date]
    damaged: list[str]

    def __bool__(self) -> bool:
        return any(self)


class Refreshed(NamedTuple):
    """What a refresh did. `rows` and `bytes` are the whole series', `written` this refresh's."""

    generation: int
    difference: Difference
    days: int
    rows: int
    bytes: int
    written: int
    seconds: float


def difference(lake: Lake, table: Table) -> Difference:
    """What a refresh would apply now. Reads no rows; of damage it knows what others have noted."""
    folder = series_folder(lake.root, table)
    published = _published(folder)
    present = published.segments if published and published.fits(table) else []
    damaged = [segment for segment in present if _looks_damaged(folder, segment)]
    return _difference(present, damaged, lake.identities(table))


def refresh(lake: Lake, table: Table) -> Refreshed:
    """Bring the series of `table` to what the lake holds and publish it as a generation.

    A generation that already holds it, and whose files are whole, stays. Raises
    `MissingPartitions` when the lake has no day, `UnfitPartitions` naming days that can't be read,
    `DiskRefuses` naming the table; the series is then as it was before.
    """
    began = time.perf_counter()
    code_column(table)  # Refuses a table that can have no series.
    folder = series_folder(lake.root, table)
    what = f"The series of {table.name} could not be written; it is as it was before"
    with refusals_told(what):
        make_folder(folder)
        with FileLock(folder / ".refreshing.lock"):
            published = _published(folder)
            present = published.segments if published and published.fits(table) else []
            _remove_unreferenced(folder, published)
            try:
                damaged = [one for one in present if not _is_whole(lake.root, table, one)]
                whole = [one for one in present if one not in damaged]
                segments = _brought_up_to_date(lake, table, whole)
                number = published.number if published else 0
                if segments != present:
                    number = _publish(folder, table, number, segments)
            finally:
                _remove_unreferenced(folder, _published(folder))
    return Refreshed(
        generation=number,
        difference=_difference(present, damaged, _files_of(segments)),
        days=sum(len(segment.days) for segment in segments),
        rows=sum(segment.rows for segment in segments),
        bytes=sum(segment.bytes for segment in segments),
        written=sum(segment.bytes for segment in segments if segment not in present),
        seconds=time.perf_counter() - began,
    )


def _publish(folder: Path, table: Table, number: int, segments: list[SegmentEntry]) -> int:
    """Publish the generation after `number`, 0 where there is none yet; its own number."""
    # A series that begins anew must not count again from 1: readers know generations by their
    # numbers. The clock is always ahead of them.
    number = number + 1 if number else time.time_ns() // 1_000_000
    newest = Generation(
        table=table.name,
        number=number,
        columns=declared(table),
        schema_version=table.version,
        segments=segments,
    )
    publish_generation(folder, newest)
    return number


def _brought_up_to_date(
    lake: Lake, table: Table, whole: Sequence[SegmentEntry]
) -> list[SegmentEntry]:
    """The segments that hold what the lake holds, all on disk; of those that are `whole` most."""
    files = lake.identities(table)
    if not files:
        raise MissingPartitions(table, [None])
    segments: list[SegmentEntry] = []
    for year, days in itertools.groupby(files, key=lambda day: day.year):
        present = [segment for segment in whole if segment.first.year == year]
        segments += _year(lake, table, present, {day: files[day] for day in days})
    return segments


def _published(folder: Path) -> Generation | None:
    """The newest generation; None where there is none, or none that anybody could read."""
    try:
        return read_manifest(folder)[0]
    except (DamagedFile, OSError, ValueError):
        return None


def _difference(
    present: Sequence[SegmentEntry], damaged: Sequence[SegmentEntry], files: Files
) -> Difference:
    held = _files_of(present)
    return Difference(
        new=sorted(files.keys() - held.keys()),
        rewritten=sorted(day for day in files.keys() & held.keys() if files[day] != held[day]),
        removed=sorted(held.keys() - files.keys()),
        damaged=[segment.file for segment in damaged],
    )


def _files_of(segments: Sequence[SegmentEntry]) -> dict[dt.date, FileIdentity]:
    return {day: file for segment in segments for day, file in segment.files().items()}


def _year(
    lake: Lake, table: Table, present: Sequence[SegmentEntry], files: Files
) -> Iterator[SegmentEntry]:
    """The segments a year should have, of which those that are not there yet are made now.

    The big one stays as long as its days do, and the others are few and come after it.
    """
    main, beside = [*present, None, None][:2]
    if main is None:
        yield make_segment(lake, table, list(files))
        return
    rest = {day: file for day, file in files.items() if day not in main.days}
    stays = all(files.get(day) == file for day, file in main.files().items())
    if not stays or len(rest) > DAYS_BESIDE or any(day < main.last for day in rest):
        yield make_segment(lake, table, list(files))
        return
    yield main
    if beside and beside.files() == rest:
        yield beside
    elif rest:
        yield make_segment(lake, table, list(rest))


def _is_whole(root: Path, table: Table, segment: SegmentEntry) -> bool:
    """Whether every byte of a segment is as it was written; a note that says otherwise goes."""
    try:
        Segment(root, table, segment).compare_all()
    except DamagedSeries:
        return False
    note_of(series_folder(root, table) / segment.file).unlink(missing_ok=True)
    return True


def _looks_damaged(folder: Path, segment: SegmentEntry) -> bool:
    path = folder / segment.file
    try:
        return path.stat().st_size != segment.bytes or note_of(path).exists()
    except FileNotFoundError:
        return True


def _remove_unreferenced(folder: Path, newest: Generation | None) -> None:
    """Drop the names of older generations' files, and of what a killed refresh left.

    Readers that have them mapped keep them; the disk has its space back when the last one is done.
    """
    referenced = {Path(segment.file).stem for segment in newest.segments} if newest else set()
    for path in folder.iterdir():
        if path.suffix in (".arrow", ".damaged", UNFINISHED) and path.stem not in referenced:
            path.unlink(missing_ok=True)
