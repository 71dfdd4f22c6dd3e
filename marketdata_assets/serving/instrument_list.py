"""Which instruments there are, by code, name or the initials of the name in pinyin.

Here belongs the list and the search in it: the shares and funds of the newest day that is stored
and can be read, those that the series hold from before, and the histories by code.
"""

import threading
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from marketdata_assets.errors import MarketdataError
from marketdata_assets.instruments import Kind, UnknownCode, identify
from marketdata_assets.serving.ohlcv_view import View
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import Series
from marketdata_assets.tables import ETF_LIST, INSTRUMENT_HISTORY, STOCK_LIST, Table


@dataclass(frozen=True, order=True)
class Listed:
    """An instrument: its name where one is known, and the table that holds it, None where none.

    A listed share that has not traded yet is one that no table holds.
    """

    code: str
    name: str | None
    asset_type: Kind
    stored_in: str | None


class InstrumentList:
    """The list, made again when a series or a history is new; threads may share one."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._made: tuple[object, list[tuple[tuple[str, ...], Listed]]] = (None, [])
        self._making = threading.Lock()

    def search(
        self, text: str, limit: int, series: Sequence[Series], histories: Sequence[str]
    ) -> list[Listed]:
        """Up to `limit` instruments whose code, name or initials hold `text`, the closest first."""
        wanted = _folded(text)
        found = [
            (not any(text.startswith(wanted) for text in searched), number, listed)
            for number, (searched, listed) in enumerate(self._all(series, histories))
            if any(wanted in text for text in searched)
        ]
        return [listed for _, _, listed in sorted(found)[:limit]]

    def _all(
        self, series: Sequence[Series], histories: Sequence[str]
    ) -> list[tuple[tuple[str, ...], Listed]]:
        version = [(one.table.name, one.generation) for one in series], list(histories)
        with self._making:
            if self._made[0] != version:
                listed = sorted(self._listed(series, histories))
                self._made = version, [(_searched(one), one) for one in listed]
            return self._made[1]

    def _listed(self, series: Sequence[Series], histories: Sequence[str]) -> Iterator[Listed]:
        names: dict[str, str | None] = {}
        stored_in = dict.fromkeys(histories, INSTRUMENT_HISTORY.name)
        for one in series:
            names |= _names_in(one)
            stored_in |= dict.fromkeys(one.codes(), one.table.name)
        for table in (STOCK_LIST, ETF_LIST):
            names |= newest_listed(self._lake, table, "name")
        for code in names.keys() | stored_in.keys():
            try:
                kind = identify(code).kind
            except UnknownCode:
                # A code of a form that nobody has seen yet.
                continue
            yield Listed(code, names.get(code), kind, stored_in.get(code))


def newest_listed(lake: Lake, table: Table, column: str) -> dict[str, Any]:
    """By code, a column of the newest list that can be read; a damaged one leaves another."""
    for day in reversed(lake.days(table)):
        with suppress(MarketdataError, OSError):
            if rows := lake.read(table, day):
                return dict(zip(*(rows[n].to_pylist() for n in ("ts_code", column)), strict=True))
    return {}


def _names_in(series: Series) -> Mapping[str, str | None]:
    """The last name of every code of a series."""
    code = View(series.table).code
    newest = series.cross_section(series.days[-1], [code, "name"])
    names = dict(zip(*(column.to_pylist() for column in newest.columns), strict=True))
    for gone in set(series.codes()) - names.keys():
        span = series.span(gone)
        assert span is not None
        names[gone] = series.slice(gone, span[1], span[1], ["name"])["name"][0].as_py()
    return names


def _searched(one: Listed) -> tuple[str, ...]:
    """What it is found by: code and name, and the initials of the name in pinyin, 浦发银行 pfyh."""
    # Its dictionary takes a fifth of a second and 40 MB, which is for nobody who searches nothing.
    from pypinyin import Style, lazy_pinyin

    name = one.name or ""
    initials = "".join(lazy_pinyin(name, style=Style.FIRST_LETTER))
    return _folded(f"{one.code} {name}"), _folded(initials)


def _folded(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split()).casefold()
