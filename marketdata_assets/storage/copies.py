"""A host's copies of objects: files that never change, named by the ETag of what they hold.

    <root>/copies/<key>.<ETag>.parquet

Here belongs how copies come and go. Which object is the right one is up to whoever asks. A copy is
a cache: deleting all of them costs time alone.
"""

import contextlib
import os
import re
import secrets
import time
from pathlib import Path

from marketdata_assets.storage.durable_files import refusals_told
from marketdata_assets.storage.objects import Object, Objects

MOST_BYTES = 20_000_000_000
# Who was given a path reads it within this time: no run takes longer.
SECONDS_KEPT = 6 * 3_600
LOOK_AFTER_BYTES = 200_000_000


class Copies:
    """Copies below `folder`, of which the ones used last stay, up to `most_bytes`.

    What was used within the last six hours stays in any case.
    """

    def __init__(self, folder: Path, objects: Objects, most_bytes: int = MOST_BYTES) -> None:
        self._folder, self._objects, self._most_bytes = folder, objects, most_bytes
        self._came = 0

    def of(self, one: Object) -> Path | None:
        """The copy of an object, or of what has taken its place; None where that is gone.

        Raises `DiskRefuses` where there is none yet.
        """
        with contextlib.suppress(FileNotFoundError):
            if path := self.here(one):
                os.utime(path)
                return path
        found = self._objects.get(one.key)
        return self.keep(*found) if found else None

    def here(self, one: Object) -> Path | None:
        """The copy of an object; None where there is none, or a power cut has shortened it."""
        path = self._path(one)
        with contextlib.suppress(FileNotFoundError):
            return path if path.stat().st_size == one.bytes else None
        return None

    def keep(self, one: Object, raw: bytes) -> Path:
        """Have `raw`, the content of an object, as its copy. Raises `DiskRefuses`."""
        path = self._path(one)
        unfinished = path.with_name(f".{secrets.token_hex(8)}.unfinished")
        with refusals_told(
            f"{one.key} could not be copied to this host; what is stored is as it was"
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                unfinished.write_bytes(raw)
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)
        self._came += len(raw)
        if self._came > min(LOOK_AFTER_BYTES, self._most_bytes):
            self._came = 0
            self.evict()
        return path

    def evict(self, now: float | None = None) -> None:
        """Remove what was used longest ago, until the others have room."""
        now = now or time.time()
        found, total = [], 0
        for place, _, names in os.walk(self._folder):
            for path in (Path(place, name) for name in names):
                # Another process of this host evicts, too.
                with contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    total += status.st_size
                    found.append((status.st_mtime, status.st_size, path))
        for used, size, path in sorted(found):
            if total <= self._most_bytes or now - used < SECONDS_KEPT:
                return
            path.unlink(missing_ok=True)
            total -= size

    def _path(self, one: Object) -> Path:
        path = self._folder / one.key
        return path.with_name(f"{path.stem}.{re.sub('[^0-9A-Za-z-]', '', one.etag)}{path.suffix}")
