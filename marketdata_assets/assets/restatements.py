"""What a trading day said before: every value that was replaced after it had been stored.

Derived from the files of the lake alone, so it can be made again at any time. How two versions are
compared is `version_differences`; reading a whole table as it was is `storage.as_of`.
"""

import datetime as dt
import logging
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import dagster as dg
import duckdb
import pyarrow as pa

from marketdata_assets.assets.asset_arguments import Group, daily
from marketdata_assets.assets.version_differences import differences
from marketdata_assets.partitions import days_of
from marketdata_assets.storage.bounded_duckdb import bounded_duckdb
from marketdata_assets.storage.io_manager import FetchedDays, LakeResource, tell_of_day
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.versions import Version, held_still
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


@dg.asset(
    **daily(
        RESTATEMENTS,
        Group.RESTATEMENTS,
        kinds={"duckdb", "parquet"},
        deps=[dg.AssetKey(table.name) for table in REMEMBERED],
    )
)
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
        with held_still(lake) as versions:
            for table in REMEMBERED:
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
