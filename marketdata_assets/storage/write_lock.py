"""Turns of the writers of a folder, and how a reader waits for one of them and no more.

Here belongs who waits for whom. What is written is `lake`.

A lock alone lets a reader starve: a writer that writes again at once has the lock again before
somebody who waits has noticed that it was free. So every turn leaves its own mark.
"""

import contextlib
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

LOCK = ".writing.lock"
MARK = ".writing.turn"
LOOK_AGAIN_SECONDS = 0.002


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """A turn of writing in `folder`: every other writer, of any process, waits until it ends."""
    with FileLock(folder / LOCK):
        # On a full disk it stays away: readers wait longer then, and the write itself says why.
        with contextlib.suppress(OSError):
            (folder / MARK).write_text(secrets.token_hex(8))
        yield


def wait_for_writer(folder: Path) -> None:
    """Return once the turn that is under way has ended; not for those that come after it."""
    if not folder.is_dir():
        return
    lock, turn = FileLock(folder / LOCK, blocking=False), _turn(folder)
    # Another mark is another turn, one that began after this call or ends before it could matter.
    while _turn(folder) == turn:
        with contextlib.suppress(Timeout), lock:
            return
        time.sleep(LOOK_AGAIN_SECONDS)


def _turn(folder: Path) -> str:
    try:
        return (folder / MARK).read_text()
    except FileNotFoundError:
        return ""
