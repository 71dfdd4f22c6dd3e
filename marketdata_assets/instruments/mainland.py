"""What the digits of a code mean on the exchanges of mainland China.

Here belong the ranges of numbers. How people write a code is `reading`.

Sources: the exchanges' rules for codes, and every code of real lists of shares and funds.
"""

import re

from marketdata_assets.instruments.kinds import (
    BEIJING,
    CSI,
    FUND_KINDS,
    SHANGHAI,
    SHENWAN,
    SHENZHEN,
    Instrument,
    Kind,
    Market,
)

EXCHANGES: dict[str, Market] = {"SH": SHANGHAI, "SZ": SHENZHEN, "BJ": BEIJING}

# First digits of a code by exchange; the first that fits. Funds that don't trade there (519 of
# Shanghai) and repurchases (204 of Shanghai, 131 of Shenzhen) are none of them.
_RULES: tuple[tuple[str, str, Kind, str], ...] = (
    ("SH", r"000", Kind.CHINA_INDEX, "CNY"),
    ("SH", r"60[0135]|68[89]", Kind.A_SHARE, "CNY"),
    ("SH", r"900", Kind.B_SHARE, "USD"),
    ("SH", r"50[05]", Kind.CLOSED_FUND, "CNY"),
    ("SH", r"508", Kind.REIT, "CNY"),
    ("SH", r"50[126]|51[0-8]|52|53|55|56|58", Kind.CHINA_ETF, "CNY"),
    ("SH", r"11[0138]", Kind.CONVERTIBLE_BOND, "CNY"),
    # Treasuries, then bonds of provinces and of companies.
    ("SH", r"01[089]|020", Kind.BOND, "CNY"),
    ("SH", r"115|12[02-57]|13|14|15[0-257]|16[0236]|17[135]|18[4-68]|19|24", Kind.BOND, "CNY"),
    ("SZ", r"399|980", Kind.CHINA_INDEX, "CNY"),
    ("SZ", r"00[0-3]|30[0-2]", Kind.A_SHARE, "CNY"),
    ("SZ", r"20[01]", Kind.B_SHARE, "HKD"),
    ("SZ", r"184", Kind.CLOSED_FUND, "CNY"),
    ("SZ", r"180", Kind.REIT, "CNY"),
    ("SZ", r"15|16", Kind.CHINA_ETF, "CNY"),
    ("SZ", r"12[3578]", Kind.CONVERTIBLE_BOND, "CNY"),
    ("SZ", r"10|11[1-9]|12[0-2469]|13[3-9]|14[7-9]|19", Kind.BOND, "CNY"),
    ("BJ", r"899", Kind.CHINA_INDEX, "CNY"),
    ("BJ", r"920", Kind.A_SHARE, "CNY"),
    # Codes of before 2025, under which the past may be stored.
    ("BJ", r"43|8[378]", Kind.A_SHARE, "CNY"),
)


def on_exchange(digits: str, exchange: str) -> Instrument | None:
    """What six digits are on an exchange (SH, SZ, BJ), or None."""
    if not re.fullmatch(r"\d{6}", digits, re.ASCII):
        return None
    if exchange == "BJ" and digits.startswith("900"):
        # The vendor's limits label B shares of Shanghai so.
        exchange = "SH"
    for where, start, kind, currency in _RULES:
        if where == exchange and re.match(start, digits):
            return Instrument(f"{digits}.{exchange}", kind, EXCHANGES[exchange], currency)
    return None


def with_letter(symbol: str, exchange: str) -> Instrument | None:
    """A share that has ended and whose digits were given away: T00018, T600018."""
    if exchange == "SH" and re.fullmatch(r"T\d{5,6}", symbol, re.ASCII):
        return Instrument(f"{symbol}.SH", Kind.A_SHARE, SHANGHAI, "CNY")
    return None


def number_used_twice(symbol: str, exchange: str) -> Instrument | None:
    """A fund of seven digits: the vendor adds one where a number was given a second time."""
    if not re.fullmatch(r"\d{7}", symbol, re.ASCII):
        return None
    first = on_exchange(symbol[:6], exchange)
    if first is None or first.kind not in FUND_KINDS:
        return None
    return Instrument(f"{symbol}.{exchange}", first.kind, first.market, first.currency)


def index_company(symbol: str) -> Instrument | None:
    """An index of CSI; those that an exchange lists as well go by the exchange's code."""
    if symbol.startswith("000"):
        return on_exchange(symbol, "SH")
    if symbol.startswith("399"):
        return on_exchange(symbol, "SZ")
    if re.fullmatch(r"[H\d]\d{5}", symbol, re.ASCII):
        return Instrument(f"{symbol}.CSI", Kind.CHINA_INDEX, CSI, "CNY")
    return None


def industry_index(digits: str) -> Instrument | None:
    """An index of Shenwan: 801010 and others that begin with 80 or 85."""
    if re.fullmatch(r"8[05]\d{4}", digits, re.ASCII):
        return Instrument(f"{digits}.SI", Kind.INDUSTRY_INDEX, SHENWAN, "CNY")
    return None


def fund_of(digits: str) -> Instrument | None:
    """The one fund of the exchanges that has these digits."""
    funds = [one for one in on_any_exchange(digits) if one.kind in FUND_KINDS]
    return funds[0] if len(funds) == 1 else None


def on_any_exchange(digits: str) -> list[Instrument]:
    """What six digits are on each exchange that has such codes."""
    found = [on_exchange(digits, exchange) for exchange in EXCHANGES]
    return list(dict.fromkeys(one for one in found if one))


def only_index(digits: str) -> list[Instrument]:
    """The index that is listed on no exchange and has these digits: 801010, 930955."""
    found = index_company(digits) if digits.startswith("9") else industry_index(digits)
    return [found] if found else []


def is_former_code_of_beijing(code: str) -> bool:
    """Whether it is a code of before Beijing's shares got codes 920xxx."""
    return re.fullmatch(r"(43|8[378])\d{4}\.BJ", code, re.ASCII) is not None
