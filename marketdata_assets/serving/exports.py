"""Exports: a range as one file, and beside it what the file holds and what it lacks.

    <root>/exports/<id>.parquet | .csv | .arrow     the rows, by code in the order asked, and date
    <root>/exports/<id>.json                        an `Export`
    <address>/exports/…                             the same, beside the lake of several hosts

Here belong the writing, code by code, so that memory does not grow with the range, and how the
files come and go; until when they last is up to `requests`. The note is written after the file and
read by whoever reports the outcome.
"""

import datetime as dt
import functools
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple, get_args

import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq
from pydantic import BaseModel, ValidationError

from marketdata_assets.hosts import hosts
from marketdata_assets.serving.answers import Slice, span_of, with_code
from marketdata_assets.serving.gaps import MissingSessions
from marketdata_assets.serving.ohlcv_view import schema_of
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.serving.queries import ExportQuery, FileFormat
from marketdata_assets.storage.durable_files import (
    becoming,
    make_folder,
    refusals_told,
    sync_folder,
)

ROWS_IN_A_GROUP = 100_000
# Of what is beside the lake, which is asked for at a price a call.
SECONDS_BETWEEN_SWEEPS = 3_600.0
# A file is older than the outcome of its request, by no more than a run.
A_RUN = dt.timedelta(hours=1)


class Exported(BaseModel):
    """What the file has of one code; `first` and `last` are None where it has no row.

    `missing_sessions` says how many sessions were never stored, None where nobody can tell; `stale`
    is the last day of a history that ends early, `unfinished` the date of a last bar with days to
    come. `renamed_from` is the former code that was asked for.
    """

    rows: int
    first: dt.date | None
    last: dt.date | None
    source: str
    generation: int | None
    stored_at: dt.datetime
    missing_sessions: int | None = None
    stale: dt.date | None = None
    unfinished: dt.date | None = None
    renamed_from: str | None = None


class Export(BaseModel):
    """What a file holds: the question, the rows, each code's, and why other codes have none.

    `codes` are the present ones, `missing` those that were asked for.
    `missing_sessions` are those that one of the codes at least should have and nobody stored; None
    where nobody can tell.
    """

    file: str
    query: ExportQuery
    rows: int
    bytes: int
    columns: list[str]
    codes: dict[str, Exported]
    missing: dict[str, str]
    missing_sessions: list[dt.date] | None = None
    made_at: dt.datetime

    @property
    def stale(self) -> dict[str, dt.date]:
        """The last days of codes whose histories end early."""
        return {code: one.stale for code, one in self.codes.items() if one.stale}

    @property
    def unfinished(self) -> dict[str, dt.date]:
        """The dates of last bars whose week or month has days to come."""
        return {code: one.unfinished for code, one in self.codes.items() if one.unfinished}

    @property
    def renamed_from(self) -> dict[str, str]:
        """The former codes that were asked for, by the present ones."""
        return {code: one.renamed_from for code, one in self.codes.items() if one.renamed_from}

    @property
    def generations(self) -> dict[str, int | None]:
        """The generation of every series that rows come from; None for a former moment."""
        return {
            one.source: one.generation
            for one in self.codes.values()
            if one.source != "instrument_history"
        }


def write_export(reader: PriceReader, query: ExportQuery, folder: Path, name: str) -> Export:
    """Write the answer of `query` to `<folder>/<name>.<format>`, at once, with its note.

    Raises `DiskRefuses` naming the file, and `MissingSessions` for a strict query
    that some were never stored of; then there is none.
    """
    path = folder / f"{name}.{query.format}"
    codes: dict[str, Exported] = {}
    missing: dict[str, str] = {}
    absent: set[dt.date] = set()
    columns = ["code", *(column for column in query.columns if column != "code")]
    with refusals_told(f"The export {path.name} could not be written"):
        make_folder(folder)
        with becoming(path) as unfinished:
            with (
                unfinished.open("wb") as file,
                _writer(file, schema_of(columns), query.format) as writer,
            ):
                for block in _blocks(_rows_of(reader, query, columns, codes, missing, absent)):
                    writer.write_table(block)
            size = unfinished.stat().st_size
        is_told = any(one.missing_sessions is not None for one in codes.values())
        export = Export(
            file=path.name,
            query=query,
            rows=sum(one.rows for one in codes.values()),
            bytes=size,
            columns=columns,
            codes=codes,
            missing=missing,
            missing_sessions=sorted(absent) if is_told else None,
            made_at=dt.datetime.now(dt.UTC),
        )
        path.with_suffix(".json").write_text(export.model_dump_json(indent=2), "utf-8")
        sync_folder(folder)
    return export


def note_of(raw: bytes) -> Export | None:
    """What the note beside a file says; None where it can't be read."""
    with suppress(ValidationError):
        return Export.model_validate_json(raw)
    return None


def _rows_of(
    reader: PriceReader,
    query: ExportQuery,
    columns: Sequence[str],
    codes: dict[str, Exported],
    missing: dict[str, str],
    absent: set[dt.date],
) -> Iterator[pa.Table]:
    """The rows code by code; what is found, and what is not, is noted in `codes` and the others."""
    # The date, asked for or not, tells which days there are.
    wanted = query.model_copy(update={"columns": list(dict.fromkeys([*query.columns, "date"]))})
    for code, found in reader.each(wanted):
        if not isinstance(found, Slice):
            missing[code] = str(found)
            continue
        if query.strict and found.missing:
            raise MissingSessions(found.code, found.source.name, found.missing)
        if found.code in codes:
            # Asked for under its former code, too.
            continue
        absent.update(found.missing or ())
        first, last = span_of(found.rows["date"]) or (None, None)
        codes[found.code] = Exported(
            rows=found.rows.num_rows,
            first=first,
            last=last,
            source=found.source.name,
            generation=found.generation,
            stored_at=found.stored_at,
            missing_sessions=None if found.missing is None else len(found.missing),
            stale=found.stale,
            unfinished=found.unfinished,
            renamed_from=code if code != found.code else None,
        )
        yield with_code(found).select(list(columns)).cast(schema_of(columns))


def _blocks(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in pieces that are worth a row group."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= ROWS_IN_A_GROUP:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _writer(file: IO[bytes], schema: pa.Schema, form: FileFormat) -> Any:
    """What has `write_table` within its block."""
    if form == "parquet":
        return pq.ParquetWriter(file, schema, compression="zstd")
    return pa.ipc.new_file(file, schema) if form == "arrow" else pc_csv.CSVWriter(file, schema)


class RemoteFile(NamedTuple):
    """A file elsewhere: so many bytes, last written in seconds since 1970, and how to have some of
    them, from where on and how many."""

    name: str
    size: int
    modified: float
    part: Callable[[int, int], Awaitable[bytes]]


class ExportFiles:
    """Files in `folder`, where they are written too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def publish(self, export: Export) -> str:
        """Have what was written to `folder` be found by whoever asked for it. Where it is then."""
        return str(self.folder / export.file)

    def note(self, name: str) -> Export | None:
        """What a finished export holds; None where there is none, or its note can't be read."""
        with suppress(FileNotFoundError):
            return note_of((self.folder / f"{name}.json").read_bytes())
        return None

    def file(self, name: str) -> Path | RemoteFile | None:
        path = self.folder / name
        return path if path.is_file() else None

    def bytes(self) -> int:
        """What all of them take."""
        total = 0
        # A folder that somebody has removed to make room has none.
        for path in self.folder.glob("*"):
            with suppress(FileNotFoundError):
                total += path.stat().st_size
        return total

    def remove(self, names: Sequence[str]) -> None:
        """Remove exports by name, with all that is beside them."""
        for name in names:
            for path in self.folder.glob(f"{name}.*"):
                path.unlink(missing_ok=True)

    def remove_before(self, moment: float) -> None:
        """Remove files that are older than a moment, in seconds since 1970, whoever made them."""
        for path in self.folder.glob("*"):
            with suppress(FileNotFoundError):
                if path.is_file() and path.stat().st_mtime < moment:
                    path.unlink()


class SharedExportFiles(ExportFiles):
    """Objects below `address`; in `folder` lies what this host has in hand."""

    def __init__(self, folder: Path, address: str) -> None:
        from marketdata_assets.storage.objects import Objects

        super().__init__(folder)
        self._objects, self._address = Objects(address), address
        self._next_sweep = 0.0

    def publish(self, export: Export) -> str:
        path = self.folder / export.file
        # The note comes last: whoever finds it finds the file.
        for one in (path, path.with_suffix(".json")):
            self._objects.put_file(f"exports/{one.name}", one)
            one.unlink()
        # What killed runs have left here.
        super().remove_before(time.time() - A_RUN.total_seconds())
        return f"{self._address}/exports/{export.file}"

    def note(self, name: str) -> Export | None:
        found = self._objects.get(f"exports/{name}.json")
        return note_of(found[1]) if found else None

    def file(self, name: str) -> Path | RemoteFile | None:
        if (one := self._objects.head(f"exports/{name}")) is None:
            return None
        part = functools.partial(self._objects.part, one.key)
        return RemoteFile(name, one.bytes, one.modified, part)

    def bytes(self) -> int:
        return sum(one.bytes for one in self._objects.listed("exports"))

    def remove(self, names: Sequence[str]) -> None:
        endings = [*get_args(FileFormat), "json"]
        self._objects.delete([f"exports/{name}.{ending}" for name in names for ending in endings])

    def remove_before(self, moment: float) -> None:
        if time.monotonic() >= self._next_sweep:
            old = [one.key for one in self._objects.listed("exports") if one.modified < moment]
            self._objects.delete(old)
            self._next_sweep = time.monotonic() + SECONDS_BETWEEN_SWEEPS


def open_exports(root: Path) -> ExportFiles:
    """The files of the profile whose folder on this machine is `root`. Raises `SettingError`."""
    folder, shared = root / "exports", hosts()
    return _shared(folder, shared.lake_of(root)) if shared else ExportFiles(folder)


# One for all looks of a process: it has connections, and knows when it sweeps next.
_shared = functools.cache(SharedExportFiles)
