"""The lake of many hosts: every partition an object, and what it said before objects of their own.

    <address>/lake/<table>/<year>/<date>.parquet                    what is true now
    <address>/superseded/<table>/<year>/<date>/<stored>.parquet     what was stored then (UTC)
    <address>/superseded/<table>/<year>/<date>/<time>.damaged       what had been damaged by then
    <address>/<name>                                                what the user has decided

Here belongs the life of the objects; of files it is `lake`, which says what a partition is. Hosts
read their own copies, named by ETag.

Writers of a table take turns and have one clock, the database's. Nothing depends on it: whoever
lost his turn puts on the condition that what he has read still lies there. Before that he puts
what he has read, from the bytes in hand, under the moment at which it was stored; that object is
made once and never deleted. So whatever was acknowledged is there, now or under its moment.
"""

import contextlib
import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from marketdata_assets.errors import MarketdataError
from marketdata_assets.hosts import Hosts
from marketdata_assets.storage.catalog import Held
from marketdata_assets.storage.copies import Copies
from marketdata_assets.storage.database_turns import turn
from marketdata_assets.storage.durable_files import DiskRefuses
from marketdata_assets.storage.fitting import as_declared, stored_at_of
from marketdata_assets.storage.lake import (
    DAMAGED,
    UNTIL,
    Asked,
    DamagedPartitions,
    EarlierVersion,
    FileIdentity,
    FolderTimes,
    Lake,
    MissingPartitions,
    Outcome,
    Part,
    Read,
    Stored,
    UnfitPartitions,
    code_of,
    day_of,
    moment_of,
)
from marketdata_assets.storage.objects import Object, Objects, objects_at
from marketdata_assets.storage.sealed_parquet import DamagedFile, open_sealed, sealed, unsealed
from marketdata_assets.storage.step_results import step_results
from marketdata_assets.tables import Table

CALLS_AT_ONCE = 16
# From here on one list of the table costs less than asking for each.
MOST_HEADS = 8


class WrittenMeanwhile(MarketdataError, status=503):
    """Another writer has replaced a partition since it was read: its turn had been lost."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} was written by another host meanwhile; what that one stored is there, and "
            "this was not stored. Run again."
        )


class OtherVersionsThere(MarketdataError, is_final=True):
    """Earlier versions lie there that no host has put: named by when they ended."""

    def __init__(self, what: str, key: str) -> None:
        super().__init__(
            f"{what} was not stored and is as it was: {key} is not the version that was stored at "
            "that moment. So it is in a copy of one machine's folder, which hosts can't share: set "
            "MARKETDATA_LAKE to an empty place on all of them. Where this object alone is "
            "damaged, remove it."
        )


class SharedLake(Lake):
    """Partitions below the shared address; `root` is this host's folder, for its copies.

    Opened for a run it stores nothing more, and raises `RunIsOver`, once that is over: a worker
    that knows nothing of it may still be at one of its steps.
    """

    is_shared = True

    def __init__(self, root: Path, origin: str, shared: Hosts, run: str = "") -> None:
        super().__init__(root, origin)
        self._database, self._run = shared.database, run
        self._address = shared.lake_of(root)
        self._objects = objects_at(self._address)
        self._copies = Copies(root / "copies", self._objects)

    @property
    def objects(self) -> Objects:
        """What lies below the shared address, for what is no partition."""
        return self._objects

    def held(self, table: Table) -> Held:
        """What this host has copies of, of what is stored of the table now."""
        stored: Counter[int] = Counter()
        files: defaultdict[int, list[str]] = defaultdict(list)
        for one in self._objects.listed(f"lake/{table.name}"):
            day = day_of(Path(one.key))
            year = day.year if day else 0
            stored[year] += 1
            if path := self._copies.here(one):
                files[year].append(path.name)
        return Held(stored, files)

    @contextlib.contextmanager
    def alone_at(self, what: str) -> Iterator[None]:
        """A turn at something of this lake, by its key: who else asks for one waits, on any host.

        Raises `DatabaseRefuses`.
        """
        with turn(self._database, f"{self._address}/{what}"):
            yield

    def earlier_versions(self, table: Table, part: Part) -> list[EarlierVersion]:
        """As the lake of one machine; a version whose end nobody knows ends as it began.

        So it is before a damaged one, and where the partition was removed by hand.
        """
        moments = []
        folder = self._superseded(table, part)
        for one in self._objects.within(folder.rpartition("/")[0], folder):
            name = Path(one.key)
            if moment := moment_of(name):
                moments.append((moment, name.suffix != DAMAGED, one))
        if not moments:
            return []
        moments.sort(key=lambda moment: moment[:2])
        # Of what was put aside, the last one has ended where the current one begins.
        now = self.describe(table, part)
        ends = [moment if is_whole else None for moment, is_whole, _ in moments[1:]]
        ends.append(now.stored_at if now else None)
        found = []
        for (moment, is_whole, one), end in zip(moments, ends, strict=True):
            if (path := self._whole(one)) is None:
                raise MissingPartitions(table, [part])
            found.append(EarlierVersion(end if is_whole and end else moment, path))
        return found

    def days(self, table: Table) -> list[dt.date]:
        return list(self.identities(table))

    def codes(self, table: Table) -> list[str]:
        listed = self._objects.listed(f"lake/{table.name}")
        return list(filter(None, (code_of(Path(one.key)) for one in listed)))

    def has(self, table: Table, part: Part) -> bool:
        return self.identity(table, part) is not None

    def identity(self, table: Table, part: Part) -> FileIdentity | None:
        one = self._find(table, part)
        return _identity(one) if one else None

    def identities(self, table: Table, but: Collection[int] = ()) -> dict[dt.date, FileIdentity]:
        listed = self._listed(table).items()
        return {day: _identity(one) for day, one in listed if day.year not in but}

    def first_day(self, table: Table) -> dt.date | None:
        keys = self._objects.keys(f"lake/{table.name}")
        return next(filter(None, (day_of(Path(key)) for key in keys)), None)

    def folders(self, table: Table) -> dict[int, FolderTimes | None]:
        return {}

    def identities_of_year(self, table: Table, year: int) -> dict[dt.date, FileIdentity]:
        objects = self._objects.listed(f"lake/{table.name}/{year}")
        found = {day_of(Path(one.key)): _identity(one) for one in objects}
        return {day: found[day] for day in sorted(filter(None, found))}

    def each(self, read: Callable[[Asked], Read], asked: Iterable[Asked]) -> Iterator[Read]:
        with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
            yield from pool.map(read, asked)

    def file(self, table: Table, part: Part) -> Path:
        """This host's copy of the partition, good for six hours. Raises `FileNotFoundError`."""
        one = self._find(table, part)
        if one is None or (path := self._whole(one)) is None:
            raise FileNotFoundError(self._key(table, part))
        return path

    def beside(self, name: str) -> bytes | None:
        found = self._objects.get(name)
        return found[1] if found else None

    def change_beside(self, name: str, changed: Callable[[bytes | None], bytes]) -> None:
        is_put = None
        while not is_put:
            found = self._objects.get(name)
            content = changed(found[1] if found else None)
            is_put = self._objects.put(name, content, found[0].etag if found else None)

    def wait_for_writer(self, table: Table) -> None:
        with turn(self._database, self._turn(table), is_shared=True):
            pass

    @contextlib.contextmanager
    def alone(self, table: Table) -> Iterator[None]:
        with turn(self._database, f"{self._turn(table)} alone"):
            self._objects.forget(f"lake/{table.name}")
            yield

    def looking_once(self) -> contextlib.AbstractContextManager[None]:
        return self._objects.listing_once()

    def told(self, what: str) -> bytes | None:
        return step_results(self._database).get(f"{self._run} {what}") if self._run else None

    def tell(self, what: str, raw: bytes) -> None:
        if self._run:
            step_results(self._database).set(f"{self._run} {what}", raw)

    def _whole(self, one: Object) -> Path | None:
        """The copy of an object, brought once more where this host's is damaged."""
        if path := self._copies.of(one):
            try:
                open_sealed(path)
            except DamagedFile:
                path.unlink(missing_ok=True)
                return self._copies.of(one)
        return path

    def _files(self, table: Table, parts: Sequence[Part]) -> dict[Part, Path]:
        def copied(part: Part) -> Path | None:
            one = listed.get(part) if is_listed else self._find(table, part)
            return self._copies.of(one) if one else None

        is_many = len(parts) > MOST_HEADS and table.code_column is None
        is_listed = is_many and not self._objects.lists_once
        listed: Mapping[Any, Object] = self._listed(table) if is_listed else {}
        found = dict(zip(parts, self.each(copied, parts), strict=True))
        return {part: path for part, path in found.items() if path}

    def _open(self, table: Table, part: Part) -> tuple[pq.ParquetFile, Stored, FileIdentity]:
        one = self._find(table, part)
        path = self._copies.of(one) if one else None
        if one is None or path is None:
            raise MissingPartitions(table, [part])
        return self._open_at(table, part, path)

    def _open_at(
        self, table: Table, part: Part, path: Path
    ) -> tuple[pq.ParquetFile, Stored, FileIdentity]:
        try:
            file, stored, _ = super()._open_at(table, part, path)
        except DamagedPartitions:
            # It may be this host's disk alone.
            path.unlink(missing_ok=True)
            again = self._objects.head(self._key(table, part))
            fetched = self._copies.of(again) if again else None
            if fetched is None:
                raise MissingPartitions(table, [part]) from None
            path = fetched
            file, stored, _ = super()._open_at(table, part, path)
        etag = path.stem.rpartition(".")[2]
        return file, stored, _identity(Object(self._key(table, part), etag, stored.bytes))

    def _store(self, table: Table, part: Part, data: pa.Table) -> Stored:
        key = self._key(table, part)

        def put(now: dt.datetime, instead_of: str | None = None) -> Stored | None:
            labels = self._labels(table, data, now)
            content = sealed(data.replace_schema_metadata(labels))
            one = self._objects.put(key, content, instead_of)
            if one is None:
                return None
            # It is stored, whatever this host's disk says of a copy: who reads it is told.
            with contextlib.suppress(DiskRefuses):
                self._copies.keep(one, content)
            outcome = Outcome.REPLACED if instead_of else Outcome.NEW
            return Stored(data.num_rows, len(content), outcome, labels["origin"], now)

        with turn(self._database, self._turn(table), run=self._run) as own:
            # What no list has is not asked for; who has put it since then has this one refused.
            is_listed = not self._objects.lists_once or self._find(table, part)
            if not is_listed and (stored := put(own.began)):
                return stored
            found, before, now = self._objects.get(key), None, own.began
            if found:
                before, raw = found
                stored_at, same = self._compared(table, part, raw, data)
                if same:
                    return same._replace(outcome=Outcome.UNCHANGED)
                now = max(now, stored_at + dt.timedelta(microseconds=1)) if stored_at else now
                self._put_aside(table, part, raw, stored_at, now)
            if (stored := put(now, before.etag if before else None)) is None:
                raise WrittenMeanwhile(f"{table.name} {part or ''}".strip())
        return stored

    def _compared(
        self, table: Table, part: Part, raw: bytes, data: pa.Table
    ) -> tuple[dt.datetime | None, Stored | None]:
        """When the content was stored, None where it is damaged; what it is if it holds `data`."""
        try:
            file = unsealed(raw)
            rows = file.read()
        except (DamagedFile, pa.ArrowException, OSError):
            return None, None
        stored_at = stored_at_of(file.schema_arrow)
        try:
            stored = self._judged(table, part, file, len(raw))
        except UnfitPartitions:
            return stored_at, None
        return stored_at, stored if as_declared(table, rows).equals(data) else None

    def _put_aside(
        self, table: Table, part: Part, raw: bytes, stored_at: dt.datetime | None, now: dt.datetime
    ) -> None:
        """Have what is about to be replaced as an object of its own, if it is none yet."""
        name = f"{stored_at:{UNTIL}}.parquet" if stored_at else f"{now:{UNTIL}}{DAMAGED}"
        key = f"{self._superseded(table, part)}/{name}"
        if self._objects.put(key, raw) is None:
            raise OtherVersionsThere(f"{table.name} {part or ''}".strip(), key)

    def _find(self, table: Table, part: Part) -> Object | None:
        # The days of a year are one folder, codes may be thousands.
        look = self._objects.find if isinstance(part, dt.date) else self._objects.head
        return look(self._key(table, part))

    def _listed(self, table: Table) -> dict[dt.date, Object]:
        folder = f"lake/{table.name}"
        objects = self._objects.within(folder, folder)
        found = {day_of(Path(one.key)): one for one in objects}
        return {day: found[day] for day in sorted(filter(None, found))}

    def _key(self, table: Table, part: Part) -> str:
        return self.path(table, part).relative_to(self.root).as_posix()

    def _superseded(self, table: Table, part: Part) -> str:
        return self.versions_folder(table, part).relative_to(self.root).as_posix()

    def _turn(self, table: Table) -> str:
        return f"{self._address}/lake/{table.name}"


def _identity(one: Object) -> FileIdentity:
    """The object as a file is told apart: its ETag as a number, and no time."""
    etag = "".join(filter(str.isalnum, one.etag))
    return FileIdentity(int(sha256(etag.encode()).hexdigest()[:15], 16), one.bytes, 0)
