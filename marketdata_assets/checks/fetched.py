"""Checks of the vendor's tables, each by itself, before a day of them is stored.

Here belongs what is asked of every table, and what a table may lose. What is asked of one table is
declared with it. That every row is of the day asked for and that no column is missing is refused
already where answers are read.
"""

import datetime as dt

import pyarrow as pa

from marketdata_assets.checks.excuses import Excuses
from marketdata_assets.checks.finding import Finding
from marketdata_assets.tables import Table
from marketdata_assets.tables.checking import Check, Mass, Outcome

# What is stored stays when an answer has less: nothing is lost by that, and what the vendor has
# truly removed is gone on the next day too.
ROWS_KEPT = Check(
    "rows_kept",
    "A day that is asked for again has every row that is stored of it. Rows that are absent on "
    "another day too, or that somebody excuses, are given up.",
    "重新获取时,已存的行仍在;次日再次缺失或经豁免后方予删除。",
    # Compared by `rows_gone`, not row by row.
    wrong="false",
    shown=(),
    outcome=Outcome.REFUSED,
    mass=Mass(0.0, 1),
)


def fetched_checks(table: Table) -> tuple[Check, ...]:
    """All checks of a fetched table."""
    counting = (table.row_count,) if table.row_count else ()
    return (*table.checks, *counting, ROWS_KEPT)


def rows_lost(
    table: Table, day: dt.date, rows: int, rows_before: int | None, excuses: Excuses
) -> list[Finding]:
    """What `row_count` says of a day with `rows` rows after a session with `rows_before`."""
    if table.row_count is None or not rows_before or rows >= rows_before:
        return []
    if excuses.covers(table.name, table.row_count.name, day, ""):
        return []
    sample = (f"{rows_before:,} on the session before",)
    found = Finding(table.row_count, table.name, day, rows_before - rows, rows_before, sample)
    return [found]


def rows_gone(table: Table, data: pa.Table, stored: pa.Table) -> dict[str, str]:
    """The codes of which `stored` has rows that `data` lacks, each with these rows' keys.

    The hours of a halt may be corrected: that is no other row.
    """
    key = [name for name in table.key if name not in (table.date_column, "suspend_timing")]
    there = {tuple(row.values()) for row in data.select(key).to_pylist()}
    gone: dict[str, str] = {}
    for row in stored.select(key).to_pylist():
        if tuple(row.values()) not in there:
            shown = " ".join(str(value) for value in row.values() if value is not None)
            code = row["ts_code"]
            gone[code] = f"{gone[code]}, {shown}" if code in gone else shown
    return gone
