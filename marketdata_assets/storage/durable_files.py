"""Files and names that survive a power cut, what a killed writer leaves, and disks that refuse.

Here belongs what a file system needs to be told, and how its refusal is told. Which files there are
is `lake`.
"""

import contextlib
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from marketdata_assets.errors import MarketdataError

UNFINISHED = ".unfinished"
ABANDONED_AFTER_SECONDS = 3_600
SQLITE_REFUSALS = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
)


class DiskRefuses(MarketdataError):
    """Something can't be written: there is no room, or no permission."""


@contextlib.contextmanager
def refusals_told(what: str) -> Iterator[None]:
    """What the disk refuses within the block is a `DiskRefuses` that says `what` came of it."""
    try:
        yield
    except DiskRefuses:
        raise
    except Exception as error:
        if (said := _said_by_the_disk(error)) is None:
            raise
        how = "Make room or give write permission, then run again."
        raise DiskRefuses(f"{what} ({said}). {how}") from error


def _said_by_the_disk(error: BaseException) -> str | None:
    """In a few words why it refused; None where it has not, or nothing is known of it."""
    if isinstance(error, OSError):
        # What fails in a network is an `OSError` too, of a connection or without a number.
        if isinstance(error, ConnectionError | FileNotFoundError) or error.strerror is None:
            return None
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    cause = error.__cause__
    if isinstance(cause, sqlite3.OperationalError):
        # The lowest byte is the kind, the others say more of it.
        return str(cause) if cause.sqlite_errorcode & 0xFF in SQLITE_REFUSALS else None
    return None


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, so that they survive a power cut."""
    if not folder.exists():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def link_or_copy(path: Path, aside: Path) -> None:
    """Give a file a second name; where the disk has no hard links, a whole copy."""
    try:
        os.link(path, aside)
    except OSError:
        with becoming(aside) as unfinished:
            shutil.copy2(path, unfinished)


@contextlib.contextmanager
def becoming(path: Path) -> Iterator[Path]:
    """A name for what becomes the file at `path` after the block, at once and to stay.

    Where the block fails, or the disk does, the file that was there stays.
    """
    unfinished = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{UNFINISHED}")
    try:
        yield unfinished
        sync_file(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Make what was written to a file survive a power cut."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make a rename or a new name in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_abandoned(folder: Path) -> None:
    """Drop what killed writers left in and below `folder`; young files may be living ones'."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") and UNFINISHED in name:
                _remove_if_old(Path(place, name))


def _remove_if_old(leftover: Path) -> None:
    with contextlib.suppress(OSError):
        if time.time() - leftover.stat().st_mtime > ABANDONED_AFTER_SECONDS:
            leftover.unlink()
