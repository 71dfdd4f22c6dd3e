"""Where the requests of several hosts lie: in a table of the database that they share.

    marketdata_<digest>.requests      of one lake: two profiles never meet in one database

Here belongs how requests lie in PostgreSQL and what is done when it refuses. What is asked of it is
`requests`, in the words of `request_database`, which is the same on one machine.
"""

import datetime as dt
import functools
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

from marketdata_assets.serving.request_database import (
    FIELDS,
    INDEXES,
    OF_ITS_KIND,
    Answer,
    QueueNotReady,
)
from marketdata_assets.shared_database import (
    READ_ONLY,
    first_line,
    is_lost,
    pool_of,
    when_it_is_there,
)
from marketdata_assets.storage.database_turns import prove_rights

FIELDS_HERE = ", ".join(f"{name} {kind}" for name, kind in FIELDS.items())
SCHEMA = f"CREATE TABLE IF NOT EXISTS requests ({FIELDS_HERE}, CHECK ({OF_ITS_KIND}));{INDEXES}"
# Seconds since 1970 need them.
SCHEMA = SCHEMA.replace(" REAL", " DOUBLE PRECISION").replace(" INTEGER", " BIGINT")
# Who was cut off in the middle keeps nobody waiting for longer.
OPTIONS = "-c timezone=UTC -c lock_timeout=5s -c idle_in_transaction_session_timeout=20s"
MOST_CONNECTIONS = 8


class SharedRequestDatabase:
    """The requests of the lake at `lake`, in `database`; a connection is waited for up to
    `patience`."""

    columns = ", ".join([*FIELDS, "true"])
    # Two who claim at once get different requests, and don't wait for each other.
    passing_by = "FOR UPDATE SKIP LOCKED"

    def __init__(self, database: str, lake: str, patience: dt.timedelta) -> None:
        self._name = f"marketdata_{hashlib.sha256(lake.encode()).hexdigest()[:16]}"
        self._database, self._pool = database, _pool(database, self._name)
        self._patience = patience.total_seconds()

    def prove(self) -> None:
        """Raise `DatabaseRefuses` or `QueueNotReady` where no request could be taken now."""
        try:
            with self.connection():
                pass
        except QueueNotReady:
            # A pool does not say why it has no connection.
            prove_rights(self._database)
            raise

    def has_damaged_copy(self) -> bool:
        return False

    @contextmanager
    def connection(self) -> Iterator["_Connection"]:
        """A connection for one call. Raises `QueueNotReady`."""
        try:
            connection = when_it_is_there(self._pool.getconn, is_lost, self._patience)
            try:
                yield _Connection(connection)
            finally:
                self._pool.putconn(connection)
        except (psycopg.OperationalError, psycopg.InterfaceError, READ_ONLY) as error:
            said = first_line(error)
            raise QueueNotReady(f"The queue of requests can't be used now: {said}.") from error

    @contextmanager
    def transaction(self) -> Iterator["_Connection"]:
        """A connection that writes all that is done with it, or nothing, while nobody else does.

        Raises `QueueNotReady`.
        """
        with self.connection() as connection, connection.alone(self._name):
            yield connection


class _Connection:
    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Answer:
        return self._connection.execute(statement.replace("?", "%s").encode(), values)

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        with self._connection.transaction():
            self.execute("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", (name,))
            yield


@functools.cache
def _pool(database: str, name: str) -> ConnectionPool:
    """The connections of this process; each makes sure of the table, whenever it is opened."""

    def with_the_table(connection: psycopg.Connection) -> None:
        # To make sure of an index waits for all who write.
        if connection.execute("SELECT to_regclass('requests')").fetchone() == (None,):
            # Of two who begin at once, one would be refused.
            with _Connection(connection).alone(f"{name} made"):
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name};{SCHEMA}")

    return pool_of(
        database,
        max_size=MOST_CONNECTIONS,
        options=f"{OPTIONS} -c search_path={name}",
        autocommit=True,
        configure=with_the_table,
    )
