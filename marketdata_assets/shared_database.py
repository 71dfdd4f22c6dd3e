"""Connections to the database of several hosts, kept, lost, and asked for again for two minutes.

Here belongs when a connection is lost, how long it is asked for another one, and that who is not
let in does not wait. What is asked is in `storage`, in the count of calls and in the results of
steps.
"""

import atexit
import contextlib
import logging
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping
from psycopg_pool import ConnectionPool

logger = logging.getLogger(__name__)
T = TypeVar("T")

# The server notices within a minute that a host is gone, and gives its locks away. Who was given
# one sees what the last holder has done.
OPTIONS = (
    "-c tcp_keepalives_idle=20 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3 "
    "-c timezone=UTC -c default_transaction_isolation=read\\ committed"
)
# By process and database, the one that nobody is at.
_kept: dict[tuple[int, str], psycopg.Connection] = {}
# A server starts again, or another one takes its place, within a minute.
SECONDS_TO_COME_BACK = 120
SECONDS_BETWEEN_LOOKS = 0.5
# It ends, has crashed, or can't be connected to yet; a connection that is lost has no state.
NOT_THERE = (None, "57P01", "57P02", "57P03")
# So is one that may only be read while another takes its place.
READ_ONLY = psycopg.errors.ReadOnlySqlTransaction
SECONDS_TO_CONNECT = 10
# A server is gone, too, that has not taken a question for so long, or of which nothing is heard
# while an answer is waited for. By itself a client waits for a quarter of an hour, or two hours.
HEARD: dict[str, Any] = {
    "connect_timeout": SECONDS_TO_CONNECT,
    "tcp_user_timeout": 20_000,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
# Who has no patience at all still meets a server that is just starting again.
SECONDS_FOR_THE_POOL = 2
# Of a server that has no connection left, which passes.
FULL = ("too many", "connection slots")


def connected(database: str) -> psycopg.Connection:
    """A connection of its own, every statement a transaction.

    Raises `InvalidAuthorizationSpecification` where a server that is there refuses these settings.
    """
    address = make_conninfo(database, **HEARD)
    for _ in range(2):
        try:
            return psycopg.connect(address, autocommit=True, options=OPTIONS)
        except psycopg.errors.ConnectionTimeout:
            raise
        except psycopg.OperationalError as error:
            # Why it did not connect is told in words alone, in the server's language. The second
            # time it has not just come.
            is_there = _is_reached(error) and PGconn.ping(address.encode()) == Ping.OK
            if not is_there or any(word in str(error) for word in FULL):
                raise
            refused = error
    raise psycopg.errors.InvalidAuthorizationSpecification(first_line(refused)) from refused


def _is_reached(error: psycopg.OperationalError) -> bool:
    """Whether somebody listens where an attempt to connect has ended.

    To ask further whether it is PostgreSQL holds up all threads of this process until it is told,
    which takes seconds where a host is gone.
    """
    tried = error.pgconn
    if tried is None or not tried.hostaddr:
        return True
    try:
        place = (tried.hostaddr.decode(), int(tried.port))
        socket.create_connection(place, SECONDS_TO_CONNECT).close()
    except OSError:
        return False
    return True


def pool_of(
    database: str,
    max_size: int,
    options: str,
    autocommit: bool = False,
    configure: Callable[[psycopg.Connection], None] | None = None,
) -> ConnectionPool:
    """Connections by which can be written, for the threads of this process.

    One that begins while the database is only read would stay so for as long as it is connected. A
    pool waits twice as long after each attempt to connect, so that of a server that was away for a
    minute it would take no notice for another one: this one gives up soon, and begins anew when it
    is asked again.
    """
    return ConnectionPool(
        database,
        min_size=0,
        max_size=max_size,
        kwargs={
            "autocommit": autocommit,
            "options": options,
            **HEARD,
            "target_session_attrs": "read-write",
        },
        configure=configure,
        check=ConnectionPool.check_connection,
        timeout=SECONDS_FOR_THE_POOL,
        reconnect_timeout=SECONDS_FOR_THE_POOL,
        open=True,
    )


@contextlib.contextmanager
def kept_connection(database: str) -> Iterator[psycopg.Connection]:
    """A connection that nobody else has meanwhile, and the next who asks for one takes over.

    Its locks end with the block. Making one takes longer than most of what is asked.
    """
    key = (os.getpid(), database)
    connection = _kept.pop(key, None)
    if connection and _is_closed_there(connection):
        connection.close()
        connection = None
    connection = connection or connected(database)
    is_kept = False
    try:
        yield connection
    except READ_ONLY:
        # It may stay so for as long as it is connected.
        connection.close()
        raise
    finally:
        with contextlib.suppress(psycopg.Error):
            connection.execute("SELECT pg_advisory_unlock_all()")
            # From here on it may be another thread's.
            is_kept = _kept.setdefault(key, connection) is connection
        if not is_kept:
            connection.close()


@atexit.register
def _close_kept() -> None:
    for (process, _), connection in _kept.items():
        if process == os.getpid():
            connection.close()


def when_it_is_there(
    ask: Callable[[], T],
    is_lost: Callable[[Exception], bool],
    seconds: float = SECONDS_TO_COME_BACK,
) -> T:
    """What `ask` returns, asked again for `seconds` while it raises that the database is lost.

    So what is asked may be done twice, where the answer was lost. Why it waits is told once.
    """
    lost, told = None, ""
    while True:
        try:
            return ask()
        except Exception as error:
            lost = lost or time.monotonic()
            if not is_lost(error) or time.monotonic() - lost >= seconds:
                raise
            if told != first_line(error):
                told = first_line(error)
                logger.warning("The database is asked again: %s", told)
            time.sleep(SECONDS_BETWEEN_LOOKS)


def is_lost(error: Exception) -> bool:
    """Whether psycopg says that the server is not there, or only to be read for now, and not that
    it refuses."""
    if isinstance(error, READ_ONLY):
        return True
    return isinstance(error, psycopg.OperationalError) and error.sqlstate in NOT_THERE


def _is_closed_there(connection: psycopg.Connection) -> bool:
    """Whether the server has ended a connection that was asked nothing: it has something to say."""
    said = select.poll()
    said.register(connection, select.POLLIN)
    return bool(said.poll(0))


def first_line(error: Exception) -> str:
    """What an error says of the host, without a password."""
    return (str(error).splitlines() or [type(error).__name__])[0]
