"""Generations: what a series consists of at one moment, in one file that is replaced at once.

Here belongs the manifest: the segments, and for every day which version of the lake's file they
hold. How a generation comes about is `refresh`.
"""

import datetime as dt
import functools
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from marketdata_assets.errors import MarketdataError
from marketdata_assets.storage.durable_files import becoming, sync_folder
from marketdata_assets.storage.lake import FileIdentity, FolderTimes
from marketdata_assets.storage.sealed_parquet import DamagedFile
from marketdata_assets.storage.series.blocks import Checksums
from marketdata_assets.tables import ADJ_FACTOR, DAILY_PRICES, ETF_PREMIUM, Table

MANIFEST = "generation.json"
SEAL = b'{"checksum":"%08x",'
# The assets whose materialization is the refresh, by table.
SERIES_ASSETS = {
    ADJ_FACTOR.name: "adj_factor_series",
    DAILY_PRICES.name: "price_series",
    ETF_PREMIUM.name: "etf_price_series",
}


class NoSeries(MarketdataError, status=503):
    """The series of a table has never been made, or was made for other columns."""

    def __init__(self, table: Table, what: str) -> None:
        super().__init__(f"{what}. Materialize {made_by(table)}.")


class DamagedSeries(MarketdataError, status=503):
    """Files of a published series are missing, can't be read or are not as they were written."""

    def __init__(self, table: Table, file: str, error: Exception) -> None:
        # Without the folder that an `OSError` names.
        why = getattr(error, "strerror", None) or error
        super().__init__(
            f"The series of {table.name} is damaged: series/{table.name}/{file} can't be read "
            f"({why}). Materialize {made_by(table)}, unless its sensor is at it already: what is "
            "damaged is made again from the lake."
        )


class WithdrawnSeries(DamagedSeries):
    """No day of the table is stored any more: what its series still holds nobody vouches for."""

    def __init__(self, table: Table) -> None:
        MarketdataError.__init__(
            self,
            f"No day of {table.name} is stored any more, so its series answers nothing. Bring "
            f"lake/{table.name} back, or materialize {table.name} again, then {made_by(table)}; "
            f"where it is meant to be gone, remove series/{table.name} too.",
        )


def made_by(table: Table) -> str:
    """The asset that makes the series of a table."""
    return SERIES_ASSETS.get(table.name, f"{table.name}_series")


class DayVersion(NamedTuple):
    """The version of a day that a segment was made from: the lake's label, and the file."""

    stored_at: dt.datetime
    rows: int
    file: FileIdentity


# A day in a manifest; `stored_at` is in UTC.
VERSION = np.dtype(
    [
        ("day", "<M8[D]"),
        ("stored_at", "<M8[us]"),
        ("rows", "<i8"),
        ("inode", "<u8"),
        ("bytes", "<i8"),
        ("modified_ns", "<i8"),
    ]
)
Packed: TypeAlias = bytes


def packed(days: Mapping[dt.date, DayVersion]) -> Packed:
    """Days and their versions, as a segment's entry has them."""
    versions = [
        (day, one.stored_at.astimezone(dt.UTC).replace(tzinfo=None), one.rows, *one.file)
        for day, one in days.items()
    ]
    return np.array(versions, VERSION).tobytes()


class SegmentEntry(BaseModel):
    """A file of the series, and the days in it, oldest first.

    `numbers` are the bytes that a slice takes its rows from: from the first to before the second.
    `packed_days` are the days as `VERSION`s, since most who read the manifest need none of them.
    """

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    file: str
    bytes: int
    numbers: tuple[int, int]
    checksums: Checksums
    rows: int
    origins: list[str]
    packed_days: Packed

    @functools.cached_property
    def days(self) -> dict[dt.date, DayVersion]:
        return {
            day: DayVersion(stored_at.replace(tzinfo=dt.UTC), rows, FileIdentity(*file))
            for day, stored_at, rows, *file in self._versions.tolist()
        }

    @property
    def day_count(self) -> int:
        return len(self._versions)

    @property
    def first(self) -> dt.date:
        first: dt.date = self._versions["day"][0].item()
        return first

    @property
    def last(self) -> dt.date:
        last: dt.date = self._versions["day"][-1].item()
        return last

    @property
    def _versions(self) -> np.ndarray:
        return np.frombuffer(self.packed_days, VERSION)


class Generation(BaseModel):
    """Everything published: segments that follow each other in time, each day in one of them.

    A year of the lake whose folder is still as in `folders` holds what its segments hold. One that
    `is_withdrawn` found no day in the lake: its segments are kept, and not answered from.
    """

    table: str
    number: int
    columns: list[str]
    schema_version: int = 1
    segments: list[SegmentEntry]
    folders: dict[int, FolderTimes] = {}
    is_withdrawn: bool = False

    def days(self) -> dict[dt.date, DayVersion]:
        return {day: one for segment in self.segments for day, one in segment.days.items()}

    def fits(self, table: Table) -> bool:
        """Whether it is read as `table`: what may be NULL may have been added since it was made."""
        added = set(declared(table)) - set(self.columns)
        return (
            (self.table, self.schema_version) == (table.name, table.version)
            and set(self.columns) <= set(declared(table))
            and all(field.nullable for field in table.schema if declared_as(field) in added)
        )


def declared(table: Table) -> list[str]:
    """The columns in words, so that a series of another declaration is not taken for this one.

    What may be NULL is not among them: segments hold the same either way.
    """
    return [declared_as(field) for field in table.schema]


def declared_as(field: pa.Field) -> str:
    return f"{field.name}: {field.type}"


def series_folder(root: Path, table: Table) -> Path:
    return root / "series" / table.name


def load_generation(root: Path, table: Table) -> tuple[Generation, FileIdentity]:
    """The newest generation, and the file that says so.

    Raises `NoSeries`, `DamagedSeries` or `WithdrawnSeries`, saying what to do.
    """
    folder = series_folder(root, table)
    try:
        generation, file = read_manifest(folder)
    except FileNotFoundError:
        raise NoSeries(table, f"{table.name} has no series yet") from None
    except ValidationError:
        raise NoSeries(table, f"The series of {table.name} was made by another version") from None
    except (DamagedFile, OSError, ValueError) as error:
        raise DamagedSeries(table, MANIFEST, error) from error
    if not generation.fits(table):
        raise NoSeries(table, f"The series of {table.name} was made for other columns")
    if generation.is_withdrawn:
        raise WithdrawnSeries(table)
    return generation, file


def read_manifest(folder: Path) -> tuple[Generation, FileIdentity]:
    """The manifest as it is. Raises `OSError`, or `DamagedFile` before anything is believed."""
    with (folder / MANIFEST).open("rb") as file:
        identity, raw = FileIdentity.of(os.fstat(file.fileno())), file.read()
    return generation_in(raw), identity


def generation_in(manifest: bytes) -> Generation:
    """What a manifest says. Raises `DamagedFile`, or `ValueError`."""
    if manifest != _sealed(b"{" + manifest[len(SEAL % 0) :]):
        raise DamagedFile("its checksum is another, or there is none yet")
    return Generation.model_validate_json(manifest)


def manifest_of(generation: Generation) -> bytes:
    return _sealed(generation.model_dump_json().encode())


def publish_generation(folder: Path, generation: Generation) -> None:
    """Make `generation` the newest; a crash leaves the one before or this one."""
    # The segments' names first: a manifest must not survive a power cut without them.
    sync_folder(folder)
    with becoming(folder / MANIFEST) as unfinished:
        unfinished.write_bytes(manifest_of(generation))


def _sealed(manifest: bytes) -> bytes:
    """The same object with a CRC-32 of what follows as its first member."""
    rest = manifest[1:]
    return SEAL % zlib.crc32(rest) + rest
