"""The trading calendar as published: open days as a CSV, every day as parquet."""

import datetime as dt
import io

import pyarrow as pa
import pyarrow.parquet as pq

from marketdata_assets.tables import TRADE_CALENDAR
from marketdata_assets.trading_calendar import FIRST_SESSION, sessions_between


def calendar_csv(until: dt.date) -> bytes:
    """One column, `cal_date`: the open days from 2005 to the end of the year of `until`."""
    days = sessions_between(FIRST_SESSION, dt.date(until.year, 12, 31))
    return "".join(["cal_date\n", *(f"{day:%Y%m%d}\n" for day in days)]).encode()


def calendar_parquet(until: dt.date) -> bytes:
    """Every day from 2005 to the end of the year of `until`, in the columns of `trade_calendar`."""
    last = dt.date(until.year, 12, 31)
    sessions = set(sessions_between(FIRST_SESSION, last))
    rows: list[tuple[str, dt.date, int, dt.date | None]] = []
    previous: dt.date | None = None
    for number in range((last - FIRST_SESSION).days + 1):
        day = FIRST_SESSION + dt.timedelta(number)
        is_open = day in sessions
        rows.append(("SSE", day, int(is_open), previous))
        previous = day if is_open else previous
    columns = [
        pa.array(values, field.type)
        for values, field in zip(zip(*rows, strict=True), TRADE_CALENDAR.schema, strict=True)
    ]
    buffer = io.BytesIO()
    table = pa.Table.from_arrays(columns, schema=TRADE_CALENDAR.schema)
    pq.write_table(table, buffer, compression="zstd", write_page_index=True)
    return buffer.getvalue()
