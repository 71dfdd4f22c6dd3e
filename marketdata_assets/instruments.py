"""What a code is: the kind of instrument, its market, its currency, the unit of its volume.

Here belongs the reading of codes, without asking anybody: a code that is well formed need not
exist. Who has the history of a kind of instrument is `resources.sources`.

Canonical codes are digits and exchange (`600000.SH`), product and exchange (`AU.SHF`), or a bare
name (`HSI`, `NDX`, `BTC`).
"""

import datetime as dt
import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo

from marketdata_assets.errors import MarketdataError


class Kind(StrEnum):
    """The kinds of instruments; each knows its description in English and Chinese."""

    CHINA_INDEX = "china_index"
    A_SHARE = "a_share"
    B_SHARE = "b_share"
    CHINA_ETF = "china_etf"
    HK_INDEX = "hk_index"
    # The value is what clients have always been told, Tokyo and Frankfurt included.
    WORLD_INDEX = "us_index"
    FUTURES = "futures"
    CRYPTO = "crypto"

    @property
    def doc(self) -> str:
        return _DOCS[self][0]

    @property
    def doc_zh(self) -> str:
        return _DOCS[self][1]


_DOCS = {
    Kind.CHINA_INDEX: ("index of mainland China", "中国大陆指数"),
    Kind.A_SHARE: ("A-share", "A股"),
    Kind.B_SHARE: ("B share, in US or Hong Kong dollars", "B股(美元或港元)"),
    Kind.CHINA_ETF: ("ETF or LOF listed in mainland China", "中国大陆场内ETF、LOF"),
    Kind.HK_INDEX: ("Hong Kong index", "香港指数"),
    Kind.WORLD_INDEX: ("index of the US or another foreign market", "美国及其他境外指数"),
    Kind.FUTURES: ("futures, the continuous main contract", "期货主力连续"),
    Kind.CRYPTO: ("cryptocurrency in US dollars", "加密货币(美元计价)"),
}


class Unit(StrEnum):
    """What one unit of volume is in the canonical series."""

    SHARES = "shares"
    CONTRACTS = "contracts"
    COINS = "coins"


@dataclass(frozen=True)
class Market:
    """Where something trades: its clock, and the time of day from which a day's bar is final."""

    name: str
    timezone: str
    final_after: dt.timedelta

    def last_final_day(self, now: dt.datetime) -> dt.date:
        """The latest calendar day whose bar no trade can change any more at `now`."""
        local = now.astimezone(ZoneInfo(self.timezone)).replace(tzinfo=None)
        return (local - self.final_after).date()


def _market(name: str, timezone: str, final_hour: int) -> Market:
    return Market(name, timezone, dt.timedelta(hours=final_hour))


SHANGHAI = _market("SSE", "Asia/Shanghai", 16)
SHENZHEN = _market("SZSE", "Asia/Shanghai", 16)
BEIJING = _market("BSE", "Asia/Shanghai", 16)
CSI = _market("CSI", "Asia/Shanghai", 17)
SHFE = _market("SHFE", "Asia/Shanghai", 16)
HONG_KONG = _market("HKEX", "Asia/Hong_Kong", 17)
NEW_YORK = _market("US", "America/New_York", 18)
NYMEX = _market("NYMEX", "America/New_York", 18)
TOKYO = _market("JPX", "Asia/Tokyo", 17)
FRANKFURT = _market("XETRA", "Europe/Berlin", 19)
# Coins trade round the clock; their day is UTC's.
ROUND_THE_CLOCK = _market("crypto", "UTC", 24)


@dataclass(frozen=True)
class Instrument:
    """What is known of a code; prices and turnover are in `currency`, volume in `unit`."""

    code: str
    kind: Kind
    market: Market
    currency: str
    unit: Unit = Unit.SHARES

    @property
    def symbol(self) -> str:
        """The code without its exchange."""
        return self.code.partition(".")[0]


class UnknownCode(MarketdataError, ValueError, is_final=True, status=400):
    """A text is no code that is understood; the message says what is."""

    def __init__(self, text: str, hint: str = "") -> None:
        self.hint = hint
        shown = text if len(text) <= 40 else f"{text[:40]}…"
        super().__init__(
            " ".join(filter(None, [f"{shown!r} is no code that is understood.", hint, UNDERSTOOD]))
        )


_EXCHANGES = {"SH": SHANGHAI, "SZ": SHENZHEN, "BJ": BEIJING}
_EXCHANGE_ALIASES = {"SS": "SH", "XSHG": "SH", "SSE": "SH", "XSHE": "SZ", "SZSE": "SZ"}
_EXCHANGE_ALIASES |= {"XBSE": "BJ", "BSE": "BJ"}

# First digits of a code by exchange. Funds that don't trade there (519 of Shanghai), bonds,
# repurchases and REITs are none of them.
_CHINA_RULES: tuple[tuple[str, str, Kind, str], ...] = (
    ("SH", r"000", Kind.CHINA_INDEX, "CNY"),
    ("SH", r"60[0135]|68[89]", Kind.A_SHARE, "CNY"),
    ("SH", r"900", Kind.B_SHARE, "USD"),
    ("SH", r"50[126]|51[0-8]|52|53|55|56|58", Kind.CHINA_ETF, "CNY"),
    ("SZ", r"399|980", Kind.CHINA_INDEX, "CNY"),
    ("SZ", r"00[0-3]|30[0-2]", Kind.A_SHARE, "CNY"),
    ("SZ", r"20[01]", Kind.B_SHARE, "HKD"),
    ("SZ", r"15|16", Kind.CHINA_ETF, "CNY"),
    ("BJ", r"899", Kind.CHINA_INDEX, "CNY"),
    ("BJ", r"920", Kind.A_SHARE, "CNY"),
)

_ELSEWHERE: dict[str, tuple[Kind, Market, str]] = {
    "HSI": (Kind.HK_INDEX, HONG_KONG, "HKD"),
    "HSCEI": (Kind.HK_INDEX, HONG_KONG, "HKD"),
    "HSTECH.HK": (Kind.HK_INDEX, HONG_KONG, "HKD"),
    "NDX": (Kind.WORLD_INDEX, NEW_YORK, "USD"),
    "SPX": (Kind.WORLD_INDEX, NEW_YORK, "USD"),
    "DJI": (Kind.WORLD_INDEX, NEW_YORK, "USD"),
    "IXIC": (Kind.WORLD_INDEX, NEW_YORK, "USD"),
    "N225": (Kind.WORLD_INDEX, TOKYO, "JPY"),
    "GDAXI": (Kind.WORLD_INDEX, FRANKFURT, "EUR"),
}
_ALIASES = {"HSTECH": "HSTECH.HK", "HKTECH": "HSTECH.HK", "HSI.HK": "HSI", "HSCEI.HK": "HSCEI"}
_ALIASES |= {"GSPC": "SPX", "INX": "SPX", "BTC-USD": "BTC", "ETH-USD": "ETH"}

_SHFE_PRODUCTS = frozenset(
    [
        "AG",
        "AL",
        "AO",
        "AU",
        "BR",
        "BU",
        "CU",
        "FU",
        "HC",
        "NI",
        "PB",
        "RB",
        "RU",
        "SN",
        "SP",
        "SS",
        "WR",
        "ZN",
    ]
)
_COINS = ("BTC", "ETH")

UNDERSTOOD = (
    "Understood: China indices 000300.SH, 399006.SZ, 899050.BJ, H30269.CSI; A-shares 600000.SH, "
    "688981.SH, 000001.SZ, 300750.SZ, 920002.BJ; B shares 900901.SH, 200002.SZ; ETFs and LOFs "
    "510300.SH, 588000.SH, 159915.SZ, 161725.SZ; Hong Kong indices HSI, HSCEI, HSTECH.HK; world "
    "indices NDX, SPX, DJI, IXIC, N225, GDAXI; futures AU.SHF, CU.SHF and other products of "
    "Shanghai, CL.NYM; coins BTC, ETH."
)


def identify(text: str) -> Instrument:
    """The instrument behind a code as people write it.

    Case, spaces, full-width characters, `sh600000` and `600000.XSHG` are normalised. Raises
    `UnknownCode` with a hint where one can be given; a bare number is refused, as the exchange
    decides what it is.
    """
    code = "".join(unicodedata.normalize("NFKC", text).split()).upper()
    if re.fullmatch(r"\d{6}", code, re.ASCII):
        raise UnknownCode(text, _with_exchange(code))
    if match := re.fullmatch(r"(SH|SZ|BJ)\.?(\d{6})", code, re.ASCII):
        return _china(text, match[2], match[1])
    if match := re.fullmatch(r"(\d{6})\.([A-Z]+)", code, re.ASCII):
        exchange = _EXCHANGE_ALIASES.get(match[2], match[2])
        if exchange in _EXCHANGES:
            return _china(text, match[1], exchange)
    if re.fullmatch(r"[H\d]\d{5}\.CSI", code, re.ASCII):
        return Instrument(code, Kind.CHINA_INDEX, CSI, "CNY")
    return _elsewhere(text, code.lstrip("^."))


def _china(text: str, digits: str, exchange: str) -> Instrument:
    for where, start, kind, currency in _CHINA_RULES:
        if where == exchange and re.match(start, digits):
            return Instrument(f"{digits}.{exchange}", kind, _EXCHANGES[exchange], currency)
    if exchange == "BJ" and re.match(r"43|8[378]", digits):
        raise UnknownCode(
            text, "Shares of Beijing have moved to codes 920xxx, their history included."
        )
    raise UnknownCode(text, _with_exchange(digits))


def _elsewhere(text: str, code: str) -> Instrument:
    code = _ALIASES.get(code, code)
    if code in _ELSEWHERE:
        kind, market, currency = _ELSEWHERE[code]
        return Instrument(code, kind, market, currency)
    if code in _COINS:
        return Instrument(code, Kind.CRYPTO, ROUND_THE_CLOCK, "USD", Unit.COINS)
    product, _, exchange = code.partition(".")
    if exchange == "SHF" and product in _SHFE_PRODUCTS:
        return Instrument(code, Kind.FUTURES, SHFE, "CNY", Unit.CONTRACTS)
    if code == "CL.NYM":
        return Instrument(code, Kind.FUTURES, NYMEX, "USD", Unit.CONTRACTS)
    raise UnknownCode(text, _hint_elsewhere(product, exchange))


def _hint_elsewhere(product: str, exchange: str) -> str:
    if exchange == "SHF" and re.fullmatch(r"[A-Z]{1,2}\d{3,4}", product):
        main = re.sub(r"\d", "", product)
        return f"Only main contracts are known: did you mean {main}.SHF?"
    if product in _SHFE_PRODUCTS and not exchange:
        return f"Did you mean the futures {product}.SHF?"
    if product == "CL" and not exchange:
        return "Did you mean the futures CL.NYM?"
    return ""


def _with_exchange(digits: str) -> str:
    """What the digits would be on each exchange that has such codes."""
    candidates = [
        f"{digits}.{exchange} ({kind.doc})"
        for exchange, start, kind, _ in _CHINA_RULES
        if re.match(start, digits)
    ]
    return f"Did you mean {' or '.join(candidates)}?" if candidates else ""
