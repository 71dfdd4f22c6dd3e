"""Rows of any table that is stored by day, as they are stored: one day, or the days of a code.

Here belongs what is read from the lake's own files, day by day, and what is said where a day has
none. Prices of many years by code are `price_reader`, which reads copies that are made for it.
"""

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.errors import MarketdataError
from marketdata_assets.serving.gaps import Days
from marketdata_assets.serving.ohlcv_view import NoSuchColumn
from marketdata_assets.storage.lake import Lake, MissingPartitions
from marketdata_assets.tables import STORED_TABLES, Table
from marketdata_assets.trading_calendar import (
    FIRST_SESSION,
    is_session,
    last_session_over,
    sessions_between,
)


class NoSuchTable(MarketdataError, is_final=True, status=404):
    """No table has that name, or not one that is stored by day."""


class NoSuchDay(MarketdataError, status=404):
    """A table has nothing of a day: it is not stored, or there is no such trading day."""


@dataclass(frozen=True)
class TableRows:
    """Rows of a table in the order of its key, as stored.

    `missing` are the sessions that were never stored, `stored_at` when the newest of the days that
    were read was; None where none was.
    """

    table: Table
    rows: pa.Table
    missing: Days
    stored_at: dt.datetime | None


def daily_table(name: str) -> Table:
    """The table of that name. Raises `NoSuchTable`, which says which there are."""
    table = STORED_TABLES.get(name)
    by_day = [one.name for one in STORED_TABLES.values() if one.date_column and not one.code_column]
    if table is None:
        raise NoSuchTable(f"There is no table {name}. Stored by day are {', '.join(by_day)}.")
    if name not in by_day:
        where = "ask /api/v1/ohlcv for its rows" if table.code_column else "it is a single file"
        raise NoSuchTable(f"{name} is not stored by day: {where}.")
    return table


def columns_of(table: Table, names: Sequence[str]) -> list[str]:
    """The key and `names`, or all columns where there are none. Raises `NoSuchColumn`."""
    if unknown := [name for name in names if name not in table.column_names]:
        raise NoSuchColumn(table, unknown, others=())
    return list(dict.fromkeys([*table.key, *names])) if names else table.column_names


def rows_of_day(
    lake: Lake,
    table: Table,
    day: dt.date,
    columns: Sequence[str],
    codes: Collection[str] | None,
    now: dt.datetime,
) -> TableRows:
    """All rows of a day, or those of `codes`.

    Raises `NoSuchDay`, which says why there are none, and `UnfitPartitions`.
    """
    try:
        loaded = lake.load(table, day)
    except MissingPartitions:
        raise NoSuchDay(why_absent(table, day, now)) from None
    rows = _chosen(table, loaded.rows, columns, codes)
    return TableRows(table, rows, (), loaded.stored.stored_at)


def rows_of_codes(
    lake: Lake,
    table: Table,
    start: dt.date,
    end: dt.date,
    columns: Sequence[str],
    codes: Collection[str],
    now: dt.datetime,
) -> TableRows:
    """The rows of `codes` from `start` to `end`, both included, by day.

    Sessions are missing from the first day that is stored to the last session that is over. Raises
    `NoSuchDay` where no day of the table is stored at all, and `UnfitPartitions`.
    """
    stored = lake.days(table)
    if not stored:
        raise NoSuchDay(f"{table.name} is not stored of any day. Materialize {table.name} first.")
    last = min(end, last_session_over(now))
    due = sessions_between(max(start, stored[0]), last) if start <= last else []
    known, parts, moments = set(stored), [], []
    for day in (one for one in stored if start <= one <= end):
        loaded = lake.load(table, day)
        parts.append(_chosen(table, loaded.rows, columns, codes))
        moments.append(loaded.stored.stored_at)
    none = table.schema.empty_table().select(list(columns))
    return TableRows(
        table,
        pa.concat_tables([none, *parts]),
        tuple(day for day in due if day not in known),
        max(moments, default=None),
    )


def _chosen(
    table: Table, rows: pa.Table, columns: Sequence[str], codes: Collection[str] | None
) -> pa.Table:
    rows = rows.replace_schema_metadata()
    if codes is not None:
        wanted = pa.array(codes, pa.string())
        matches = [pc.is_in(rows[name], value_set=wanted) for name in _code_columns(table)]
        is_wanted = matches[0]
        for other in matches[1:]:
            is_wanted = pc.or_(is_wanted, other)
        rows = rows.filter(is_wanted)
    return rows.select(list(columns))


def _code_columns(table: Table) -> list[str]:
    """The columns of the key that hold codes: of a share, and of an index that it belongs to."""
    return [name for name in table.key if name == "code" or name.endswith("_code")]


def why_absent(table: Table, day: dt.date, now: dt.datetime) -> str:
    """Why a table has no file of a day."""
    first = max(table.first_date, FIRST_SESSION)
    if day < first:
        return f"{table.name} begins on {first}: there is nothing of {day}."
    if day > last_session_over(now):
        return f"{day} is not over: {table.name} has nothing of it yet."
    if not is_session(day):
        return f"{day} is no trading day: {table.name} has nothing of it."
    return f"{table.name} is not stored for {day}. Materialize {table.name} for this day."
