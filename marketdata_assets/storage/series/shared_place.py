"""Where the generations of a series are published for many hosts: objects, and a folder a host.

    <address>/series/<table>/generation.json        what the newest generation consists of
    <address>/series/<table>/<year>-<token>.arrow   segments, as they are in every host's folder
    <address>/series/<table>/<year>-<token>.damaged somebody has found that segment damaged

Here belongs how the files come and go; what they are is `generation` and `segment`. A refresh puts
new segments and then the manifest, on the condition that it follows the one that was read. Hosts
fetch what they lack, compare it with its checksums and then take the same manifest, so that readers
never see a generation that is not whole. What no generation has any more goes when it is an hour
old: who is still fetching it begins again with the newest.
"""

import contextlib
import datetime as dt
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from marketdata_assets.storage.durable_files import becoming, refusals_told
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.objects import StoreRefuses
from marketdata_assets.storage.sealed_parquet import DamagedFile
from marketdata_assets.storage.series.blocks import checksums_of
from marketdata_assets.storage.series.generation import (
    MANIFEST,
    DamagedSeries,
    Generation,
    SegmentEntry,
    generation_in,
    manifest_of,
)
from marketdata_assets.storage.series.place import Place
from marketdata_assets.storage.series.segment import note_of
from marketdata_assets.storage.shared_lake import SharedLake, WrittenMeanwhile
from marketdata_assets.tables import Table

# Each may be hundreds of megabytes.
FETCHED_AT_ONCE = 4
OLD_ONES_LAST = dt.timedelta(hours=1)


class SharedPlace(Place):
    """The series of a table that hosts share, and this host's folder of it."""

    def __init__(self, lake: Lake, table: Table) -> None:
        assert isinstance(lake, SharedLake)
        super().__init__(lake.root, table)
        self._lake, self._objects = lake, lake.objects
        self._prefix = f"series/{table.name}"
        # The ETag of the manifest that was read last, and the segments that were sought for it.
        self._manifest: str | None = None
        self._sought: list[SegmentEntry] | None = None

    @contextlib.contextmanager
    def alone(self) -> Iterator[Generation | None]:
        """A turn among all hosts, with the newest generation.

        Of it what no other host can have, or this one not, is not here: so it is made again.
        """
        with self._lake.alone_at(self._prefix), super().alone() as newest:
            for one in self.damaged(newest.segments if newest else ()):
                (self.folder / one.file).unlink(missing_ok=True)
            yield newest

    def pull(self) -> bool:
        """Have the newest generation here; whether it was not.

        Raises `DamagedSeries`, or `DiskRefuses` naming the table.
        """
        now = self._manifest_now()
        is_here = (self.folder / MANIFEST).exists() == (now is not None)
        is_known = now == self._manifest and self._sought is not None
        if is_here and is_known and not super().damaged(self._sought or ()):
            return False
        what = f"The series of {self.table.name} could not be brought here; it is as it was before"
        with refusals_told(what), super().alone() as newest:
            self._refuse_unwhole(newest)
        return True

    def objects(self) -> dict[str, int]:
        """What lies there, with its bytes, by one list."""
        return {one.key: one.bytes for one in self._objects.listed(self._prefix)}

    def newest(self) -> Generation | None:
        found = self._objects.get(self._manifest_key)
        self._manifest = found[0].etag if found else None
        with contextlib.suppress(DamagedFile, ValueError):
            return generation_in(found[1]) if found else None
        return None

    def damaged(self, segments: Sequence[SegmentEntry]) -> list[SegmentEntry]:
        sizes = self.objects()
        return [
            one
            for one in segments
            if sizes.get(self._key(one)) != one.bytes or self._note(one) in sizes
        ]

    def publish(self, generation: Generation) -> None:
        keys = {self._key(segment): segment for segment in generation.segments}
        for key in keys.keys() - self.objects().keys():
            self._objects.put_file(key, self.folder / keys[key].file)
        raw = manifest_of(generation)
        if self._objects.put(self._manifest_key, raw, self._manifest) is None:
            raise WrittenMeanwhile(f"The series of {self.table.name}")
        super().publish(generation)
        with contextlib.suppress(StoreRefuses):
            self._objects.remove_old(self._prefix, {*keys, self._manifest_key}, OLD_ONES_LAST)

    def _brought(self, here: Generation | None) -> Generation | None:
        while True:
            newest = self.newest()
            self._sought = newest.segments if newest else []
            lacking = super().damaged(self._sought)
            with ThreadPoolExecutor(FETCHED_AT_ONCE) as pool:
                is_whole = all(list(pool.map(self._fetched, lacking)))
            # Where some are gone, something newer may have been published meanwhile.
            if is_whole or self._manifest_now() == self._manifest:
                break
        if newest and is_whole and (newest != here or lacking):
            super().publish(newest)
        if self._manifest is None and not self.objects():
            # What one machine may have had here is of no host. A bucket that is gone is not empty:
            # to list it is refused.
            (self.folder / MANIFEST).unlink(missing_ok=True)
        return newest

    def _remove_unreferenced(
        self, newest: Generation | None, more: Sequence[SegmentEntry] = ()
    ) -> None:
        # What is here of a generation that is still coming stays.
        if self._sought is not None:
            super()._remove_unreferenced(newest, self._sought)

    def _fetched(self, segment: SegmentEntry) -> bool:
        """Whether a segment is here now, as it was written; if others are to know, it is noted."""
        path = self.folder / segment.file
        if self._objects.head(self._note(segment)):
            # It is made again, and has another name then.
            return False
        try:
            with becoming(path) as unfinished:
                self._objects.fetch(self._key(segment), unfinished)
                if checksums_of(unfinished) != segment.checksums:
                    raise DamagedFile("other bytes than were written")
        except FileNotFoundError:
            return False
        except DamagedFile:
            self._objects.put(self._note(segment), b"damaged")
            return False
        note_of(path).unlink(missing_ok=True)
        return True

    def _refuse_unwhole(self, newest: Generation | None) -> None:
        if newest is None and self._manifest:
            raise DamagedSeries(self.table, MANIFEST, DamagedFile("its object is damaged"))
        for one in super().damaged(newest.segments if newest else []):
            raise DamagedSeries(self.table, one.file, DamagedFile("its object is damaged or gone"))

    def _manifest_now(self) -> str | None:
        found = self._objects.head(self._manifest_key)
        return found.etag if found else None

    @property
    def _manifest_key(self) -> str:
        return f"{self._prefix}/{MANIFEST}"

    def _key(self, segment: SegmentEntry) -> str:
        return f"{self._prefix}/{segment.file}"

    def _note(self, segment: SegmentEntry) -> str:
        return f"{self._prefix}/{note_of(Path(segment.file))}"
