"""A year of the whole market as one parquet file, by date and code, a row group a month.

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

from marketdata_assets.storage.io_manager import conform
from marketdata_assets.tables import DAILY_PRICES

# The rows from one day to before another.
RowsBetween = Callable[[dt.date, dt.date], pa.Table]
ReadDay = Callable[[dt.date], pa.Table]
BY_DATE_AND_CODE = [("date", "ascending"), ("code", "ascending")]


def published_rows(path: Path | None) -> RowsBetween:
    """The rows of a shard; none without one."""

    def rows(start: dt.date, end: dt.date) -> pa.Table:
        if path is None:
            return DAILY_PRICES.schema.empty_table()
        span = [("date", ">=", start), ("date", "<", end)]
        return conform(DAILY_PRICES, pq.read_table(path, filters=span, partitioning=None))

    return rows


def changed_days(rows: RowsBetween, days: Collection[dt.date], read: ReadDay) -> list[dt.date]:
    """The days whose rows in `rows` are not those that `read` gives."""
    one = dt.timedelta(1)
    return [
        day
        for day in sorted(days)
        if not rows(day, day + one)
        .sort_by(BY_DATE_AND_CODE)
        .equals(read(day).sort_by(BY_DATE_AND_CODE))
    ]


def write_shard(
    target: Path, year: int, rows: RowsBetween, days: Collection[dt.date], read: ReadDay
) -> None:
    """Write `rows` of the year with `days` replaced by, or added from, what `read` gives."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(
        target,
        DAILY_PRICES.schema,
        compression="zstd",
        use_content_defined_chunking=True,
        write_page_index=True,
    ) as writer:
        for start, end in _months(year):
            kept = rows(start, end)
            ours = [day for day in sorted(days) if start <= day < end]
            if ours:
                replaced = pc.is_in(kept["date"], pa.array(ours, pa.date32()))
                kept = kept.filter(pc.invert(replaced))
            month = pa.concat_tables([kept, *(read(day) for day in ours)])
            if month.num_rows:
                month = month.sort_by(BY_DATE_AND_CODE).combine_chunks()
                writer.write_table(month, row_group_size=month.num_rows)


def _months(year: int) -> Iterator[tuple[dt.date, dt.date]]:
    starts = [dt.date(year, month, 1) for month in range(1, 13)] + [dt.date(year + 1, 1, 1)]
    return itertools.pairwise(starts)
