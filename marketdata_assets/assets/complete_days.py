"""Which days of a run can be computed: those of which every table is stored that they take.

A day that was refused, or is not published, is absent; the other days of the run go on.
"""

import datetime as dt
from collections.abc import Iterator, Sequence

import dagster as dg
import duckdb

from marketdata_assets.checks.running import of_days, read_once
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import Table

Relation = duckdb.DuckDBPyRelation

# The whole market of so many sessions can be joined and sorted within `bounded_duckdb`.
DAYS_TOGETHER = 15


def complete_days(
    context: dg.AssetExecutionContext, made: Table, lake: Lake, tables: Sequence[Table]
) -> list[dt.date]:
    """The days of the run that all `tables` are stored of, those before a table's first included.

    Says which days are left out and why. Raises `dg.Failure` when none is left.
    """
    days = [dt.date.fromisoformat(key) for key in context.partition_keys]
    lacking = {
        day: names
        for day in days
        if (
            names := [
                _lacking(table, day, lake) for table in tables if not lake.describe(table, day)
            ]
        )
    }
    lines = [f"{made.name} {day}: {', '.join(names)}" for day, names in lacking.items()]
    if len(lacking) == len(days):
        shown = "\n".join(lines[:10])
        raise dg.Failure(
            f"{shown}\nMaterialize what is missing first; a refused day says why in `findings`.",
            allow_retries=False,
        )
    for line in lines:
        context.log.warning(f"{line}; the day is left out.")
    return [day for day in days if day not in lacking]


def parts_of(days: Sequence[dt.date]) -> Iterator[Sequence[dt.date]]:
    """The days in stretches that are made together; each looks back as a run of its own does."""
    for start in range(0, len(days), DAYS_TOGETHER):
        yield days[start : start + DAYS_TOGETHER]


def _lacking(table: Table, day: dt.date, lake: Lake) -> str:
    return f"{table.name} {'is damaged' if lake.has(table, day) else 'not stored'}"


def tables_of(
    tables: Sequence[Table], relations: Sequence[Relation], days: Sequence[dt.date]
) -> dict[str, Relation]:
    """The relations by the names of their tables, in memory, with the rows of `days` alone."""
    pairs = zip(tables, relations, strict=True)
    return {table.name: read_once(of_days(rows, days)) for table, rows in pairs}
