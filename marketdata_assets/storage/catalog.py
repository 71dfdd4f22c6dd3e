"""The catalog: a small DuckDB database beside the lake with one commented view a table.

One more view is reckoned from a table: `daily_prices_adjusted`.

    duckdb -readonly <root>/catalog.duckdb -c "SELECT * FROM daily_prices WHERE code = '600000.SH'"

Here belongs how the views are made and published. They hold no data: they read the partition
files, so they are right however many processes write, and nobody keeps the database open.
"""

import hashlib
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import duckdb
from filelock import FileLock

from marketdata_assets.storage.durable_files import becoming, make_folder
from marketdata_assets.storage.lake import CODE_FILES, DAY_FILES
from marketdata_assets.storage.reading import literal_path, quoted, select, select_nothing
from marketdata_assets.tables import DAILY_PRICES, STORED_TABLES, Table
from marketdata_assets.tables.daily_prices import ADJUSTED_COLUMNS

# What every DuckDB from 1.0 on can read.
STORAGE_VERSION = "v1.0.0"
CREATE = "CREATE OR REPLACE VIEW"
ADJUSTED_PRICES = "daily_prices_adjusted"
ADJUSTED_DOC = """\
daily_prices, with adjusted prices besides: forward (_qfq) in the money of the last day of the share
that has a factor, and backward (_hfq). NULL without a factor.

合并行情,另有复权价格:前复权(_qfq,以该股最后一个有因子的交易日为准)与后复权(_hfq)。无因子时为空。"""


def publish_catalog(root: Path) -> Path:
    """Write `catalog.duckdb` and its source `catalog.sql` under `root`, unless they are right.

    They are not when a table got its first file, when a declaration changed, when the folder has
    moved, or when the database is not what was written here: damaged, written by somebody else, or
    with the log of a program that was killed while it wrote, which nobody could open any more.
    Readers that have the old database open keep it. Raises `OSError` when the disk refuses.
    """
    database, script = root / "catalog.duckdb", root / "catalog.sql"
    try:
        make_folder(root)
        with FileLock(root / ".catalog.lock"):
            views = [_statements(root, table) for table in STORED_TABLES.values()]
            views.append(_adjusted_prices())
            known = _source(script) if is_as_written(root) else ""
            if known.partition("\n\n")[2] != "\n\n".join(views):
                _replace(database, views, known)
                with becoming(script) as unfinished:
                    text = "\n\n".join([_headline(database).decode().strip(), *views])
                    unfinished.write_text(text, "utf-8")
    except (OSError, duckdb.Error) as error:
        raise OSError(
            f"{database} could not be written ({error}); the tables are as they are stored. Make "
            "room or give write permission: it is made with the next run, or the next start."
        ) from error
    return database


def is_as_written(root: Path) -> bool:
    """Whether the catalog is the one that was written here, or there is none yet.

    Reads all of it, a megabyte.
    """
    database, script = root / "catalog.duckdb", root / "catalog.sql"
    try:
        with script.open("rb") as file:
            return file.readline() == _headline(database) and not _logs(database)
    except FileNotFoundError:
        return not database.exists() and not script.exists()
    except OSError:
        return False


def _source(script: Path) -> str:
    """What the database was made from, a damaged letter as one that fits nowhere."""
    return script.read_text("utf-8", errors="replace") if script.exists() else ""


def _headline(database: Path) -> bytes:
    with database.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"-- {database.name} is sha256:{digest}\n".encode()


def _replace(database: Path, views: Sequence[str], known: str) -> None:
    """Make the database, or change those of its views that are not in its `known` source."""
    with becoming(database) as unfinished:
        changed = views
        if _names(known) == _names("\n".join(views)):
            shutil.copyfile(database, unfinished)
            changed = [view for view in views if view not in known]
        try:
            _make(unfinished, "\n\n".join(changed))
        finally:
            _remove_logs(unfinished)
        # Another program's log is of the database that goes.
        _remove_logs(database)


def _names(statements: str) -> list[str]:
    return re.findall(rf"^{CREATE} (\w+) AS", statements, re.MULTILINE)


def _make(database: Path, statements: str) -> None:
    with duckdb.connect() as connection:
        place = quoted(str(database))
        connection.execute(
            f"ATTACH {place} AS made (STORAGE_VERSION '{STORAGE_VERSION}'); USE made"
        )
        # A transaction, since each one that is written waits for the disk.
        connection.execute(f"BEGIN; {statements}; COMMIT")
        # Closing does it too, and says nothing where the disk is full.
        connection.execute("CHECKPOINT made")


def _remove_logs(database: Path) -> None:
    for log in _logs(database):
        log.unlink(missing_ok=True)


def _logs(database: Path) -> list[Path]:
    """What DuckDB has beside a database while it is written, or since its writer was killed."""
    return list(database.parent.glob(f"{database.name}.wal*"))


def _adjusted_prices() -> str:
    """The statements of the view that is reckoned: as `adjusting` does it, of all shares."""
    columns = [f'"{name}"' for name in DAILY_PRICES.column_names]
    forward = [f"{name} * (adj_factor / last_factor) AS {name}_qfq" for name in ADJUSTED_COLUMNS]
    backward = [f"{name} * adj_factor AS {name}_hfq" for name in ADJUSTED_COLUMNS]
    return "\n".join(
        (
            f"{CREATE} {ADJUSTED_PRICES} AS SELECT {', '.join([*columns, *forward, *backward])} "
            "FROM (SELECT *, arg_max(adj_factor, date) OVER (PARTITION BY code) AS last_factor "
            f"FROM {DAILY_PRICES.name});",
            f"COMMENT ON VIEW {ADJUSTED_PRICES} IS {quoted(ADJUSTED_DOC)};",
            *_comments(ADJUSTED_PRICES, DAILY_PRICES),
        )
    )


def _statements(root: Path, table: Table) -> str:
    return "\n".join(
        (
            f"{CREATE} {table.name} AS {_select(root, table)};",
            f"COMMENT ON VIEW {table.name} IS {quoted(table.description)};",
            *_comments(table.name, table),
        )
    )


def _comments(view: str, table: Table) -> list[str]:
    return [
        f'COMMENT ON COLUMN {view}."{column.name}" IS {quoted(column.description)};'
        for column in table.columns
    ]


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
