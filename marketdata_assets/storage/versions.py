"""Every version a partition ever had: the superseded files, and the one that is true now.

Here belongs which versions there are and from when until when each was known, with their files
held still while somebody reads. Which of them answers a question is `as_of`; how they come about
is `lake`.
"""

import contextlib
import datetime as dt
import filecmp
import itertools
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from marketdata_assets.storage import damage_notes
from marketdata_assets.storage.durable_files import link_or_copy
from marketdata_assets.storage.lake import Lake, Part
from marketdata_assets.storage.sealed_parquet import DamagedFile, open_sealed
from marketdata_assets.tables import Table

ABANDONED_AFTER_SECONDS = 24 * 3_600
ALWAYS = dt.datetime.min.replace(tzinfo=dt.UTC)


class Version(NamedTuple):
    """A version of a partition; `until` is None for the one that is true now.

    `schema` is None where the file is damaged: then `known_from` is the end of the one before.
    """

    path: Path
    known_from: dt.datetime
    until: dt.datetime | None
    schema: pa.Schema | None


class Versions:
    """The versions of a lake's partitions; their paths are good until `held_still` ends."""

    def __init__(self, lake: Lake, folder: Path) -> None:
        self._lake = lake
        self._folder = folder
        self._numbers = itertools.count()

    def of(self, table: Table, day: Part) -> list[Version]:
        """The versions of a partition, oldest first; None for a table without partitions.

        A writer that replaces the file meanwhile leaves the answer as it was before.
        """
        # First the file, then the superseded ones: a writer keeps the old file aside before it
        # publishes the new one, so what is held here or replaced since is among them.
        path = self._lake.path(table, day)
        current = self._hold(table, day)
        earlier_versions = list(self._earlier_versions(table, day))
        if current is None:
            return earlier_versions
        since = earlier_versions[-1].until if earlier_versions else None
        now = self._version(current, None, since or ALWAYS, path)
        # A writer about to publish, or killed before it could: the same version by two names.
        while earlier_versions and _same(earlier_versions[-1], now):
            earlier_versions.pop()
        return [*earlier_versions, now]

    def _hold(self, table: Table, day: Part) -> Path | None:
        """A second name for the file that is the partition now, whoever replaces it later."""
        held = self._folder / f"{next(self._numbers)}.parquet"
        try:
            link_or_copy(self._lake.file(table, day), held)
        except FileNotFoundError:
            return None
        return held

    def _earlier_versions(self, table: Table, day: Part) -> Iterator[Version]:
        since = ALWAYS
        for until, path in self._lake.earlier_versions(table, day):
            # A link that a killed writer left is renamed by the next one; then it is still current.
            with contextlib.suppress(FileNotFoundError):
                yield self._version(path, until, since, path)
                since = until

    def _version(
        self, path: Path, until: dt.datetime | None, since: dt.datetime, lasting: Path
    ) -> Version:
        """The version in a file, which has the name `lasting` as well; what is damaged is noted."""
        try:
            schema = open_sealed(path)[0].schema_arrow
        except DamagedFile:
            damage_notes.note(self._lake.root, lasting)
            return Version(path, since, until, None)
        damage_notes.forget(self._lake.root, lasting)
        try:
            stored_at = dt.datetime.fromisoformat((schema.metadata or {})[b"stored_at"].decode())
        except (ValueError, KeyError):
            return Version(path, since, until, None)
        return Version(path, stored_at, until, schema)


@contextlib.contextmanager
def held_still(lake: Lake) -> Iterator[Versions]:
    """Versions whose files stay what they are until the end of the block, whoever writes.

    Current files get a second name below `<root>/reading` for as long.
    """
    folder = lake.root / "reading"
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if time.time() - leftover.stat().st_mtime > ABANDONED_AFTER_SECONDS:
                shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder) as own:
        yield Versions(lake, Path(own))


def _same(one: Version, other: Version) -> bool:
    if one.path.samefile(other.path):
        return True
    # Where the disk has no hard links the second name is a copy.
    stamps_agree = one.schema is not None and one.known_from == other.known_from
    return stamps_agree and filecmp.cmp(one.path, other.path, shallow=False)
