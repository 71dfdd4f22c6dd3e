"""What shares were called on a day, out of the names that the vendor tells with their days.

Here belong pure functions over tables. How the vendor is asked is `resources.tushare`.
"""

import datetime as dt

import duckdb
import pyarrow as pa

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
    with duckdb.connect() as connection:
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


def with_names_of(intervals: pa.Table, listed: pa.Table, day: dt.date) -> pa.Table:
    """`listed` (STOCK_LIST) with the names that are valid on `day`, where one is told.

    `intervals` are NAME_INTERVALS. Where none is told, name and `name_since` are what they were.
    """
    with duckdb.connect() as connection:
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
