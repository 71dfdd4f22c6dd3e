"""The files of the next publication while they are being made: what each holds, and where it lies.

A table's year is one parquet file, in the order of its key, a row group a month. A month's bytes
depend on its rows alone, so a new day changes the last row group and a restated one its own: with
content-defined chunking little more than that is sent. Memory holds a month.

Here belongs how such a file is written and gets its facts, what is counted in it and what forbids
publishing it, and how a published one is had. Which files are made, and of which days, is `build`.
"""

import datetime as dt
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from marketdata_assets.errors import MarketdataError
from marketdata_assets.publishing.manifest import Facts, Manifest, hash_of
from marketdata_assets.publishing.workspace import Published, Workspace
from marketdata_assets.storage.bounded_duckdb import bounded_duckdb
from marketdata_assets.storage.fitting import with_all_columns
from marketdata_assets.storage.io_manager import conform
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.reading import rows_of
from marketdata_assets.tables import DAILY_PRICES, Table
from marketdata_assets.trading_calendar import sessions_between

TEXTS = [c.name for c in DAILY_PRICES.columns if str(c.type) == "string"]
# Each counts rows; the names are read by people, in the manifest.
COUNTED = {
    "rows without limits": "high_limit IS NULL AND low_limit IS NULL",
    "rows without indicators": "total_mv IS NULL AND turnover_rate IS NULL",
    "rows without name": "name IS NULL",
    "prices outside low and high": (
        "open NOT BETWEEN low AND high OR close NOT BETWEEN low AND high"
    ),
    "closes outside their limits": "close NOT BETWEEN low_limit AND high_limit",
    "rows with a line break in a text": " OR ".join(
        rf"""regexp_matches("{name}", '[\r\n]')""" for name in TEXTS
    ),
}
REPEATED = "rows repeated"
NOT_A_SESSION = "rows on days without trading"

# The rows from one day to before another.
RowsBetween = Callable[[dt.date, dt.date], pa.Table]
ReadDay = Callable[[dt.date], pa.Table]


def published_rows(table: Table, path: Path | None) -> RowsBetween:
    """The rows of a shard; none without one."""

    def rows(start: dt.date, end: dt.date) -> pa.Table:
        if path is None:
            return table.schema.empty_table()
        span = [(table.date_column, ">=", start), (table.date_column, "<", end)]
        found = pq.read_table(path, filters=span, partitioning=None)
        return conform(table, with_all_columns(table, found))

    return rows


def stored_rows(lake: Lake, table: Table) -> ReadDay:
    """The rows of a day as the lake has them. They raise what `Lake.load` raises."""

    def read(day: dt.date) -> pa.Table:
        return lake.load(table, day).rows.replace_schema_metadata(None)

    return read


def changed_days(
    table: Table, rows: RowsBetween, days: Collection[dt.date], read: ReadDay
) -> list[dt.date]:
    """The days whose rows in `rows` are not those that `read` gives."""
    one, order = dt.timedelta(1), _order(table)
    return [
        day
        for day in sorted(days)
        if not rows(day, day + one).sort_by(order).equals(read(day).sort_by(order))
    ]


def write_shard(
    table: Table,
    target: Path,
    year: int,
    rows: RowsBetween,
    days: Collection[dt.date],
    read: ReadDay,
) -> None:
    """Write `rows` of the year with `days` replaced by, or added from, what `read` gives."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(
        target,
        table.schema,
        compression="zstd",
        use_content_defined_chunking=True,
        write_page_index=True,
    ) as writer:
        for start, end in _months(year):
            kept = rows(start, end)
            ours = [day for day in sorted(days) if start <= day < end]
            if ours:
                replaced = pc.is_in(kept[table.date_column], pa.array(ours, pa.date32()))
                kept = kept.filter(pc.invert(replaced))
            month = pa.concat_tables([kept, *(read(day) for day in ours)])
            if month.num_rows:
                month = month.sort_by(_order(table)).combine_chunks()
                writer.write_table(month, row_group_size=month.num_rows)


def _order(table: Table) -> list[tuple[str, str]]:
    return [(name, "ascending") for name in table.key]


def _months(year: int) -> Iterator[tuple[dt.date, dt.date]]:
    starts = [dt.date(year, month, 1) for month in range(1, 13)] + [dt.date(year + 1, 1, 1)]
    return itertools.pairwise(starts)


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
        checks: Callable[[Path, int], Mapping[str, int]] = lambda _, __: {},
    ) -> None:
        """`rows` of a year's file with those of its days among `days` as `read` gives them."""
        target = self.workspace.new(path)
        write_shard(table, target, year, rows, days, read)
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
        digest = hash_of(file)
        self.made[path] = file
        self.facts[path] = Facts(digest, file.stat().st_size, rows, first, last, checks or {})


def _rows_first_last(table: Table, shard: Path) -> tuple[int, dt.date | None, dt.date | None]:
    file = pq.read_metadata(shard)
    assert table.date_column is not None
    at = table.column_names.index(table.date_column)
    groups = [file.row_group(n).column(at).statistics for n in range(file.num_row_groups)]
    dates = [date for group in groups for date in (group.min, group.max)]
    return file.num_rows, min(dates, default=None), max(dates, default=None)


class NotFitToPublish(MarketdataError, is_final=True):
    """Rows that would make the dataset wrong."""


def counted_checks(shard: Path, year: int) -> dict[str, int]:
    """How many rows of the shard break each check. Raises `NotFitToPublish` for repeated ones."""
    counts = ", ".join(f"count(*) FILTER ({condition})" for condition in COUNTED.values())
    sessions = set(sessions_between(dt.date(year, 1, 1), dt.date(year, 12, 31)))
    with bounded_duckdb() as connection:
        rows = rows_of(connection, DAILY_PRICES, [shard])
        [numbers] = rows.aggregate(counts).fetchall()
        [[repeated]] = (
            rows.aggregate("date, code, count(*) AS n").aggregate("sum(n - 1)").fetchall()
        )
        by_day = dict(rows.aggregate("date, count(*)").fetchall())
    checks = {name: int(number) for name, number in zip(COUNTED, numbers, strict=True)}
    checks[REPEATED] = int(repeated or 0)
    checks[NOT_A_SESSION] = sum(n for day, n in by_day.items() if day not in sessions)
    if repeated:
        raise NotFitToPublish(
            f"the prices of {year} are not fit to publish: {repeated} {REPEATED}. Materialize "
            "daily_prices of this year again; if it was published so, restore an older revision."
        )
    return checks
