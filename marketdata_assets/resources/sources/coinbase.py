"""Coinbase's public candles as a source for coins: `/products/<coin>-USD/candles`, a day a candle.

Here belongs what the exchange's answers mean. From mainland China it is reached through the tunnel
only. A candle is [start, low, high, open, close, volume]; its day is UTC's, its volume in coins; an
answer holds 300 candles at most.
"""

import datetime as dt
from decimal import Decimal

from marketdata_assets.errors import MarketdataError
from marketdata_assets.instruments import Instrument, Kind
from marketdata_assets.resources.rate_limit import Allowance
from marketdata_assets.resources.sources.history import (
    History,
    Scale,
    SourceFailed,
    read_bars,
)
from marketdata_assets.resources.sources.web import JsonSite
from marketdata_assets.resources.ssh_tunnel import SshTunnel

COINBASE = "https://api.exchange.coinbase.com"
DAYS_PER_CALL = 300
DAY_SECONDS = "86400"
FIELDS = ("date", "low", "high", "open", "close", "volume")


class CoinbaseSource:
    """`url` is Coinbase, or a server that speaks like it."""

    name = "Coinbase"

    def __init__(self, allowance: Allowance, tunnel: SshTunnel | None, url: str = COINBASE) -> None:
        self._site = JsonSite(url, allowance, tunnel)

    @property
    def host(self) -> str:
        return self._site.url.partition("://")[2]

    def serves(self, instrument: Instrument) -> bool:
        return instrument.kind is Kind.CRYPTO

    def whole_only(self, instrument: Instrument) -> bool:
        return False

    def history(self, instrument: Instrument, first: dt.date, last: dt.date) -> History:
        columns: dict[str, list[object]] = {name: [] for name in FIELDS}
        try:
            start = first
            while start <= last:
                end = min(start + dt.timedelta(days=DAYS_PER_CALL - 1), last)
                for candle in self._candles(instrument, start, end):
                    for name, value in zip(FIELDS, candle, strict=True):
                        columns[name].append(value)
                start = end + dt.timedelta(days=1)
            columns["date"] = [_day(moment) for moment in columns["date"]]
            bars = read_bars(columns, Scale(volume=Decimal(1)), first, last)
        except (MarketdataError, ValueError) as error:
            raise SourceFailed(self.name, instrument.code, str(error)) from None
        if bars.num_rows == 0:
            raise SourceFailed(self.name, instrument.code, f"no candle from {first} to {last}.")
        return History(bars, self.name, "coins")

    def close(self) -> None:
        self._site.close()

    def _candles(self, instrument: Instrument, start: dt.date, end: dt.date) -> list[list[object]]:
        product = f"{instrument.code}-{instrument.currency}"
        params = {"granularity": DAY_SECONDS, "start": f"{start}", "end": f"{end}"}
        answer = self._site.get(f"/products/{product}/candles", params)
        candles = answer.content
        if answer.status != 200 or not isinstance(candles, list):
            message = candles.get("message") if isinstance(candles, dict) else candles
            raise ValueError(f"Coinbase answers {answer.status} «{message}».")
        if any(not isinstance(one, list) or len(one) != len(FIELDS) for one in candles):
            raise ValueError("a candle has other than six values.")
        return candles


def _day(moment: object) -> dt.date:
    if not isinstance(moment, int):
        raise ValueError(f"a candle starts at {moment!r}, which is no moment.")
    return dt.datetime.fromtimestamp(moment, dt.UTC).date()
