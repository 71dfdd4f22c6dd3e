"""The files of the next publication while they are being made: what each holds, and where it lies.

Here belongs how a file gets its facts, and how a published one is had. Which files are made, and
of which days, is `build`; what is in a year's file is `shards`.
"""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

import pyarrow.parquet as pq

from marketdata_assets.publishing.manifest import Facts, Manifest, hash_of
from marketdata_assets.publishing.shards import ReadDay, RowsBetween, published_rows, write_shard
from marketdata_assets.publishing.workspace import Published, Workspace
from marketdata_assets.tables import Table

CountChecks = Callable[[Path, int], Mapping[str, int]]


class Making:
    """`facts` are those of every file that will be published, `made` are the new ones."""

    def __init__(self, published: Published, workspace: Workspace) -> None:
        self.published = published
        self.workspace = workspace
        self.facts: dict[str, Facts] = {}
        self.made: dict[str, Path] = {}
        workspace.clear()

    def go_on_from(self, before: Manifest) -> None:
        """Keep what is published, but for files that somebody has removed."""
        there = self.published.files
        self.facts = {path: facts for path, facts in before.files.items() if path in there}

    def local(self, paths: Iterable[str]) -> list[Path]:
        """Files as they were made just now, or else as they are published."""
        return [
            self.made.get(path) or self.workspace.copy_of(self.published, path, self.facts[path])
            for path in paths
        ]

    def rows(self, table: Table, path: str) -> RowsBetween:
        """The rows of a year's file as it is published; none where there is none."""
        [copy] = self.local([path]) if path in self.facts else [None]
        return published_rows(table, copy)

    def write(self, path: str, content: bytes) -> None:
        self.made[path] = self.workspace.new(path)
        self.made[path].write_bytes(content)

    def write_year(
        self,
        table: Table,
        path: str,
        year: int,
        rows: RowsBetween,
        days: Collection[dt.date],
        read: ReadDay,
        checks: CountChecks = lambda _, __: {},
    ) -> None:
        """`rows` of a year's file with those of its days among `days` as `read` gives them."""
        target = self.workspace.new(path)
        write_shard(table, target, year, rows, {day for day in days if day.year == year}, read)
        self.add(path, target, *_rows_first_last(table, target), checks(target, year))

    def add(
        self,
        path: str,
        file: Path,
        rows: int,
        first: dt.date | None,
        last: dt.date | None,
        checks: Mapping[str, int] | None = None,
    ) -> None:
        """A file of rows that was made."""
        digest = hash_of(file).hexdigest()
        self.made[path] = file
        self.facts[path] = Facts(digest, file.stat().st_size, rows, first, last, checks or {})


def _rows_first_last(table: Table, shard: Path) -> tuple[int, dt.date | None, dt.date | None]:
    file = pq.read_metadata(shard)
    assert table.date_column is not None
    at = table.column_names.index(table.date_column)
    groups = [file.row_group(n).column(at).statistics for n in range(file.num_row_groups)]
    dates = [date for group in groups for date in (group.min, group.max)]
    return file.num_rows, min(dates, default=None), max(dates, default=None)
