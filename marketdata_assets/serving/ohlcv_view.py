"""How a stored table speaks OHLCV: date, open, high, low, close, volume, turnover.

Here belong names and units. Canonical volume is in shares (contracts, coins), turnover in yuan
(the instrument's currency). A stored number is multiplied and rounded to two decimals, which gives
the double nearest to the exact decimal product. All other columns are as they are stored.
"""

import datetime as dt
import functools
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.errors import MarketdataError
from marketdata_assets.instruments import FUND_KINDS, Kind
from marketdata_assets.tables import DAILY_PRICES, ETF_PREMIUM, INSTRUMENT_HISTORY, Table
from marketdata_assets.tables.declaration import LOTS, THOUSAND_YUAN

EPOCH = dt.date(1970, 1, 1)
OHLCV = ("date", "open", "high", "low", "close", "volume", "turnover")
_VENDOR_NAMES = {"code": "ts_code", "date": "trade_date", "volume": "vol", "turnover": "amount"}
_SCALES = {LOTS: 100.0, THOUSAND_YUAN: 1_000.0}


class NoSuchColumn(MarketdataError, is_final=True, status=400):
    """A column that the table at hand does not have."""

    def __init__(self, table: Table, names: Sequence[str], others: Sequence[str] = OHLCV) -> None:
        canonical = f"{', '.join(others)}, and as stored: " if others else ""
        super().__init__(
            f"{table.name} has no column {', '.join(names)}. It has: {canonical}"
            f"{', '.join(table.column_names)}."
        )


class View:
    """A stored table under canonical names."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._stored = {name: name for name in table.column_names}
        for name in ("code", *OHLCV):
            if name not in self._stored:
                self._stored[name] = _VENDOR_NAMES[name]
        self._scales = {}
        for name in ("volume", "turnover"):
            if scale := _SCALES.get(table[self._stored[name]].unit):
                self._scales[name] = scale

    @property
    def code(self) -> str:
        """The stored name of the code."""
        return self._stored["code"]

    @property
    def date(self) -> str:
        """The stored name of the day."""
        return self._stored["date"]

    def types(self) -> dict[str, pa.DataType]:
        """The type of every column, the canonical ones too."""
        return {name: self.table[stored].type for name, stored in self._stored.items()}

    def stored(self, columns: Sequence[str]) -> list[str]:
        """What to read for `columns`. Raises `NoSuchColumn`."""
        if unknown := [name for name in columns if name not in self._stored]:
            raise NoSuchColumn(self.table, unknown)
        return list(dict.fromkeys(self._stored[name] for name in columns))

    def ohlcv(self, rows: pa.Table, columns: Sequence[str]) -> pa.Table:
        """`columns`, in their order, of rows as they are stored."""
        arrays = []
        for name in columns:
            array = rows[self._stored[name]]
            if scale := self._scales.get(name):
                array = pc.round(pc.multiply(array, scale), 2)
            arrays.append(array)
        return pa.Table.from_arrays(arrays, names=list(columns))


def between(rows: pa.Table, start: dt.date | None, end: dt.date | None) -> pa.Table:
    """The days from `start` to `end`, both included, of rows by `date`; nothing is copied."""
    days = rows["date"].cast(pa.int32()).to_numpy()
    first = 0 if start is None else int(days.searchsorted((start - EPOCH).days, "left"))
    last = len(days) if end is None else int(days.searchsorted((end - EPOCH).days, "right"))
    return rows.slice(first, max(0, last - first))


HISTORY = View(INSTRUMENT_HISTORY)
# Which daily table has a kind of instrument as a whole; the others are stored by code alone.
DAILY_VIEWS = {Kind.A_SHARE: View(DAILY_PRICES)} | dict.fromkeys(FUND_KINDS, View(ETF_PREMIUM))
# By what a cross-section is asked for; china_etf are all funds.
CROSS_SECTIONS = (Kind.A_SHARE, Kind.CHINA_ETF)


@functools.cache
def known_columns() -> dict[str, pa.DataType]:
    """Every column that some instrument has, the canonical ones first, and its type, which is the
    same in every table that has it."""
    types: dict[str, pa.DataType] = {}
    for view in (*DAILY_VIEWS.values(), HISTORY):
        types |= view.types()
    return {name: types[name] for name in ("code", *OHLCV)} | types


def schema_of(columns: Sequence[str]) -> pa.Schema:
    """What rows of known columns are made of, whichever table they come from."""
    return pa.schema([(name, known_columns()[name]) for name in columns])
