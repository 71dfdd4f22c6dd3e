"""Days judged as the assets judge them, out of tables in memory instead of a lake."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import duckdb
import pyarrow as pa

from marketdata_assets.checks.days import (
    CHECKED_TOGETHER,
    check_fetched_days,
    check_merged_days,
    rows_lost,
    side_by_side,
)
from marketdata_assets.checks.excuses import Excuses
from marketdata_assets.checks.running import Finding
from marketdata_assets.checks.sessions import Lookback, last_bars, listed
from marketdata_assets.storage.bounded_duckdb import draw_no_progress
from marketdata_assets.tables import ADJ_FACTOR, DAILY_KLINE, STOCK_LIST, Table


class Before(NamedTuple):
    """What some sessions say to the day after them, and the rows of the last one by table."""

    lookback: Lookback
    rows: Mapping[str, int]


def before(sessions: Sequence[Mapping[str, pa.Table]]) -> Before:
    """What the fetched tables of some sessions, oldest first, say to the day after them."""
    bars = [(each[DAILY_KLINE.name], each[ADJ_FACTOR.name]) for each in reversed(sessions)]
    last = sessions[-1] if sessions else {}
    known = [kline["trade_date"][0].as_py() for kline, _ in bars]
    lookback = Lookback(known, last_bars(bars), listed(last.get(STOCK_LIST.name)))
    return Before(lookback, {name: data.num_rows for name, data in last.items()})


def check_fetched_day(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    day: dt.date,
    data: pa.Table,
    rows_before: int | None,
    excuses: Excuses,
) -> list[Finding]:
    """What is wrong with a day of a fetched table, `rows_before` those of the session before."""
    found = check_fetched_days(connection, table, {day: data}, excuses)
    return found + rows_lost(table, day, data.num_rows, rows_before, excuses)


def check_days(
    days: Mapping[dt.date, Mapping[str, pa.Table]],
    before: Before,
    now: dt.datetime,
    excuses: Excuses,
    changed: Collection[str] = (),
) -> list[Finding]:
    """All that is wrong with successive days whose tables are given by day and name.

    Of `changed` tables, where others are known to be right by themselves.
    """
    with duckdb.connect() as connection:
        draw_no_progress(connection)
        found = check_answers(connection, days, before, excuses, changed)
        together = {
            table.name: connection.from_arrow(
                pa.concat_tables(tables[table.name] for tables in days.values())
            )
            for table in CHECKED_TOGETHER
        }
        rows = side_by_side(list(days), together, before.lookback, now, excuses)
        return found + check_merged_days(rows, excuses)


def check_answers(
    connection: duckdb.DuckDBPyConnection,
    days: Mapping[dt.date, Mapping[str, pa.Table]],
    before: Before,
    excuses: Excuses,
    changed: Collection[str] = (),
) -> list[Finding]:
    """The same of each table by itself, as it is before days are merged."""
    found: list[Finding] = []
    for table in CHECKED_TOGETHER:
        if changed and table.name not in changed:
            continue
        of_table = {day: tables[table.name] for day, tables in days.items()}
        found += check_fetched_days(connection, table, of_table, excuses)
        count = before.rows.get(table.name)
        for day, data in of_table.items():
            found += rows_lost(table, day, data.num_rows, count, excuses)
            count = data.num_rows
    return found
