"""What is published beside the prices: who did not trade, what the checks found, the calendar.

Here belongs which days' rows are in these files, and why a session between the first and the last
published day is missing, as the lake knows it. How a year's file is written is `making`.
"""

import datetime as dt
import functools
import io
from collections.abc import Collection, Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from marketdata_assets.publishing import layout
from marketdata_assets.publishing.making import Making, changed_days, stored_rows
from marketdata_assets.publishing.manifest import Manifest
from marketdata_assets.storage.bounded_duckdb import bounded_duckdb
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.reading import rows_of
from marketdata_assets.tables import DAILY_PRICES, FINDINGS, SUSPENDED, TRADE_CALENDAR
from marketdata_assets.trading_calendar import (
    FIRST_SESSION,
    is_session,
    previous_session,
    sessions_between,
)

NOT_PUBLISHED = "stored, not published"
NOT_STORED = "not stored"


def update_suspended(
    making: Making,
    lake: Lake,
    days: Collection[dt.date],
    present: Collection[dt.date],
    before: Manifest | None,
) -> tuple[frozenset[dt.date], frozenset[dt.date]]:
    """Replace the suspended shares of `days`, and add those of `present` days that lack them.

    A day that the lake has none of keeps what is published. A year of which any day is known has a
    file, though it be empty. Told are the published days whose suspended shares are not there, and
    former ones that have them now.
    """
    known = {
        day
        for day in (before.days() - before.without_suspended if before else ())
        if day in present and layout.suspended(day.year) in making.facts
    }
    wanted = {*days, *(set(present) - known)} & set(lake.days(SUSPENDED))
    stored = {
        day: rows.replace_schema_metadata(None)
        for day in wanted
        if (rows := lake.read(SUSPENDED, day)) is not None
    }
    for year in sorted({day.year for day in stored}):
        path = layout.suspended(year)
        rows, ours = making.rows(SUSPENDED, path), {day for day in stored if day.year == year}
        if path not in making.facts or changed_days(SUSPENDED, rows, ours, stored.__getitem__):
            making.write_year(SUSPENDED, path, year, rows, ours, stored.__getitem__)
    lacking = frozenset(present) - known - stored.keys()
    return lacking, frozenset(stored.keys() - known - set(days))


def update_findings(making: Making, lake: Lake, days: Collection[dt.date]) -> None:
    """Replace the findings of `days` by the lake's; those of a day it has none of stay.

    A year without any finding gets no file. One that was published stays, though it be empty.
    """
    known = {day for day in days if lake.describe(FINDINGS, day)}
    read = stored_rows(lake, FINDINGS)
    for year in sorted({day.year for day in known}):
        path = layout.findings(year)
        rows = making.rows(FINDINGS, path)
        if changed_days(FINDINGS, rows, {day for day in known if day.year == year}, read):
            making.write_year(FINDINGS, path, year, rows, known, read)


# Every publication of a year has the same two calendars.
@functools.lru_cache(2)
def calendar_csv(year: int) -> bytes:
    """One column, `cal_date`: the open days from 2005 to the end of `year`."""
    days = sessions_between(FIRST_SESSION, dt.date(year, 12, 31))
    return "".join(["cal_date\n", *(f"{day:%Y%m%d}\n" for day in days)]).encode()


@functools.lru_cache(2)
def calendar_parquet(year: int) -> bytes:
    """Every day from 2005 to the end of `year`, in the columns of `trade_calendar`."""
    count = (dt.date(year, 12, 31) - FIRST_SESSION).days + 1
    days = [FIRST_SESSION + dt.timedelta(number) for number in range(count)]
    columns = {
        "exchange": ["SSE"] * count,
        "cal_date": days,
        "is_open": [int(is_session(day)) for day in days],
        "pretrade_date": [None, *map(previous_session, days[1:])],
    }
    buffer = io.BytesIO()
    table = pa.table(columns, schema=TRADE_CALENDAR.schema)
    pq.write_table(table, buffer, compression="zstd", write_page_index=True)
    return buffer.getvalue()


def why_missing(
    lake: Lake, days: Collection[dt.date], refused: Mapping[dt.date, str]
) -> dict[dt.date, str]:
    """A reason for each day; `refused` are the `refusals` of them."""
    stored = set(lake.days(DAILY_PRICES))
    return {
        day: refused.get(day) or (NOT_PUBLISHED if day in stored else NOT_STORED)
        for day in sorted(days)
    }


def refusals(lake: Lake, days: Collection[dt.date]) -> dict[dt.date, str]:
    """Those of the days on which an answer was refused, with the tables and checks by name.

    A file of findings that can't be read refuses nothing: a hole without a reason is published,
    too.
    """
    files = [
        lake.file(FINDINGS, day)
        for day in sorted(set(days) & set(lake.days(FINDINGS)))
        if (stored := lake.describe(FINDINGS, day)) and stored.rows
    ]
    if not files:
        return {}
    # As one query: there may be thousands of days, as when 2005 follows the last weeks.
    with bounded_duckdb() as connection:
        rows = (
            rows_of(connection, FINDINGS, files)
            .filter("outcome = 'refused'")
            .select("trade_date, table_name || '.' || check_name AS name")
            .aggregate("trade_date, 'refused: ' || string_agg(DISTINCT name, ', ' ORDER BY name)")
        )
        return dict(rows.fetchall())
