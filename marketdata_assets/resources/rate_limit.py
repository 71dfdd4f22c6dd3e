"""One allowance for one token: how many calls a minute all processes may make, of all hosts.

Here belongs the shared counter alone. What happens when the vendor says «too fast» anyway
belongs to the client that called.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from pyrate_limiter import (
    Limiter,
    PostgresBucket,
    Rate,
    RateItem,
    SingleBucketFactory,
    SQLiteBucket,
)

from marketdata_assets.hosts import hosts

T = TypeVar("T")
# The vendor counts a minute; a call counts when it arrives, some time after it was allowed. One
# second more keeps every window of 60 s at the vendor's end within the limit.
WINDOW_MS = 61_000
FORGET_THE_FUTURE = "UPDATE '{}' SET item_timestamp = ? WHERE item_timestamp > ?"
NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
# Moments are stored without a zone: summer time would forget an hour, or count it twice.
OPTIONS = "-c timezone=UTC"
MOST_CONNECTIONS = 4


class Allowance:
    """Calls per minute, counted in a file that every process with the same token shares.

    `acquire` waits until a call is allowed. The file lives outside the data folder, in the user's
    state folder, because two data folders with one token share one allowance. Several hosts count
    in a table of their database, by its clock, which has the file's name.
    """

    def __init__(self, calls_per_minute: int, path: Path) -> None:
        self._counter = counter = _counter([Rate(calls_per_minute, WINDOW_MS)], path)
        # What has left the window is forgotten once: the thread in which the library does it again
        # and again would go on asking a counter that is closed.
        _asked(lambda: counter.leak(counter.now()))
        self._limiter = Limiter(SingleBucketFactory(counter, schedule_leak=False))

    def acquire(self) -> None:
        """Wait for a free place in the window and take it."""
        _asked(lambda: self._limiter.try_acquire("call"))

    def close(self) -> None:
        self._limiter.close()


def _asked(ask: Callable[[], T]) -> T:
    """What `ask` returns; the database of several hosts is waited for.

    A place whose answer was lost is taken twice. Of a counter that is closed there is none.
    """
    if not hosts():
        return ask()
    from psycopg_pool import PoolClosed

    from marketdata_assets.shared_database import is_lost, when_it_is_there

    return when_it_is_there(ask, lambda error: is_lost(error) and not isinstance(error, PoolClosed))


def _counter(rates: list[Rate], path: Path) -> "SQLiteBucket | SharedCounter":
    if shared := hosts():
        return SharedCounter(shared.database, path.stem, rates)
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileCounter.init_from_file(rates, db_path=str(path), use_file_lock=True)


class FileCounter(SQLiteBucket):
    """Calls of this machine, counted at the moment at which they are allowed.

    pyrate-limiter's own adds up how long it meant to wait: a call that was held up, by others'
    locks or by a machine that slept, would count in the past, and another one come too early.
    """

    def put(self, item: RateItem) -> bool:
        with self.lock:
            item.timestamp = self.now()  # type: ignore[no-untyped-call]
            # Of a clock that was set back: nobody waits for the hour at which they were counted.
            with self.conn:
                self.conn.execute(FORGET_THE_FUTURE.format(self.table), [item.timestamp] * 2)
            return super().put(item)


class SharedCounter(PostgresBucket):
    """Calls of several hosts, counted so too, by the database's clock."""

    def __init__(self, database: str, name: str, rates: list[Rate]) -> None:
        from marketdata_assets.shared_database import pool_of

        pool = pool_of(database, MOST_CONNECTIONS, OPTIONS)
        _asked(lambda: super(SharedCounter, self).__init__(pool, name, rates))

    def now(self) -> int:
        # The library's own takes this host's clock where the database does not answer.
        with self.pool.connection() as connection:
            [moment] = connection.execute(NOW).fetchone() or ()
        return int(moment)

    def put(self, item: RateItem) -> bool | Awaitable[bool]:
        item.timestamp = self.now()
        return super().put(item)

    def waiting(self, item: RateItem) -> int:
        # A place that became free a millisecond ago, while another host held the table, is told as
        # -1, which to the limiter means that there will never be one: the call went uncounted.
        wait = super().waiting(item)
        assert isinstance(wait, int)
        return max(0, wait)
