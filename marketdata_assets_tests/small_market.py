"""A market small enough to be read: for tests that are about something else than its values."""

import datetime as dt
from collections.abc import Sequence

from marketdata_assets.tables import (
    DAILY_BASIC,
    DAILY_KLINE,
    STOCK_BASIC,
)
from marketdata_sandbox.columns import Columns

CODES = ("600000.SH", "000001.SZ", "920001.BJ")
# A share that never traded and was delisted.
GONE, GONE_SINCE = "600001.SH", dt.date(2009, 12, 29)
EXCHANGES = {"SH": "SSE", "SZ": "SZSE", "BJ": "BSE"}


class SmallMarket:
    """The same prices on every day; `quiet` days have none. `unlisted` codes trade all the same.

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
        codes = [*self.codes, GONE]
        return {
            **{name: ["x"] * (live + 1) for name in STOCK_BASIC.column_names},
            "ts_code": list(codes),
            "symbol": [code[:6] for code in codes],
            "exchange": [EXCHANGES[code[-2:]] for code in codes],
            "list_status": ["L"] * live + ["D"],
            "list_date": ["19991110"] * (live + 1),
            "delist_date": [None] * live + [f"{GONE_SINCE:%Y%m%d}"],
        }

    def daily(self, day: dt.date) -> Columns:
        codes = self._codes(day)
        prices = self._prices(codes)
        # No two days trade the same volume.
        vol = float(100 + day.toordinal() % 997)
        columns: Columns = {name: prices for name in DAILY_KLINE.column_names}
        columns |= {"change": [0.0] * len(codes), "pct_chg": [0.0] * len(codes)}
        columns |= {"vol": [vol] * len(codes), "amount": [price * vol / 10 for price in prices]}
        return {**columns, **_keys(codes, day)}

    def stk_limit(self, day: dt.date) -> Columns:
        codes = self._codes(day)
        rates = [0.3 if code.endswith(".BJ") else 0.1 for code in codes]
        rows = list(zip(self._prices(codes), rates, strict=True))
        up, down = ([round(p * (1 + sign * rate), 2) for p, rate in rows] for sign in (1, -1))
        return {"up_limit": up, "down_limit": down, **_keys(codes, day)}

    def daily_basic(self, day: dt.date) -> Columns:
        codes, prices = self._codes(day), self._prices(self._codes(day))
        shares = {"total_share": 1000.0, "float_share": 800.0, "free_share": 500.0}
        vol = float(100 + day.toordinal() % 997)
        columns: Columns = {name: [1.5] * len(codes) for name in DAILY_BASIC.column_names}
        columns |= {name: [count] * len(codes) for name, count in shares.items()}
        columns |= {"close": prices, "turnover_rate": [round(vol / 800, 4)] * len(codes)}
        columns |= {"total_mv": [price * 1000 for price in prices]}
        columns |= {"circ_mv": [price * 800 for price in prices]}
        return {**columns, **_keys(codes, day)}

    def adj_factor(self, day: dt.date) -> Columns:
        codes = self._codes(day)
        return {"adj_factor": [1.0] * len(codes), **_keys(codes, day)}

    def suspend_d(self, day: dt.date) -> Columns:
        codes = self._codes(day)
        halts: Columns = {"suspend_timing": ["09:30-10:00"], "suspend_type": ["S"]}
        halts = {name: values * len(codes) for name, values in halts.items()}
        if day < GONE_SINCE and codes:
            halts["suspend_timing"].append(None)
            halts["suspend_type"].append("S")
            codes = [*codes, GONE]
        return {**halts, **_keys(codes, day)}

    def _codes(self, day: dt.date) -> list[str]:
        return [] if day in self.quiet else self.traded

    def _prices(self, codes: Sequence[str]) -> list[float]:
        return [10.5 + n % 50 for n in range(len(codes))]


def _keys(codes: Sequence[str], day: dt.date) -> Columns:
    return {"ts_code": list(codes), "trade_date": [f"{day:%Y%m%d}"] * len(codes)}


def many_codes(count: int) -> list[str]:
    """As many codes of all three exchanges."""
    return [f"{600_000 + n}.{('SH', 'SZ', 'BJ')[n % 3]}" for n in range(2, count + 2)]
