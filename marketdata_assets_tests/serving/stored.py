"""A lake with shares, factors, funds and histories whose numbers differ, and its series."""

import datetime as dt
import random
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from marketdata_assets.storage.io_manager import conform
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import refresh
from marketdata_assets.tables import (
    ADJ_FACTOR,
    DAILY_PRICES,
    ETF_PREMIUM,
    INSTRUMENT_HISTORY,
    STOCK_LIST,
    Table,
)
from marketdata_assets.trading_calendar import sessions_between

SESSIONS = sessions_between(dt.date(2024, 12, 16), dt.date(2025, 1, 24))
SHARES = {"000001.SZ": "平安银行", "600000.SH": "浦发银行", "688981.SH": "中芯国际"}
# Its last day lies before the others'; its name is known of its own days alone.
GONE = "600001.SH"
FUNDS = {"510300.SH": "沪深300ETF", "513100.SH": None}
INDEX, SHARE_BY_CODE, FUND_BY_CODE = "HSI", "920002.BJ", "159915.SZ"
STORED = (*SHARES, GONE, *FUNDS, INDEX, SHARE_BY_CODE, FUND_BY_CODE)


def bar(chance: random.Random) -> dict[str, float | None]:
    """A bar as the vendor tells it: volume in 手, turnover in 千元, with all their decimals."""
    low = round(chance.uniform(1, 2_000), 2)
    return {
        "open": low + 0.01,
        "high": low + 0.02,
        "low": low,
        "close": round(low + 0.01, 2),
        "volume": round(chance.uniform(0, 1e8), 2),
        "turnover": round(chance.uniform(0, 1e8), 3),
    }


def filled(table: Table, rows: Sequence[Mapping[str, object]], seed: str) -> pa.Table:
    """Rows of a table; what is not given is NULL, or some number or text."""
    chance = random.Random(seed)
    for_type = {pa.string(): "x", pa.date32(): dt.date(2000, 1, 1), pa.bool_(): True}
    full = []
    for row in rows:
        rest = {
            c.name: for_type.get(c.type, chance.uniform(-9, 9))
            for c in table.columns
            if not c.nullable or chance.random() < 0.5
        }
        full.append({**rest, **row})
    return conform(table, pa.Table.from_pylist(full, schema=table.schema))


def store_shares(lake: Lake, days: Iterable[dt.date], version: int = 0) -> None:
    for day in days:
        chance = random.Random(f"{day} {version}")
        codes = [*SHARES, GONE] if day < SESSIONS[-5] else list(SHARES)
        # A suspended share has no row.
        present = [code for code in codes if code != "688981.SH" or day.day % 4]
        rows = [
            {"code": code, "date": day, "name": SHARES.get(code, "退市的"), **bar(chance)}
            for code in present
        ]
        lake.write(DAILY_PRICES, day, filled(DAILY_PRICES, rows, f"{day} {version}"))


def store_factors(lake: Lake, days: Iterable[dt.date], version: int = 0) -> None:
    for day in days:
        steps = SESSIONS.index(day) // 4
        rows = [
            {"ts_code": code, "trade_date": day, "adj_factor": round(1.7 + n + steps / 7, 4)}
            for n, code in enumerate([*SHARES, GONE], start=version)
        ]
        lake.write(ADJ_FACTOR, day, filled(ADJ_FACTOR, rows, "factors"))


def store_funds(lake: Lake, days: Iterable[dt.date]) -> None:
    for number, day in enumerate(days):
        rows: list[dict[str, object]] = []
        for code, name in FUNDS.items():
            one: dict[str, object] = {"trade_date": day, "ts_code": code, "name": name}
            prices = bar(random.Random(f"{day} {code}"))
            one |= {"vol": prices.pop("volume"), "amount": prices.pop("turnover"), **prices}
            close = prices["close"]
            nav = None if number % 5 == 4 or close is None else round(close / 1.01, 4)
            one |= {"unit_nav": nav, "premium": close / nav - 1 if nav and close else None}
            one |= {"no_premium": None if nav else "nav not published"}
            rows.append(one)
        lake.write(ETF_PREMIUM, day, filled(ETF_PREMIUM, rows, f"{day}"))


def history_of(code: str, days: Iterable[dt.date], version: int = 0) -> pa.Table:
    rows = []
    for day in days:
        chance = random.Random(f"{code} {day} {version}")
        bars = {**bar(chance), "volume": chance.choice([None, 1234.0])}
        fixed = {"currency": "HKD", "volume_unit": "shares", "source": "S", "source_unit": "u"}
        rows.append({"code": code, "date": day, **bars, **fixed})
    return conform(INSTRUMENT_HISTORY, pa.Table.from_pylist(rows, schema=INSTRUMENT_HISTORY.schema))


def store_history(lake: Lake, code: str, days: Iterable[dt.date], version: int = 0) -> None:
    lake.write(INSTRUMENT_HISTORY, code, history_of(code, days, version))


def store_stock_list(lake: Lake, day: dt.date, names: Mapping[str, str]) -> None:
    rows = [{"trade_date": day, "ts_code": code, "name": name} for code, name in names.items()]
    lake.write(STOCK_LIST, day, filled(STOCK_LIST, rows, "list"))


def store_everything(lake: Lake) -> None:
    """All of it, with series of the daily tables."""
    store_shares(lake, SESSIONS)
    store_factors(lake, SESSIONS)
    store_funds(lake, SESSIONS)
    store_stock_list(lake, SESSIONS[-1], {**SHARES, "301999.SZ": "新股"})
    for code in (INDEX, SHARE_BY_CODE, FUND_BY_CODE):
        store_history(lake, code, SESSIONS[3:])
    for table in (DAILY_PRICES, ADJ_FACTOR, ETF_PREMIUM):
        refresh(lake, table)
