"""A turn that one process of all hosts keeps for its life, and others wait for: PostgreSQL's lock.

Here belongs who has it; the short turns of writers are `database_turns`. What is done meanwhile
must not be done by two: who has lost the turn is told, and ends it.
"""

import os
import time
from typing import Any

import psycopg

from marketdata_assets.shared_database import connected, first_line
from marketdata_assets.storage.database_turns import DatabaseRefuses

# In which who had it has noticed that the server forgot it, has connected and has it again.
SECONDS_OF_ITS_HOLDER = 40.0
TAKE = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
# An id is given again.
SESSION = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
END = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE pid = %s AND backend_start = %s
"""


class LongTurn:
    """A turn at what is called `name`. It is taken again where its connection was cut, as by a
    server that starts anew, unless somebody else has it by then. Others, who are cut off with it,
    leave it to who had it for a while: two would be at work until that one notices."""

    def __init__(
        self, database: str, name: str, seconds_of_its_holder: float = SECONDS_OF_ITS_HOLDER
    ) -> None:
        self._database, self._name = database, name
        self._seconds_of_its_holder = seconds_of_its_holder
        self._connection: psycopg.Connection | None = None
        self._is_holder, self._not_before = False, 0.0
        # The one of the server's that has it, or had it when it was last heard of.
        self._session: tuple[Any, ...] | None = None

    def take(self) -> bool:
        """Take it; False while another has it. Raises `DatabaseRefuses`."""
        was_connected = self._connection is not None
        try:
            if self._connection is None:
                self._connection = connected(self._database)
            if time.monotonic() < self._not_before:
                return False
            self._is_holder = self._try(self._connection)
            return self._is_holder
        except psycopg.Error as error:
            self.leave()
            if was_connected and not self._is_holder:
                self._not_before = time.monotonic() + self._seconds_of_its_holder
            raise DatabaseRefuses(
                f"The database gives no turn at {self._name} ({first_line(error)}). It is asked "
                "again; look at MARKETDATA_DATABASE and its server."
            ) from error

    def _try(self, connection: psycopg.Connection) -> bool:
        asked = (self._name,)
        [taken] = connection.execute(TAKE, asked).fetchone() or (False,)
        if not taken and self._session:
            # The network was gone, which the server has not noticed: it is held by who asks.
            connection.execute(END, self._session)
            [taken] = connection.execute(TAKE, asked).fetchone() or (False,)
        self._session = connection.execute(SESSION).fetchone() if taken else None
        return bool(taken)

    def is_ours(self) -> bool:
        """Whether nobody else has taken it: without the database nobody can."""
        try:
            if self._connection:
                self._connection.execute("SELECT 1")
                return True
        except psycopg.Error:
            self.leave()
        try:
            return self.take()
        except DatabaseRefuses:
            return True

    def socket(self) -> int:
        """A file descriptor of its connection, to be closed: whoever holds it holds the turn."""
        assert self._connection is not None
        return os.dup(self._connection.fileno())

    def leave(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None
