"""The catalog: a small DuckDB database beside the lake with one commented view a table.

One more view is reckoned from a table: `daily_prices_adjusted`.

    duckdb -readonly <root>/catalog.duckdb -c "SELECT * FROM daily_prices WHERE code = '600000.SH'"

Here belongs how the views are made and published. They hold no data: they read the partition
files, so they are right however many processes write, and nobody keeps the database open. Of
several hosts each has its own over the copies that it has, and the view `held` says how many of
the stored days these are.
"""

import hashlib
import logging
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb
from filelock import FileLock

from marketdata_assets.storage.durable_files import becoming, make_folder
from marketdata_assets.storage.lake import CODE_FILES, DAY_FILES
from marketdata_assets.storage.reading import literal_path, quoted, select, select_nothing
from marketdata_assets.tables import DAILY_PRICES, STORED_TABLES, Table
from marketdata_assets.tables.daily_prices import ADJUSTED_COLUMNS

logger = logging.getLogger(__name__)

# What every DuckDB from 1.0 on can read.
STORAGE_VERSION = "v1.0.0"
CREATE = "CREATE OR REPLACE VIEW"
HELD = "held"
HELD_DOC = """\
How many partitions of each table and year all hosts share, and how many of them this host had read
when the catalog was written. What it has not read is in no view.

各表各年由所有主机共用的分区数，以及写入目录库时本机已读取的分区数。未读取的不在任何视图中。"""
ADJUSTED_PRICES = "daily_prices_adjusted"
ADJUSTED_DOC = """\
daily_prices, with adjusted prices besides: forward (_qfq) in the money of the last day of the share
that has a factor, and backward (_hfq). NULL without a factor.

合并行情，另有复权价格：前复权（_qfq，以该股最后一个有因子的交易日为准）与后复权（_hfq）。无因子时为空。"""


class Held(NamedTuple):
    """What a host has of a table that many share: how many partitions are `stored`, by year, and
    the names of the `files` here that are the newest of theirs, by year.

    The year of a table without days is 0.
    """

    stored: Mapping[int, int]
    files: Mapping[int, Sequence[str]]


def publish_catalog(root: Path, held: Mapping[str, Held] | None = None) -> Path:
    """Write `catalog.duckdb` and its source `catalog.sql` under `root`, unless they are right.

    They are not when a table got its first file, when a declaration changed, when the folder has
    moved, or when the database is not what was written here: damaged, written by somebody else, or
    with the log of a program that was killed while it wrote, which nobody could open any more.
    Then a table with a damaged file may be left without its view, which is logged. Readers that
    have the old database open keep it. `held` is by table what a host of many has in `copies`.
    Raises `OSError` when the disk refuses.
    """
    database, script = root / "catalog.duckdb", root / "catalog.sql"
    try:
        make_folder(root)
        with FileLock(root / ".catalog.lock"):
            views = [
                _statements(root, table, held[table.name] if held is not None else None)
                for table in STORED_TABLES.values()
            ]
            views.append(_adjusted_prices())
            if held is not None:
                views.append(_held(held))
            known = _source(script) if is_as_written(root) else ""
            if known.partition("\n\n")[2] != "\n\n".join(views):
                try:
                    _replace(database, views, known)
                except duckdb.Error:
                    views = list(_readable(views))
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


def _readable(views: Sequence[str]) -> Iterator[str]:
    """Those whose files can be read: a damaged one must not keep the others from being made."""
    with duckdb.connect() as connection:
        for view in views:
            try:
                connection.execute(view)
                yield view
            except duckdb.Error as error:
                [name] = _names(view)
                logger.warning("The catalog has no view %s until it can be read: %s", name, error)


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


def _held(held: Mapping[str, Held]) -> str:
    """The view that says how much of every table is here."""
    rows = [
        f"({quoted(name)}, {year}, {count}, {len(one.files.get(year, ()))})"
        for name, one in held.items()
        for year, count in one.stored.items()
    ]
    values = ", ".join(rows or ["(NULL, NULL, NULL, NULL)"])
    return (
        f"{CREATE} {HELD} AS SELECT * FROM (VALUES {values}) "
        "AS held (table_name, year, stored, here) WHERE table_name IS NOT NULL;\n"
        f"COMMENT ON VIEW {HELD} IS {quoted(HELD_DOC)};"
    )


def _statements(root: Path, table: Table, held: Held | None) -> str:
    select = _select(root, table) if held is None else _select_held(root, table, held)
    return "\n".join(
        (
            f"{CREATE} {table.name} AS {select};",
            f"COMMENT ON VIEW {table.name} IS {quoted(table.description)};",
            *_comments(table.name, table),
        )
    )


def _comments(view: str, table: Table) -> list[str]:
    return [
        f'COMMENT ON COLUMN {view}."{column.name}" IS {quoted(column.description)};'
        for column in table.columns
    ]


def _select_held(root: Path, table: Table, held: Held) -> str:
    files = [name for names in held.files.values() for name in names]
    if not files:
        return select_nothing(table)
    by_year = "[0-9][0-9][0-9][0-9]/" if table.date_column and not table.code_column else ""
    folder = literal_path(root.resolve() / "copies" / "lake" / table.name)
    # Beside them lie copies of what was stored before.
    names = ", ".join(map(quoted, files))
    condition = f"parse_filename(filename) IN ({names})"
    return select(table, quoted(f"{folder}/{by_year}*.parquet"), condition)


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
