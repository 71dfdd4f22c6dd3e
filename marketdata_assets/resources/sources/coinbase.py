"""Coinbase's public candles as a source for coins: `/products/<coin>-USD/candles`, a day a candle.

Here belongs what the exchange's answers mean. From mainland China it is reached through the tunnel
only. A candle is [start, low, high, open, close, volume]; its day is UTC's, its volume in coins; an
answer holds 300 candles at most.
"""

import datetime as dt
from decimal import Decimal

from marketdata_assets.instruments import Instrument, Kind
from marketdata_assets.resources.sources.history import Answered, Scale, day_at
from marketdata_assets.resources.sources.web import WebSource

COINBASE = "https://api.exchange.coinbase.com"
DAYS_PER_CALL = 300
DAY_SECONDS = "86400"
FIELDS = ("date", "low", "high", "open", "close", "volume")


class CoinbaseSource(WebSource):
    name = "Coinbase"

    def serves(self, instrument: Instrument) -> bool:
        return instrument.kind is Kind.CRYPTO

    def answer(self, instrument: Instrument, first: dt.date, last: dt.date) -> Answered:
        columns: dict[str, list[object]] = {name: [] for name in FIELDS}
        start = first
        while start <= last:
            end = min(start + dt.timedelta(days=DAYS_PER_CALL - 1), last)
            for candle in self._candles(instrument, start, end):
                for name, value in zip(FIELDS, candle, strict=True):
                    columns[name].append(value)
            start = end + dt.timedelta(days=1)
        columns["date"] = [day_at(moment, dt.UTC) for moment in columns["date"]]
        return Answered(columns, Scale(volume=Decimal(1)), "coins")

    def _candles(self, instrument: Instrument, start: dt.date, end: dt.date) -> list[list[object]]:
        product = f"{instrument.code}-{instrument.currency}"
        params = {"granularity": DAY_SECONDS, "start": f"{start}", "end": f"{end}"}
        status, candles = self.get(f"/products/{product}/candles", params)
        if status != 200 or not isinstance(candles, list):
            message = candles.get("message") if isinstance(candles, dict) else candles
            raise ValueError(f"Coinbase answers {status} «{message}».")
        if any(not isinstance(one, list) or len(one) != len(FIELDS) for one in candles):
            raise ValueError("a candle has other than six values.")
        return candles
