"""Where the requests lie: in a file, proved now and then, made anew where it is damaged.

    <root>/state/requests.sqlite3            the requests
    <root>/state/requests.damaged.sqlite3    the last one that was damaged, to be looked at

Here belongs how requests lie in SQLite and what is done when SQLite refuses. What is asked of it is
`requests`; several hosts have it in their database, see `shared_requests`. Nothing in it is
precious: whoever waited for an answer can ask again.
"""

import datetime as dt
import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from marketdata_assets.errors import MarketdataError

logger = logging.getLogger(__name__)

FIELDS = {
    "id": "TEXT PRIMARY KEY",
    "kind": "TEXT NOT NULL CHECK (kind IN ('history', 'export'))",
    "state": "TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'expired'))",
    "created": "REAL NOT NULL",
    "code": "TEXT",
    "refresh": "INTEGER NOT NULL DEFAULT 0",
    "query": "TEXT",
    "claimed": "REAL",
    "run_id": "TEXT",
    "finished": "REAL",
    "error": "TEXT",
    "file": "TEXT",
    "rows": "INTEGER",
}
# A history is of a code, an export of a question.
OF_ITS_KIND = "(kind = 'history') = (code IS NOT NULL) AND (kind = 'export') = (query IS NOT NULL)"
INDEXES = """
CREATE UNIQUE INDEX IF NOT EXISTS open_histories ON requests (code)
    WHERE kind = 'history' AND state IN ('queued', 'running');
CREATE INDEX IF NOT EXISTS by_state ON requests (state, created);
"""
# Pages of SQLite carry no checksum. Each row is written twice, so that a flipped bit shows.
PROOF = " || ' ' || ".join(f"quote({name})" for name in FIELDS)
SCHEMA = f"""
CREATE TABLE requests (
    {", ".join(f"{name} {kind}" for name, kind in FIELDS.items())},
    proof TEXT NOT NULL GENERATED ALWAYS AS ({PROOF}) STORED,
    CHECK ({OF_ITS_KIND})
) STRICT;
{INDEXES}"""
# What says nothing about the file's content, and why it can't be used.
REASONS = {
    sqlite3.SQLITE_BUSY: "another process holds it",
    sqlite3.SQLITE_LOCKED: "another process holds it",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk refuses",
    sqlite3.SQLITE_READONLY: "it may not be written",
    sqlite3.SQLITE_PERM: "it may not be opened",
}


class QueueNotReady(MarketdataError, status=503):
    """The database of the requests can't be used now; nothing is lost."""


class Answer(Protocol):
    """What a statement was answered with, as both databases have it."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...


class Connection(Protocol):
    """A connection that takes statements with `?` for each value."""

    def execute(self, statement: str, values: Sequence[Any] = ..., /) -> Answer: ...


class RequestDatabase:
    """The database at `path`, for threads and processes; others are waited for up to `patience`.

    It is proved before it is first used, and before it is used when that is `proof_lasts` ago.
    """

    # All of them, and whether the row is as it was written.
    columns = ", ".join([*FIELDS, f"proof IS ({PROOF})"])
    # Who writes is alone.
    passing_by = ""

    def __init__(self, path: Path, patience: dt.timedelta, proof_lasts: dt.timedelta) -> None:
        self._path, self._patience = path, patience
        self._aside = path.with_stem(f"{path.stem}.damaged")
        self._proof_lasts = proof_lasts.total_seconds()
        self._proved_at: float | None = None
        path.parent.mkdir(parents=True, exist_ok=True)

    def has_damaged_copy(self) -> bool:
        """Whether a database that was damaged lies beside, to be looked at."""
        return self._aside.exists()

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection for one call. Raises `QueueNotReady`."""
        # It costs a fraction of a millisecond and survives threads and forks.
        with self._disk_told():
            self._prove_if_due()
            try:
                with self._turn(fcntl.LOCK_SH), self._opened() as connection:
                    yield connection
            except DAMAGED:
                # Either the file is damaged, or what was asked of it is at fault.
                self.prove()
                raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection that writes all that is done with it, or nothing. Raises `QueueNotReady`."""
        # Its own block commits or rolls back, unless a full disk has done that already.
        with self.connection() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    def prove(self) -> None:
        """Look at all of it. Raises `QueueNotReady`, also where it was damaged and is new now."""
        with self._disk_told():
            if not self._prove():
                raise QueueNotReady("The queue of requests was damaged and is new now. Ask again.")

    def _prove_if_due(self) -> None:
        if self._proved_at is None:
            self._prove()
        elif time.monotonic() - self._proved_at > self._proof_lasts:
            # Whoever holds it now keeps nobody from reading.
            with suppress(QueueNotReady):
                self._prove()

    def _prove(self) -> bool:
        """Whether the database is as it was written; if not, there is a new one then."""
        with self._turn(fcntl.LOCK_SH):
            was_sound = self._is_sound()
        if not was_sound:
            with self._turn(fcntl.LOCK_EX):
                if not self._is_sound():
                    self._make_anew()
        self._proved_at = time.monotonic()
        return was_sound

    def _is_sound(self) -> bool:
        if not self._path.exists():
            return False
        try:
            with self._opened() as connection:
                # A flipped bit in the header can make a file that is whole one to read alone.
                connection.execute("BEGIN IMMEDIATE")
                [found] = connection.execute("PRAGMA integrity_check(1)").fetchone()
                [unproved] = connection.execute(
                    f"SELECT count(*) FROM requests WHERE proof IS NOT ({PROOF})"
                ).fetchone()
                return found == "ok" and not unproved and _schema_of(connection) == _schema()
        except DAMAGED:
            return False

    def _make_anew(self) -> None:
        """Put a new database in the place; the caller holds everybody off."""
        new = self._path.with_suffix(".new")
        new.unlink(missing_ok=True)
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN IMMEDIATE;{SCHEMA}COMMIT;")
        for ending in ("", "-wal", "-shm"):
            # A log that stayed would be taken for the new one's.
            old = self._path.with_name(self._path.name + ending)
            if old.exists():
                old.replace(self._aside.with_name(self._aside.name + ending))
                if not ending:
                    logger.error(
                        "%s was damaged, or of another version. It is kept as %s, and there is a "
                        "new one: what was open can be asked again.",
                        self._path,
                        self._aside.name,
                    )
        new.replace(self._path)

    def _may_be_written(self) -> bool:
        return os.access(self._path, os.W_OK) and os.access(self._path.parent, os.W_OK)

    @contextmanager
    def _disk_told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise QueueNotReady(
                f"The queue of requests can't be used: {error.strerror}. Make room or give write "
                "permission, then ask again."
            ) from error

    @contextmanager
    def _turn(self, kind: int) -> Iterator[None]:
        """Together with others (shared), or alone: nobody else has the file open then."""
        with self._path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, kind)
            yield

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        uri, patience = self._path.absolute().as_uri(), self._patience.total_seconds()
        try:
            with closing(
                sqlite3.connect(f"{uri}?mode=rw", timeout=patience, isolation_level=None, uri=True)
            ) as connection:
                yield connection
        except sqlite3.Error as error:
            # The upper bits say more of the same.
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            reason = REASONS.get(code)
            if reason is None or (code == sqlite3.SQLITE_READONLY and self._may_be_written()):
                raise
            raise QueueNotReady(f"The queue of requests can't be used now: {reason}.") from error


class DamagedRow(Exception):
    """A row is not what was written."""


# A damaged schema is quoted by SQLite in bytes that may be no text.
DAMAGED = (sqlite3.Error, UnicodeDecodeError, DamagedRow)


@cache
def _schema() -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        return _schema_of(connection)


def _schema_of(connection: sqlite3.Connection) -> list[tuple[str, ...]]:
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema")
    return [tuple(row) for row in rows]
