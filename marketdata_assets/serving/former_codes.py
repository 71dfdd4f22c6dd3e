"""A share under the code it had before: which code is its present one, and its rows under both.

Here belongs what follows from a change of code when prices are read. Declared changes are
`instruments.code_changes`; of Beijing's shares, which all changed, the stored lists of stocks tell
which one became which, by name and listing day.
"""

import datetime as dt
import threading
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.errors import MarketdataError
from marketdata_assets.instruments import Instrument, UnknownCode
from marketdata_assets.instruments.code_changes import FORMER
from marketdata_assets.instruments.mainland import is_former_code_of_beijing
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import Series
from marketdata_assets.tables import STOCK_LIST

Identity = tuple[str, dt.date]


class SuccessorUnknown(UnknownCode):
    """A former code of Beijing of which nothing is stored, not even what became of it."""

    def __init__(self, code: str) -> None:
        ValueError.__init__(
            self,
            f"{code} is a former code: shares of Beijing have moved to codes 920xxx, their history "
            "included, and no stored list tells which one it became. Ask /api/v1/instruments for "
            "its name.",
        )


class FormerCodes:
    """Former and present codes; what the lists tell is read again when the series is newer."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._beijing: tuple[object, dict[str, str]] = (None, {})
        self._reading = threading.Lock()

    def present(self, instrument: Instrument, prices: Series | None) -> Instrument:
        """The instrument of a former code of Beijing under its present one, or as it is."""
        successor = self._of_beijing(prices).get(instrument.code)
        if successor is None:
            return instrument
        return replace(instrument, code=successor, renamed_from=instrument.code)

    def former(self, code: str, prices: Series | None) -> str:
        """The code that the share of a present code had before, empty where none is known."""
        if code.endswith(".BJ"):
            known = self._of_beijing(prices)
            return next((old for old, new in known.items() if new == code), "")
        return FORMER.get(code, "")

    def _of_beijing(self, prices: Series | None) -> dict[str, str]:
        with self._reading:
            version = prices.generation if prices else None
            if self._beijing[0] != version or version is None:
                self._beijing = version, self._successors(prices)
            return self._beijing[1]

    def _successors(self, prices: Series | None) -> dict[str, str]:
        """What became of Beijing's former codes, where one present code alone has the same name
        and listing day."""
        newest = self._newest()
        present: dict[Identity, list[str]] = defaultdict(list)
        was: dict[str, Identity] = {}
        for code, identity in newest.items():
            if is_former_code_of_beijing(code):
                was[code] = identity
            elif code.endswith(".BJ"):
                present[identity].append(code)
        for day, codes in _last_days(prices).items():
            listed = self._listed(day)
            was |= {code: listed[code] for code in codes if code in listed and code not in was}
        return {
            old: present[identity][0]
            for old, identity in was.items()
            if len(present[identity]) == 1
        }

    def _newest(self) -> dict[str, Identity]:
        """The newest list that can be read; a damaged one leaves the one before."""
        for day in reversed(self._lake.days(STOCK_LIST)):
            if listed := self._listed(day):
                return listed
        return {}

    def _listed(self, day: dt.date) -> dict[str, Identity]:
        """Name and listing day of Beijing's shares in the list of a day, empty without one."""
        with suppress(MarketdataError, OSError):
            if rows := self._lake.read(STOCK_LIST, day):
                columns = (rows[name].to_pylist() for name in ("ts_code", "name", "list_date"))
                return {
                    code: (name, listed)
                    for code, name, listed in zip(*columns, strict=True)
                    if code.endswith(".BJ") and name and listed
                }
        return {}


def _last_days(prices: Series | None) -> dict[dt.date, list[str]]:
    """The former codes of Beijing in the series, by the last day that each has."""
    last: dict[dt.date, list[str]] = defaultdict(list)
    for code in prices.codes() if prices else ():
        if prices and is_former_code_of_beijing(code) and (span := prices.span(code)):
            last[span[1]].append(code)
    return last


def rows_under_both(
    series: Series,
    code: str,
    former: str,
    start: dt.date | None,
    end: dt.date | None,
    columns: Sequence[str],
    date: str,
) -> pa.Table:
    """The rows of a share by day; those under its former code are of days that `code` lacks."""
    if not former or series.span(former) is None:
        return series.slice(code, start, end, columns)
    wanted = list(dict.fromkeys([*columns, date]))
    rows = series.slice(code, start, end, wanted)
    before = series.slice(former, start, end, wanted)
    known = pc.is_in(before[date], value_set=rows[date].combine_chunks())
    before = before.filter(pc.invert(known))
    return pa.concat_tables([before, rows]).sort_by(date).select(list(columns))
