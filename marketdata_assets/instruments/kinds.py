"""What an instrument is: its kind, its market, its currency, the unit of its volume.

Here belong the words. Which code is which instrument is `reading`.
"""

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from zoneinfo import ZoneInfo


class Kind(StrEnum):
    """The kinds of instruments; each knows its description in English and Chinese."""

    CHINA_INDEX = "china_index"
    INDUSTRY_INDEX = "industry_index"
    A_SHARE = "a_share"
    B_SHARE = "b_share"
    CHINA_ETF = "china_etf"
    CLOSED_FUND = "closed_fund"
    REIT = "reit"
    CONVERTIBLE_BOND = "convertible_bond"
    BOND = "bond"
    HK_INDEX = "hk_index"
    HK_SHARE = "hk_share"
    # The value is what clients have always been told, Tokyo and Frankfurt included.
    WORLD_INDEX = "us_index"
    US_SHARE = "us_share"
    FUTURES = "futures"
    FUTURES_CONTRACT = "futures_contract"
    CRYPTO = "crypto"

    @property
    def doc(self) -> str:
        return _DOCS[self][0]

    @property
    def doc_zh(self) -> str:
        return _DOCS[self][1]


_DOCS = {
    Kind.CHINA_INDEX: ("index of mainland China", "中国大陆指数"),
    Kind.INDUSTRY_INDEX: ("industry index of Shenwan", "申万行业指数"),
    Kind.A_SHARE: ("A-share", "A股"),
    Kind.B_SHARE: ("B share, in US or Hong Kong dollars", "B股(美元或港元)"),
    Kind.CHINA_ETF: ("ETF or LOF listed in mainland China", "中国大陆场内ETF、LOF"),
    Kind.CLOSED_FUND: ("closed-end fund listed in mainland China", "中国大陆封闭式基金"),
    Kind.REIT: ("REIT listed in mainland China", "中国大陆公募REITs"),
    Kind.CONVERTIBLE_BOND: ("convertible bond", "可转换债券"),
    Kind.BOND: ("exchange-traded bond", "交易所债券"),
    Kind.HK_INDEX: ("Hong Kong index", "香港指数"),
    Kind.HK_SHARE: ("share or ETF listed in Hong Kong", "港股(含ETF)"),
    Kind.WORLD_INDEX: ("index of the US or another foreign market", "美国及其他境外指数"),
    Kind.US_SHARE: ("share or ETF listed in the US", "美股(含ETF)"),
    Kind.FUTURES: ("futures, the continuous main contract", "期货主力连续"),
    Kind.FUTURES_CONTRACT: ("futures, one contract", "期货单个合约"),
    Kind.CRYPTO: ("cryptocurrency in US dollars", "加密货币(美元计价)"),
}

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
SHENWAN = _market("SWS", "Asia/Shanghai", 17)
SHFE = _market("SHFE", "Asia/Shanghai", 16)
DCE = _market("DCE", "Asia/Shanghai", 16)
CZCE = _market("CZCE", "Asia/Shanghai", 16)
CFFEX = _market("CFFEX", "Asia/Shanghai", 16)
INE = _market("INE", "Asia/Shanghai", 16)
GFEX = _market("GFEX", "Asia/Shanghai", 16)
HONG_KONG = _market("HKEX", "Asia/Hong_Kong", 17)
NEW_YORK = _market("US", "America/New_York", 18)
NYMEX = _market("NYMEX", "America/New_York", 18)
TOKYO = _market("JPX", "Asia/Tokyo", 17)
FRANKFURT = _market("XETRA", "Europe/Berlin", 19)
# Coins trade round the clock; their day is UTC's.
ROUND_THE_CLOCK = _market("crypto", "UTC", 24)


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
