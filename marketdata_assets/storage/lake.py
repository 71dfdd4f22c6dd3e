"""The lake: one parquet file a partition, published atomically, its predecessors kept.

    <root>/lake/<table>/<year>/<date>.parquet                    what is true now
    <root>/lake/<table>/<code>.parquet                           a table by code
    <root>/lake/<table>/<table>.parquet                          a table without partitions
    <root>/superseded/<table>/<year>/<date>/<time>.parquet       what was true until <time> (UTC)

Here belongs the life of files. Nothing here knows Dagster or DuckDB; how assets read and write
through it is `io_manager`. Writers of one table take turns; who reads what is true now waits for
nobody.
"""

import datetime as dt
import logging
import os
import re
import secrets
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import IO, NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from marketdata_assets.storage.durable_files import (
    link_or_copy,
    make_folder,
    remove_abandoned,
    sync_folder,
)
from marketdata_assets.storage.fitting import as_declared, fits
from marketdata_assets.storage.turns import wait_for_writer, writing
from marketdata_assets.tables import Table

logger = logging.getLogger(__name__)

# Other files that end up here, a sync program's copies for one, are no partitions.
DAY_FILES = "[0-9][0-9][0-9][0-9]/[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9].parquet"
CODE_FILES = "*.parquet"
CODE = re.compile(r"[A-Z0-9]+(\.[A-Z]+)?")
UNTIL = "%Y%m%dT%H%M%S.%fZ"


# A trading day, a code, or None for a table without partitions.
Part: TypeAlias = dt.date | str | None


class Outcome(StrEnum):
    """What a write did to the partition."""

    NEW = "new"
    UNCHANGED = "unchanged"
    REPLACED = "replaced"
    KEPT = "kept"


class Stored(NamedTuple):
    rows: int
    bytes: int
    outcome: Outcome
    origin: str
    stored_at: dt.datetime


class MissingPartitions(LookupError):
    """Partitions that were asked for are not in the lake."""

    def __init__(self, table: Table, parts: Sequence[Part]) -> None:
        where = ""
        if parts != [None]:
            shown = ", ".join(map(str, parts[:5])) + (" …" if len(parts) > 5 else "")
            kind = "code" if table.code_column else "day"
            where = f" for {len(parts)} {kind}(s): {shown}"
        super().__init__(f"{table.name} is not stored{where}. Materialize {table.name} first.")


class UnfitPartitions(ValueError):
    """Stored files can't be read as what the table is declared to be now."""

    def __init__(self, table: Table, paths: Sequence[Path]) -> None:
        shown = ", ".join(path.stem for path in paths[:5]) + (" …" if len(paths) > 5 else "")
        super().__init__(
            f"{table.name} is damaged or has other columns than declared in {len(paths)} file(s): "
            f"{shown}. Materialize {table.name} again for them; the old files are kept aside."
        )


class Lake:
    """Partition files under `root`; `origin` names where their data come from.

    Any number of processes may write; a crash leaves the old file or the new one.
    """

    def __init__(self, root: Path, origin: str) -> None:
        self.root = root
        self.origin = origin

    def path(self, table: Table, part: Part) -> Path:
        """Where the partition lies or would lie; None for a table without partitions.

        Raises `ValueError` for a code that is no safe name of a file.
        """
        folder = self._folder(table)
        if isinstance(part, dt.date):
            return folder / f"{part:%Y}" / f"{part}.parquet"
        if part is not None and not CODE.fullmatch(part):
            raise ValueError(f"{table.name}: {part!r} is not the form of a code.")
        return folder / f"{part or table.name}.parquet"

    def superseded_folder(self, table: Table, part: Part) -> Path:
        """Where the partition's earlier files lie, if it had any."""
        below = self.path(table, part).relative_to(self.root / "lake").with_suffix("")
        return self.root / "superseded" / below

    def days(self, table: Table) -> list[dt.date]:
        """The stored days of a table, in order."""
        files = self._folder(table).glob(DAY_FILES)
        return sorted(dt.date.fromisoformat(file.stem) for file in files)

    def paths(self, table: Table, parts: Iterable[Part]) -> list[Path]:
        """The files of partitions, proved readable as declared.

        Raises `MissingPartitions` or `UnfitPartitions`, naming the partitions.
        """
        wanted = {part: self.path(table, part) for part in parts}
        if missing := [part for part, path in wanted.items() if not path.exists()]:
            raise MissingPartitions(table, missing)
        if unfit := [path for part, path in wanted.items() if self.describe(table, part) is None]:
            raise UnfitPartitions(table, unfit)
        return list(wanted.values())

    def read(self, table: Table, part: Part) -> pa.Table | None:
        """The stored partition, or None where there is none that fits the declaration."""
        if self.describe(table, part) is None:
            return None
        return as_declared(table, pq.read_table(self.path(table, part), partitioning=None))

    def describe(self, table: Table, part: Part) -> Stored | None:
        """What is known of a stored partition, or None where there is none that fits."""
        path = self.path(table, part)
        try:
            file = pq.read_metadata(path)
        except (FileNotFoundError, pa.ArrowInvalid):
            return None
        schema = file.schema.to_arrow_schema()
        labels = schema.metadata or {}
        if not fits(table, schema) or b"stored_at" not in labels:
            return None
        return Stored(
            rows=file.num_rows,
            bytes=path.stat().st_size,
            outcome=Outcome.KEPT,
            origin=labels[b"origin"].decode(),
            stored_at=dt.datetime.fromisoformat(labels[b"stored_at"].decode()),
        )

    def write(self, table: Table, part: Part, data: pa.Table) -> Stored:
        """Publish `data` as the partition, sorted by the table's key.

        Identical content changes nothing on disk; different content moves the old file to
        `superseded`. Raises `ValueError` for other columns, NULL or numbers that are none where
        none may be, a key that occurs twice, or rows of another partition; `OSError` naming table
        and partition when the disk refuses, with the partition as it was.
        """
        _refuse_misfit(table, part, data)
        data = data.sort_by([(name, "ascending") for name in table.key])
        path = self.path(table, part)
        make_folder(path.parent)
        with writing(self._folder(table)):
            before = self.read(table, part)
            if before is not None and before.equals(data):
                outcome = Outcome.UNCHANGED
            else:
                outcome = Outcome.REPLACED if path.exists() else Outcome.NEW
                self._publish(table, part, data)
        stored = self.describe(table, part)
        assert stored is not None
        return _reported(table, part, stored._replace(outcome=outcome))

    def keep(self, table: Table, day: dt.date) -> Stored:
        """Take a partition as it is stored. Raises `MissingPartitions`."""
        stored = self.describe(table, day)
        if stored is None:
            raise MissingPartitions(table, [day])
        return _reported(table, day, stored)

    def wait_for_writer(self, table: Table) -> None:
        """Return once every write of the table that began before this call is published.

        Writes that begin later are not waited for: the wait is at most the storing of one file.
        """
        wait_for_writer(self._folder(table))

    def _folder(self, table: Table) -> Path:
        return self.root / "lake" / table.name

    def _publish(self, table: Table, part: Part, data: pa.Table) -> None:
        path = self.path(table, part)
        remove_abandoned(path)
        now = dt.datetime.now(dt.UTC)
        labels = {"origin": self.origin, "stored_at": now.isoformat()}
        unfinished = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.unfinished")
        try:
            with unfinished.open("wb") as file:
                _write(data.replace_schema_metadata(labels), file)
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                _keep_aside(path, self.superseded_folder(table, part), now)
            unfinished.replace(path)
            sync_folder(path.parent)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise OSError(
                error.errno,
                f"{table.name} {path.stem} could not be stored ({error.strerror}); it is as it was "
                "before. Make room or give write permission, then run again.",
            ) from error


def _keep_aside(path: Path, folder: Path, now: dt.datetime) -> None:
    """Name the file a second time, by the moment until which it was true."""
    make_folder(folder)
    earlier = sorted(folder.glob("*.parquet"))
    if earlier:
        last = dt.datetime.strptime(earlier[-1].stem, UNTIL).replace(tzinfo=dt.UTC)
        now = max(now, last + dt.timedelta(microseconds=1))
    aside = folder / f"{now.strftime(UNTIL)}.parquet"
    if earlier and earlier[-1].samefile(path):
        # A writer was killed between this step and the next; the file stayed true until now.
        earlier[-1].replace(aside)
    else:
        link_or_copy(path, aside)
    sync_folder(folder)


def _write(data: pa.Table, file: IO[bytes]) -> None:
    # Prices hardly repeat within a day: dictionaries of numbers cost time and space.
    texts = [field.name for field in data.schema if pa.types.is_string(field.type)]
    pq.write_table(data, file, compression="zstd", use_dictionary=texts)


def _reported(table: Table, part: Part, stored: Stored) -> Stored:
    """One log line a partition: whoever shows progress listens to them."""
    logger.info("%s %s: %s rows, %s", table.name, part or "", stored.rows, stored.outcome)
    return stored


def _refuse_misfit(table: Table, part: Part, data: pa.Table) -> None:
    where = f"{table.name} {part or ''}".strip()
    if not data.schema.equals(table.schema):
        raise ValueError(
            f"{where}: the columns are not the declared ones. "
            f"Declared: {', '.join(table.column_names)}. Got: {', '.join(data.column_names)}."
        )
    for field in table.schema:
        column = data[field.name]
        if column.null_count and not field.nullable:
            raise ValueError(f"{where}: {field.name} is NULL on {column.null_count} rows.")
        if pa.types.is_floating(field.type) and pc.any(pc.invert(pc.is_finite(column))).as_py():
            raise ValueError(f"{where}: {field.name} holds NaN or infinity; missing is NULL.")
    if repeated := table.repeated_keys(data):
        raise ValueError(f"{where}: {', '.join(repeated[:3])} … occur more than once.")
    if part is not None and data.num_rows:
        held = pc.unique(data[table.code_column or table.date_column]).to_pylist()
        if held != [part]:
            raise ValueError(f"{where}: holds rows of {', '.join(map(str, held[:3]))}.")
