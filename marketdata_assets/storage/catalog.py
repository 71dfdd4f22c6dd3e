"""The catalog: a small DuckDB database beside the lake with one commented view a table.

    duckdb <root>/catalog.duckdb -c "SELECT * FROM daily_prices WHERE code = '600000.SH'"

Here belongs how the views are made and published. They hold no data: they read the partition
files, so they are right however many processes write, and nobody keeps the database open.
"""

import secrets
from pathlib import Path

import duckdb
from filelock import FileLock

from marketdata_assets.storage.lake import CODE_FILES, DAY_FILES
from marketdata_assets.storage.reading import literal_path, quoted, select, select_nothing
from marketdata_assets.tables import STORED_TABLES, Table


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
        f"COMMENT ON VIEW {table.name} IS {quoted(table.description)};",
    ]
    for column in table.columns:
        comment = quoted(column.description)
        lines.append(f'COMMENT ON COLUMN {table.name}."{column.name}" IS {comment};')
    return "\n".join(lines)


def _select(root: Path, table: Table) -> str:
    folder = root.resolve() / "lake" / table.name
    if table.code_column:
        pattern = CODE_FILES
    else:
        pattern = DAY_FILES if table.date_column else f"{table.name}.parquet"
    if not any(folder.glob(pattern)):
        return select_nothing(table)
    files = quoted(f"{literal_path(folder)}/{pattern}")
    # A pattern can't tell what some program left there; a file holds what its name says.
    name, condition = "parse_filename(filename, true)", "true"
    if table.code_column:
        condition = f"{name} = {table.code_column}"
    elif table.date_column:
        condition = f"try_cast({name} AS DATE) = {table.date_column}"
    return select(table, files, condition)
