"""Futures of China: their main continuous contracts, the single ones, and which was the main one.

Here belong the answers to `fut_daily` and `fut_mapping` for one code and a range. A main contract
moves as `instruments.walk` has it; a single one has the same bars while it is the main one, and
before and after them at a distance of CARRY for every month between the two.
"""

import datetime as dt
import functools
import math
from collections.abc import Iterator

from marketdata_assets.instruments import Instrument, Kind
from marketdata_assets.instruments.futures import futures_of, main_contract
from marketdata_sandbox.columns import Columns
from marketdata_sandbox.instruments import walk

FUTURES_CALLS = {"fut_daily": 2_000, "fut_mapping": 2_000}
CARRY = 0.004
_PRICES = ("open", "high", "low", "close")
_COLUMNS = {
    "fut_daily": ("ts_code", "trade_date", *_PRICES, "vol", "amount"),
    "fut_mapping": ("ts_code", "trade_date", "mapping_ts_code"),
}
_INDICES, _BONDS = ("IC", "IF", "IH", "IM"), ("T", "TF", "TL", "TS")
_MONTHS_LISTED = 12


def futures_answer(call: str, code: str, first: dt.date, last: dt.date) -> Columns:
    """The vendor's rows of one main contract, or of a single one, the latest first."""
    one = futures_of(code.partition(".")[0])
    rows: list[tuple[object, ...]] = []
    if one is not None and one.code == code:
        rows = list(_mains(one) if call == "fut_mapping" else _daily(one))
    kept = [row for row in rows[::-1] if f"{first:%Y%m%d}" <= str(row[1]) <= f"{last:%Y%m%d}"]
    return {name: [row[at] for row in kept] for at, name in enumerate(_COLUMNS[call])}


def _mains(one: Instrument) -> Iterator[tuple[object, ...]]:
    if one.kind is Kind.FUTURES:
        where = one.code.partition(".")[2]
        for day in _bars(one.symbol):
            contract = f"{one.symbol}{_written(_main_on(one.symbol, day))}.{where}"
            yield one.code, f"{day:%Y%m%d}", contract


def _daily(one: Instrument) -> Iterator[tuple[object, ...]]:
    product = one.symbol.rstrip("0123456789")
    month = _read(one.symbol[-4:]) if one.kind is Kind.FUTURES_CONTRACT else None
    for day, bar in _bars(product).items():
        main = _main_on(product, day)
        away = 0 if month is None else month - main
        if month is None or 0 <= month - _month_of(day) <= _MONTHS_LISTED:
            prices = [round(price * math.exp(CARRY * away), 2) for price in bar[:-1]]
            volume = math.floor(bar[-1] / 10) if away else bar[-1]
            yield one.code, f"{day:%Y%m%d}", *prices, volume, None


@functools.lru_cache(maxsize=4)
def _bars(product: str) -> dict[dt.date, tuple[float, ...]]:
    """Prices and volume of the main contract, by day."""
    main = main_contract(product)
    if main is None:
        return {}
    columns = walk(main)
    numbers = zip(*(columns[name] for name in (*_PRICES, "volume")), strict=True)
    return dict(zip(columns["date"], numbers, strict=True))  # type: ignore[arg-type]


def _main_on(product: str, day: dt.date) -> int:
    """The month of delivery of the main contract, as `_month_of`."""
    months, ahead = {1, 5, 9}, 35
    if product in _INDICES:
        months, ahead = set(range(1, 13)), 12
    if product in _BONDS:
        months, ahead = {3, 6, 9, 12}, 20
    month = _month_of(day + dt.timedelta(ahead))
    while (month - 1) % 12 + 1 not in months:
        month += 1
    return month


def _month_of(day: dt.date) -> int:
    """Months since the year 0."""
    return day.year * 12 + day.month


def _written(month: int) -> str:
    year, number = divmod(month - 1, 12)
    return f"{year % 100:02d}{number + 1:02d}"


def _read(symbol: str) -> int:
    return (2000 + int(symbol[:2])) * 12 + int(symbol[2:])
