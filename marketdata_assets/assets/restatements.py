"""What a trading day said before: every value that was replaced after it had been stored.

Derived from the files of the lake alone, so it can be made again at any time: neighbouring versions
of a partition are compared value by value. Reading a whole table as it was is `storage.as_of`.
"""

import datetime as dt
import itertools
import logging
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import dagster as dg
import duckdb
import pyarrow as pa

from marketdata_assets.assets.asset_arguments import Group, computed
from marketdata_assets.partitions import days_of
from marketdata_assets.storage.as_of import Version, held_still
from marketdata_assets.storage.bounded_duckdb import bounded_duckdb
from marketdata_assets.storage.io_manager import FetchedDays, LakeResource, conform, tell_of_day
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.reading import literal_path
from marketdata_assets.tables import (
    DAILY_PRICES,
    RESTATEMENTS,
    STOCK_LIST,
    STORED_TABLES,
    Table,
)
from marketdata_assets.tables.declaration import Chain

# Values of funds are not among them: they arrive over days, which restates nothing.
REMEMBERED = tuple(
    table
    for table in STORED_TABLES.values()
    if table.chain is Chain.STOCKS or table in (STOCK_LIST, DAILY_PRICES)
)

# What odd files can make of a comparison. It tells of the past, so it never stops a day.
NOT_COMPARABLE = (duckdb.Error, pa.ArrowException, OSError, ValueError, AssertionError)

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


@dg.asset(**computed(RESTATEMENTS, Group.RESTATEMENTS, REMEMBERED))
def restatements(context: dg.AssetExecutionContext, lake: LakeResource) -> FetchedDays:
    days = days_of(context.partition_keys)
    return FetchedDays([], _told(context, restated_days(lake.open(), days, context.log)))


def _told(
    context: dg.AssetExecutionContext, days: Iterator["ComparedDay"]
) -> Iterator[tuple[dt.date, pa.Table]]:
    for day, found, not_compared in days:
        counts: dict[str, dg.MetadataValue] = {
            "restatements": dg.MetadataValue.int(found.num_rows),
            "by table": dg.MetadataValue.md(counted(found) if found.num_rows else "none"),
            "not compared": dg.MetadataValue.int(len(not_compared)),
        }
        tell_of_day(context, day, counts)
        yield day, found


def counted(found: pa.Table) -> str:
    """How many values of each table were restated, as a markdown table."""
    rows = found.group_by(["table_name", "kind"]).aggregate([([], "count_all")])
    lines = [
        f"| {row['table_name']} | {row['kind']} | {row['count_all']} |"
        for row in rows.sort_by([("table_name", "ascending"), ("kind", "ascending")]).to_pylist()
    ]
    return "\n".join(["| table | kind | restatements |", "|---|---|---|", *lines])


class ComparedDay(NamedTuple):
    """A day with its rows of RESTATEMENTS, and the tables whose versions could not be compared."""

    day: dt.date
    found: pa.Table
    not_compared: list[Table]


def restated_days(
    lake: Lake, days: Sequence[dt.date], log: logging.Logger
) -> Iterator[ComparedDay]:
    """Each day with its restatements of all tables; one day is held at a time.

    A file that can't be compared, damaged or without the table's key, is left out and logged; so
    is a table when the comparison of its versions fails.
    """
    for day in days:
        found, not_compared = [RESTATEMENTS.schema.empty_table()], []
        replaced = [table for table in REMEMBERED if lake.earlier_versions(table, day)]
        with held_still(lake) as versions:
            for table in replaced:
                try:
                    comparable = _comparable(table, day, versions.of(table, day), log)
                    if len(comparable) > 1:
                        found.append(_differences(lake, table, day, comparable))
                except NOT_COMPARABLE as fault:
                    not_compared.append(table)
                    log.warning(
                        f"{table.name} {day}: its versions can't be compared "
                        f"({str(fault).splitlines()[0] if str(fault) else type(fault).__name__}); "
                        "the other tables are. Look at the files below "
                        f"{lake.versions_folder(table, day)}, restore or remove what is damaged, "
                        "then materialize restatements for the day again."
                    )
        yield ComparedDay(day, pa.concat_tables(found), not_compared)


def _differences(lake: Lake, table: Table, day: dt.date, versions: Sequence[Version]) -> pa.Table:
    # A connection of its own: what an odd file does to one must not be met by the next table.
    with bounded_duckdb(lake.root / "spill") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return differences(connection, table, day, versions)


def _comparable(
    table: Table, day: dt.date, versions: Sequence[Version], log: logging.Logger
) -> list[Version]:
    usable = []
    for version in versions:
        columns = version.schema.names if version.schema is not None else []
        if set(table.key) <= set(columns):
            usable.append(version)
        else:
            log.warning(
                f"{table.name} {day}: {version.path} is damaged or has another key; the versions "
                "before and after it are compared instead."
            )
    return usable


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
