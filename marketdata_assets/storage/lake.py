"""The lake: one parquet file a partition, published atomically, its predecessors kept.

    <root>/lake/<table>/<year>/<date>.parquet                    what is true now
    <root>/lake/<table>/<code>.parquet                           a table by code
    <root>/lake/<table>/<table>.parquet                          a table without partitions
    <root>/superseded/<table>/<year>/<date>/<time>.parquet       what was true until <time> (UTC)
    <root>/superseded/<table>/<year>/<date>/<time>.damaged       what had been damaged by then

Here belongs the life of files; how a file tells that it is damaged is `sealed_parquet`. Nothing
here knows Dagster or DuckDB; how assets read and write through it is `io_manager`. Writers of one
table take turns; who reads what is true now waits for nobody. Where several hosts share a lake it
is `shared_lake`, which replaces what touches files here.
"""

import contextlib
import datetime as dt
import logging
import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock

from marketdata_assets.errors import MarketdataError
from marketdata_assets.listening import is_simulated
from marketdata_assets.storage import damage_notes
from marketdata_assets.storage.durable_files import (
    becoming,
    link_or_copy,
    make_folder,
    refusals_told,
    remove_abandoned,
    sync_folder,
)
from marketdata_assets.storage.fitting import VERSION, as_declared, misfits, stored_at_of
from marketdata_assets.storage.sealed_parquet import DamagedFile, open_sealed, sealed
from marketdata_assets.storage.write_lock import wait_for_writer, writing
from marketdata_assets.tables import Table

logger = logging.getLogger(__name__)

# Other files that end up here, a sync program's copies for one, are no partitions.
FOUR = "[0-9][0-9][0-9][0-9]"
YEARS = f"{FOUR}/"
DAY_FILES = f"{YEARS}{FOUR}-[0-9][0-9]-[0-9][0-9].parquet"
CODE_FILES = "[A-Z0-9]*.parquet"
CODE = re.compile(r"[A-Z0-9]+(\.[A-Z]+)?")
UNTIL = "%Y%m%dT%H%M%S.%fZ"
DAMAGED = ".damaged"
# A folder that changes twice in a moment may show it once, since clocks are coarse.
A_MOMENT = 2_000_000_000


# A trading day, a code, or None for a table without partitions.
Part: TypeAlias = dt.date | str | None
Asked = TypeVar("Asked")
Read = TypeVar("Read")


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


class FileIdentity(NamedTuple):
    """Which file lies in the lake for a partition; every rewrite has another inode or time."""

    inode: int
    bytes: int
    modified_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "FileIdentity":
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


class FolderTimes(NamedTuple):
    """When a folder changed, in ns since 1970; what sets the first back changes the second."""

    modified: int
    changed: int


class Loaded(NamedTuple):
    """A whole partition, and the file that it was read from."""

    stored: Stored
    rows: pa.Table
    file: FileIdentity


class EarlierVersion(NamedTuple):
    """An earlier file of a partition, and until when it was the one."""

    until: dt.datetime
    path: Path


class MissingPartitions(MarketdataError, is_final=True):
    """Partitions that were asked for are not in the lake."""

    def __init__(self, table: Table, parts: Sequence[Part]) -> None:
        where = ""
        if parts != [None]:
            kind = "code" if table.code_column else "day"
            where = f" for {len(parts)} {kind}(s): {first_five(parts)}"
        super().__init__(f"{table.name} is not stored{where}. Materialize {table.name} first.")


class UnfitPartitions(MarketdataError, status=503):
    """Stored files can't be read as what the table is declared to be now."""

    what = "has other columns than declared"

    def __init__(self, table: Table, files: Sequence[Path], why: str) -> None:
        self.files, self.why = files, why
        super().__init__(
            f"{table.name} {self.what} in {len(files)} file(s): {first_five(files)} ({why}). "
            f"Materialize {table.name} again for them; the old files are kept aside."
        )


class DamagedPartitions(UnfitPartitions):
    """Stored files are not what was written."""

    what = "is damaged"


class Lake:
    """Partition files under `root`; `origin` names where their data come from.

    Any number of processes may write; a crash leaves the old file or the new one.
    """

    is_shared = False

    def __init__(self, root: Path, origin: str) -> None:
        self.root = root
        self.origin = origin
        self._table_folders: dict[str, Path] = {}

    def path(self, table: Table, part: Part) -> Path:
        """Where the partition lies or would lie; None for a table without partitions.

        Raises `ValueError` for a code that is no safe name of a file.
        """
        folder = self._folder(table)
        if isinstance(part, dt.date):
            return folder / f"{part.year}/{part}.parquet"
        if part is not None and not CODE.fullmatch(part):
            raise ValueError(f"{table.name}: {part!r} is not the form of a code.")
        return folder / f"{part or table.name}.parquet"

    def versions_folder(self, table: Table, part: Part) -> Path:
        """Where the partition's earlier files lie, if it had any."""
        below = self.path(table, part).relative_to(self.root / "lake").with_suffix("")
        return self.root / "superseded" / below

    def earlier_versions(self, table: Table, part: Part) -> list[EarlierVersion]:
        """The partition's earlier files, oldest first, damaged ones included."""
        return _earlier_versions_in(self.versions_folder(table, part))

    def days(self, table: Table) -> list[dt.date]:
        """The stored days of a table, in order."""
        return sorted(day for day, _ in self._day_files(table))

    def codes(self, table: Table) -> list[str]:
        """The stored codes of a table by code, in order."""
        return sorted(filter(None, map(code_of, self._folder(table).glob(CODE_FILES))))

    def has(self, table: Table, part: Part) -> bool:
        """Whether there is a file of the partition, whatever it is worth."""
        return self.path(table, part).exists()

    def identity(self, table: Table, part: Part) -> FileIdentity | None:
        """Which file the partition is now, None where there is none."""
        try:
            return FileIdentity.of(self.path(table, part).stat())
        except FileNotFoundError:
            return None

    def identities(self, table: Table, but: Collection[int] = ()) -> dict[dt.date, FileIdentity]:
        """Every day file of a table, oldest first; none of the years in `but`."""
        return _identities(self._day_files(table, but))

    def file(self, table: Table, part: Part) -> Path:
        """The partition's file as it is now, for who opens it at once and asks nothing of it."""
        return self.path(table, part)

    def paths(self, table: Table, parts: Iterable[Part]) -> list[Path]:
        """The files of partitions, proved to be what was written and readable as declared.

        Raises `MissingPartitions`, `DamagedPartitions` or `UnfitPartitions`, naming them.
        """
        wanted = list(parts)
        there = self._files(table, wanted)
        if missing := [part for part in wanted if part not in there]:
            raise MissingPartitions(table, missing)
        unfit: dict[type[UnfitPartitions], list[UnfitPartitions]] = {}
        for part in wanted:
            try:
                self._open_at(table, part, there[part])
            except UnfitPartitions as fault:
                unfit.setdefault(type(fault), []).append(fault)
        for kind, faults in unfit.items():
            raise kind(table, [file for fault in faults for file in fault.files], faults[0].why)
        return [there[part] for part in wanted]

    def first_day(self, table: Table) -> dt.date | None:
        """The first stored day of a table, None where there is none: no other year is listed."""
        for year in sorted(self._folder(table).glob(YEARS)):
            if days := [day for day, _ in _files_of_year(year)]:
                return min(days)
        return None

    def folders(self, table: Table) -> dict[int, FolderTimes | None]:
        """The folders of a table's years, None where one has just changed.

        While one is the same, no day file of the year came, went or was replaced by a rename; one
        that somebody writes over where it lies tells nobody. There are none where only a listing
        tells.
        """
        return {int(year.name): times_of(year) for year in self._folder(table).glob(YEARS)}

    def identities_of_year(self, table: Table, year: int) -> dict[dt.date, FileIdentity]:
        """The day files of a year, oldest first."""
        return _identities(_files_of_year(self._folder(table) / str(year)))

    def each(self, read: Callable[[Asked], Read], asked: Iterable[Asked]) -> Iterator[Read]:
        """What `read` gives for each of `asked`, in order; several at once where each is a call."""
        return map(read, asked)

    def load(self, table: Table, part: Part) -> Loaded:
        """The stored partition.

        Raises `MissingPartitions`, `DamagedPartitions` or `UnfitPartitions`.
        """
        file, stored, identity = self._open(table, part)
        try:
            rows = file.read()
        except (pa.ArrowException, OSError) as error:
            damage_notes.note(self.root, self.path(table, part))
            raise DamagedPartitions(table, self._below(table, part), str(error)) from error
        return Loaded(stored, as_declared(table, rows), identity)

    def read(self, table: Table, part: Part) -> pa.Table | None:
        """The stored partition, or None where there is none that can be read: it is to be made."""
        try:
            return self.load(table, part).rows
        except MissingPartitions:
            return None
        except UnfitPartitions as fault:
            logger.warning("%s", fault)
            return None

    def describe(self, table: Table, part: Part) -> Stored | None:
        """What is known of a stored partition, or None where `read` has none."""
        try:
            return self._open(table, part)[1]
        except MissingPartitions:
            return None
        except UnfitPartitions as fault:
            logger.warning("%s", fault)
            return None

    def write(self, table: Table, part: Part, data: pa.Table) -> Stored:
        """Publish `data` as the partition, sorted by the table's key.

        Identical content changes nothing on disk; different content moves the old file to
        `superseded`, where a damaged one goes in any case. Raises `ValueError` for other columns,
        NULL or numbers that are none where none may be, a key that occurs twice, or rows of another
        partition; `DiskRefuses` naming table and partition, which is then as it was.
        """
        _refuse_misfit(table, part, data)
        data = data.sort_by([(name, "ascending") for name in table.key])
        what = f"{table.name} {part or ''}".strip()
        with refusals_told(f"{what} could not be stored; it is as it was before"):
            stored = self._store(table, part, data)
        return _reported(table, part, stored)

    def keep(self, table: Table, day: dt.date) -> Stored:
        """Take a partition as it is stored. Raises `MissingPartitions`."""
        stored = self.describe(table, day)
        if stored is None:
            raise MissingPartitions(table, [day])
        return _reported(table, day, stored)

    def beside(self, name: str) -> bytes | None:
        """A file of the user's beside the partitions, None where there is none."""
        path = self.root / name
        return path.read_bytes() if path.exists() else None

    def change_beside(self, name: str, changed: Callable[[bytes | None], bytes]) -> None:
        """Replace such a file by what becomes of it. Who changes it meanwhile loses nothing.

        Raises `DiskRefuses` naming it.
        """
        what = f"{name} could not be written; it is as it was before"
        with refusals_told(what), FileLock(self.root / f".{name}.lock"):
            content = changed(self.beside(name))
            with becoming(self.root / name) as unfinished:
                unfinished.write_bytes(content)

    def wait_for_writer(self, table: Table) -> None:
        """Return once every write of the table that began before this call is published.

        Writes that begin later are not waited for: the wait is at most the storing of one file.
        """
        wait_for_writer(self._folder(table))

    @contextlib.contextmanager
    def alone(self, table: Table) -> Iterator[None]:
        """A turn of reading partitions of a table and writing what follows from them."""
        self.root.mkdir(parents=True, exist_ok=True)
        with FileLock(self.root / f".{table.name}.lock"):
            yield

    def looking_once(self) -> contextlib.AbstractContextManager[None]:
        """Within the block one look may answer for the days of a year, where looks cost.

        What other processes store meanwhile may not be seen, but for what is read `alone`.
        """
        return contextlib.nullcontext()

    def told(self, what: str) -> bytes | None:
        """What another step of the run has found out, where each has a process of its own."""
        return None

    def tell(self, what: str, raw: bytes) -> None:
        """Have the other steps of the run know it."""

    def _day_files(
        self, table: Table, but: Collection[int] = ()
    ) -> Iterator[tuple[dt.date, os.DirEntry[str]]]:
        for year in self._folder(table).glob(YEARS):
            if int(year.name) not in but:
                yield from _files_of_year(year)

    def _folder(self, table: Table) -> Path:
        # Asked for at every file, where paths take as long to put together as to look at.
        if table.name not in self._table_folders:
            self._table_folders[table.name] = self.root / "lake" / table.name
        return self._table_folders[table.name]

    def _below(self, table: Table, part: Part) -> list[Path]:
        """The file as it is told: without the folder that the lake lies in."""
        return [self.path(table, part).relative_to(self.root)]

    def _files(self, table: Table, parts: Sequence[Part]) -> dict[Part, Path]:
        """The files of those of the partitions that are there."""
        return {part: self.path(table, part) for part in parts if self.has(table, part)}

    def _open(self, table: Table, part: Part) -> tuple[pq.ParquetFile, Stored, FileIdentity]:
        return self._open_at(table, part, self.path(table, part))

    def _open_at(
        self, table: Table, part: Part, path: Path
    ) -> tuple[pq.ParquetFile, Stored, FileIdentity]:
        try:
            file, stat = open_sealed(path)
        except FileNotFoundError:
            raise MissingPartitions(table, [part]) from None
        except DamagedFile as fault:
            damage_notes.note(self.root, path)
            raise DamagedPartitions(table, self._below(table, part), str(fault)) from fault
        damage_notes.forget(self.root, path)
        identity = FileIdentity.of(stat)
        return file, self._judged(table, part, file, identity.bytes), identity

    def _judged(self, table: Table, part: Part, file: pq.ParquetFile, size: int) -> Stored:
        """What a file says of itself. Raises `UnfitPartitions`."""
        labels = file.schema_arrow.metadata or {}
        if changes := misfits(table, file.schema_arrow):
            raise UnfitPartitions(table, self._below(table, part), ", ".join(changes))
        stored_at = stored_at_of(file.schema_arrow)
        if stored_at is None or b"origin" not in labels:
            why = "it does not say when it was stored"
            raise UnfitPartitions(table, self._below(table, part), why)
        return Stored(
            rows=file.metadata.num_rows,
            bytes=size,
            outcome=Outcome.KEPT,
            origin=labels[b"origin"].decode(errors="replace"),
            stored_at=stored_at,
        )

    def _store(self, table: Table, part: Part, data: pa.Table) -> Stored:
        make_folder(self.path(table, part).parent)
        is_damaged = False
        with writing(self._folder(table)):
            try:
                there = self.load(table, part)
                if there.rows.equals(data):
                    return there.stored._replace(outcome=Outcome.UNCHANGED)
            except MissingPartitions:
                pass
            except UnfitPartitions as fault:
                is_damaged = isinstance(fault, DamagedPartitions)
                logger.warning("%s", fault)
            return self._publish(table, part, data, is_damaged)

    def _origin_of(self, table: Table, data: pa.Table) -> str:
        """This lake's, but of real rows that say themselves who they come from what they say."""
        if "source" not in table.column_names or is_simulated(self.origin):
            return self.origin
        return ", ".join(sorted(set(data["source"].to_pylist()))) or self.origin

    def _labels(self, table: Table, data: pa.Table, now: dt.datetime) -> dict[str | bytes, str]:
        return {
            "origin": self._origin_of(table, data),
            "stored_at": now.isoformat(),
            VERSION: str(table.version),
        }

    def _publish(self, table: Table, part: Part, data: pa.Table, is_damaged: bool) -> Stored:
        path = self.path(table, part)
        remove_abandoned(path.parent)
        now = dt.datetime.now(dt.UTC)
        labels = self._labels(table, data, now)
        content, outcome = sealed(data.replace_schema_metadata(labels)), Outcome.NEW
        with becoming(path) as unfinished:
            unfinished.write_bytes(content)
            if path.exists():
                outcome = Outcome.REPLACED
                aside = _keep_aside(path, self.versions_folder(table, part), now, is_damaged)
                if is_damaged:
                    damage_notes.note(self.root, aside)
        return Stored(data.num_rows, len(content), outcome, labels["origin"], now)


def first_five(named: Sequence[object]) -> str:
    """A few of them, and whether there are more."""
    return ", ".join(map(str, named[:5])) + (" …" if len(named) > 5 else "")


def _files_of_year(folder: Path) -> Iterator[tuple[dt.date, os.DirEntry[str]]]:
    """The day files in a folder. Of twenty years, a path of each would cost more than a look."""
    # It may have been removed just now, or be a file of another program.
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as files:
        for file in files:
            day, _, kind = file.name.partition(".")
            if kind == "parquet" and (found := _day(day, folder.name)):
                yield found, file


def _identities(
    files: Iterable[tuple[dt.date, os.DirEntry[str]]],
) -> dict[dt.date, FileIdentity]:
    """Which files these are, oldest first."""
    found = {}
    for day, file in files:
        # One that was there a moment ago is a day that has just been removed.
        with contextlib.suppress(FileNotFoundError):
            found[day] = FileIdentity.of(file.stat())
    return dict(sorted(found.items()))


def times_of(folder: Path) -> FolderTimes | None:
    """None where the next change might not show: it has just changed, or is not there."""
    try:
        stat = folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    is_settled = stat.st_mtime_ns < time.time_ns() - A_MOMENT
    return FolderTimes(stat.st_mtime_ns, stat.st_ctime_ns) if is_settled else None


def day_of(file: Path) -> dt.date | None:
    """The day whose partition `file` is by its place; None for a file of another program."""
    return _day(file.stem, file.parent.name) if file.suffix == ".parquet" else None


def code_of(file: Path) -> str | None:
    """The code whose partition `file` is by its name; None for a file of another program."""
    return file.stem if file.suffix == ".parquet" and CODE.fullmatch(file.stem) else None


def _day(written: str, year: str) -> dt.date | None:
    """The day that is `written` as 2024-03-06, of that year."""
    try:
        day = dt.date.fromisoformat(written)
    except ValueError:
        return None
    return day if written == day.isoformat() and year == f"{day:%Y}" else None


def _keep_aside(path: Path, folder: Path, now: dt.datetime, is_damaged: bool) -> Path:
    """Name the file a second time, by the moment until which it was true; that name."""
    make_folder(folder)
    earlier = _earlier_versions_in(folder)
    if earlier:
        now = max(now, earlier[-1].until + dt.timedelta(microseconds=1))
    aside = folder / f"{now.strftime(UNTIL)}{DAMAGED if is_damaged else '.parquet'}"
    if earlier and earlier[-1].path.samefile(path):
        # A writer was killed between this step and the next; the file stayed true until now.
        earlier[-1].path.replace(aside)
    elif is_damaged:
        # A block that can't be read can't be copied either.
        path.replace(aside)
    else:
        link_or_copy(path, aside)
    sync_folder(folder)
    return aside


def _earlier_versions_in(folder: Path) -> list[EarlierVersion]:
    moments = ((moment_of(path), path) for path in folder.glob("*"))
    return sorted(EarlierVersion(until, path) for until, path in moments if until)


def moment_of(version: Path) -> dt.datetime | None:
    """The moment that an earlier file has its name from; None for a file of another program."""
    if version.suffix in (".parquet", DAMAGED):
        with contextlib.suppress(ValueError):
            return dt.datetime.strptime(version.stem, UNTIL).replace(tzinfo=dt.UTC)
    return None


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
        if pa.types.is_floating(field.type) and pc.all(pc.is_finite(column)).as_py() is False:
            raise ValueError(f"{where}: {field.name} holds NaN or infinity; missing is NULL.")
    if repeated := table.repeated_keys(data):
        raise ValueError(f"{where}: {', '.join(repeated[:3])} … occur more than once.")
    if part is not None and data.num_rows:
        held = pc.unique(data[table.code_column or table.date_column]).to_pylist()
        if held != [part]:
            raise ValueError(f"{where}: holds rows of {', '.join(map(str, held[:3]))}.")
