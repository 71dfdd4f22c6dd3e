"""What an instrument is: its kind, its market, its currency, the unit of its volume.

Here belong the words. Which code is which instrument is `reading`.
"""

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from zoneinfo import ZoneInfo


class Kind(StrEnum):
    """The kinds of instruments; each knows its description in English and Chinese."""

    _value_: str
    doc: str
    doc_zh: str

    def __new__(cls, value: str, doc: str = "", doc_zh: str = "") -> "Kind":
        kind = str.__new__(cls, value)
        kind._value_, kind.doc, kind.doc_zh = value, doc, doc_zh
        return kind

    CHINA_INDEX = "china_index", "index of mainland China", "中国大陆指数"
    INDUSTRY_INDEX = "industry_index", "industry index of Shenwan", "申万行业指数"
    A_SHARE = "a_share", "A-share", "A股"
    B_SHARE = "b_share", "B share, in US or Hong Kong dollars", "B股(美元或港元)"
    CHINA_ETF = "china_etf", "ETF or LOF listed in mainland China", "中国大陆场内ETF、LOF"
    CLOSED_FUND = "closed_fund", "closed-end fund listed in mainland China", "中国大陆封闭式基金"
    REIT = "reit", "REIT listed in mainland China", "中国大陆公募REITs"
    CONVERTIBLE_BOND = "convertible_bond", "convertible bond", "可转换债券"
    BOND = "bond", "exchange-traded bond", "交易所债券"
    HK_INDEX = "hk_index", "Hong Kong index", "香港指数"
    HK_SHARE = "hk_share", "share or ETF listed in Hong Kong", "港股(含ETF)"
    # The value is what clients have always been told, Tokyo and Frankfurt included.
    WORLD_INDEX = "us_index", "index of the US or another foreign market", "美国及其他境外指数"
    US_SHARE = "us_share", "share or ETF listed in the US", "美股(含ETF)"
    FUTURES = "futures", "futures, the continuous main contract", "期货主力连续"
    FUTURES_CONTRACT = "futures_contract", "futures, one contract", "期货单个合约"
    CRYPTO = "crypto", "cryptocurrency in US dollars", "加密货币(美元计价)"


# What the fund tables hold: everything of the exchanges' funds.
FUND_KINDS = frozenset({Kind.CHINA_ETF, Kind.CLOSED_FUND, Kind.REIT})


class Unit(StrEnum):
    """What one unit of volume is in the canonical series; a bond has a face value of 100 yuan."""

    SHARES = "shares"
    BONDS = "bonds"
    CONTRACTS = "contracts"
    COINS = "coins"


_UNITS = {
    Kind.CONVERTIBLE_BOND: Unit.BONDS,
    Kind.BOND: Unit.BONDS,
    Kind.FUTURES: Unit.CONTRACTS,
    Kind.FUTURES_CONTRACT: Unit.CONTRACTS,
    Kind.CRYPTO: Unit.COINS,
}


@dataclass(frozen=True)
class Market:
    """Where something trades: its clock, and the hour from which a day's bar is final."""

    name: str
    timezone: str
    final_hour: int

    def last_final_day(self, now: dt.datetime) -> dt.date:
        """The latest calendar day whose bar no trade can change any more at `now`."""
        local = now.astimezone(ZoneInfo(self.timezone)).replace(tzinfo=None)
        return (local - dt.timedelta(hours=self.final_hour)).date()


SHANGHAI = Market("SSE", "Asia/Shanghai", 16)
SHENZHEN = Market("SZSE", "Asia/Shanghai", 16)
BEIJING = Market("BSE", "Asia/Shanghai", 16)
CSI = Market("CSI", "Asia/Shanghai", 17)
SHENWAN = Market("SWS", "Asia/Shanghai", 17)
SHFE = Market("SHFE", "Asia/Shanghai", 16)
DCE = Market("DCE", "Asia/Shanghai", 16)
CZCE = Market("CZCE", "Asia/Shanghai", 16)
CFFEX = Market("CFFEX", "Asia/Shanghai", 16)
INE = Market("INE", "Asia/Shanghai", 16)
GFEX = Market("GFEX", "Asia/Shanghai", 16)
HONG_KONG = Market("HKEX", "Asia/Hong_Kong", 17)
NEW_YORK = Market("US", "America/New_York", 18)
NYMEX = Market("NYMEX", "America/New_York", 18)
TOKYO = Market("JPX", "Asia/Tokyo", 17)
FRANKFURT = Market("XETRA", "Europe/Berlin", 19)
# Coins trade round the clock; their day is UTC's.
ROUND_THE_CLOCK = Market("crypto", "UTC", 24)


@dataclass(frozen=True)
class Instrument:
    """What is known of a code; prices and turnover are in `currency`, volume in `unit`.

    `renamed_from` is the former code by which it was asked for, or empty.
    """

    code: str
    kind: Kind
    market: Market
    currency: str
    renamed_from: str = field(default="", compare=False)

    @property
    def unit(self) -> Unit:
        return _UNITS.get(self.kind, Unit.SHARES)

    @property
    def symbol(self) -> str:
        """The code without its exchange."""
        if self.kind is Kind.US_SHARE:
            return self.code.removesuffix(".US")
        return self.code.partition(".")[0]
