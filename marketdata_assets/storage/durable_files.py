"""Files and names that survive a power cut, and what a killed writer leaves behind.

Here belongs what a file system needs to be told. Which files there are is `lake`.
"""

import contextlib
import os
import secrets
import shutil
import time
from pathlib import Path

ABANDONED_AFTER_SECONDS = 3_600


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
        unfinished = aside.with_suffix(".unfinished")
        shutil.copy2(path, unfinished)
        sync_file(unfinished)
        unfinished.replace(aside)


def write_file(path: Path, content: bytes) -> None:
    """Make `content` the file at `path`: a full disk, or a crash, leaves the one that was there."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.unfinished")
    try:
        unfinished.write_bytes(content)
        sync_file(unfinished)
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
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


def remove_abandoned(path: Path) -> None:
    """Drop what a killed writer of the same partition left behind."""
    for leftover in path.parent.glob(f".{path.stem}.*.unfinished"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - leftover.stat().st_mtime > ABANDONED_AFTER_SECONDS:
                leftover.unlink()
