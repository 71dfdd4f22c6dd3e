"""What the checks found, published: a parquet file a year, of the days of a run.

Here belongs which days' findings are published. How a year's file is written is `shards`.
"""

import datetime as dt
from collections.abc import Collection

from marketdata_assets.publishing import layout
from marketdata_assets.publishing.making import Making
from marketdata_assets.publishing.shards import changed_days, stored_rows
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import FINDINGS


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
