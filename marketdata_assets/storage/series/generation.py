"""Generations: what a series consists of at one moment, in one file that is replaced at once.

Here belongs the manifest: the segments, and for every day which version of the lake's file they
hold. How a generation comes about is `refresh`.
"""

import datetime as dt
import os
import zlib
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from marketdata_assets.errors import MarketdataError
from marketdata_assets.storage.durable_files import becoming, sync_folder
from marketdata_assets.storage.lake import FileIdentity
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


def made_by(table: Table) -> str:
    """The asset that makes the series of a table."""
    return SERIES_ASSETS.get(table.name, f"{table.name}_series")


class DayVersion(NamedTuple):
    """The version of a day that a segment was made from: the lake's label, and the file."""

    stored_at: dt.datetime
    rows: int
    file: FileIdentity


class SegmentEntry(BaseModel):
    """A file of the series, and the days in it, oldest first.

    `numbers` are the bytes that a slice takes its rows from: from the first to before the second.
    """

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    file: str
    bytes: int
    numbers: tuple[int, int]
    checksums: Checksums
    rows: int
    origins: list[str]
    days: dict[dt.date, DayVersion]

    @property
    def first(self) -> dt.date:
        return next(iter(self.days))

    @property
    def last(self) -> dt.date:
        return next(reversed(self.days))

    def files(self) -> dict[dt.date, FileIdentity]:
        return {day: version.file for day, version in self.days.items()}


class Generation(BaseModel):
    """Everything published: segments that follow each other in time, each day in one of them."""

    table: str
    number: int
    columns: list[str]
    schema_version: int = 1
    segments: list[SegmentEntry]

    def days(self) -> dict[dt.date, DayVersion]:
        return {day: one for segment in self.segments for day, one in segment.days.items()}

    def files(self) -> dict[dt.date, FileIdentity]:
        return {day: version.file for day, version in self.days().items()}

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

    Raises `NoSeries` or `DamagedSeries`, saying what to do.
    """
    folder = series_folder(root, table)
    try:
        generation, file = read_manifest(folder)
    except FileNotFoundError:
        raise NoSeries(table, f"{table.name} has no series yet") from None
    except (DamagedFile, OSError, ValueError) as error:
        raise DamagedSeries(table, MANIFEST, error) from error
    if not generation.fits(table):
        raise NoSeries(table, f"The series of {table.name} was made for other columns")
    return generation, file


def read_manifest(folder: Path) -> tuple[Generation, FileIdentity]:
    """The manifest as it is. Raises `OSError`, or `DamagedFile` before anything is believed."""
    with (folder / MANIFEST).open("rb") as file:
        identity, raw = FileIdentity.of(os.fstat(file.fileno())), file.read()
    if raw != _sealed(b"{" + raw[len(SEAL % 0) :]):
        raise DamagedFile("its checksum is another, or there is none yet")
    return Generation.model_validate_json(raw), identity


def publish_generation(folder: Path, generation: Generation) -> None:
    """Make `generation` the newest; a crash leaves the one before or this one."""
    # The segments' names first: a manifest must not survive a power cut without them.
    sync_folder(folder)
    with becoming(folder / MANIFEST) as unfinished:
        unfinished.write_bytes(_sealed(generation.model_dump_json().encode()))


def _sealed(manifest: bytes) -> bytes:
    """The same object with a CRC-32 of what follows as its first member."""
    rest = manifest[1:]
    return SEAL % zlib.crc32(rest) + rest
