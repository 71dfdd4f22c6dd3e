"""Notes of damaged files: what readers of the lake have found, so that it can be told at any time.

    <root>/state/damaged/lake/<table>/<year>/<date>.parquet             the note of that file
    <root>/state/damaged/superseded/<table>/<year>/<date>/<time>.…      of an earlier one

Here belongs what is known of damage without reading the lake. How a file tells that it is damaged
is `sealed_parquet`; a series has notes of its own.
"""

import contextlib
from pathlib import Path

from marketdata_assets.storage.sealed_parquet import DamagedFile, open_sealed


def note(root: Path, path: Path) -> None:
    """Note of a file that somebody found damaged that it is so, unless it was mended meanwhile.

    Where the disk refuses there is no note: whoever reads the file next finds it again.
    """
    with contextlib.suppress(OSError):
        version = _version(path)
        if not _is_whole(path):
            own = _note_of(root, path)
            own.parent.mkdir(parents=True, exist_ok=True)
            own.write_text(version, "ascii")


def forget(root: Path, path: Path) -> None:
    """Drop the note of a file that is whole, if there is one."""
    with contextlib.suppress(OSError):
        _note_of(root, path).unlink()


def noted(root: Path) -> list[Path]:
    """The files below `root` that are as they were when they were noted; the other notes go."""
    found = []
    for own in _notes(root).rglob("*"):
        path = root / own.relative_to(_notes(root))
        with contextlib.suppress(OSError):
            if own.is_dir():
                continue
            if path.exists() and own.read_text("ascii") == _version(path):
                found.append(path.relative_to(root))
            else:
                own.unlink()
    return sorted(found)


def _notes(root: Path) -> Path:
    return root / "state" / "damaged"


def _note_of(root: Path, path: Path) -> Path:
    # In one go, since it is asked for at every file that is read.
    return Path(root, "state", "damaged", *path.parts[len(root.parts) :])


def _version(path: Path) -> str:
    """Which file it is; every file that is written in its place is another."""
    status = path.stat()
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"


def _is_whole(path: Path) -> bool:
    try:
        open_sealed(path)[0].read()
    except FileNotFoundError:
        return True
    except (DamagedFile, ValueError, OSError):
        return False
    return True
