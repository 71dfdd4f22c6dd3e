"""Why a session between the first and the last published day is missing, as the lake knows it.

Here belong the reasons. Which sessions are missing is `build`; how they are written is `manifest`.
"""

import datetime as dt
from collections.abc import Collection, Mapping

from marketdata_assets.storage.bounded_duckdb import bounded_duckdb
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.reading import rows_of
from marketdata_assets.tables import DAILY_PRICES, FINDINGS

NOT_PUBLISHED = "stored, not published"
NOT_STORED = "not stored"


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
            .distinct()
            .order("trade_date, name")
            .fetchall()
        )
    names: dict[dt.date, list[str]] = {}
    for day, name in rows:
        names.setdefault(day, []).append(name)
    return {day: f"refused: {', '.join(of_day)}" for day, of_day in names.items()}
