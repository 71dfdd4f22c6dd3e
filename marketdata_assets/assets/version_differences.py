"""The differences between consecutive versions of a partition, value by value.

Here belongs a pure function over partition files. Which files are compared is `restatements`.
"""

import datetime as dt
import itertools
from collections.abc import Sequence

import duckdb
import pyarrow as pa

from marketdata_assets.storage.io_manager import conform
from marketdata_assets.storage.reading import literal_path
from marketdata_assets.storage.versions import Version
from marketdata_assets.tables import RESTATEMENTS, Table

# A step leads from version step - 1 to version step. What a state replaced was first seen at the
# last earlier step that touched the same value or its whole row, or with the first version that
# has the column at all.
WITH_TIMES = """
    SELECT
        $day::DATE AS trade_date,
        $table AS table_name,
        found.* EXCLUDE (step),
        seen.known_from AS first_seen,
        before.until AS replaced_at
    FROM (
        SELECT
            d.*,
            greatest(
                lag(d.step) OVER (PARTITION BY d.ts_code, d.column_name ORDER BY d.step),
                whole.step,
                columns.since
            ) AS seen_at
        FROM differences AS d
        ASOF LEFT JOIN (FROM differences WHERE column_name = '') AS whole
            ON d.ts_code = whole.ts_code AND d.step > whole.step
        JOIN columns ON d.column_name = columns.name
    ) AS found
    JOIN versions AS seen ON seen.number = found.seen_at
    JOIN versions AS before ON before.number = found.step - 1
    ORDER BY ts_code, column_name, replaced_at
"""


def differences(
    connection: duckdb.DuckDBPyConnection, table: Table, day: dt.date, versions: Sequence[Version]
) -> pa.Table:
    """Rows of RESTATEMENTS for every value that differs between neighbours of `versions`.

    `versions` are those of one partition, oldest first, all with the table's key. Columns are
    compared where both versions have them with the same type. Values are told as DuckDB's text,
    which reads back exactly: for floats the shortest that does. Raises `ValueError` when a version
    holds a key twice, and whatever DuckDB says of a file that it can't read.
    """
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE differences "
        "(ts_code TEXT, column_name TEXT, kind TEXT, old TEXT, new TEXT, step INT)"
    )
    for step, (old, new) in enumerate(itertools.pairwise(versions), start=1):
        connection.read_parquet(literal_path(old.path), hive_partitioning=False).create_view("old")
        connection.read_parquet(literal_path(new.path), hive_partitioning=False).create_view("new")
        connection.execute(f"INSERT INTO differences {_rows(table, step)}")
        if compared := _same_columns(table, old, new):
            connection.execute(f"INSERT INTO differences {_values(table, compared, step)}")
    connection.register("columns", _first_versions(versions))
    connection.register(
        "versions",
        pa.table(
            {
                "number": list(range(len(versions))),
                "known_from": [version.known_from for version in versions],
                "until": [version.until for version in versions],
            }
        ),
    )
    found = connection.sql(WITH_TIMES, params={"day": day, "table": table.name})
    rows = conform(RESTATEMENTS, found.to_arrow_table())
    if repeated := RESTATEMENTS.repeated_keys(rows):
        raise ValueError(f"a key occurs twice in one version: {', '.join(repeated[:3])}")
    return rows


def _rows(table: Table, step: int) -> str:
    """Whole rows that one of the two versions lacks."""
    return f"""
        SELECT {_code(table)} AS ts_code, '' AS column_name, kind, NULL AS old, NULL AS new, {step}
        FROM (
            SELECT *, 'removed' AS kind FROM (FROM old ANTI JOIN new ON {_same_key(table)})
            UNION ALL BY NAME
            SELECT *, 'added' AS kind FROM (FROM new ANTI JOIN old ON {_same_key(table)})
        )
    """


def _values(table: Table, columns: Sequence[str], step: int) -> str:
    """Single values that differ in rows that both versions have."""
    pairs = ", ".join(
        f'{{column_name: \'{name}\', old: old."{name}"::TEXT, new: new."{name}"::TEXT, '
        f'differs: old."{name}" IS DISTINCT FROM new."{name}"}}'
        for name in columns
    )
    return f"""
        SELECT ts_code, pair.column_name, 'changed' AS kind, pair.old, pair.new, {step}
        FROM (
            SELECT {_code(table, "old.")} AS ts_code, unnest([{pairs}]) AS pair
            FROM old JOIN new ON {_same_key(table)}
        )
        WHERE pair.differs
    """


def _same_key(table: Table) -> str:
    """A NULL in a key means something, so it equals itself."""
    return " AND ".join(f'old."{name}" IS NOT DISTINCT FROM new."{name}"' for name in table.key)


def _code(table: Table, of: str = "") -> str:
    """The key but for the day, as one text; a NULL in it is left out."""
    names = ", ".join(f'{of}"{name}"' for name in table.key if name != table.date_column)
    return f"concat_ws(' ', {names})"


def _columns(version: Version) -> dict[str, pa.DataType]:
    assert version.schema is not None, f"{version.path} can't be compared"
    return {field.name: field.type for field in version.schema}


def _same_columns(table: Table, old: Version, new: Version) -> list[str]:
    before, after = _columns(old), _columns(new)
    return [name for name in before if name not in table.key and before[name] == after.get(name)]


def _first_versions(versions: Sequence[Version]) -> pa.Table:
    """For every column, and for whole rows, the number of the first version that has it."""
    since = {"": 0}
    for number, version in enumerate(versions):
        for name in _columns(version):
            since.setdefault(name, number)
    return pa.table({"name": list(since), "since": list(since.values())})
