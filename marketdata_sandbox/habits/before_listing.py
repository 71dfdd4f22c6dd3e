"""Bars of Beijing shares from before their listing, when they traded on the NEEQ.

Here belongs making them up: the simulated market knows no NEEQ. They have factors of 1, and neither
limits nor indicators; the list of stocks knows nothing of these days.
"""

import datetime as dt
from collections.abc import Mapping

import numpy as np

from marketdata_assets.trading_calendar import previous_session
from marketdata_sandbox.habits.draws import Draws
from marketdata_sandbox.habits.rows import Row
from marketdata_sandbox.market.exchange import FINE_PCT_CHG_SINCE
from marketdata_sandbox.market.vendor_numbers import percent_change

NEEQ_BARS_BEGIN = dt.date(2014, 1, 24)
# Of shares that are listed later the vendor has no such bars.
_LISTED_UNTIL = dt.date(2022, 12, 31)
# Between leaving the NEEQ and the listing a share does not trade.
_DAYS_WITHOUT = dt.timedelta(60)
_LEAST_TICKS, _MOST_TICKS = 200, 2_000
_DAILY_STRAY = 0.03
_FEWEST_LOTS, _MOST_LOTS = 10, 5_000


class BeforeListing:
    """`listed` holds the days of listing by code; `part` of the Beijing shares have such bars."""

    def __init__(self, draws: Draws, listed: Mapping[str, dt.date], part: float) -> None:
        self._draws = draws
        self._spans = {
            code: self._span(code, day)
            for code, day in listed.items()
            if code.endswith(".BJ")
            and day <= _LISTED_UNTIL
            and draws.of("before listing", code) < part
        }

    def bars(self, day: dt.date) -> list[Row]:
        """The bars of `day`. The first one of a share has no pre_close."""
        codes = [code for code, (first, end) in self._spans.items() if first <= day < end]
        return [self._bar(code, day) for code in codes]

    def factors(self, day: dt.date) -> list[Row]:
        """A factor of 1 for every bar of `day`."""
        return [
            {"ts_code": bar["ts_code"], "trade_date": bar["trade_date"], "adj_factor": 1.0}
            for bar in self.bars(day)
        ]

    def _span(self, code: str, listed: dt.date) -> tuple[dt.date, dt.date]:
        end = listed - _DAYS_WITHOUT
        part = self._draws.of("before listing", code, "debut")
        return NEEQ_BARS_BEGIN + (end - NEEQ_BARS_BEGIN) * part, end

    def _bar(self, code: str, day: dt.date) -> Row:
        before = previous_session(day)
        close = self._close(code, day)
        is_first = before < self._spans[code][0]
        opening = close if is_first else self._close(code, before)
        low, high = min(opening, close), max(opening, close)
        lots = _FEWEST_LOTS + int(
            self._draws.of("before listing", code, day, "lots") * (_MOST_LOTS - _FEWEST_LOTS)
        )
        decimals = 4 if day >= FINE_PCT_CHG_SINCE else 2
        change = percent_change(np.array([close]), np.array([opening]), decimals)
        return {
            "ts_code": code,
            "trade_date": f"{day:%Y%m%d}",
            "open": opening / 100,
            "high": high / 100,
            "low": low / 100,
            "close": close / 100,
            "pre_close": None if is_first else opening / 100,
            "change": None if is_first else (close - opening) / 100,
            "pct_chg": None if is_first else change.tolist()[0],
            "vol": float(lots),
            # A 手 at a price in ticks costs as many yuan.
            "amount": lots * (low + high) // 2 / 1000,
        }

    def _close(self, code: str, day: dt.date) -> int:
        level = self._draws.of("before listing", code, "level")
        stray = self._draws.of("before listing", code, day, "close") * 2 - 1
        ticks = _LEAST_TICKS + level * (_MOST_TICKS - _LEAST_TICKS)
        return round(ticks * (1 + _DAILY_STRAY * stray))
