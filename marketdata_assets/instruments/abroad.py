"""Indices, shares and coins from outside of mainland China, and the names people have for them.

Here belong names without an exchange of mainland China.
"""

import re

from marketdata_assets.instruments.futures import CRUDE_OIL, PRODUCTS
from marketdata_assets.instruments.kinds import (
    FRANKFURT,
    HONG_KONG,
    NEW_YORK,
    ROUND_THE_CLOCK,
    TOKYO,
    Instrument,
    Kind,
)

INDICES = {
    one.code: one
    for one in (
        Instrument("HSI", Kind.HK_INDEX, HONG_KONG, "HKD"),
        Instrument("HSCEI", Kind.HK_INDEX, HONG_KONG, "HKD"),
        Instrument("HSTECH.HK", Kind.HK_INDEX, HONG_KONG, "HKD"),
        Instrument("NDX", Kind.WORLD_INDEX, NEW_YORK, "USD"),
        Instrument("SPX", Kind.WORLD_INDEX, NEW_YORK, "USD"),
        Instrument("DJI", Kind.WORLD_INDEX, NEW_YORK, "USD"),
        Instrument("IXIC", Kind.WORLD_INDEX, NEW_YORK, "USD"),
        Instrument("N225", Kind.WORLD_INDEX, TOKYO, "JPY"),
        Instrument("GDAXI", Kind.WORLD_INDEX, FRANKFURT, "EUR"),
    )
}
COINS = {name: Instrument(name, Kind.CRYPTO, ROUND_THE_CLOCK, "USD") for name in ("BTC", "ETH")}
_ALIASES = {
    "HSTECH": "HSTECH.HK",
    "HKTECH": "HSTECH.HK",
    "HSCE": "HSCEI",
    "GSPC": "SPX",
    "INX": "SPX",
    "SP500": "SPX",
    "DAX": "GDAXI",
}
# Words that mean more than one thing, and what they could mean.
_SEVERAL = {
    "NASDAQ": [INDICES["IXIC"], INDICES["NDX"]],
    "CL": [CRUDE_OIL],
}
# Indices, coins and exchanges, which are no shares to whoever writes them.
_NAMES_OF_OTHERS = (
    "CAC DXY FTSE KOSPI RUT STOXX TOPIX VIX ADA BNB DOGE DOT LTC SOL TRX USDC USDT XRP "
    "BSE CSI DCE HKEX INE NYSE SHFE SSE SZSE"
)
_NOT_SHARES = frozenset(_NAMES_OF_OTHERS.split())


def index_named(name: str) -> Instrument | None:
    """An index by the name it has here or elsewhere: HSI, HSCE, GSPC, DAX."""
    return INDICES.get(_ALIASES.get(name, name))


def coin_named(text: str) -> Instrument | None:
    """`BTC`, or a pair with the dollar or the tether that stands for it: `BTCUSDT`, `BTC/USD`."""
    match = re.fullmatch(r"([A-Z]+?)(?:[-/]?USDT?)?", text, re.ASCII)
    return COINS.get(match[1]) if match else None


def hong_kong_share(digits: str) -> Instrument | None:
    """Up to five digits in Hong Kong; those from 80000 on are counters in renminbi.

    Warrants, which have the other codes of five digits, are None.
    """
    if not re.fullmatch(r"\d{1,5}", digits, re.ASCII) or int(digits) == 0:
        return None
    code = digits.zfill(5)
    if code[0] not in "08":
        return None
    currency = "CNY" if code[0] == "8" else "HKD"
    return Instrument(f"{code}.HK", Kind.HK_SHARE, HONG_KONG, currency)


def us_share(ticker: str) -> Instrument | None:
    """A US share or ETF: its ticker, with `.US` where the ticker alone means something else."""
    ticker = ticker.replace("-", ".")
    if not re.fullmatch(r"[A-Z]{1,5}(\.[A-Z])?", ticker, re.ASCII):
        return None
    code = f"{ticker}.US" if _means_something_else(ticker) else ticker
    return Instrument(code, Kind.US_SHARE, NEW_YORK, "USD")


def _means_something_else(ticker: str) -> bool:
    return (
        index_named(ticker) is not None
        or ticker in COINS
        or ticker in PRODUCTS
        or ticker in _SEVERAL
        or ticker in _NOT_SHARES
    )


def could_be(word: str) -> list[Instrument]:
    """What a bare word may mean that is not clear."""
    share = us_share(word)
    return [*_SEVERAL.get(word, []), *([share] if share else [])]
