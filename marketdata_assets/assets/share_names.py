"""What shares were called on a day, out of the names that the vendor tells with their days.

Here belong pure functions over tables. How the vendor is asked is `resources.tushare`.
"""

import datetime as dt
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.storage.bounded_duckdb import brief_duckdb
from marketdata_assets.storage.io_manager import conform
from marketdata_assets.tables import STOCK_LIST

# `name_until` is the last day of the name, NULL where it lasts.
NAME_INTERVALS = pa.schema(
    [
        ("ts_code", pa.string()),
        ("name", pa.string()),
        ("name_since", pa.date32()),
        ("name_until", pa.date32()),
    ]
)


def name_intervals(changes: pa.Table) -> pa.Table:
    """From when until when every share had which name: NAME_INTERVALS out of NAME_CHANGES.

    Intervals of one share never overlap: a name ends on the day that the vendor tells, and at the
    latest on the day before the next one begins. Between two of them, and where two names begin on
    the same day, the name is not told.
    """
    with brief_duckdb() as connection:
        connection.register("changes", changes)
        intervals = connection.sql(
            """
            WITH begun AS (
                SELECT
                    ts_code,
                    start_date AS name_since,
                    if(count(DISTINCT name) = 1, min(name), NULL) AS name,
                    -- A row can be there once more from before its end was known.
                    min(end_date) AS end_date
                FROM (SELECT * REPLACE (nullif(trim(name), '') AS name) FROM changes)
                WHERE ts_code IS NOT NULL AND start_date IS NOT NULL
                GROUP BY ts_code, start_date
            ),
            followed AS (
                SELECT
                    *,
                    lead(name_since) OVER (PARTITION BY ts_code ORDER BY name_since) AS next_since
                FROM begun
            )
            SELECT ts_code, name, name_since, least(end_date, next_since - 1) AS name_until
            FROM followed
            WHERE name IS NOT NULL AND coalesce(name_until >= name_since, true)
            ORDER BY ts_code, name_since
            """
        )
        return intervals.to_arrow_table().cast(NAME_INTERVALS)


def told_otherwise(intervals: pa.Table, stocks: pa.Table, today: dt.date) -> list[str]:
    """The codes of listed shares that STOCK_BASIC knows by another name than is told for `today`.

    One of the two is late, and since when the share has had its new name is not known. What is no
    longer listed may be called there as it never was while it traded.
    """
    now, listed = (
        table.set_column(
            table.column_names.index("name"), "name", pc.utf8_normalize(table["name"], "NFKC")
        )
        for table in (intervals, stocks)
    )
    with brief_duckdb() as connection:
        connection.register("now", now)
        connection.register("listed", listed)
        rows = connection.execute(
            """
            SELECT ts_code FROM now JOIN listed USING (ts_code)
            WHERE $today BETWEEN name_since AND coalesce(name_until, $today)
                AND list_status = 'L'
                AND replace(now.name, ' ', '') <> replace(listed.name, ' ', '')
            ORDER BY ts_code
            """,
            {"today": today},
        ).fetchall()
    return [code for (code,) in rows]


def without_name_of(intervals: pa.Table, codes: Sequence[str], today: dt.date) -> pa.Table:
    """`intervals` without those of `codes` that reach to `today`: their end is not known."""
    reaches = pc.fill_null(pc.greater_equal(intervals["name_until"], pa.scalar(today)), True)
    return intervals.filter(
        pc.invert(pc.and_(reaches, pc.is_in(intervals["ts_code"], pa.array(codes, pa.string()))))
    )


def with_names_of(intervals: pa.Table, listed: pa.Table, day: dt.date) -> pa.Table:
    """`listed` (STOCK_LIST) with the names that are valid on `day`, where one is told.

    `intervals` are NAME_INTERVALS. Where none is told, name and `name_since` are what they were.
    """
    with brief_duckdb() as connection:
        connection.register("listed", listed)
        connection.register("intervals", intervals)
        named = connection.sql(
            """
            SELECT listed.* REPLACE (
                coalesce(told.name, listed.name) AS name,
                coalesce(told.name_since, listed.name_since) AS name_since
            )
            FROM listed
            LEFT JOIN (
                SELECT * FROM intervals
                WHERE name_since <= $day AND coalesce(name_until >= $day, true)
            ) AS told USING (ts_code)
            """,
            params={"day": day},
        )
        return conform(STOCK_LIST, named.to_arrow_table())
