"""Edits of an answer's rows by their codes; each gives a new table and leaves the old as it was.

Here belongs what can be done to any table. Which rows, and why, is up to the habits.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

Table = dict[str, list[Any]]
Row = dict[str, Any]


def rows_of(table: Table, codes: Collection[str]) -> list[Row]:
    """The rows of `codes`, in the table's order."""
    return [
        {name: values[at] for name, values in table.items()}
        for at, code in enumerate(table["ts_code"])
        if code in codes
    ]


def without(table: Table, codes: Collection[str]) -> Table:
    """The table without the rows of `codes`."""
    if not codes:
        return table
    kept = [at for at, code in enumerate(table["ts_code"]) if code not in codes]
    return {name: [values[at] for at in kept] for name, values in table.items()}


def changed(table: Table, changes: Mapping[str, Row]) -> Table:
    """The table with other values in the rows of some codes."""
    if not changes:
        return table
    columns = {name for row in changes.values() for name in row}
    edited = table | {name: list(table[name]) for name in columns}
    for at, code in enumerate(table["ts_code"]):
        if code in changes:
            for name, value in changes[code].items():
                edited[name][at] = value
    return edited


def joined(table: Table, rows: Sequence[Row]) -> Table:
    """The table with `rows` at its end; of columns that they don't have they know nothing."""
    if not rows:
        return table
    return {name: [*values, *(row.get(name) for row in rows)] for name, values in table.items()}


def renamed(table: Table, names: Mapping[str, str]) -> Table:
    """The table with other codes for some rows."""
    return table | {"ts_code": [names.get(code, code) for code in table["ts_code"]]}
