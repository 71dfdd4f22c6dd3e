"""The file that holds the requests: proved now and then, made anew where it is damaged.

    <root>/state/requests.sqlite3            the requests
    <root>/state/requests.damaged.sqlite3    the last one that was damaged, to be looked at

Here belongs how requests lie in SQLite and what is done when SQLite refuses. What is asked of it is
`requests`. Nothing in it is precious: whoever waited for an answer can ask again.
"""

import datetime as dt
import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path

from marketdata_assets.serving.request_records import QueueNotReady, Request

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
# Pages of SQLite carry no checksum. Each row is written twice, so that a flipped bit shows.
PROOF = " || ' ' || ".join(f"quote({name})" for name in FIELDS)
SCHEMA = f"""
CREATE TABLE requests (
    {", ".join(f"{name} {kind}" for name, kind in FIELDS.items())},
    proof TEXT NOT NULL GENERATED ALWAYS AS ({PROOF}) STORED,
    CHECK ((kind = 'history') = (code IS NOT NULL) AND (kind = 'export') = (query IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX open_histories ON requests (code)
    WHERE kind = 'history' AND state IN ('queued', 'running');
CREATE INDEX by_state ON requests (state, created);
"""
COLUMNS = ", ".join([*Request.model_fields, f"proof IS ({PROOF}) AS is_proved"])
# What says nothing about the file's content, and why it can't be used.
REASONS = {
    sqlite3.SQLITE_BUSY: "another process holds it",
    sqlite3.SQLITE_LOCKED: "another process holds it",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk refuses",
    sqlite3.SQLITE_READONLY: "it may not be written",
    sqlite3.SQLITE_PERM: "it may not be opened",
}


class RequestDatabase:
    """The database at `path`, for threads and processes; others are waited for up to `patience`.

    It is proved before it is first used, and before it is used when that is `proof_lasts` ago.
    """

    def __init__(self, path: Path, patience: dt.timedelta, proof_lasts: dt.timedelta) -> None:
        self._path, self._patience = path, patience
        self.aside = path.with_stem(f"{path.stem}.damaged")
        self._proof_lasts = proof_lasts.total_seconds()
        self._proved_at: float | None = None
        path.parent.mkdir(parents=True, exist_ok=True)

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
        with self.connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

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
                old.replace(self.aside.with_name(self.aside.name + ending))
                if not ending:
                    logger.error(
                        "%s was damaged, or of another version. It is kept as %s, and there is a "
                        "new one: what was open can be asked again.",
                        self._path,
                        self.aside.name,
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
                sqlite3.connect(f"{uri}?mode=rw", patience, isolation_level=None, uri=True)
            ) as connection:
                connection.row_factory = sqlite3.Row
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


def requests_in(rows: Iterable[sqlite3.Row]) -> list[Request]:
    """The requests in rows of `COLUMNS`; what a flipped bit has changed is none."""
    found = [dict(row) for row in rows]
    if not all(row.pop("is_proved") for row in found):
        raise DamagedRow
    return [Request.model_validate(row) for row in found]


@cache
def _schema() -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        return _schema_of(connection)


def _schema_of(connection: sqlite3.Connection) -> list[tuple[str, ...]]:
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema")
    return [tuple(row) for row in rows]
