"""A fund out of the files of its days, for what no series has: stored just now, or never traded.

Here belongs the slow way, for one fund and up to a year: day files are read one by one.
"""

import datetime as dt
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from marketdata_assets.instruments import Instrument
from marketdata_assets.serving.answers import Slice
from marketdata_assets.serving.ohlcv_view import DAILY_VIEWS, column_type
from marketdata_assets.serving.table_rows import NoSuchDay, TableRows, rows_of_codes
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import ETF_NAV, ETF_PREMIUM, Table


def fund_in_lake(
    root: Path, instrument: Instrument, start: dt.date, end: dt.date, columns: Sequence[str]
) -> Slice | None:
    """Its bars with their values, or its values alone, whose other columns are NULL.

    None where neither is stored of the range. Raises `UnfitPartitions`.
    """
    lake, view = Lake(root, origin=""), DAILY_VIEWS[instrument.kind]
    found = _read(lake, ETF_PREMIUM, start, end, view.stored(columns), instrument.code)
    if found and found.rows.num_rows:
        return _slice(instrument, view.ohlcv(found.rows, columns), found)
    found = _read(lake, ETF_NAV, start, end, ["nav_date", "unit_nav"], instrument.code)
    if found is None or not found.rows.num_rows:
        return None
    # Of a value that was told again the last one counts.
    values = dict(zip(*(column.to_pylist() for column in found.rows.columns), strict=True))
    days = sorted(values)
    known = {"date": days, "unit_nav": [values[day] for day in days]}
    arrays = {
        name: pa.array(known.get(name, [None] * len(days)), column_type(name)) for name in columns
    }
    return _slice(instrument, pa.table(arrays), found)


def _read(
    lake: Lake, table: Table, start: dt.date, end: dt.date, columns: list[str], code: str
) -> TableRows | None:
    with suppress(NoSuchDay):
        return rows_of_codes(lake, table, start, end, columns, [code], dt.datetime.now(dt.UTC))
    return None


def _slice(instrument: Instrument, rows: pa.Table, found: TableRows) -> Slice:
    assert found.stored_at is not None, "rows are of a file"
    return Slice(
        code=instrument.code,
        instrument=instrument,
        rows=rows,
        available=(rows["date"][0].as_py(), rows["date"][-1].as_py()),
        source=found.table,
        generation=None,
        stored_at=found.stored_at,
        missing=found.missing,
    )
