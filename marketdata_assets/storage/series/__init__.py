"""The series: a code-major copy of a daily table, for slices by code in well under a millisecond.

    <root>/series/<table>/generation.json        what the newest generation consists of
    <root>/series/<table>/<year>-<token>.arrow   segments: rows of a year by code, then date

    series = Series.open(root, DAILY_PRICES)
    series.slice("600000.SH", dt.date(2015, 1, 1), None, ["date", "close"])
    series = series.newest()

A year is one big sorted segment and, beside it, a small one with the days since. A segment is
made from the lake's day files, never from another segment, and never changes; `refresh` makes
those whose days differ from the lake's, or that are damaged, and publishes all of them as a
generation, at once. Readers map the files of the generation they opened, and never wait; no part
of a file is answered from before it was compared with its checksum. `segment` is the files,
`blocks` their checksums, `generation` what is published, `refresh` the only writer, `reader` the
slices.
"""

from marketdata_assets.storage.series.generation import (
    SERIES_ASSETS,
    DamagedSeries,
    NoSeries,
    WithdrawnSeries,
)
from marketdata_assets.storage.series.reader import DayNotInSeries, Series
from marketdata_assets.storage.series.refresh import (
    Difference,
    Refreshed,
    difference,
    has_been_made,
    have_newest,
    newest_day,
    refresh,
)
from marketdata_assets.storage.series.segment import noted_segments

__all__ = [
    "SERIES_ASSETS",
    "DamagedSeries",
    "DayNotInSeries",
    "Difference",
    "NoSeries",
    "Refreshed",
    "Series",
    "WithdrawnSeries",
    "difference",
    "has_been_made",
    "have_newest",
    "newest_day",
    "noted_segments",
    "refresh",
]
