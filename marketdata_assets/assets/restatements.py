"""What a trading day said before: every value that was replaced after it had been stored.

Derived from the files of the lake alone, so it can be made again at any time. How two versions are
compared is `version_differences`; reading a whole table as it was is `storage.as_of`.
"""

import datetime as dt
import logging
from collections.abc import Iterator, Sequence

import dagster as dg
import duckdb
import pyarrow as pa

from marketdata_assets.assets.declaring import daily
from marketdata_assets.assets.version_differences import differences
from marketdata_assets.partitions import days_of
from marketdata_assets.storage.io_manager import MEMORY_LIMIT, FetchedDays, LakeResource
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.versions import Version, held_still
from marketdata_assets.tables import (
    ADJ_FACTOR,
    DAILY_BASIC,
    DAILY_KLINE,
    DAILY_PRICES,
    PRICE_LIMITS,
    RESTATEMENTS,
    STOCK_LIST,
    SUSPENSIONS,
    Table,
)

# Values of funds are not among them: they arrive over days, which restates nothing.
REMEMBERED = (
    STOCK_LIST,
    DAILY_KLINE,
    PRICE_LIMITS,
    DAILY_BASIC,
    ADJ_FACTOR,
    SUSPENSIONS,
    DAILY_PRICES,
)


@dg.asset(
    **daily(
        RESTATEMENTS,
        "memory",
        kinds={"duckdb", "parquet"},
        deps=[dg.AssetKey(table.name) for table in REMEMBERED],
    )
)
def restatements(context: dg.AssetExecutionContext, lake: LakeResource) -> FetchedDays:
    days = days_of(context.partition_keys)
    return FetchedDays([], _told(context, restated_days(lake.open(), days, context.log)))


def _told(
    context: dg.AssetExecutionContext, days: Iterator[tuple[dt.date, pa.Table]]
) -> Iterator[tuple[dt.date, pa.Table]]:
    for day, found in days:
        counts: dict[str, dg.MetadataValue] = {
            "restatements": dg.MetadataValue.int(found.num_rows),
            "by table": dg.MetadataValue.md(counted(found) if found.num_rows else "none"),
        }
        context.add_asset_metadata(counts, partition_key=day.isoformat())
        yield day, found


def counted(found: pa.Table) -> str:
    """How many values of each table were restated, as a markdown table."""
    rows = found.group_by(["table_name", "kind"]).aggregate([([], "count_all")])
    lines = [
        f"| {row['table_name']} | {row['kind']} | {row['count_all']} |"
        for row in rows.sort_by([("table_name", "ascending"), ("kind", "ascending")]).to_pylist()
    ]
    return "\n".join(["| table | kind | restatements |", "|---|---|---|", *lines])


def restated_days(
    lake: Lake, days: Sequence[dt.date], log: logging.Logger
) -> Iterator[tuple[dt.date, pa.Table]]:
    """Each day with its rows of RESTATEMENTS, of all tables; one day is held at a time.

    A file that can't be compared, damaged or without the table's key, is left out and logged.
    """
    settings = {"memory_limit": MEMORY_LIMIT, "temp_directory": str(lake.root / "spill")}
    with duckdb.connect(config=settings) as connection:  # type: ignore[arg-type]
        connection.execute("SET enable_progress_bar = false; SET TimeZone = 'UTC'")
        for day in days:
            found = [RESTATEMENTS.schema.empty_table()]
            with held_still(lake) as versions:
                for table in REMEMBERED:
                    comparable = _comparable(table, day, versions.of(table, day), log)
                    if len(comparable) > 1:
                        found.append(differences(connection, table, day, comparable))
            yield day, pa.concat_tables(found)


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
