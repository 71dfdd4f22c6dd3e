"""Sessions that nobody has: days without a file, told apart from days on which a share has no bar.

Here belongs which sessions an answer lacks. What is stored by day has a day for all instruments or
for none, so a day that is not in the series was never stored. Why a share has no bar on a day that
is stored is the ledger's, and where the ledger of an absent day knows that there was none to store,
nothing is missing.
"""

import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from functools import cache, partial
from typing import TypeAlias

import pyarrow.compute as pc

from marketdata_assets.errors import MarketdataError
from marketdata_assets.serving.caches import DaysInMemory
from marketdata_assets.serving.instrument_list import newest_listed
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import SERIES_ASSETS, Series
from marketdata_assets.tables import COVERAGE, DAILY_PRICES, ETF_LIST, ETF_PREMIUM, STOCK_LIST
from marketdata_assets.trading_calendar import last_session_over, sessions_between

Days: TypeAlias = tuple[dt.date, ...]
# Which table says who is listed, by what is stored by day.
LISTS = {DAILY_PRICES.name: STOCK_LIST, ETF_PREMIUM.name: ETF_LIST}
MOST_NAMED = 5


class MissingSessions(MarketdataError, is_final=True, status=409):
    """Sessions of the range were never stored, and an answer without them is not wanted.

    What is answered from a series has to be copied into it, too.
    """

    def __init__(self, code: str, table: str, days: Days, from_series: bool = True) -> None:
        self.details = {"missing_sessions": days, "asset": table}
        more = " …" if len(days) > MOST_NAMED else ""
        copied = f", then {SERIES_ASSETS[table]}" if from_series else ""
        super().__init__(
            f"{code} lacks {len(days)} session(s) that were never stored: "
            f"{', '.join(map(str, days[:MOST_NAMED]))}{more}. Materialize {table} for these days"
            f"{copied}, or ask without strict."
        )


class Gaps:
    """What the series lack. Everything is kept in memory until something new is stored."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._absent: dict[str, tuple[tuple[int, dt.date], Days]] = {}
        self._listed: dict[str, tuple[int, dict[str, dt.date | None]]] = {}
        self._explained = ExplainedAbsences(lake)

    def absent(self, series: Series, start: dt.date | None, end: dt.date | None) -> Days:
        """The sessions from `start` to `end` that nobody has, which the calendar tells.

        They lie between the first day that is stored and the last session that is over.
        """
        days = self._absent_from(series)
        first = 0 if start is None else bisect_left(days, start)
        last = len(days) if end is None else bisect_right(days, end)
        return days[first:last]

    def before(self, code: str, series: Series, since: dt.date) -> Days:
        """The sessions from `since` to before the first day that is stored, as far as listed.

        A bar of a week or a month that holds the first day lacks them. A code that no list has is
        taken for listed.
        """
        listed = self._listed_in(series).get(code)
        first = max(since, listed or since)
        if first >= series.days[0]:
            return ()
        return tuple(sessions_between(first, series.days[0])[:-1])

    def is_known(self, series: Series) -> bool:
        """Whether the absent sessions of a series are in memory."""
        known = self._absent.get(series.table.name)
        return known is not None and known[0] == _version(series)

    def of_the_life(self, code: str, series: Series, absent: Iterable[dt.date]) -> Days:
        """Of `absent` days those on which the code was listed and may have traded."""
        days = tuple(absent)
        span = series.span(code) if days else None
        if span is None:
            return ()
        listed = self._listed_in(series)
        since = max(series.days[0], min(span[0], listed.get(code) or span[0]))
        days = days[bisect_left(days, since) :]
        later = series.days[bisect_right(series.days, span[1]) :]
        if later and listed and code not in listed:
            # It is not listed any more, and a day is stored that knows nothing of it.
            days = days[: bisect_left(days, later[0])]
        if series.table.name != DAILY_PRICES.name:
            return days
        explained = self._explained.days_of(code, days)
        return tuple(day for day in days if day not in explained) if explained else days

    def _absent_from(self, series: Series) -> Days:
        """The sessions from the first day of a series that are over and not in it."""
        version = _version(series)
        known = self._absent.get(series.table.name)
        if known is None or known[0] != version:
            stored = set(series.days)
            sessions = sessions_between(series.days[0], max(version[1], series.days[0]))
            known = version, tuple(day for day in sessions if day not in stored)
            self._absent[series.table.name] = known
        return known[1]

    def _listed_in(self, series: Series) -> dict[str, dt.date | None]:
        """Since when everything in the newest list is listed; empty where there is no list."""
        known = self._listed.get(series.table.name)
        if known is None or known[0] != series.generation:
            listed = newest_listed(self._lake, LISTS[series.table.name], "list_date")
            self._listed[series.table.name] = known = series.generation, listed
        return known[1]


def _version(series: Series) -> tuple[int, dt.date]:
    """What the absent sessions of a series hang on."""
    return series.generation, last_session_over(dt.datetime.now(dt.UTC))


class ExplainedAbsences:
    """Shares that had no bar for a good reason, by day, as the ledger knows them.

    A year's folder is listed again when it has changed, a day's file is read when it is asked for.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._ledgers = DaysInMemory(lake, COVERAGE, lambda day: cache(partial(self._read, day)))

    def days_of(self, code: str, days: Sequence[dt.date]) -> set[dt.date]:
        """The days on which the ledger explains why the share has no bar."""
        if not days:
            return set()
        ledgers = self._ledgers.between(min(days), max(days))
        return {day for day in days if day in ledgers and code in ledgers[day]()}

    def _read(self, day: dt.date) -> frozenset[str]:
        rows = self._lake.read(COVERAGE, day)
        if rows is None:
            # A ledger that can't be read explains nothing.
            return frozenset()
        is_explained = pc.and_(pc.invert(rows["daily_kline"]), pc.equal(rows["missing"], ""))
        return frozenset(rows.filter(is_explained)["ts_code"].to_pylist())
