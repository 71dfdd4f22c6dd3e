"""Rows of any table that is stored by day, as they are stored: one day, or the days of a code.

Here belongs what is read from the lake's own files, day by day, and what is said where a day has
none: the slow way, also for a fund that no series has yet. Prices of many years by code are
`price_reader`, which reads copies that are made for it.
"""

import datetime as dt
import functools
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.errors import MarketdataError
from marketdata_assets.instruments import Instrument
from marketdata_assets.serving.answers import Slice, span_of
from marketdata_assets.serving.gaps import Days
from marketdata_assets.serving.ohlcv_view import DAILY_VIEWS, NoSuchColumn, schema_of
from marketdata_assets.storage.lake import Lake, MissingPartitions
from marketdata_assets.storage.opening import open_lake
from marketdata_assets.tables import ETF_NAV, ETF_PREMIUM, STORED_TABLES, Table
from marketdata_assets.trading_calendar import (
    FIRST_SESSION,
    SHANGHAI,
    is_known,
    is_session,
    last_session_over,
    sessions_between,
)

BY_DAY = {
    name: table
    for name, table in STORED_TABLES.items()
    if table.date_column and not table.code_column
}


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
    if table := BY_DAY.get(name):
        return table
    if (other := STORED_TABLES.get(name)) is None:
        raise NoSuchTable(f"There is no table {name}. Stored by day are {', '.join(BY_DAY)}.")
    where = "ask /api/v1/ohlcv for its rows" if other.code_column else "it is a single file"
    raise NoSuchTable(f"{name} is not stored by day: {where}.")


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

    def of_day(day: dt.date) -> tuple[pa.Table, dt.datetime]:
        loaded = lake.load(table, day)
        return _chosen(table, loaded.rows, columns, codes), loaded.stored.stored_at

    known = set(stored)
    found = list(lake.each(of_day, (day for day in stored if start <= day <= end)))
    none = table.schema.empty_table().select(list(columns))
    return TableRows(
        table,
        pa.concat_tables([none, *(rows for rows, _ in found)]),
        tuple(day for day in due if day not in known),
        max((stored_at for _, stored_at in found), default=None),
    )


def _chosen(
    table: Table, rows: pa.Table, columns: Sequence[str], codes: Collection[str] | None
) -> pa.Table:
    rows = rows.replace_schema_metadata()
    if codes is not None:
        wanted = pa.array(codes, pa.string())
        # Of a share, and of an index that it belongs to.
        names = [name for name in table.key if name == "code" or name.endswith("_code")]
        matches = [pc.is_in(rows[name], value_set=wanted) for name in names]
        rows = rows.filter(functools.reduce(pc.or_, matches))
    return rows.select(list(columns))


def why_absent(table: Table, day: dt.date, now: dt.datetime) -> str:
    """Why a table has no file of a day."""
    first = max(table.first_date, FIRST_SESSION)
    if day < first:
        return f"{table.name} begins on {first}: there is nothing of {day}."
    if day > last_session_over(now):
        if day < now.astimezone(SHANGHAI).date() and not is_known(day):
            return f"{day} lies beyond the installed calendar: {table.name} has nothing of it."
        return f"{day} is not over: {table.name} has nothing of it yet."
    if not is_session(day):
        return f"{day} is no trading day: {table.name} has nothing of it."
    return f"{table.name} is not stored for {day}. Materialize {table.name} for this day."


def fund_in_lake(
    root: Path, instrument: Instrument, start: dt.date, end: dt.date, columns: Sequence[str]
) -> Slice | None:
    """A fund's bars with their values, or its values alone, whose other columns are NULL.

    None where neither is stored of the range. Raises `UnfitPartitions`.
    """
    lake, view = open_lake(root, ""), DAILY_VIEWS[instrument.kind]

    def read(table: Table, names: list[str]) -> TableRows | None:
        now = dt.datetime.now(dt.UTC)
        with suppress(NoSuchDay):
            return rows_of_codes(lake, table, start, end, names, [instrument.code], now)
        return None

    found = read(ETF_PREMIUM, view.stored(columns))
    if found and found.rows.num_rows:
        return _slice(instrument, view.ohlcv(found.rows, columns), found)
    found = read(ETF_NAV, ["nav_date", "unit_nav"])
    if found is None or not found.rows.num_rows:
        return None
    # Of a value that was told again the last one counts.
    values = dict(zip(*(column.to_pylist() for column in found.rows.columns), strict=True))
    days = sorted(values)
    known = {"date": days, "unit_nav": [values[day] for day in days]}
    told = {name: known.get(name, [None] * len(days)) for name in columns}
    return _slice(instrument, pa.table(told, schema_of(columns)), found)


def _slice(instrument: Instrument, rows: pa.Table, found: TableRows) -> Slice:
    assert found.stored_at is not None, "rows are of a file"
    return Slice(
        code=instrument.code,
        instrument=instrument,
        rows=rows,
        available=span_of(rows["date"]),
        source=found.table,
        generation=None,
        stored_at=found.stored_at,
        missing=found.missing,
    )
