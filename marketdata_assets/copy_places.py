"""Places that `copy` copies from and to: a folder of this machine, and an S3 store.

Here belongs how each is listed, read and written, and that what was written is what was meant.
What is copied is `copying`.
"""

import contextlib
import datetime as dt
import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from marketdata_assets.command_texts import text
from marketdata_assets.errors import MarketdataError
from marketdata_assets.settings import SettingError
from marketdata_assets.storage.durable_files import becoming, make_folder, refusals_told
from marketdata_assets.storage.sealed_parquet import DamagedFile, read_whole

DATABASES = (".db", ".sqlite3")
# What SQLite says of one whose pages are no such pages, or can't be read.
DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_IOERR)
# SQLite's own beside a database, which belong to that one and no other.
LOGS = ("-wal", "-shm", "-journal")
# What an object is told with.
SHA256, MODIFIED = "sha256", "modified"
NOT_AS_SENT = "{place} is not there as it was sent. Run the copy again: it goes on where it ended."
UNUSABLE = (
    "{place} can't be used ({said}). Look at the store, the AWS_… settings and the network, then "
    "run again: the copy goes on where it ended."
)
UNREADABLE = "{place} can't be read ({said}). Run the copy again."


class Entry(NamedTuple):
    """A file by its path below the place; `md5` where the place may know it without reading."""

    key: str
    bytes: int
    md5: str = ""


class Content(NamedTuple):
    """What a file holds, and when that was written: a copy keeps the moment of the first."""

    raw: bytes
    modified: dt.datetime


class CopyFailed(MarketdataError):
    """A place can't be reached, refuses, or keeps something else than it was given."""


class Place(Protocol):
    def entries(self, folder: str) -> Iterator[Entry]:
        """The files below a folder; with "" those that lie in none."""

    def read(self, key: str) -> Content:
        """A file. Raises `FileNotFoundError`, or `DamagedFile` where the place can tell."""

    def holds(self, entry: Entry, raw: bytes) -> bool:
        """Whether a file that is there is this one."""

    def write(self, key: str, content: Content) -> None:
        """Put a file whole or not at all, and prove it."""


class Folder:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def entries(self, folder: str) -> Iterator[Entry]:
        for place, below, names in os.walk(self.root / folder):
            if not folder:
                below.clear()
            for path in (Path(place, name) for name in names):
                # Of what goes meanwhile nothing is told.
                with contextlib.suppress(FileNotFoundError):
                    if path.is_file():
                        yield Entry(path.relative_to(self.root).as_posix(), path.stat().st_size)

    def read(self, key: str) -> Content:
        path = self.root / key
        if path.suffix not in DATABASES:
            return Content(read_whole(path)[0], _written(path))
        # Taken before: what is written meanwhile is younger.
        modified = _written(path)
        for log in LOGS:
            # It goes with the last of those who use the database.
            with contextlib.suppress(FileNotFoundError):
                modified = max(modified, _written(path.with_name(path.name + log)))
        return Content(_snapshot(path), modified)

    def holds(self, entry: Entry, raw: bytes) -> bool:
        is_database = entry.key.endswith(DATABASES)
        return (is_database or entry.bytes == len(raw)) and self.read(entry.key).raw == raw

    def write(self, key: str, content: Content) -> None:
        path, raw = self.root / key, content.raw
        what = text("{place} could not be written; it is as it was before", place=path)
        with refusals_told(what):
            make_folder(path.parent)
            with becoming(path) as unfinished:
                unfinished.write_bytes(raw)
                os.utime(unfinished, (content.modified.timestamp(),) * 2)
                if path.suffix in DATABASES:
                    for log in LOGS:
                        path.with_name(path.name + log).unlink(missing_ok=True)
            if hash_of(path.read_bytes()) != hash_of(raw):
                raise CopyFailed(text(NOT_AS_SENT, place=path))


class Bucket:
    """Objects below an address like s3://bucket/prefix, with the usual AWS variables.

    `name` is the argument that the address was given by. Raises `SettingError`.
    """

    def __init__(self, address: str, name: str) -> None:
        try:
            import obstore
            from obstore.store import S3Store
        except ImportError:
            how = "S3 needs one more package, install marketdata-assets[distributed]"
            raise SettingError(name, address, how) from None
        self._address, self._obstore = address.rstrip("/"), obstore
        with self._told():
            self._store = S3Store.from_url(self._address, client_options={"allow_http": True})

    def entries(self, folder: str) -> Iterator[Entry]:
        pages: Iterable[Sequence[Mapping[str, Any]]]
        with self._told():
            if folder:
                pages = self._obstore.list(self._store, f"{folder}/", chunk_size=1_000)
            else:
                pages = [self._obstore.list_with_delimiter(self._store)["objects"]]
            for page in pages:
                for one in page:
                    yield Entry(one["path"], one["size"], _hash_in(one["e_tag"]))

    def read(self, key: str) -> Content:
        with self._told():
            answer = self._obstore.get(self._store, key)
            raw, told = bytes(answer.bytes()), answer.attributes
        if told.get(SHA256, hash_of(raw)) != hash_of(raw):
            raise DamagedFile(f"{self._address}/{key} is not what was put there")
        modified = told.get(MODIFIED)
        if modified is None:
            return Content(raw, answer.meta["last_modified"])
        return Content(raw, dt.datetime.fromisoformat(modified))

    def holds(self, entry: Entry, raw: bytes) -> bool:
        if entry.bytes != len(raw):
            return False
        # A store that encrypts has other ETags.
        return entry.md5 == _md5(raw) or self.read(entry.key).raw == raw

    def write(self, key: str, content: Content) -> None:
        raw, told = content.raw, {MODIFIED: content.modified.isoformat()}
        told[SHA256] = hash_of(raw)
        with self._told():
            put = self._obstore.put(self._store, key, raw, use_multipart=False, attributes=told)
        if _hash_in(put["e_tag"]) != _md5(raw) and self.read(key).raw != raw:
            raise CopyFailed(text(NOT_AS_SENT, place=f"{self._address}/{key}"))

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (self._obstore.exceptions.BaseError, PermissionError) as error:
            said = (str(error).splitlines() or [type(error).__name__])[0]
            raise CopyFailed(text(UNUSABLE, place=self._address, said=said)) from error


def hash_of(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _md5(raw: bytes) -> str:
    return hashlib.md5(raw, usedforsecurity=False).hexdigest()


def _written(path: Path) -> dt.datetime:
    return dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)


def _hash_in(etag: Any) -> str:
    """The hash that an ETag is where nothing was put in pieces; else one that fits nothing."""
    return str(etag or "").strip('"').lower()


def _snapshot(path: Path) -> bytes:
    """A database as it is between two transactions, whoever writes to it."""
    if not path.exists():
        raise FileNotFoundError(path)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "whole")
        # Not to be made; and its log is put in order by whoever closes it last.
        source = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)
        target = sqlite3.connect(whole)
        with contextlib.closing(source), contextlib.closing(target):
            try:
                source.backup(target)
            except sqlite3.Error as error:
                if error.sqlite_errorcode & 0xFF in DAMAGED:
                    raise DamagedFile(str(error)) from error
                raise CopyFailed(text(UNREADABLE, place=path, said=error)) from error
        return whole.read_bytes()
