"""Stored days as assets take them: those of a run that can be computed, and the sessions before.

A day that was refused, or is not published, is absent; the other days of the run go on. What the
lake knows of the sessions before is read and not declared as an input: a day does not wait for
them. What is made of it is `checks.sessions`.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import dagster as dg
import duckdb
import pyarrow as pa

from marketdata_assets.checks import sessions
from marketdata_assets.checks.sessions import BARS_BEFORE, LISTED_BEFORE, Lookback, sessions_back
from marketdata_assets.partitions import days_of
from marketdata_assets.storage.bounded_duckdb import bounded_duckdb
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import ADJ_FACTOR, DAILY_KLINE, ETF_PREMIUM, STOCK_LIST, Table

Relation = duckdb.DuckDBPyRelation
Made = TypeVar("Made")

# The whole market of so many sessions can be joined and sorted within `bounded_duckdb`. Of half as
# many again it would take 50 MB more, and a thirtieth less of the time.
DAYS_TOGETHER = 10
# What the sessions before say is read of these.
LOOKED_BACK_AT = (DAILY_KLINE, ADJ_FACTOR, STOCK_LIST)


def complete_days(
    context: dg.AssetExecutionContext, made: Table, lake: Lake, tables: Sequence[Table]
) -> list[dt.date]:
    """The days of the run that all `tables` are stored of, those before a table's first included.

    Says which days are left out and why. Raises `dg.Failure` when none is left.
    """
    complete, lines = [], []
    for day in days_of(context.partition_keys):
        lacking = [_lacking(table, day, lake) for table in tables if not lake.describe(table, day)]
        if lacking:
            lines.append(f"{made.name} {day}: {', '.join(lacking)}")
        else:
            complete.append(day)
    if not complete:
        shown = "\n".join(lines[:10])
        raise dg.Failure(
            f"{shown}\nMaterialize what is missing first; a refused day says why in `findings`.",
            allow_retries=False,
        )
    for line in lines:
        context.log.warning(f"{line}; the day is left out.")
    return complete


def parts_of(days: Sequence[dt.date]) -> Iterator[Sequence[dt.date]]:
    """The days in stretches that are made together; each looks back as a run of its own does."""
    for start in range(0, len(days), DAYS_TOGETHER):
        yield days[start : start + DAYS_TOGETHER]


def made_ahead(
    days: Sequence[dt.date], make: Callable[[Sequence[dt.date]], Iterable[Made]]
) -> Iterator[Made]:
    """What `make` gives of each stretch of `days`; while it is stored, the next one is made."""
    with ThreadPoolExecutor(1) as maker:
        made: Iterable[Made] = ()
        for part in parts_of(days):
            making = maker.submit(make, part)
            yield from made
            made = making.result()
        yield from made


def _lacking(table: Table, day: dt.date, lake: Lake) -> str:
    return f"{table.name} {'is damaged' if lake.has(table, day) else 'not stored'}"


def tables_of(lake: Lake, tables: Sequence[Table], days: Sequence[dt.date]) -> dict[str, Relation]:
    """Stored days of tables by their names, in memory, as relations of one connection.

    Raises `MissingPartitions`, `DamagedPartitions` or `UnfitPartitions`.
    """
    connection = bounded_duckdb(lake.root / "spill")
    return {table.name: connection.from_arrow(rows_of_days(lake, table, days)) for table in tables}


def rows_of_days(lake: Lake, table: Table, days: Sequence[dt.date]) -> pa.Table:
    """Stored days of a table. Raises as `Lake.load` does."""
    return pa.concat_tables(lake.load(table, day).rows for day in days)


def lookback(lake: Lake, first: dt.date) -> Lookback:
    """What the lake says to `first`, as far back as no session is missing."""
    known = {}
    for day in sessions_back(first, sessions.SESSIONS_BEFORE):
        bars = _columns(lake, DAILY_KLINE, day, BARS_BEFORE.names[:-1])
        factors = _columns(lake, ADJ_FACTOR, day, ["ts_code", "adj_factor"])
        if bars is None or factors is None:
            break
        known[day] = (bars, factors)
    bars_before = sessions.last_bars(known.values())
    back = next(sessions_back(first, 1), None)
    stocks = _columns(lake, STOCK_LIST, back, LISTED_BEFORE.names) if back else None
    return Lookback(list(known), bars_before, sessions.listed(stocks))


def premiums_before(lake: Lake, first: dt.date) -> pa.Table:
    """ETF_PREMIUM of the session before `first`, empty where it is not stored."""
    back = next(sessions_back(first, 1), None)
    stored = lake.read(ETF_PREMIUM, back) if back else None
    return ETF_PREMIUM.schema.empty_table() if stored is None else stored


def rows_before(lake: Lake, table: Table, day: dt.date) -> int | None:
    """The rows of `table` on the session before `day`, None where it is not stored."""
    return next(iter(rows_of_sessions_before(lake, table, day, 1)), None)


def rows_of_sessions_before(lake: Lake, table: Table, day: dt.date, sessions: int) -> list[int]:
    """The rows of `table` on those of the `sessions` before `day` that are stored, oldest first."""
    back = [one for one in sessions_back(day, sessions) if one >= table.first_date]
    described = (lake.describe(table, one) for one in reversed(back))
    return [stored.rows for stored in described if stored]


def _columns(lake: Lake, table: Table, day: dt.date, names: Sequence[str]) -> pa.Table | None:
    return lake.load(table, day).rows.select(names) if lake.has(table, day) else None
