"""Yahoo's public chart endpoint as a source: `/v8/finance/chart/<symbol>`, a day a bar.

Here belongs what Yahoo calls things and what its answers mean. From mainland China it is reached
through the tunnel only.

Yahoo divides past prices by later splits, so a history with a split in it is not what was traded
and is refused; dividends leave these prices alone. Volume is taken where it is known to count
shares or contracts; for a coin it is the value traded, in dollars.
"""

import datetime as dt
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from marketdata_assets.instruments import Instrument, Kind
from marketdata_assets.resources.sources.history import Answered, Scale, day_at
from marketdata_assets.resources.sources.web import WebSource

YAHOO = "https://query1.finance.yahoo.com"

SYMBOLS = {
    "HSI": "^HSI",
    "HSCEI": "^HSCE",
    "HSTECH.HK": "HSTECH.HK",
    "NDX": "^NDX",
    "SPX": "^GSPC",
    "DJI": "^DJI",
    "IXIC": "^IXIC",
    "N225": "^N225",
    "GDAXI": "^GDAXI",
    "CL.NYM": "CL=F",
    "BTC": "BTC-USD",
    "ETH": "ETH-USD",
}
CHINA_SUFFIXES = {"SSE": "SS", "SZSE": "SZ"}
COUNTING_SHARES = (Kind.A_SHARE, Kind.B_SHARE, Kind.HK_SHARE)
COUNTED = Scale(volume=Decimal(1))
UNSTATED = Scale()
DOLLARS = Scale(turnover=Decimal(1))


class YahooSource(WebSource):
    name = "Yahoo"

    def serves(self, instrument: Instrument) -> bool:
        return _symbol(instrument) is not None

    def answer(self, instrument: Instrument, first: dt.date, last: dt.date) -> Answered:
        symbol = _symbol(instrument)
        assert symbol is not None, instrument.code
        params = {
            "period1": str(_seconds(first - dt.timedelta(days=1))),
            # Up to now, not to `last`: later splits change what came before them.
            "period2": str(_seconds(max(last, dt.datetime.now(dt.UTC).date()), days_later=2)),
            "interval": "1d",
            "events": "div,split",
        }
        status, content = self.get(f"/v8/finance/chart/{quote(symbol)}", params)
        return _read(content, status, symbol, instrument)


def _symbol(instrument: Instrument) -> str | None:
    if instrument.kind in (Kind.A_SHARE, Kind.B_SHARE, Kind.CHINA_ETF):
        suffix = CHINA_SUFFIXES.get(instrument.market.name)
        return f"{instrument.symbol}.{suffix}" if suffix else None
    if instrument.kind is Kind.HK_SHARE:
        return f"{int(instrument.symbol):04}.HK"
    if instrument.kind is Kind.US_SHARE:
        return instrument.symbol.replace(".", "-")
    return SYMBOLS.get(instrument.code)


def _seconds(day: dt.date, days_later: int = 0) -> int:
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    return int((midnight + dt.timedelta(days=days_later)).timestamp())


def _read(content: object, status: int, symbol: str, instrument: Instrument) -> Answered:
    """The columns of the answer, and how to count them. Raises `ValueError`."""
    chart = _part(content, "chart")
    if error := chart.get("error"):
        raise ValueError(f"Yahoo answers {status} «{error.get('description') or error}».")
    result = chart.get("result")
    if not isinstance(result, list) or not result:
        raise ValueError(f"Yahoo answers {status} and no result.")
    meta = _part(result[0], "meta")
    for name, expected in (
        ("symbol", symbol),
        ("currency", instrument.currency),
        ("dataGranularity", "1d"),
    ):
        if meta.get(name) != expected:
            raise ValueError(f"asked for {name} {expected}, got {meta.get(name)}.")
    _refuse_splits(result[0])
    quotes = _part(result[0], "indicators").get("quote") or [{}]
    moments = result[0].get("timestamp") or []
    columns: dict[str, list[object]] = {"date": list(_local_days(moments, meta))}
    for name in ("open", "high", "low", "close", "volume"):
        columns[name] = quotes[0].get(name) or []
        if len(columns[name]) != len(moments):
            raise ValueError(f"{len(moments)} days but {len(columns[name])} values of {name}.")
    if instrument.kind is Kind.CRYPTO:
        columns["turnover"] = columns.pop("volume")
        return Answered(columns, DOLLARS, "value traded in USD")
    if instrument.currency == "USD" or instrument.kind in COUNTING_SHARES:
        unit = "contracts" if instrument.kind is Kind.FUTURES else "shares"
        return Answered(columns, COUNTED, unit)
    return Answered(columns, UNSTATED, "volume in an unstated unit, left out")


def _part(content: object, name: str) -> dict[str, Any]:
    part = content.get(name) if isinstance(content, dict) else None
    if not isinstance(part, dict):
        raise ValueError(f"the answer has no {name}: Yahoo has changed, or something is between.")
    return part


def _refuse_splits(result: dict[str, Any]) -> None:
    splits = (result.get("events") or {}).get("splits") or {}
    if splits:
        last = max(splits.values(), key=lambda split: split["date"])
        day = day_at(last["date"], dt.UTC)
        raise ValueError(
            f"its prices are divided by {len(splits)} split(s), the last {last.get('splitRatio')} "
            f"on {day}: they are not the prices that were traded."
        )


def _local_days(moments: list[object], meta: dict[str, Any]) -> list[dt.date]:
    """The exchange's own day of each moment."""
    try:
        zone = ZoneInfo(str(meta.get("exchangeTimezoneName")))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"its time zone {meta.get('exchangeTimezoneName')} is unknown.") from None
    return [day_at(moment, zone) for moment in moments]
