"""Tushare as a source of histories: one code, a few years a call. Always asked directly.

Here belongs which call has which kind of instrument, under which code and in which units, and what
the changes of a main continuous contract did to its price. A call the account may not use is a
failure of this source, and the next one is asked.
"""

import datetime as dt
import itertools
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import pyarrow as pa

from marketdata_assets.errors import MarketdataError
from marketdata_assets.instruments import FUND_KINDS, Instrument, Kind
from marketdata_assets.instruments.futures import futures_of
from marketdata_assets.resources.sources.history import (
    ROLLS,
    Answered,
    History,
    HistorySource,
    Scale,
)
from marketdata_assets.resources.tushare_answers import typed_table
from marketdata_assets.tables import Column, Source, Table
from marketdata_assets.tables.declaration import number, text
from marketdata_assets.tables.stocks import TRADE_DATE, TS_CODE

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
_CONTRACTS = Scale(volume=Decimal(1), turnover=_TEN_THOUSAND)


def _answer(call: str, row_cap: int, *columns: Column) -> Table:
    """What Tushare answers for one code and a range; not stored as it is."""
    return Table(
        name=call,
        doc="",
        doc_zh="",
        columns=(TS_CODE, TRADE_DATE, *columns),
        source=Source(call, row_cap),
    )


def _bars(call: str, row_cap: int, *more: str) -> Table:
    names = ("open", "high", "low", "close", "vol", *more)
    return _answer(call, row_cap, *(number(name, "", "", "") for name in names))


FUTURES_BARS = _bars("fut_daily", 2_000, "amount")
# Which contract a main continuous one was, day by day.
FUTURES_MAINS = _answer("fut_mapping", 2_000, text("mapping_ts_code", "", "", False))
_FUTURES = _Call(FUTURES_BARS, _CONTRACTS, "手 (contracts), 万元")
_HONG_KONG = Scale(volume=Decimal(1), turnover=Decimal(1))
_CALLS = {
    Kind.A_SHARE: _Call(_bars("daily", 6_000, "amount"), _LOTS, "手, 千元"),
    Kind.CHINA_INDEX: _Call(_bars("index_daily", 8_000, "amount"), _LOTS, "手, 千元"),
    Kind.INDUSTRY_INDEX: _Call(_bars("sw_daily", 2_000), Scale(), _UNSTATED),
    # How many bonds its 手 are is stated nowhere.
    Kind.CONVERTIBLE_BOND: _Call(
        _bars("cb_daily", 2_000, "amount"), Scale(turnover=_TEN_THOUSAND), "手, left out; 万元"
    ),
    Kind.HK_SHARE: _Call(_bars("hk_daily", 5_000, "amount"), _HONG_KONG, "股, 元 of its currency"),
    Kind.US_SHARE: _Call(_bars("us_daily", 6_000), Scale(), _UNSTATED),
    Kind.FUTURES: _FUTURES,
    Kind.FUTURES_CONTRACT: _FUTURES,
} | dict.fromkeys(FUND_KINDS, _Call(_bars("fund_daily", 2_000, "amount"), _LOTS, "手, 千元"))
_GLOBAL = _Call(_bars("index_global", 4_000), Scale(), _UNSTATED)


class TushareHistory(HistorySource):
    """Tushare behind the account's client, which is made when first needed and not closed here."""

    name = "Tushare"

    def __init__(self, url: str, client: Callable[[], "TushareClient"]) -> None:
        self._client = client
        self.host = urlsplit(url).hostname or url

    def serves(self, instrument: Instrument) -> bool:
        if instrument.code == "CL.NYM":
            return False
        return instrument.kind in _CALLS or instrument.code in GLOBAL_CODES

    def answer(self, instrument: Instrument, first: dt.date, last: dt.date) -> Answered:
        call = _CALLS.get(instrument.kind, _GLOBAL)
        code = GLOBAL_CODES.get(instrument.code, instrument.code)
        if instrument.kind is Kind.US_SHARE:
            code = instrument.symbol
        rows = self._all_rows(call.table, code, first, last)
        if rows.num_rows == 0:
            raise ValueError(f"no bar from {first} to {last} in {call.table.name}.")
        return Answered(_columns(rows), call.scale, call.unit)

    def history(self, instrument: Instrument, first: dt.date, last: dt.date) -> History:
        history = super().history(instrument, first, last)
        if instrument.kind is Kind.FUTURES:
            return self._with_rolls(history, instrument.code)
        return history

    def _with_rolls(self, history: History, code: str) -> History:
        """The history with the contract of each day; prices do without where nobody tells it."""
        days, closes = (history.bars[name].to_pylist() for name in ("date", "close"))
        try:
            rows = self._all_rows(FUTURES_MAINS, code, days[0], days[-1])
            contracts = _by_day(rows, "mapping_ts_code")
            for contract in set(contracts.values()):
                _refuse_another_product(code, contract)
            rolls = rolls_of(dict(zip(days, closes, strict=True)), contracts, self._closes)
        except (MarketdataError, ValueError) as error:
            return history._replace(untold=str(error))
        mains = rolls["main_contract"].to_pylist()
        untold = ""
        if unknown := [day for day, main in zip(days, mains, strict=True) if main is None]:
            untold = (
                f"{FUTURES_MAINS.name} has no contract with its close on {len(unknown)} day(s), "
                f"{unknown[0]} the first."
            )
        return history._replace(rolls=rolls, untold=untold)

    def _closes(self, contract: str, first: dt.date, last: dt.date) -> dict[dt.date, float]:
        return _by_day(self._rows(FUTURES_BARS, contract, first, last), "close")

    def _all_rows(self, table: Table, code: str, first: dt.date, last: dt.date) -> pa.Table:
        spans = _spans(first, last, table.tushare.row_cap)
        return pa.concat_tables([self._rows(table, code, start, end) for start, end in spans])

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


Closes: TypeAlias = Mapping[dt.date, float]
# The closes of a contract from a day to a day, both included.
ClosesOf: TypeAlias = Callable[[str, dt.date, dt.date], Closes]


def rolls_of(closes: Closes, contracts: Mapping[dt.date, str], closes_of: ClosesOf) -> pa.Table:
    """Contract and factor of every bar of a main continuous contract, in ROLLS.

    `closes` are its own, by day in order, `contracts` what its source says which contract it was.
    That is believed where the contract has the same close. A factor is 1, or where the contract
    changed, close of the old one / close of the new one on the day of the bar before: adjusted by
    it, closes return what the new contract did. It is NULL on the first bar, and where a contract
    or that close is not known. `closes_of` is asked once for every stretch of one contract.
    """
    days = list(closes)
    mains: list[str | None] = []
    factors: list[float | None] = []
    for contract, stretch in itertools.groupby(days, key=contracts.get):
        own = list(stretch)
        before = days[len(mains) - 1] if mains else None
        theirs = closes_of(contract, before or own[0], own[-1]) if contract else {}
        for day in own:
            mains.append(contract if theirs.get(day) == closes[day] else None)
            factors.append(_factor(mains, closes, theirs, before))
            before = day
    return pa.table([mains, factors], schema=ROLLS)


def _factor(
    mains: Sequence[str | None], closes: Closes, theirs: Closes, before: dt.date | None
) -> float | None:
    """The factor of the last of `mains`, whose own closes are `theirs`."""
    if before is None or None in mains[-2:]:
        return None
    if mains[-2] == mains[-1]:
        return 1.0
    close = theirs.get(before)
    return closes[before] / close if close else None
