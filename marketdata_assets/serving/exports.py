"""Exports: a range as one file, and beside it what the file holds and what it lacks.

    <folder>/<name>.parquet | .csv | .arrow     the rows, by code in the order asked, and date
    <folder>/<name>.json                        an `Export`

Here belongs the writing, code by code, so that memory does not grow with the range. The note is
written after the file and read by whoever reports the outcome.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq
from pydantic import BaseModel, ValidationError

from marketdata_assets.serving.answers import Slice
from marketdata_assets.serving.gaps import MissingSessions
from marketdata_assets.serving.ohlcv_view import column_type
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.serving.queries import ExportQuery, FileFormat
from marketdata_assets.storage.durable_files import (
    becoming,
    make_folder,
    refusals_told,
    sync_folder,
)

ROWS_IN_A_GROUP = 100_000


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


class _Writer(Protocol):
    def write_table(self, table: pa.Table) -> None: ...


def exports_folder(root: Path) -> Path:
    return root / "exports"


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
                _writer(file, _schema(columns), query.format) as writer,
            ):
                for block in _blocks(_rows_of(reader, query, columns, codes, missing, absent)):
                    writer.write_table(block)
            size = unfinished.stat().st_size
        export = Export(
            file=path.name,
            query=query,
            rows=sum(one.rows for one in codes.values()),
            bytes=size,
            columns=columns,
            codes=codes,
            missing=missing,
            missing_sessions=sorted(absent) if _is_told(codes) else None,
            made_at=dt.datetime.now(dt.UTC),
        )
        _note(path).write_text(export.model_dump_json(indent=2), "utf-8")
        sync_folder(folder)
    return export


def read_export(folder: Path, name: str) -> Export | None:
    """What a finished export holds; None where there is none, or its note can't be read."""
    try:
        return Export.model_validate_json((folder / f"{name}.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _is_told(codes: Mapping[str, Exported]) -> bool:
    return any(one.missing_sessions is not None for one in codes.values())


def _note(path: Path) -> Path:
    return path.with_suffix(".json")


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
        days = found.rows["date"]
        codes[found.code] = Exported(
            rows=len(days),
            first=days[0].as_py() if len(days) else None,
            last=days[-1].as_py() if len(days) else None,
            source=found.source.name,
            generation=found.generation,
            stored_at=found.stored_at,
            missing_sessions=None if found.missing is None else len(found.missing),
            stale=found.stale,
            unfinished=found.unfinished,
            renamed_from=code if code != found.code else None,
        )
        rows = found.rows
        if "code" not in rows.column_names:
            name = pa.scalar(found.code, pa.string())
            rows = rows.append_column("code", pa.repeat(name, len(rows)))
        yield rows.select(list(columns)).cast(_schema(columns))


def _schema(columns: Sequence[str]) -> pa.Schema:
    return pa.schema([pa.field(name, column_type(name)) for name in columns])


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


@contextmanager
def _writer(file: IO[bytes], schema: pa.Schema, form: FileFormat) -> Iterator[_Writer]:
    if form == "parquet":
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            yield writer
    elif form == "arrow":
        with pa.ipc.new_file(file, schema) as writer:
            yield writer
    else:
        with pc_csv.CSVWriter(file, schema) as writer:
            yield writer
