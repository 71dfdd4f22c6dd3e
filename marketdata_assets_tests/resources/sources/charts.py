"""Yahoo's chart and Coinbase's candles on loopback, over bars that a test can change."""

import datetime as dt
import json
from zoneinfo import ZoneInfo

from marketdata_assets_tests.resources.web_server import Asked, Reply

# Open, high, low, close, volume.
Bars = dict[dt.date, tuple[float | None, ...]]
BARS: Bars = {
    dt.date(2025, 4, 1): (10.0, 10.6, 9.9, 10.5, 1000),
    dt.date(2025, 4, 2): (10.5, 10.5, 10.1, 10.2, 2000),
    dt.date(2025, 4, 3): (10.2, 11.0, 10.2, 10.98, 3000),
}
META = {
    "^NDX": ("USD", "America/New_York"),
    "^GSPC": ("USD", "America/New_York"),
    "^N225": ("JPY", "Asia/Tokyo"),
    "^GDAXI": ("EUR", "Europe/Berlin"),
    "^HSI": ("HKD", "Asia/Hong_Kong"),
    "HSTECH.HK": ("HKD", "Asia/Hong_Kong"),
    "CL=F": ("USD", "America/New_York"),
    "BTC-USD": ("USD", "UTC"),
    "ETH-USD": ("USD", "UTC"),
    "600000.SS": ("CNY", "Asia/Shanghai"),
    "900901.SS": ("USD", "Asia/Shanghai"),
    "200002.SZ": ("HKD", "Asia/Shanghai"),
    "0700.HK": ("HKD", "Asia/Hong_Kong"),
    "80700.HK": ("CNY", "Asia/Hong_Kong"),
    "AAPL": ("USD", "America/New_York"),
    "BRK-B": ("USD", "America/New_York"),
    "C": ("USD", "America/New_York"),
}


class Chart:
    """`bars` and `splits` as Yahoo answers them; the session opens at nine in the morning."""

    def __init__(self) -> None:
        self.bars: Bars = dict(BARS)
        self.splits: dict[dt.date, str] = {}
        # Yahoo has the last day twice while it still changes: as it was, and as it is.
        self.last_again: tuple[float | None, ...] | None = None
        self.meta: dict[str, str] = {}

    def __call__(self, asked: Asked) -> Reply:
        symbol = asked.path.rpartition("/")[2].replace("%5E", "^").replace("%3D", "=")
        if symbol not in META:
            error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
            return Reply(json.dumps({"chart": {"result": None, "error": error}}).encode(), 404)
        currency, zone = META[symbol]
        moments = {day: self._opening(day, zone) for day in self.bars}
        begin, end = int(asked.params["period1"]), int(asked.params["period2"])
        shown = [day for day, moment in moments.items() if begin <= moment < end]
        names = ("open", "high", "low", "close", "volume")
        rows, times = [self.bars[day] for day in shown], [moments[day] for day in shown]
        if self.last_again:
            rows, times = [*rows, self.last_again], [*times, times[-1] + 3600]
        quote = {name: [row[n] for row in rows] for n, name in enumerate(names)}
        result = {
            "meta": {
                "symbol": symbol,
                "currency": currency,
                "exchangeTimezoneName": zone,
                "dataGranularity": "1d",
                **self.meta,
            },
            "timestamp": times,
            "indicators": {"quote": [quote], "adjclose": [{"adjclose": [1.0] * len(times)}]},
        }
        if self.splits:
            result["events"] = {
                "splits": {
                    str(self._opening(day, zone)): {
                        "date": self._opening(day, zone),
                        "splitRatio": ratio,
                    }
                    for day, ratio in self.splits.items()
                }
            }
        return Reply(json.dumps({"chart": {"result": [result], "error": None}}).encode())

    def _opening(self, day: dt.date, zone: str) -> int:
        hour = 0 if zone == "UTC" else 9
        return int(dt.datetime.combine(day, dt.time(hour), ZoneInfo(zone)).timestamp())


def candles(asked: Asked) -> Reply:
    """The candles between start and end, the latest first, at most 300 days as the exchange."""
    first = dt.date.fromisoformat(asked.params["start"])
    last = dt.date.fromisoformat(asked.params["end"])
    if (last - first).days >= 300:
        message = {"message": "granularity too small for the requested time range."}
        return Reply(json.dumps(message).encode(), 400)
    rows = [
        [
            int(dt.datetime.combine(day, dt.time(), dt.UTC).timestamp()),
            *(low, high, opened, close, volume),
        ]
        for day, (opened, high, low, close, volume) in BARS.items()
        if first <= day <= last
    ]
    return Reply(json.dumps(rows[::-1]).encode())
