"""One allowance for one token: how many calls a minute all processes may make, of all hosts.

Here belongs the shared counter alone. What happens when the vendor says «too fast» anyway
belongs to the client that called.
"""

from pathlib import Path

from pyrate_limiter import AbstractBucket, Limiter, Rate, SQLiteBucket

from marketdata_assets.hosts import hosts

# The vendor counts a minute; a call counts when it arrives, some time after it was allowed. One
# second more keeps every window of 60 s at the vendor's end within the limit.
WINDOW_MS = 61_000


class Allowance:
    """Calls per minute, counted in a file that every process with the same token shares.

    `acquire` waits until a call is allowed. The file lives outside the data folder, in the user's
    state folder, because two data folders with one token share one allowance. Several hosts count
    in a table of their database, by its clock, which has the file's name.
    """

    def __init__(self, calls_per_minute: int, path: Path) -> None:
        self._limiter = Limiter(_counter([Rate(calls_per_minute, WINDOW_MS)], path))

    def acquire(self) -> None:
        """Wait for a free place in the window and take it."""
        self._limiter.try_acquire("call")

    def close(self) -> None:
        self._limiter.close()


def _counter(rates: list[Rate], path: Path) -> AbstractBucket:
    if shared := hosts():
        from psycopg_pool import ConnectionPool
        from pyrate_limiter import PostgresBucket

        return PostgresBucket(ConnectionPool(shared.database, open=True), path.stem, rates)
    path.parent.mkdir(parents=True, exist_ok=True)
    return SQLiteBucket.init_from_file(rates, db_path=str(path), use_file_lock=True)
