"""Tushare as a source of histories: one code, a few years a call. Always asked directly.

Here belongs which call has which kind of instrument, under which code and in which units. A call
the account may not use is a failure of this source, and the next one is asked.
"""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import pyarrow as pa

from marketdata_assets.errors import MarketdataError
from marketdata_assets.instruments import FUND_KINDS, Instrument, Kind
from marketdata_assets.instruments.futures import futures_of
from marketdata_assets.resources.sources.history import (
    History,
    Scale,
    SourceFailed,
    read_bars,
)
from marketdata_assets.resources.sources.main_contracts import rolls_of
from marketdata_assets.resources.tushare_answers import typed_table
from marketdata_assets.tables import (
    BOND_BARS,
    FUND_BARS,
    FUTURES_BARS,
    FUTURES_MAINS,
    GLOBAL_BARS,
    HONG_KONG_BARS,
    INDEX_BARS,
    INDUSTRY_BARS,
    SHARE_BARS,
    US_BARS,
    Table,
)

if TYPE_CHECKING:
    from marketdata_assets.resources.tushare_client import TushareClient

# More than any of these markets trades in a year.
MOST_BARS_A_YEAR = 265
# The vendor's own names for some world indices; it has no Nasdaq-100.
GLOBAL_CODES = {"HSI": "HSI", "HSTECH.HK": "HKTECH", "SPX": "SPX", "DJI": "DJI"}
GLOBAL_CODES |= {"IXIC": "IXIC", "N225": "N225", "GDAXI": "GDAXI"}


class _Call(NamedTuple):
    table: Table
    scale: Scale
    unit: str


_LOTS = Scale(volume=Decimal(100), turnover=Decimal(1_000))
_UNSTATED = "volume in an unstated unit, left out"
_TEN_THOUSAND = Decimal(10_000)
_FUTURES = _Call(
    FUTURES_BARS, Scale(volume=Decimal(1), turnover=_TEN_THOUSAND), "手 (contracts), 万元"
)
_CALLS = {
    Kind.A_SHARE: _Call(SHARE_BARS, _LOTS, "手, 千元"),
    Kind.CHINA_INDEX: _Call(INDEX_BARS, _LOTS, "手, 千元"),
    Kind.INDUSTRY_INDEX: _Call(INDUSTRY_BARS, Scale(), _UNSTATED),
    # How many bonds its 手 are is stated nowhere.
    Kind.CONVERTIBLE_BOND: _Call(BOND_BARS, Scale(turnover=_TEN_THOUSAND), "手, left out; 万元"),
    Kind.HK_SHARE: _Call(
        HONG_KONG_BARS, Scale(volume=Decimal(1), turnover=Decimal(1)), "股, 元 of its currency"
    ),
    Kind.US_SHARE: _Call(US_BARS, Scale(), _UNSTATED),
    Kind.FUTURES: _FUTURES,
    Kind.FUTURES_CONTRACT: _FUTURES,
} | dict.fromkeys(FUND_KINDS, _Call(FUND_BARS, _LOTS, "手, 千元"))
_GLOBAL = _Call(GLOBAL_BARS, Scale(), _UNSTATED)


class TushareHistory:
    """Tushare behind the account's client, which is made when first needed and not closed here."""

    name = "Tushare"

    def __init__(self, url: str, client: Callable[[], "TushareClient"]) -> None:
        self._url, self._client = url, client

    @property
    def host(self) -> str:
        return urlsplit(self._url).hostname or self._url

    def serves(self, instrument: Instrument) -> bool:
        if instrument.code == "CL.NYM":
            return False
        return instrument.kind in _CALLS or instrument.code in GLOBAL_CODES

    def whole_only(self, instrument: Instrument) -> bool:
        return False

    def history(self, instrument: Instrument, first: dt.date, last: dt.date) -> History:
        call = _CALLS.get(instrument.kind, _GLOBAL)
        code = GLOBAL_CODES.get(instrument.code, instrument.code)
        if instrument.kind is Kind.US_SHARE:
            code = instrument.symbol
        try:
            parts = [
                self._rows(call.table, code, start, end)
                for start, end in _spans(first, last, call.table.tushare.row_cap)
            ]
            bars = read_bars(_columns(pa.concat_tables(parts)), call.scale, first, last)
        except (MarketdataError, ValueError) as error:
            raise SourceFailed(self.name, instrument.code, str(error)) from None
        if bars.num_rows == 0:
            what = f"no bar from {first} to {last} in {call.table.name}."
            raise SourceFailed(self.name, instrument.code, what)
        history = History(bars, self.name, call.unit)
        return self._with_rolls(history, code) if instrument.kind is Kind.FUTURES else history

    def _with_rolls(self, history: History, code: str) -> History:
        """The history with the contract of each day; prices do without where nobody tells it."""
        days, closes = (history.bars[name].to_pylist() for name in ("date", "close"))
        try:
            spans = _spans(days[0], days[-1], FUTURES_MAINS.tushare.row_cap)
            mains = pa.concat_tables(
                [self._rows(FUTURES_MAINS, code, start, end) for start, end in spans]
            )
            contracts = _by_day(mains, "mapping_ts_code")
            for contract in set(contracts.values()):
                _refuse_another_product(code, contract)
            rolls = rolls_of(dict(zip(days, closes, strict=True)), contracts, self._closes)
        except (MarketdataError, ValueError) as error:
            return history._replace(untold=str(error))
        untold = ""
        if rolls.unknown:
            untold = (
                f"{FUTURES_MAINS.name} has no contract with its close on {len(rolls.unknown)} "
                f"day(s), {rolls.unknown[0]} the first."
            )
        return history._replace(rolls=rolls.rows, untold=untold)

    def _closes(self, contract: str, first: dt.date, last: dt.date) -> dict[dt.date, float]:
        return _by_day(self._rows(FUTURES_BARS, contract, first, last), "close")

    def _rows(self, table: Table, code: str, first: dt.date, last: dt.date) -> pa.Table:
        params = {"ts_code": code, "start_date": f"{first:%Y%m%d}", "end_date": f"{last:%Y%m%d}"}
        answer = self._client().query(table.name, fields=",".join(table.column_names), **params)
        rows = typed_table(table, answer.fields, answer.items, params)
        if answer.has_more or len(answer.items) >= table.tushare.row_cap:
            raise ValueError(f"{table.name} is cut at {rows.num_rows} rows for {first} … {last}.")
        if others := set(rows["ts_code"].to_pylist()) - {code}:
            raise ValueError(f"asked {table.name} for {code}, got {', '.join(sorted(others)[:3])}.")
        return rows


def _by_day(rows: pa.Table, column: str) -> dict[dt.date, Any]:
    """One column of the vendor's rows by day. Raises `ValueError` for a day with two values."""
    found: dict[dt.date, Any] = {}
    for day, value in zip(rows["trade_date"].to_pylist(), rows[column].to_pylist(), strict=True):
        if found.setdefault(day, value) != value:
            raise ValueError(f"{column} of {day} has two values: {found[day]} and {value}.")
    return found


def _refuse_another_product(code: str, contract: str) -> None:
    """Raise `ValueError` where what is said of a main contract is no contract of its product."""
    symbol = contract.partition(".")[0]
    one = futures_of(symbol)
    product = symbol.rstrip("0123456789")
    if one is None or one.code != contract or product != code.partition(".")[0]:
        raise ValueError(f"{FUTURES_MAINS.name} says that {code} was {contract}.")


def _columns(bars: pa.Table) -> dict[str, list[object]]:
    names = {"trade_date": "date", "vol": "volume", "amount": "turnover"}
    return {
        names.get(name, name): bars[name].to_pylist()
        for name in bars.column_names
        if name != "ts_code"
    }


def _spans(first: dt.date, last: dt.date, row_cap: int) -> list[tuple[dt.date, dt.date]]:
    """Whole stretches of years that stay below the cap of rows."""
    years = row_cap // MOST_BARS_A_YEAR
    spans = []
    while first <= last:
        end = min(dt.date(first.year + years - 1, 12, 31), last)
        spans.append((first, end))
        first = end + dt.timedelta(days=1)
    return spans
