"""The market of a day in numbers: who rose and fell, who closed at a limit, what was turned over.

Here belongs what is counted over the merged prices of a day, and its movers. Rows of single shares
are `price_reader`.
"""

import datetime as dt
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.serving.caches import DaysInMemory
from marketdata_assets.serving.ohlcv_view import View
from marketdata_assets.serving.table_rows import NoSuchDay
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_PRICES

VIEW = View(DAILY_PRICES)
MOVER = ("code", "name", "close", "quote_rate", "turnover")
MOVERS = 15


@dataclass(frozen=True)
class MarketDay:
    """Shares with a bar; they rise or fall against the close before. `turnover` is in yuan.

    Who closed at the limit of the day counts as risen or fallen, too. A share whose close before
    is not known is neither.
    """

    date: dt.date
    shares: int
    up: int
    down: int
    flat: int
    limit_up: int
    limit_down: int
    turnover: float


class Movers(NamedTuple):
    """Rows of MOVER, rates in per cent, turnover in yuan; at most 15 each."""

    up: pa.Table
    down: pa.Table
    turnover: pa.Table


class MarketDays:
    """The market's days under a lake, each counted once until its file changes."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._days = DaysInMemory(lake, DAILY_PRICES, self._counted)

    def between(self, start: dt.date, end: dt.date) -> tuple[list[MarketDay], list[dt.date]]:
        """The stored days from `start` to `end`, both included, and those that can't be read."""
        stored = self._days.between(start, end)
        counted = [one for one in stored.values() if one is not None]
        return counted, [day for day, one in stored.items() if one is None]

    def movers(self, day: dt.date) -> Movers:
        """Who moved most. Raises `NoSuchDay`, `UnfitPartitions`."""
        if not self._lake.has(DAILY_PRICES, day):
            raise NoSuchDay(f"{DAILY_PRICES.name} is not stored for {day}.")
        rows = VIEW.ohlcv(self._lake.load(DAILY_PRICES, day).rows, MOVER)
        known = rows.filter(pc.is_valid(rows["quote_rate"]))
        return Movers(
            up=_first(known.filter(pc.greater(known["quote_rate"], 0)), "quote_rate", "descending"),
            down=_first(known.filter(pc.less(known["quote_rate"], 0)), "quote_rate", "ascending"),
            turnover=_first(rows, "turnover", "descending"),
        )

    def _counted(self, day: dt.date) -> MarketDay | None:
        rows = self._lake.read(DAILY_PRICES, day)
        if rows is None:
            return None
        close, before = rows["close"], rows["prev_close"]
        turnover = VIEW.ohlcv(rows, ["turnover"])["turnover"]
        return MarketDay(
            date=day,
            shares=rows.num_rows,
            up=_count(pc.greater(close, before)),
            down=_count(pc.less(close, before)),
            flat=_count(pc.equal(close, before)),
            limit_up=_count(pc.greater_equal(close, rows["high_limit"])),
            limit_down=_count(pc.less_equal(close, rows["low_limit"])),
            turnover=pc.sum(turnover).as_py() or 0.0,
        )


def _count(holds: pa.ChunkedArray) -> int:
    return pc.sum(holds).as_py() or 0


def _first(rows: pa.Table, column: str, order: str) -> pa.Table:
    chosen = pc.select_k_unstable(rows, MOVERS, [(column, order), ("code", "ascending")])
    return rows.take(chosen)
