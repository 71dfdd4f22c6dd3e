"""A real market day behind Tushare's protocol.

The files lie next to the repository and are not part of it; tests that use them skip without.
"""

import csv
import datetime as dt
from pathlib import Path

import pytest

from marketdata_sandbox.columns import Columns

REAL_DATA = Path(__file__).parents[2] / "shared" / "data" / "real"
REAL_DAY = dt.date(2025, 4, 3)

needs_real_data = pytest.mark.skipif(
    not REAL_DATA.exists(), reason=f"no real market data at {REAL_DATA}"
)

TEXT = {"ts_code", "trade_date", "symbol", "name", "area", "industry", "market", "list_date"}
EXCHANGES = {"SH": "SSE", "SZ": "SZSE", "BJ": "BSE"}


class ReplayedDay:
    """The market of 2025-04-03 and no other day, as recorded.

    Factors and suspensions were not recorded: the factors are 1, and the shares that did not
    trade are the suspended ones.
    """

    def stock_basic(self, today: dt.date) -> Columns:
        stocks = _read("stock_basic")
        count = len(stocks["ts_code"])
        suffixes = [str(code)[-2:] for code in stocks["ts_code"]]
        stocks["exchange"] = [EXCHANGES[suffix] for suffix in suffixes]
        stocks["list_status"] = ["L"] * count
        stocks["delist_date"] = [None] * count
        return stocks

    def daily(self, day: dt.date) -> Columns:
        return _of_day("daily", day)

    def stk_limit(self, day: dt.date) -> Columns:
        return _of_day("stk_limit", day)

    def daily_basic(self, day: dt.date) -> Columns:
        return _of_day("daily_basic", day)

    def adj_factor(self, day: dt.date) -> Columns:
        codes = _read("stock_basic")["ts_code"] if day == REAL_DAY else []
        dates = [f"{day:%Y%m%d}"] * len(codes)
        return {"ts_code": codes, "trade_date": dates, "adj_factor": [1.0] * len(codes)}

    def suspend_d(self, day: dt.date) -> Columns:
        codes = self._not_traded() if day == REAL_DAY else []
        return {
            "ts_code": codes,
            "trade_date": [f"{day:%Y%m%d}"] * len(codes),
            "suspend_timing": [None] * len(codes),
            "suspend_type": ["S"] * len(codes),
        }

    def _not_traded(self) -> list[object]:
        stocks, traded = _read("stock_basic"), set(_read("daily")["ts_code"])
        listed = zip(stocks["ts_code"], stocks["list_date"], strict=True)
        return [code for code, day in listed if code not in traded and str(day) <= "20250403"]


def _of_day(call: str, day: dt.date) -> Columns:
    columns = _read(call)
    return columns if day == REAL_DAY else {name: [] for name in columns}


def _read(call: str) -> Columns:
    path = REAL_DATA / "tushare_2025-04-03" / f"{call}.csv"
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        name: [_value(name, row[name]) for row in rows]
        for name in rows[0]
        if not name.startswith("act_")
    }


def _value(name: str, text: str) -> object:
    if text == "":
        return None
    return text if name in TEXT or name == "cnspell" else float(text)
