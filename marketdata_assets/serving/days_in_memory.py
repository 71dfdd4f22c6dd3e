"""What was made of a table's day files, kept in memory until a file is another one.

Here belongs the memory alone; what is made of a file is up to whoever asks. A year's folder is
listed again when it has changed, and of it only those files are read that are new.
"""

import datetime as dt
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from marketdata_assets.storage.lake import Lake, day_of
from marketdata_assets.tables import Table

Made = TypeVar("Made")


class _Year(NamedTuple, Generic[Made]):
    changed: int
    days: dict[dt.date, tuple[tuple[int, int, int], Made]]


class DaysInMemory(Generic[Made]):
    """What `make` gives for each stored day of a table; threads may share one."""

    def __init__(self, lake: Lake, table: Table, make: Callable[[dt.date], Made]) -> None:
        self._lake, self._table, self._make = lake, table, make
        self._years: dict[int, _Year[Made]] = {}
        self._making = threading.Lock()

    def between(self, start: dt.date, end: dt.date) -> dict[dt.date, Made]:
        """By day, those that are stored from `start` to `end`, both included, in order."""
        return {
            day: made
            for year in range(start.year, end.year + 1)
            for day, made in self._of_year(year).items()
            if start <= day <= end
        }

    def _of_year(self, year: int) -> dict[dt.date, Made]:
        folder = self._lake.path(self._table, dt.date(year, 1, 1)).parent
        with self._making:
            try:
                changed = folder.stat().st_mtime_ns
            except FileNotFoundError:
                return {}
            known = self._years.get(year)
            if known is None or known.changed != changed:
                days = known.days if known else {}
                known = self._years[year] = _Year(changed, self._listed(folder, days))
            return {day: made for day, (_, made) in known.days.items()}

    def _listed(
        self, folder: Path, known: dict[dt.date, tuple[tuple[int, int, int], Made]]
    ) -> dict[dt.date, tuple[tuple[int, int, int], Made]]:
        with os.scandir(folder) as entries:
            files = sorted((day, one) for one in entries if (day := day_of(Path(one.path))))
        found = {}
        for day, file in files:
            status = file.stat()
            version = status.st_ino, status.st_size, status.st_mtime_ns
            before = known.get(day)
            is_same = before is not None and before[0] == version
            found[day] = before if is_same and before else (version, self._make(day))
        return found
