"""Parquet files of a table as DuckDB reads them: with the declared columns, whenever written.

Here belongs the SQL of reading. Which files are read, and that they are what was written, is up to
whoever asks.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import duckdb
import pyarrow as pa

from marketdata_assets.tables import Table

_SQL_TYPES = {pa.string(): "VARCHAR", pa.date32(): "DATE", pa.float64(): "DOUBLE"}
_SQL_TYPES |= {pa.int8(): "TINYINT", pa.int32(): "INTEGER", pa.bool_(): "BOOLEAN"}
_SQL_TYPES |= {pa.timestamp("us", "UTC"): "TIMESTAMPTZ"}


def rows_of(
    connection: duckdb.DuckDBPyConnection, table: Table, paths: Iterable[Path]
) -> duckdb.DuckDBPyRelation:
    """The rows of files as one relation; a column that a file lacks is NULL."""
    files = ", ".join(quoted(literal_path(path)) for path in paths)
    return connection.sql(select(table, f"[{files}]"))


def select(table: Table, files: str, condition: str = "true") -> str:
    """The query of the rows of `files`, an expression of SQL, with the declared columns.

    The condition may speak of the column `filename`, too.
    """
    names = ", ".join(f'"{name}"' for name in table.column_names)
    options = "hive_partitioning = false, union_by_name = true, filename = true"
    # The first branch has no row: it names columns that no file has yet.
    return (
        f"SELECT {names} FROM ({select_nothing(table)} "
        f"UNION ALL BY NAME SELECT * FROM read_parquet({files}, {options}) WHERE {condition})"
    )


def select_nothing(table: Table) -> str:
    """The query of no row, with the declared columns."""
    columns = (f'CAST(NULL AS {_SQL_TYPES[c.type]}) AS "{c.name}"' for c in table.columns)
    return f"SELECT {', '.join(columns)} WHERE false"


def literal_path(path: Path) -> str:
    """A path for DuckDB, which would read `*`, `?` and `[` in it as patterns."""
    return re.sub(r"[*?\[]", lambda sign: f"[{sign.group()}]", str(path))


def quoted(text: str) -> str:
    """The text as a literal of SQL."""
    escaped = text.replace("'", "''")
    return f"'{escaped}'"
