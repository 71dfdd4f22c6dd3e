"""A year of a table as one parquet file, in the order of its key, a row group a month.

A month's bytes depend on its rows alone, so a new day changes the last row group and a restated
one its own: with content-defined chunking little more than that is sent. Memory holds a month.
"""

import datetime as dt
import itertools
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from marketdata_assets.storage.fitting import with_all_columns
from marketdata_assets.storage.io_manager import conform
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import Table

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
