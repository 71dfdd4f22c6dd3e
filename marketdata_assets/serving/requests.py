"""Requests: what somebody waits for, in a small database that all processes and hosts share.

Here belong what a request is and its life; where requests lie is `request_database`, and the
results of exports are `exports`. A history is of one code; who asks for a code that is on its
way joins that request. Who answers them is `automation.requests_sensor`:

    queued ──claim──► running ──finish──► done ──expire──► expired
                         └──────fail────► failed
"""

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from marketdata_assets.errors import MarketdataError
from marketdata_assets.hosts import hosts
from marketdata_assets.serving.exports import A_RUN, RemoteFile, open_exports
from marketdata_assets.serving.queries import ExportQuery
from marketdata_assets.serving.request_database import (
    FIELDS,
    Connection,
    DamagedRow,
    RequestDatabase,
)

if TYPE_CHECKING:
    from marketdata_assets.serving.shared_requests import SharedRequestDatabase

PATIENCE = dt.timedelta(seconds=30)
# A flipped bit in an index hides a request from whoever looks for it by that index.
PROOF_LASTS = dt.timedelta(minutes=1)
MOST_OPEN_EXPORTS = 20
MOST_OPEN_HISTORIES = 2_000
# What lasts for a day must leave room for the lake, which has the same disk.
MOST_EXPORT_BYTES = 20_000_000_000
# A sensor that was killed between claiming and starting: its requests are claimed again.
CLAIM_LASTS = dt.timedelta(minutes=2)
# Asking again at once for what has just failed would only ask the sources again.
FAILURE_LASTS = dt.timedelta(minutes=5)
REMEMBERED = dt.timedelta(days=30)
RESULT_LASTS = dt.timedelta(hours=24)

OPEN = "state IN ('queued', 'running')"


class RequestKind(StrEnum):
    """The history of a code, or a range as a file."""

    HISTORY = "history"
    EXPORT = "export"


class State(StrEnum):
    """Where a request is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"

    @property
    def is_open(self) -> bool:
        return self in (State.QUEUED, State.RUNNING)


class Request(BaseModel):
    """A request; `code` and `refresh` are of a history; `query`, `file`, `rows` of an export.

    `query` is an `ExportQuery` as JSON: it was well formed when it was asked.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    kind: RequestKind
    state: State
    created: dt.datetime
    code: str | None
    refresh: bool
    query: str | None
    run_id: str | None
    finished: dt.datetime | None
    error: str | None
    file: str | None
    rows: int | None

    @property
    def export_query(self) -> ExportQuery:
        """Raises `pydantic.ValidationError` where the question is not understood any more."""
        assert self.query is not None, f"request {self.id} is no export"
        return ExportQuery.model_validate_json(self.query)

    @property
    def expires(self) -> dt.datetime | None:
        """Until when the result can be had; None where there is none."""
        if self.kind is RequestKind.EXPORT and self.state is State.DONE and self.finished:
            return self.finished + RESULT_LASTS
        return None


class UnknownRequest(MarketdataError, status=404):
    """No request has that id, or it is long over."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"There is no request {request_id[:40]!r}; it may be long over.")


class TooManyOpen(MarketdataError, status=429):
    """As many requests are open as may be."""

    def __init__(self, kind: RequestKind, limit: int) -> None:
        self.kind, self.limit = kind, limit
        super().__init__(f"{limit} {kind} requests are open, which is the limit. Ask again later.")


class ExportsFull(MarketdataError, status=429):
    """The results that last are as large as they may be."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The files of the last {RESULT_LASTS.total_seconds() / 3600:.0f} hours take more than "
            f"{limit / 1e9:g} GB, which is the limit. Ask again when some have expired."
        )


class Requests:
    """The queue of the profile whose folder is `root`, for any number of threads, processes and
    hosts.

    Every call is a transaction of its own, and raises `QueueNotReady` where others hold the
    database for longer than `patience`. When it was last proved longer ago than `proof_lasts`, it
    is proved first. Moments are given for tests.
    """

    def __init__(
        self,
        root: Path,
        most_open_exports: int = MOST_OPEN_EXPORTS,
        most_open_histories: int = MOST_OPEN_HISTORIES,
        most_export_bytes: int = MOST_EXPORT_BYTES,
        patience: dt.timedelta = PATIENCE,
        proof_lasts: dt.timedelta = PROOF_LASTS,
    ) -> None:
        self.files = open_exports(root)
        self._most_export_bytes = most_export_bytes
        self._database = _database(root, patience, proof_lasts)
        self._limits = {
            RequestKind.EXPORT: most_open_exports,
            RequestKind.HISTORY: most_open_histories,
        }

    @property
    def exports(self) -> Path:
        """This host's folder, in which the files of exports are written."""
        return self.files.folder

    def request_history(self, code: str, refresh: bool = False) -> Request:
        """Ask for the history of a canonical code, or join whoever does already.

        Without `refresh` one that failed a moment ago is joined as well, so that nobody can have
        the sources asked in a loop. Raises `TooManyOpen`.
        """
        recent = _seconds() - FAILURE_LASTS.total_seconds()
        with self._database.transaction() as connection:
            [found] = connection.execute(
                f"SELECT max(id) FROM requests WHERE code = ? AND {OPEN}", (code,)
            ).fetchone()
            if found is None and not refresh:
                [found] = connection.execute(
                    "SELECT max(id) FROM requests "
                    "WHERE code = ? AND state = 'failed' AND finished > ?",
                    (code, recent),
                ).fetchone()
            if found is None:
                found = self._add(connection, RequestKind.HISTORY, code=code, refresh=int(refresh))
            elif refresh:
                connection.execute(
                    f"UPDATE requests SET refresh = 1 WHERE id = ? AND {OPEN}", (found,)
                )
            return self._get(connection, found)

    def request_export(self, query: ExportQuery) -> Request:
        """Ask for a file. Raises `TooManyOpen`, `ExportsFull`."""
        if self.files.bytes() > self._most_export_bytes:
            raise ExportsFull(self._most_export_bytes)
        with self._database.transaction() as connection:
            found = self._add(connection, RequestKind.EXPORT, query=query.model_dump_json())
            return self._get(connection, found)

    def prove(self) -> None:
        """Look at all of the database; a damaged one is new then. Raises `QueueNotReady`.

        Of several hosts: whether the one that they share takes requests. Raises `DatabaseRefuses`.
        """
        self._database.prove()

    def has_damaged_copy(self) -> bool:
        """Whether a database that was damaged lies beside, to be looked at."""
        return self._database.has_damaged_copy()

    def get(self, request_id: str) -> Request:
        """Raises `UnknownRequest`."""
        try:
            with self._database.connection() as connection:
                return self._get(connection, request_id)
        except UnknownRequest:
            # Where the index is damaged it may be there.
            self.prove()
            raise

    def result(self, request: Request) -> Path | RemoteFile | None:
        """The file of an export that is done; None where there is none, or none any more."""
        if request.state is not State.DONE or request.file is None:
            return None
        return self.files.file(request.file)

    def open_counts(self) -> dict[tuple[RequestKind, State], int]:
        """How many requests are queued and running."""
        with self._database.connection() as connection:
            counted = connection.execute(
                f"SELECT kind, state, count(*) FROM requests WHERE {OPEN} GROUP BY kind, state"
            ).fetchall()
        found = {(kind, state): 0 for kind in RequestKind for state in State if state.is_open}
        return found | {(RequestKind(kind), State(state)): count for kind, state, count in counted}

    def claim(self, limit: int, now: dt.datetime | None = None) -> list[Request]:
        """Take up to `limit` waiting requests, the oldest first: nobody else gets them.

        A claim that led to no run is over after `CLAIM_LASTS`; the request is then waiting again.
        """
        at = _seconds(now)
        with self._database.connection() as connection:
            claimed = connection.execute(
                "WITH waiting AS MATERIALIZED ("
                "SELECT id FROM requests WHERE state = 'queued' OR "
                "(state = 'running' AND run_id IS NULL AND claimed < ?) "
                f"ORDER BY created, id LIMIT ? {self._database.passing_by}) "
                "UPDATE requests SET state = 'running', claimed = ? "
                f"WHERE id IN (SELECT id FROM waiting) RETURNING {self._database.columns}",
                (at - CLAIM_LASTS.total_seconds(), limit, at),
            ).fetchall()
            return sorted(_requests_in(claimed), key=lambda one: (one.created, one.id))

    def running(self) -> list[Request]:
        """The requests that are claimed and have no outcome, the oldest first."""
        return self._select("state = 'running'")

    def started(self, request_id: str, run_id: str) -> bool:
        """Note which run answers a request; False where another one does or did."""
        with self._database.transaction() as connection:
            noted = connection.execute(
                f"UPDATE requests SET state = 'running', run_id = ? WHERE id = ? AND {OPEN} "
                "AND (run_id IS NULL OR run_id = ?)",
                (run_id, request_id, run_id),
            )
            return noted.rowcount == 1

    def finish(self, request_id: str, file: str | None = None, rows: int | None = None) -> bool:
        """Note the outcome; False where there was one already."""
        return self._conclude(request_id, State.DONE, file=file, rows=rows)

    def finish_as_stored(self, request_id: str) -> bool:
        """Note that a history is there; False where a new one is wanted, or there is an outcome."""
        return self._conclude(request_id, State.DONE, condition="refresh = 0")

    def fail(self, request_id: str, error: str) -> bool:
        """Note why there is no answer; False where there was an outcome already."""
        return self._conclude(request_id, State.FAILED, error=error)

    def expire(self, now: dt.datetime | None = None) -> list[Request]:
        """Remove results whose time is over, and forget requests that ended long ago.

        Files are removed first: a kill in between leaves a request to expire, never a file. Files
        that belong to no request, made by hand or left by a killed run, last no longer.
        """
        at = _seconds(now)
        over = self._select(
            "kind = 'export' AND state = 'done' AND finished <= ?",
            at - RESULT_LASTS.total_seconds(),
        )
        self.files.remove([request.id for request in over])
        self.files.remove_before(at - (RESULT_LASTS + A_RUN).total_seconds())
        with self._database.transaction() as connection:
            for request in over:
                connection.execute(
                    "UPDATE requests SET state = 'expired', file = NULL WHERE id = ?", (request.id,)
                )
            connection.execute(
                f"DELETE FROM requests WHERE finished <= ? AND NOT {OPEN} "
                "AND NOT (kind = 'export' AND state = 'done')",
                (at - REMEMBERED.total_seconds(),),
            )
        return over

    def _add(
        self,
        connection: Connection,
        kind: RequestKind,
        code: str | None = None,
        refresh: int = 0,
        query: str | None = None,
    ) -> str:
        [count] = connection.execute(
            f"SELECT count(*) FROM requests WHERE kind = ? AND {OPEN}", (kind,)
        ).fetchone()
        if count >= self._limits[kind]:
            raise TooManyOpen(kind, self._limits[kind])
        request_id = uuid.uuid4().hex
        connection.execute(
            "INSERT INTO requests (id, kind, state, created, code, refresh, query) "
            "VALUES (?, ?, 'queued', ?, ?, ?, ?)",
            (request_id, kind, _seconds(), code, refresh, query),
        )
        return request_id

    def _conclude(
        self,
        request_id: str,
        state: State,
        error: str | None = None,
        file: str | None = None,
        rows: int | None = None,
        condition: str = "true",
    ) -> bool:
        with self._database.transaction() as connection:
            noted = connection.execute(
                "UPDATE requests SET state = ?, finished = ?, error = ?, file = ?, rows = ? "
                f"WHERE id = ? AND {OPEN} AND {condition}",
                (state, _seconds(), error, file, rows, request_id),
            )
            return noted.rowcount == 1

    def _select(self, condition: str, *values: float) -> list[Request]:
        with self._database.connection() as connection:
            rows = connection.execute(
                f"SELECT {self._database.columns} FROM requests WHERE {condition} "
                "ORDER BY created, id",
                values,
            ).fetchall()
            return _requests_in(rows)

    def _get(self, connection: Connection, request_id: str) -> Request:
        found = connection.execute(
            f"SELECT {self._database.columns} FROM requests WHERE id = ?", (request_id,)
        ).fetchall()
        if not found:
            raise UnknownRequest(request_id)
        return _requests_in(found)[0]


def _requests_in(rows: Iterable[Sequence[Any]]) -> list[Request]:
    """The requests in rows of a database's `columns`; what a flipped bit has changed is none."""
    found = []
    for *values, is_proved in rows:
        if not is_proved:
            raise DamagedRow
        found.append(Request.model_validate(dict(zip(FIELDS, values, strict=True))))
    return found


def _database(
    root: Path, patience: dt.timedelta, proof_lasts: dt.timedelta
) -> "RequestDatabase | SharedRequestDatabase":
    if (shared := hosts()) is None:
        return RequestDatabase(root / "state" / "requests.sqlite3", patience, proof_lasts)
    from marketdata_assets.serving.shared_requests import SharedRequestDatabase

    return SharedRequestDatabase(shared.database, shared.lake_of(root), patience)


def _seconds(now: dt.datetime | None = None) -> float:
    return (now or dt.datetime.now(dt.UTC)).timestamp()
