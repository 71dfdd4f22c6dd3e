"""Who did not trade though he was listed, published: a parquet file a year beside the prices'.

Here belongs which days' rows are published. How a year's file is written is `shards`.
"""

import datetime as dt
from collections.abc import Collection
from typing import NamedTuple

from marketdata_assets.publishing import layout
from marketdata_assets.publishing.making import Making
from marketdata_assets.publishing.manifest import Manifest
from marketdata_assets.publishing.shards import changed_days
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import SUSPENDED


class SuspendedDays(NamedTuple):
    """Published days whose suspended shares are not there, and former ones that have them now."""

    lacking: frozenset[dt.date]
    caught_up: frozenset[dt.date]


def update_suspended(
    making: Making,
    lake: Lake,
    days: Collection[dt.date],
    present: Collection[dt.date],
    before: Manifest | None,
) -> SuspendedDays:
    """Replace the suspended shares of `days`, and add those of `present` days that lack them.

    A day that the lake has none of keeps what is published. A year of which any day is known has a
    file, though it be empty.
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
    return SuspendedDays(
        lacking=frozenset(present) - known - stored.keys(),
        caught_up=frozenset(stored.keys() - known - set(days)),
    )
