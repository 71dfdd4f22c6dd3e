"""Turns of writers on many hosts, and one clock for all of them: a lock of PostgreSQL's.

Here belongs who waits for whom. The lock ends with its connection, so a killed writer holds nobody
up; whoever lost it without knowing goes on, and must be harmless by other means. What is written is
`shared_lake`.

https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator
from typing import TypeAlias

import psycopg

from marketdata_assets.errors import MarketdataError

# The server notices within a minute that a host is gone, and gives its lock away.
OPTIONS = (
    "-c lock_timeout=600s -c tcp_keepalives_idle=20 -c tcp_keepalives_interval=10 "
    "-c tcp_keepalives_count=3 -c timezone=UTC"
)
Clock: TypeAlias = Callable[[], dt.datetime]


class DatabaseRefuses(MarketdataError, status=503):
    """The database of the hosts can't be reached, refuses, or has cut a connection."""


@contextlib.contextmanager
def turn(database: str, name: str, is_shared: bool = False) -> Iterator[Clock]:
    """A turn at what is called `name`: others wait until it ends, in the order they came.

    Turns that are shared don't wait for each other. Yields the database's clock, which raises
    `DatabaseRefuses` when the connection, and the turn with it, was lost; so does this.
    """
    kind = "pg_advisory_lock_shared" if is_shared else "pg_advisory_lock"
    with contextlib.ExitStack() as stack:
        with _told(name):
            connection = stack.enter_context(
                psycopg.connect(database, autocommit=True, connect_timeout=10, options=OPTIONS)
            )
            connection.execute(f"SELECT {kind}(hashtextextended(%s, 0))", (name,))

        def clock() -> dt.datetime:
            with _told(name):
                row = connection.execute("SELECT clock_timestamp()").fetchone()
            assert row is not None
            moment: dt.datetime = row[0]
            return moment.astimezone(dt.UTC)

        yield clock


@contextlib.contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        # The first line names the host and no password.
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise DatabaseRefuses(
            f"The database gave no turn at {name} ({said}); nothing was stored. Look at "
            "MARKETDATA_DATABASE and its server, then run again."
        ) from error
