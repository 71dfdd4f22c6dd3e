"""One allowance for one token: how many calls a minute all processes of this machine may make.

Here belongs the shared counter alone. What happens when the vendor says «too fast» anyway
belongs to the client that called.
"""

from pathlib import Path

from pyrate_limiter import Limiter, Rate, SQLiteBucket

# The vendor counts a minute; a call counts when it arrives, some time after it was allowed. One
# second more keeps every window of 60 s at the vendor's end within the limit.
WINDOW_MS = 61_000


class Allowance:
    """Calls per minute, counted in a file that every process with the same token shares.

    `acquire` waits until a call is allowed. The file lives outside the data folder, in the user's
    state folder, because two data folders with one token share one allowance.
    """

    def __init__(self, calls_per_minute: int, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._bucket = SQLiteBucket.init_from_file(
            rates=[Rate(calls_per_minute, WINDOW_MS)], db_path=str(path), use_file_lock=True
        )
        self._limiter = Limiter(self._bucket)

    def acquire(self) -> None:
        """Wait for a free place in the window and take it."""
        self._limiter.try_acquire("call")

    def close(self) -> None:
        self._limiter.close()
