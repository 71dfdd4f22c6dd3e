"""The simulated funds: which kinds there are, and the vendor's list of them (`fund_basic`).

Here belong kinds, names and the state of a listing. Prices are `price_path`'s matter as those of
shares are; what a fund is worth is in `fund_values`.
"""

import datetime as dt
import enum

import numpy as np
import numpy.typing as npt

from marketdata_sandbox.market.boards import Board
from marketdata_sandbox.market.listings import Listings
from marketdata_sandbox.market.market_returns import MONEY_MARKET_FUNDS
from marketdata_sandbox.market.price_limits import Booleans
from marketdata_sandbox.market.random_streams import Purpose, random_stream

_ABROAD_SHARE = 0.09
_DAYS_OF_ISSUE = 20
_HOUSES = ("东岭", "南溪", "西山", "北辰", "中岳", "海澜", "江左", "河源", "天衡", "云岫")
_THEMES = ("沪深300", "中证500", "红利", "芯片", "医药", "消费", "新能源", "军工", "金融", "信息")
_THEMES_ABROAD = ("纳斯达克100", "标普500", "德国", "日经", "恒生科技", "油气")


class FundKind(enum.IntEnum):
    """What decides how far a price strays from the value, and when the value is told."""

    DOMESTIC = 0
    ABROAD = 1
    GOLD = 2
    MONEY = 3
    LOF = 4
    REIT = 5


FUND_TYPES = {
    FundKind.DOMESTIC: ("股票型", "被动指数型"),
    FundKind.ABROAD: ("股票型", "QDII"),
    FundKind.GOLD: ("商品型", "黄金现货合约"),
    FundKind.MONEY: ("货币市场型", "货币型"),
    FundKind.LOF: ("混合型", "灵活配置型"),
    FundKind.REIT: ("REITs", "基础设施"),
}
_KNOWN_THEMES = {
    "510050.SH": "上证50",
    "510300.SH": "沪深300",
    "513100.SH": "纳斯达克100",
    "159915.SZ": "创业板",
    "588000.SH": "科创50",
    "161725.SZ": "白酒",
}
_KNOWN_KINDS = {
    "510050.SH": FundKind.DOMESTIC,
    "510300.SH": FundKind.DOMESTIC,
    "513100.SH": FundKind.ABROAD,
    "518880.SH": FundKind.GOLD,
    "159915.SZ": FundKind.DOMESTIC,
    "588000.SH": FundKind.DOMESTIC,
    "520990.SH": FundKind.ABROAD,
} | dict.fromkeys(MONEY_MARKET_FUNDS, FundKind.MONEY)


def is_fund(listings: Listings, session: int) -> Booleans:
    """Which of the instruments listed by a session are funds."""
    boards = listings.board[: listings.listed_by_session[session]]
    return np.isin(boards, (Board.FUND, Board.WIDE_FUND))


def fund_kinds(seed: int, listings: Listings) -> npt.NDArray[np.int8]:
    """The kind of every instrument; what is said of one that is no fund means nothing."""
    draws = random_stream(seed, Purpose.FUNDS).random(listings.board.size)
    kinds = np.where(draws < _ABROAD_SHARE, FundKind.ABROAD, FundKind.DOMESTIC)
    for number, code in enumerate(listings.ts_code.tolist()):
        if code in _KNOWN_KINDS:
            kinds[number] = _KNOWN_KINDS[code]
        elif code.startswith("18"):
            kinds[number] = FundKind.REIT
        elif code.startswith(("16", "50")):
            kinds[number] = FundKind.LOF
    return kinds.astype(np.int8)


def list_funds(seed: int, listings: Listings, today: dt.date) -> dict[str, list[str | None]]:
    """The funds listed on `today` or before, and those that are being issued."""
    known = listings.list_day <= np.datetime64(today + dt.timedelta(_DAYS_OF_ISSUE))
    funds = np.flatnonzero(known & np.isin(listings.board, (Board.FUND, Board.WIDE_FUND)))
    kinds = [FundKind(kind) for kind in fund_kinds(seed, listings)[funds]]
    codes: list[str] = listings.ts_code[funds].tolist()
    is_listed = (listings.list_day[funds] <= np.datetime64(today)).tolist()
    days = [day.replace("-", "") for day in np.datetime_as_string(listings.list_day[funds])]
    houses = [_HOUSES[number % len(_HOUSES)] for number in funds.tolist()]
    themes = [
        _KNOWN_THEMES.get(code) or _theme(kind, number)
        for code, kind, number in zip(codes, kinds, funds.tolist(), strict=True)
    ]
    return {
        "ts_code": [*codes],
        "name": [
            f"{house}{theme}{_suffix(kind)}"
            for house, theme, kind in zip(houses, themes, kinds, strict=True)
        ],
        "management": [f"{house}基金" for house in houses],
        "fund_type": [FUND_TYPES[kind][0] for kind in kinds],
        "invest_type": [FUND_TYPES[kind][1] for kind in kinds],
        "benchmark": [f"{theme}收益率" for theme in themes],
        "status": ["L" if listed else "I" for listed in is_listed],
        "market": ["E"] * len(codes),
        "list_date": [day if listed else None for day, listed in zip(days, is_listed, strict=True)],
        "delist_date": [None] * len(codes),
    }


def _theme(kind: FundKind, number: int) -> str:
    match kind:
        case FundKind.ABROAD:
            return _THEMES_ABROAD[number // len(_HOUSES) % len(_THEMES_ABROAD)]
        case FundKind.GOLD:
            return "黄金"
        case FundKind.MONEY:
            return "添利货币"
        case FundKind.REIT:
            return "产业园"
        case _:
            return _THEMES[number // len(_HOUSES) % len(_THEMES)]


def _suffix(kind: FundKind) -> str:
    return kind.name if kind in (FundKind.LOF, FundKind.REIT) else "ETF"
