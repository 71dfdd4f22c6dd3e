"""Where the generations of a series are published: a folder of this machine.

Here belongs what a refresh and a sensor ask of the place. Where several hosts share the series it
is `shared_place`, which has the objects first and this folder after them.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from filelock import FileLock

from marketdata_assets.storage.durable_files import UNFINISHED, make_folder
from marketdata_assets.storage.sealed_parquet import DamagedFile
from marketdata_assets.storage.series.generation import (
    Generation,
    SegmentEntry,
    publish_generation,
    read_manifest,
    series_folder,
)
from marketdata_assets.storage.series.segment import note_of
from marketdata_assets.tables import Table


class Place:
    """The folder of a table's series below `root`."""

    def __init__(self, root: Path, table: Table) -> None:
        self.table = table
        self.folder = series_folder(root, table)

    @contextlib.contextmanager
    def alone(self) -> Iterator[Generation | None]:
        """A turn of changing the folder, with the newest generation.

        What older ones and killed refreshes have left is removed before and after.
        """
        make_folder(self.folder)
        with FileLock(self.folder / ".refreshing.lock"):
            here = self._here()
            self._remove_unreferenced(here)
            try:
                yield self._brought(here)
            finally:
                self._remove_unreferenced(self._here())

    def pull(self) -> bool:
        """Have the newest generation in the folder; whether it was not."""
        return False

    def newest(self) -> Generation | None:
        """The newest generation; None where there is none, or none that anybody could read."""
        return self._here()

    def damaged(self, segments: Sequence[SegmentEntry]) -> list[SegmentEntry]:
        """Those that are missing or known to be damaged. Reads no rows."""
        return [segment for segment in segments if self._looks_damaged(segment)]

    def publish(self, generation: Generation) -> None:
        """Make `generation`, whose files are in the folder, the newest."""
        publish_generation(self.folder, generation)

    def _brought(self, here: Generation | None) -> Generation | None:
        """The newest generation, once as much of it as can be is in the folder as `here` is."""
        return here

    def _here(self) -> Generation | None:
        try:
            return read_manifest(self.folder)[0]
        except (DamagedFile, OSError, ValueError):
            return None

    def _looks_damaged(self, segment: SegmentEntry) -> bool:
        path = self.folder / segment.file
        try:
            return path.stat().st_size != segment.bytes or note_of(path).exists()
        except FileNotFoundError:
            return True

    def _remove_unreferenced(
        self, newest: Generation | None, more: Sequence[SegmentEntry] = ()
    ) -> None:
        """Drop the names of older generations' files, and of what a killed refresh left.

        Readers that have them mapped keep them; the disk has its space back when the last one is
        done.
        """
        segments = [*(newest.segments if newest else ()), *more]
        referenced = {Path(segment.file).stem for segment in segments}
        for path in self.folder.iterdir():
            if path.suffix in (".arrow", ".damaged", UNFINISHED) and path.stem not in referenced:
                path.unlink(missing_ok=True)
