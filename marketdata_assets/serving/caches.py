"""What is kept of the lake's files in memory, each as long as the file stays what it is.

Here belong the histories by code, in a bounded memory, and what was made of a table's day files;
what is made of one is up to whoever asks. Which code is served from here is `price_reader`.
"""

import datetime as dt
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import pyarrow as pa

from marketdata_assets.checks.histories import ends_early
from marketdata_assets.instruments import Instrument
from marketdata_assets.storage.lake import FileIdentity, FolderTimes, Lake, MissingPartitions
from marketdata_assets.tables import INSTRUMENT_HISTORY, Table

MOST_CODES = 512
MOST_BYTES = 256_000_000
# For files that somebody has written over where they lie, which no folder tells.
SECONDS_BETWEEN_LOOKS_AT_ALL = 3_600.0

Made = TypeVar("Made")


class History(NamedTuple):
    """A whole history by date, the version of it, and who it comes from."""

    rows: pa.Table
    stored_at: dt.datetime
    file: FileIdentity
    origin: str

    @property
    def generation(self) -> int:
        """A number that grows with every version: the microsecond it was stored."""
        return int(self.stored_at.timestamp() * 1_000_000)


class Remembered(NamedTuple):
    """How the memory is used."""

    hits: int
    misses: int
    codes: int
    bytes: int
    most_codes: int
    most_bytes: int


def stale_since(instrument: Instrument, dates: pa.ChunkedArray, now: dt.datetime) -> dt.date | None:
    """The last day of a whole history that ends early at `now`; None where it does not.

    So it is with a source that has stopped, a code that nobody tracks any more, and whatever has
    left its market.
    """
    end: dt.date = dates[-1].as_py()
    return end if ends_early(instrument, end, instrument.market.last_final_day(now)) else None


class Histories:
    """The stored histories of a lake; any number of threads may share one."""

    def __init__(
        self, lake: Lake, most_codes: int = MOST_CODES, most_bytes: int = MOST_BYTES
    ) -> None:
        self._lake = lake
        self._most_codes, self._most_bytes = most_codes, most_bytes
        self._kept: OrderedDict[str, History] = OrderedDict()
        self._bytes = self._hits = self._misses = 0
        self._lock = threading.Lock()

    def get(self, code: str) -> History | None:
        """The history of a canonical code as it is on disk now; None where there is none.

        Raises `UnfitPartitions` when the file can't be read as declared.
        """
        file = self._lake.identity(INSTRUMENT_HISTORY, code)
        if file is None:
            self.forget(code)
            return None
        with self._lock:
            kept = self._kept.get(code)
            if kept and kept.file == file:
                self._kept.move_to_end(code)
                self._hits += 1
                return kept
            self._misses += 1
        # Without the lock: a large file must not hold up the others.
        try:
            stored, rows, read = self._lake.load(INSTRUMENT_HISTORY, code)
        except MissingPartitions:
            return None
        rows = rows.replace_schema_metadata().combine_chunks()
        history = History(rows, stored.stored_at, read, stored.origin)
        self._keep(code, history)
        return history

    def keeps(self, code: str) -> bool:
        """Whether the history of a canonical code is in memory as it is on disk now.

        Of a lake that hosts share nobody knows without a call.
        """
        kept = None if self._lake.is_shared else self._kept.get(code)
        return kept is not None and kept.file == self._lake.identity(INSTRUMENT_HISTORY, code)

    def forget(self, code: str | None = None) -> None:
        """Drop one code from memory, or all of them."""
        with self._lock:
            for name in [code] if code else list(self._kept):
                self._drop(name)

    def remembered(self) -> Remembered:
        with self._lock:
            return Remembered(
                self._hits,
                self._misses,
                len(self._kept),
                self._bytes,
                self._most_codes,
                self._most_bytes,
            )

    def _keep(self, code: str, history: History) -> None:
        with self._lock:
            self._drop(code)
            self._kept[code] = history
            self._bytes += history.rows.nbytes
            while len(self._kept) > self._most_codes or self._bytes > self._most_bytes:
                self._drop(next(iter(self._kept)))

    def _drop(self, code: str) -> None:
        if gone := self._kept.pop(code, None):
            self._bytes -= gone.rows.nbytes


class _Year(NamedTuple, Generic[Made]):
    """The days of a year as they were `looked_at`, in seconds of the clock."""

    looked_at: float
    folder: FolderTimes | None
    days: dict[dt.date, tuple[FileIdentity, Made]]


class DaysInMemory(Generic[Made]):
    """What `make` gives for each stored day of a table; threads may share one.

    A year's folder is listed again when it has changed, and every hour; of it only those files are
    read that are new, or that `make` gave None for, which could not be read.
    """

    def __init__(
        self,
        lake: Lake,
        table: Table,
        make: Callable[[dt.date], Made],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lake, self._table, self._make, self._clock = lake, table, make, clock
        self._years: dict[int, _Year[Made]] = {}
        self._making = threading.Lock()

    def between(self, start: dt.date, end: dt.date) -> dict[dt.date, Made]:
        """By day, those that are stored from `start` to `end`, both included, in order."""
        folders = self._lake.folders(self._table)
        return {
            day: made
            for year in range(start.year, end.year + 1)
            for day, made in self._of_year(year, folders.get(year)).items()
            if start <= day <= end
        }

    def _of_year(self, year: int, folder: FolderTimes | None) -> dict[dt.date, Made]:
        with self._making:
            known, now = self._years.get(year), self._clock()
            if (
                known is None
                or folder is None
                or known.folder != folder
                or now - known.looked_at >= SECONDS_BETWEEN_LOOKS_AT_ALL
            ):
                known = _Year(now, folder, self._made(year, known.days if known else {}))
                self._years[year] = known
            return {day: made for day, (_, made) in known.days.items()}

    def _made(
        self, year: int, known: dict[dt.date, tuple[FileIdentity, Made]]
    ) -> dict[dt.date, tuple[FileIdentity, Made]]:
        files = self._lake.identities_of_year(self._table, year)
        same = {
            day: known[day]
            for day in files
            if day in known and known[day][0] == files[day] and known[day][1] is not None
        }
        others = [day for day in files if day not in same]
        made = zip(others, self._lake.each(self._make, others), strict=True)
        same |= {day: (files[day], one) for day, one in made}
        return {day: same[day] for day in files}
