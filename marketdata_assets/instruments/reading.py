"""Codes as people write them, read: `sh600000`, `600000.XSHG`, `1.600000`, `RB9999.XSGE`.

Here belong the spellings, and the refusal of what is not clear. What digits, products and names
mean are the modules beside.
"""

import functools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from marketdata_assets.errors import MarketdataError
from marketdata_assets.instruments import abroad, futures, mainland
from marketdata_assets.instruments.code_changes import SUCCESSORS
from marketdata_assets.instruments.kinds import Instrument

UNDERSTOOD = (
    "Understood: China indices 000300.SH, 399006.SZ, 899050.BJ, H30269.CSI, 801010.SI; A-shares "
    "600000.SH, 688981.SH, 000001.SZ, 300750.SZ, 920002.BJ; B shares 900901.SH, 200002.SZ; funds "
    "510300.SH, 588000.SH, 159915.SZ, 161725.SZ, 500038.SH, 184692.SZ, 508000.SH, 180101.SZ; bonds "
    "113050.SH, 127045.SZ, 019547.SH; Hong Kong HSI, HSCEI, HSTECH.HK, 00700.HK; world indices "
    "NDX, SPX, DJI, IXIC, N225, GDAXI; US shares and ETFs AAPL, SPY; futures AU.SHF, M.DCE, "
    "TA.ZCE, IF.CFX, SC.INE, SI.GFE, RB2501.SHF, CL.NYM; coins BTC, ETH."
)


class UnknownCode(MarketdataError, ValueError, is_final=True, status=400):
    """A text is no code that is understood; the message says what it could be, and what is."""

    def __init__(self, text: str, hint: str = "") -> None:
        self.hint = hint
        shown = text if len(text) <= 40 else f"{text[:40]}…"
        super().__init__(
            " ".join(filter(None, [f"{shown!r} is no code that is understood.", hint, UNDERSTOOD]))
        )


# What others call the exchanges, by the ending that canonical codes have.
_CALLED = {
    "SH": "SH SS XSHG SSE SHSE",
    "SZ": "SZ XSHE SZSE",
    "BJ": "BJ XBSE BSE BJSE",
    "CSI": "CSI",
    "SI": "SI",
    "OF": "OF",
    "HK": "HK XHKG HKEX",
    "US": "US",
    "SHF": "SHF SHFE XSGE",
    "DCE": "DCE XDCE",
    "ZCE": "ZCE CZCE XZCE",
    "CFX": "CFX CFFEX CCFX",
    "INE": "INE XINE",
    "GFE": "GFE GFEX XGFE",
    "NYM": "NYM NYMEX",
    # Wind's for indices of Hong Kong and of the world.
    "HI": "HI",
    "GI": "GI",
}
_ENDINGS = {name: ending for ending, names in _CALLED.items() for name in names.split()}
_BESIDE_DIGITS = "|".join(
    name for name, ending in _ENDINGS.items() if ending in {*mainland.EXCHANGES, "HK"}
)


@functools.lru_cache(maxsize=10_000)
def identify(text: str) -> Instrument:
    """The instrument behind a code as people write it.

    A code that was changed is the share under its present one (`renamed_from`). Raises
    `UnknownCode` with what it could be; a bare number is refused, as the exchange decides what it
    is.
    """
    code = "".join(unicodedata.normalize("NFKC", text).split()).upper()
    found = _read(code)
    if found is None:
        raise UnknownCode(text, _hint(code))
    if successor := SUCCESSORS.get(found.code):
        return replace(found, code=successor, renamed_from=found.code)
    return found


def _read(code: str) -> Instrument | None:
    if code.startswith(("^", ".")):
        return abroad.index_named(code[1:])
    if code == "CL=F":
        return futures.CRUDE_OIL
    # 东方财富 numbers the markets: 1 is Shanghai, 0 Shenzhen and Beijing.
    if match := re.fullmatch(r"([01])\.(\d{6})", code, re.ASCII):
        if match[1] == "1":
            return mainland.on_exchange(match[2], "SH")
        return mainland.on_exchange(match[2], "SZ") or mainland.on_exchange(match[2], "BJ")
    symbol, ending = _parted(code)
    return _listed_at(symbol, ending) if ending else _without_exchange(symbol)


def _parted(code: str) -> tuple[str, str]:
    """Symbol and canonical ending of `600000.SH`, `SH.600000`, `SH600000` and `600000SH`."""
    first, _, last = code.rpartition(".")
    if first and last in _ENDINGS:
        return first, _ENDINGS[last]
    first, _, last = code.partition(".")
    if last and first in _ENDINGS:
        return last, _ENDINGS[first]
    if match := re.fullmatch(rf"({_BESIDE_DIGITS})(\d{{5,7}})", code, re.ASCII):
        return match[2], _ENDINGS[match[1]]
    if match := re.fullmatch(rf"(\d{{5,7}})({_BESIDE_DIGITS})", code, re.ASCII):
        return match[1], _ENDINGS[match[2]]
    return code, ""


def _listed_at(symbol: str, ending: str) -> Instrument | None:
    if ending in mainland.EXCHANGES:
        return (
            mainland.on_exchange(symbol, ending)
            or mainland.with_letter(symbol, ending)
            or mainland.number_used_twice(symbol, ending)
        )
    if ending in futures.MARKETS:
        found = futures.futures_of(symbol)
        return found if found and found.code.endswith(f".{ending}") else None
    if ending == "HK":
        return abroad.hong_kong_share(symbol) or _of_hong_kong(symbol)
    if ending == "NYM":
        return futures.CRUDE_OIL if symbol in ("CL", "CL0") else None
    read = {
        "CSI": mainland.index_company,
        "SI": mainland.industry_index,
        "OF": mainland.fund_of,
        "US": abroad.us_share,
        "HI": abroad.index_named,
        "GI": abroad.index_named,
    }
    return read[ending](symbol)


def _of_hong_kong(name: str) -> Instrument | None:
    found = abroad.index_named(name)
    return found if found and found.currency == "HKD" else None


def _without_exchange(symbol: str) -> Instrument | None:
    if found := abroad.index_named(symbol) or abroad.coin_named(symbol):
        return found
    if re.fullmatch(r"H\d{5}", symbol, re.ASCII):
        return mainland.index_company(symbol)
    if re.fullmatch(r"[A-Z]{1,2}\d+", symbol, re.ASCII):
        return futures.futures_of(symbol)
    share = abroad.us_share(symbol)
    return share if share and not share.code.endswith(".US") else None


def _hint(code: str) -> str:
    """A sentence that names what a text could be, empty where nobody can tell."""
    symbol, ending = _parted(code)
    if re.fullmatch(r"\d{6}", symbol, re.ASCII):
        if ending == "OF" or symbol.startswith("519"):
            return "Of open-end funds those alone are known that trade on an exchange."
        found = mainland.on_any_exchange(symbol)
        if not found and not ending:
            found = mainland.only_index(symbol)
        return _did_you_mean(found)
    if re.fullmatch(r"\d{1,5}", symbol, re.ASCII):
        share = abroad.hong_kong_share(symbol)
        return _did_you_mean([share] if share else [])
    main = futures.futures_of(symbol)
    found = [main] if main else futures.could_be(symbol)
    if not ending:
        found = [*found, *abroad.could_be(symbol)]
    return _did_you_mean(found)


def _did_you_mean(found: Sequence[Instrument]) -> str:
    named = [f"{one.code} ({one.kind.doc})" for one in dict.fromkeys(found)]
    return f"Did you mean {' or '.join(named)}?" if named else ""
