"""The catalog: a small DuckDB database beside the lake with one commented view a table.

    duckdb <root>/catalog.duckdb -c "SELECT * FROM daily_prices WHERE code = '600000.SH'"

Here belongs how the views are made and published. They hold no data: they read the partition
files, so they are right however many processes write, and nobody keeps the database open.
"""

import re
import secrets
from pathlib import Path

import duckdb
import pyarrow as pa
from filelock import FileLock

from marketdata_assets.storage.lake import CODE_FILES, DAY_FILES
from marketdata_assets.tables import STORED_TABLES, Column, Table

_SQL_TYPES = {pa.string(): "VARCHAR", pa.date32(): "DATE", pa.float64(): "DOUBLE"}
_SQL_TYPES |= {pa.int8(): "TINYINT", pa.bool_(): "BOOLEAN"}
_SQL_TYPES |= {pa.timestamp("us", "UTC"): "TIMESTAMPTZ"}


def publish_catalog(root: Path) -> Path:
    """Write `catalog.duckdb` and its source `catalog.sql` under `root`, if they would change.

    They change when a table gets its first file, when a declaration changes or when the folder
    has moved. Readers that have the old database open keep it.
    """
    database, script = root / "catalog.duckdb", root / "catalog.sql"
    with FileLock(root / ".catalog.lock"):
        statements = "\n\n".join(_statements(root, table) for table in STORED_TABLES.values())
        if database.exists() and script.exists() and script.read_text("utf-8") == statements:
            return database
        unfinished = root / f".catalog.{secrets.token_hex(4)}.unfinished"
        with duckdb.connect(str(unfinished)) as connection:
            connection.execute(statements)
        unfinished.replace(database)
        script.write_text(statements, "utf-8")
    return database


def _statements(root: Path, table: Table) -> str:
    lines = [
        f"CREATE VIEW {table.name} AS {_select(root, table)};",
        f"COMMENT ON VIEW {table.name} IS {_quoted(table.description)};",
    ]
    for column in table.columns:
        comment = _quoted(column.description)
        lines.append(f'COMMENT ON COLUMN {table.name}."{column.name}" IS {comment};')
    return "\n".join(lines)


def _select(root: Path, table: Table) -> str:
    folder = root.resolve() / "lake" / table.name
    if table.code_column:
        pattern = CODE_FILES
    else:
        pattern = DAY_FILES if table.date_column else f"{table.name}.parquet"
    if not any(folder.glob(pattern)):
        columns = ", ".join(f"{_typed_null(column)}" for column in table.columns)
        return f"SELECT {columns} WHERE false"
    files = _quoted(f"{literal_path(folder)}/{pattern}")
    if table.code_column:
        # A code can't be told by a pattern, so a copy some program left there is told by its name.
        return (
            f"SELECT * EXCLUDE (filename) FROM read_parquet({files}, hive_partitioning = false, "
            f"filename = true) WHERE parse_filename(filename, true) = {table.code_column}"
        )
    return f"SELECT * FROM read_parquet({files}, hive_partitioning = false)"


def literal_path(path: Path) -> str:
    """A path for DuckDB, which would read `*`, `?` and `[` in it as patterns."""
    return re.sub(r"[*?\[]", lambda sign: f"[{sign.group()}]", str(path))


def _typed_null(column: Column) -> str:
    return f'CAST(NULL AS {_SQL_TYPES[column.type]}) AS "{column.name}"'


def _quoted(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"
