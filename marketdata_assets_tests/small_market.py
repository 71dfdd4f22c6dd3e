"""A market small enough to be read: for tests that are about something else than its values."""

import datetime as dt
from collections.abc import Sequence

from marketdata_assets.sandbox.protocol import Columns
from marketdata_assets.tables import (
    ADJ_FACTOR,
    DAILY_BASIC,
    DAILY_KLINE,
    PRICE_LIMITS,
    STOCK_BASIC,
    SUSPENSIONS,
)

CODES = ("600000.SH", "000001.SZ", "920001.BJ")
EXCHANGES = {"SH": "SSE", "SZ": "SZSE", "BJ": "BSE"}


class SmallMarket:
    """The same rows on every day; `quiet` days have none. `unlisted` codes trade all the same.

    Every share is halted for the first half hour.
    """

    def __init__(
        self,
        codes: Sequence[str] = CODES,
        unlisted: Sequence[str] = (),
        quiet: Sequence[dt.date] = (),
    ) -> None:
        self.codes = list(codes)
        self.traded = [*unlisted, *codes]
        self.quiet = set(quiet)

    def stock_basic(self, today: dt.date) -> Columns:
        live = len(self.codes)
        codes = [*self.codes, "600001.SH"]
        return {
            **{name: ["x"] * (live + 1) for name in STOCK_BASIC.column_names},
            "ts_code": list(codes),
            "symbol": [code[:6] for code in codes],
            "exchange": [EXCHANGES[code[-2:]] for code in codes],
            "list_status": ["L"] * live + ["D"],
            "list_date": ["19991110"] * (live + 1),
            "delist_date": [None] * live + ["20091229"],
        }

    def daily(self, day: dt.date) -> Columns:
        return self._rows(DAILY_KLINE.column_names, day)

    def stk_limit(self, day: dt.date) -> Columns:
        return self._rows(PRICE_LIMITS.column_names, day)

    def daily_basic(self, day: dt.date) -> Columns:
        return self._rows(DAILY_BASIC.column_names, day)

    def adj_factor(self, day: dt.date) -> Columns:
        return self._rows(ADJ_FACTOR.column_names, day)

    def suspend_d(self, day: dt.date) -> Columns:
        rows = self._rows(SUSPENSIONS.column_names, day)
        count = len(rows["ts_code"])
        return {**rows, "suspend_timing": ["09:30-10:00"] * count, "suspend_type": ["S"] * count}

    def _rows(self, names: Sequence[str], day: dt.date) -> Columns:
        codes = [] if day in self.quiet else self.traded
        columns: Columns = {name: [10.5 + n for n in range(len(codes))] for name in names}
        columns["ts_code"] = list(codes)
        columns["trade_date"] = [f"{day:%Y%m%d}"] * len(codes)
        return columns


def many_codes(count: int) -> list[str]:
    """As many codes of all three exchanges."""
    return [f"{600_000 + n}.{('SH', 'SZ', 'BJ')[n % 3]}" for n in range(2, count + 2)]
