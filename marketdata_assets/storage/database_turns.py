"""Turns of writers on many hosts, and one clock for all of them: a lock of PostgreSQL's.

Here belongs who waits for whom, and that who works for a run that is over gets no turn. The lock
ends with its connection, so a killed writer holds nobody up; whoever lost it without knowing goes
on, and must be harmless by other means. What is written is `shared_lake`.

https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import psycopg

from marketdata_assets.errors import MarketdataError
from marketdata_assets.shared_database import (
    HEARD,
    first_line,
    is_lost,
    kept_connection,
    when_it_is_there,
)

# Storing a file takes no time, whoever else does it.
SECONDS_TO_WAIT = 600
MAY_MAKE = """
    SELECT has_database_privilege(current_database(), 'CREATE')
        AND coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)
"""
# One question; each of its statements sees what is there once the one before is done.
BEGIN = """
    SELECT set_config('lock_timeout', %(patience)s, true);
    SELECT {lock}(hashtextextended(%(name)s, 0));
    SELECT clock_timestamp(), {is_over}
"""
# Also one that somebody has just told to end.
IS_OVER = """
    EXISTS (
        SELECT FROM runs
        WHERE run_id = %(run)s AND status IN ('SUCCESS', 'FAILURE', 'CANCELING', 'CANCELED')
    )
"""


class DatabaseRefuses(MarketdataError, status=503):
    """The database of the hosts can't be reached, refuses, or has cut a connection."""


class RunIsOver(MarketdataError, is_final=True):
    """The run that a step belongs to was ended, or lost with its host; another one may be at it."""


class Turn(NamedTuple):
    """A turn, and when it began by the database's clock."""

    connection: psycopg.Connection
    began: dt.datetime

    def is_ours(self) -> bool:
        """Whether nobody else can have it: its connection was not cut."""
        with contextlib.suppress(psycopg.Error):
            self.connection.execute("SELECT 1")
        return not self.connection.closed


@contextlib.contextmanager
def turn(
    database: str,
    name: str,
    is_shared: bool = False,
    seconds: int = SECONDS_TO_WAIT,
    run: str = "",
) -> Iterator[Turn]:
    """A turn at what is called `name`: others wait until it ends, in the order they came.

    Turns that are shared don't wait for each other, and not for a database that is gone: who takes
    one only reads, maybe for somebody who waits. Others are waited for as many `seconds`, with 0
    for ever. Raises `DatabaseRefuses`, and `RunIsOver` where Dagster's `run`, which it is taken
    for, has ended; of a connection that is lost later, and the turn with it, nothing is told.
    """
    lock = "pg_advisory_lock_shared" if is_shared else "pg_advisory_lock"
    values = {"patience": f"{seconds}s", "name": name, "run": run}

    @contextlib.contextmanager
    def begun() -> Iterator[Turn]:
        with kept_connection(database) as connection:
            moment, is_over = _begin(connection, lock, values)
            if is_over:
                raise RunIsOver(
                    f"Run {run} is over: its step does nothing more at {name}. What it lacked is "
                    "made by the run that is asked for next."
                )
            yield Turn(connection, moment.astimezone(dt.UTC))

    with contextlib.ExitStack() as until_the_end:

        def begin() -> Turn:
            return until_the_end.enter_context(begun())

        with _told(name):
            own = begin() if is_shared else when_it_is_there(begin, is_lost)
        yield own


@contextlib.contextmanager
def making_tables(database: str) -> Iterator[None]:
    """A turn at making tables: two that begin together would both try to.

    Raises `DatabaseRefuses`, also where its user may not.
    """
    with turn(database, "tables"):
        prove_rights(database)
        yield


def prove_rights(database: str) -> None:
    """Raise `DatabaseRefuses` where it does not answer, or its user may not make tables."""
    if ask(database, MAY_MAKE) != [(True,)]:
        raise DatabaseRefuses(
            "The user of MARKETDATA_DATABASE may not make tables and schemas in it. Make it the "
            "database's owner, then start again."
        )


def ask(database: str, query: str, values: Sequence[str] = ()) -> list[tuple[Any, ...]]:
    """The rows of a query, at once or not at all; none of a table that is not made yet.

    Raises `DatabaseRefuses`.
    """
    try:
        with psycopg.connect(database, **{**HEARD, "connect_timeout": 5}) as connection:
            return connection.execute(query.encode(), values).fetchall()
    except psycopg.errors.UndefinedTable:
        return []
    except psycopg.Error as error:
        raise DatabaseRefuses(
            f"The database does not answer ({first_line(error)}). Look at "
            "MARKETDATA_DATABASE and its server."
        ) from error


def _begin(
    connection: psycopg.Connection, lock: str, values: Mapping[str, str]
) -> tuple[dt.datetime, bool]:
    """Wait for the lock; when it was given, and whether the run was over by then."""
    is_over = IS_OVER if values["run"] else "false"
    # Several statements take no values but in their text.
    cursor = psycopg.ClientCursor(connection)
    try:
        cursor.execute(BEGIN.format(lock=lock, is_over=is_over), values)
    except psycopg.errors.UndefinedTable:
        # Its history is elsewhere.
        return _begin(connection, lock, {**values, "run": ""})
    [told] = cursor.set_result(-1)
    return told


@contextlib.contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise DatabaseRefuses(
            f"The database gave no turn at {name} ({first_line(error)}); nothing was stored. Look "
            "at MARKETDATA_DATABASE and its server, then run again."
        ) from error
