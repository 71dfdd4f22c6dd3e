"""The refresh: brings a series to what the lake holds, one writer at a time.

Here belongs what is compared and made. It needs no notice of what happened: the newest generation
says which version of every day it holds, and the lake says which there are, so it may be killed,
late or run twice.
"""

import datetime as dt
import itertools
import secrets
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.storage.durable_files import refusals_told
from marketdata_assets.storage.lake import (
    FileIdentity,
    FolderTimes,
    Lake,
    MissingPartitions,
    UnfitPartitions,
)
from marketdata_assets.storage.series.blocks import checksums_of
from marketdata_assets.storage.series.generation import (
    DamagedSeries,
    DayVersion,
    Generation,
    SegmentEntry,
    declared,
    packed,
    series_folder,
)
from marketdata_assets.storage.series.place import Place
from marketdata_assets.storage.series.segment import (
    Segment,
    code_column,
    note_of,
    numbers_of,
    write_segment,
)
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
    place = _place_of(lake, table)
    published = place.newest()
    is_answered = published and published.fits(table) and not published.is_withdrawn
    present = published.segments if published and is_answered else []
    return _difference(present, place.damaged(present), lake.identities(table))


def refresh(lake: Lake, table: Table) -> Refreshed:
    """Bring the series of `table` to what the lake holds and publish it as a generation.

    A generation that already holds it, and whose files are whole, stays. Looked at are the years
    whose folders have changed since the last one. Where days of these differ, what is compared with
    its checksums is their segments, what somebody has noted as damaged and one more segment by
    turns; else every file of the lake is looked at, and everything compared. Raises
    `UnfitPartitions` naming days that can't be read, `DiskRefuses` naming the table; the series is
    then as it was before. Raises `MissingPartitions` when the lake has no day; a series that has
    some is withdrawn before.
    """
    began = time.perf_counter()
    code_column(table)  # Refuses a table that can have no series.
    place = _place_of(lake, table)
    what = f"The series of {table.name} could not be written; it is as it was before"
    with refusals_told(what), place.alone() as published:
        number = published.number if published else 0
        fits = published is not None and published.fits(table)
        present, known, was_withdrawn = (
            (published.segments, published.folders, published.is_withdrawn)
            if published and fits
            else ([], {}, False)
        )
        folders = {year: one for year, one in lake.folders(table).items() if one}
        same = {year for year, folder in folders.items() if known.get(year) == folder}
        files, compared = lake.identities(table, same), present
        if any(differing := _difference(_but(same, present), [], files)):
            compared = _compared_now(present, place.damaged(present), differing, number)
        else:
            # What was written over where it lies has changed no folder.
            same, files = set(), lake.identities(table)
        damaged = [one for one in compared if not _is_whole(lake.root, table, one)]
        for year in same & {one.first.year for one in damaged}:
            same.remove(year)
            files |= lake.identities_of_year(table, year)
        kept = [one for one in present if one.first.year in same]
        whole = [one for one in _but(same, present) if one not in damaged]
        made = _brought_up_to_date(lake, table, whole, files)
        segments = sorted([*kept, *made], key=lambda one: one.first)
        if segments != present or was_withdrawn:
            # Without any day what is whole stays: it may be the last that is left of the table.
            number = _publish(place, number, segments or whole, folders, not segments)
        if not segments:
            raise MissingPartitions(table, [None])
    return Refreshed(
        generation=number,
        difference=_difference(_but(same, present), damaged, _files_of(made)),
        days=sum(segment.day_count for segment in segments),
        rows=sum(segment.rows for segment in segments),
        bytes=sum(segment.bytes for segment in segments),
        written=sum(segment.bytes for segment in segments if segment not in present),
        seconds=time.perf_counter() - began,
    )


def have_newest(lake: Lake, table: Table) -> None:
    """Have the newest generation in this host's folder, whichever host made it.

    Raises `DamagedSeries`, `StoreRefuses`, `DiskRefuses`.
    """
    _place_of(lake, table).pull()


def newest_day(lake: Lake, table: Table) -> dt.date | None:
    """The last day that the newest generation answers for, whichever host made it; None without."""
    newest = _place_of(lake, table).newest()
    if newest is None or newest.is_withdrawn:
        return None
    return max((one.last for one in newest.segments), default=None)


def has_been_made(lake: Lake, table: Table) -> bool:
    """Whether there is a series of the table, even one that is withdrawn."""
    return _place_of(lake, table).newest() is not None


def _place_of(lake: Lake, table: Table) -> Place:
    if not lake.is_shared:
        return Place(lake.root, table)
    from marketdata_assets.storage.series.shared_place import SharedPlace

    return SharedPlace(lake, table)


def _publish(
    place: Place,
    number: int,
    segments: list[SegmentEntry],
    folders: dict[int, FolderTimes],
    is_withdrawn: bool,
) -> int:
    """Publish the generation after `number`, 0 where there is none yet; its own number."""
    # A series that begins anew must not count again from 1: readers know generations by their
    # numbers. The clock is always ahead of them.
    number = number + 1 if number else time.time_ns() // 1_000_000
    newest = Generation(
        table=place.table.name,
        number=number,
        columns=declared(place.table),
        schema_version=place.table.version,
        segments=segments,
        folders=folders,
        is_withdrawn=is_withdrawn,
    )
    place.publish(newest)
    return number


def _brought_up_to_date(
    lake: Lake, table: Table, whole: Sequence[SegmentEntry], files: Files
) -> list[SegmentEntry]:
    """The segments that hold `files`, all on disk; of those that are `whole` most."""
    segments: list[SegmentEntry] = []
    for year, days in itertools.groupby(files, key=lambda day: day.year):
        present = [segment for segment in whole if segment.first.year == year]
        segments += _year(lake, table, present, {day: files[day] for day in days})
    return segments


def _but(years: Collection[int], segments: Sequence[SegmentEntry]) -> list[SegmentEntry]:
    """The segments of all other years."""
    return [segment for segment in segments if segment.first.year not in years]


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
    return {day: one.file for segment in segments for day, one in segment.days.items()}


def _year(
    lake: Lake, table: Table, present: Sequence[SegmentEntry], files: Files
) -> Iterator[SegmentEntry]:
    """The segments a year should have, of which those that are not there yet are made now.

    The big one stays as long as its days do, and the others are few and come after it.
    """
    main, beside = [*present, None, None][:2]
    if main is None:
        yield _make_segment(lake, table, list(files))
        return
    rest = {day: file for day, file in files.items() if day not in main.days}
    stays = all(files.get(day) == one.file for day, one in main.days.items())
    if not stays or len(rest) > DAYS_BESIDE or any(day < main.last for day in rest):
        yield _make_segment(lake, table, list(files))
        return
    yield main
    if beside and _files_of([beside]) == rest:
        yield beside
    elif rest:
        yield _make_segment(lake, table, list(rest))


def _make_segment(lake: Lake, table: Table, days: Sequence[dt.date]) -> SegmentEntry:
    """Write the rows of `days`, all of one year, to a new segment.

    Version and rows of a day come from one open file, though it be written again meanwhile. Raises
    `MissingPartitions` or `UnfitPartitions` naming a day that can't be read.
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
        packed_days=packed(versions),
    )


def _read(lake: Lake, table: Table, day: dt.date) -> tuple[DayVersion, str, pa.Table]:
    stored, rows, file = lake.load(table, day)
    held = pc.min_max(rows[table.date_column]).as_py()
    if rows.num_rows and held != {"min": day, "max": day}:
        below = lake.path(table, day).relative_to(lake.root)
        raise UnfitPartitions(table, [below], "it holds rows of other days")
    version = DayVersion(stored.stored_at, stored.rows, file)
    return version, stored.origin, rows.replace_schema_metadata()


def _compared_now(
    present: Sequence[SegmentEntry],
    damaged: Sequence[SegmentEntry],
    differing: Difference,
    number: int,
) -> list[SegmentEntry]:
    """Those of the segments that this refresh compares: what it costs must not grow with history.

    Whoever reads a part compares it first, and all of it since his start; by turns every segment is
    compared in as many refreshes as there are.
    """
    years = {day.year for days in differing[:3] for day in days}
    in_turn = number % len(present) if present else 0
    return [
        segment
        for number, segment in enumerate(present)
        if segment.first.year in years or segment in damaged or number == in_turn
    ]


def _is_whole(root: Path, table: Table, segment: SegmentEntry) -> bool:
    """Whether every byte of a segment is as it was written; a note that says otherwise goes."""
    try:
        Segment(root, table, segment).compare_all()
    except DamagedSeries:
        return False
    note_of(series_folder(root, table) / segment.file).unlink(missing_ok=True)
    return True
