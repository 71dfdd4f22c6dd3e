"""Which AKShare function has what, at which host, in which columns and units.

Here belong facts about AKShare's functions, read in its own code. Calling them is `akshare`.

Functions that guess the market from the digits are used only where their guess is right, and
none that merges series, fills gaps forward or evaluates text from outside.
"""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from marketdata_assets.instruments import FUND_KINDS, Instrument, Kind
from marketdata_assets.resources.sources.history import Scale

Arguments = dict[str, str]


class Columns(NamedTuple):
    """The names a function gives to what we want; "" where it has none."""

    date: str = "date"
    open: str = "open"
    high: str = "high"
    low: str = "low"
    close: str = "close"
    volume: str = "volume"
    turnover: str = ""


ONE, HUNDRED = Decimal(1), Decimal(100)
LOTS_AND_YUAN = Scale(volume=HUNDRED, turnover=ONE)
UNSTATED = "volume in an unstated unit, left out"


def _named(
    name: Callable[[Instrument], str],
) -> Callable[[Instrument, dt.date, dt.date], Arguments]:
    """The arguments of a function that wants a name alone."""
    return lambda instrument, first, last: {"symbol": name(instrument)}


def _symbol(instrument: Instrument) -> str:
    return instrument.symbol


class Call(NamedTuple):
    """One way to ask: the function, its arguments, and how to read its answer.

    `echo` is a column that must hold `echoed(instrument)` on every row: proof that the right
    instrument was asked for. With `takes_range` only the range is transferred.
    """

    function: str
    unit: str
    arguments: Callable[[Instrument, dt.date, dt.date], Arguments] = _named(_symbol)
    columns: Columns = Columns()
    scale: Scale = Scale(volume=ONE)
    takes_range: bool = False
    echo: str = ""
    echoed: Callable[[Instrument], str] = _symbol


# 东方财富's index of world indices. Its "NDX" is the Nasdaq Composite and is not among them.
EASTMONEY_NAMES = {
    "HSI": "恒生指数",
    "SPX": "标普500",
    "N225": "日经225",
    "GDAXI": "德国DAX30",
}
SINA_US = {"NDX": ".NDX", "SPX": ".INX", "DJI": ".DJI", "IXIC": ".IXIC"}
SINA_WORLD = {"N225": "日经225指数", "GDAXI": "德国DAX 30种股价指数"}
SINA_HONG_KONG = {"HSI": "HSI", "HSCEI": "HSCEI", "HSTECH.HK": "HSTECH"}

_CHINESE = Columns("日期", "开盘", "最高", "最低", "收盘", "成交量", "成交额")


def _prefixed(instrument: Instrument) -> str:
    """As 新浪 and 东方财富 write codes: sh600000, csiH30269."""
    symbol, _, exchange = instrument.code.partition(".")
    return f"{exchange.lower()}{symbol}"


def _foreign(instrument: Instrument) -> str:
    return f"{instrument.symbol}00Y"


def _range(first: dt.date, last: dt.date) -> Arguments:
    return {"start_date": f"{first:%Y%m%d}", "end_date": f"{last:%Y%m%d}"}


EASTMONEY_SHARE = Call(
    "stock_zh_a_hist",
    "手, 元",
    lambda one, first, last: {
        "period": "daily",
        "adjust": "",
        "symbol": one.symbol,
        **_range(first, last),
    },
    _CHINESE,
    LOTS_AND_YUAN,
    takes_range=True,
)
EASTMONEY_ETF = EASTMONEY_SHARE._replace(function="fund_etf_hist_em")
# Named after indices, but it asks the market it is told: the one that gets B shares right.
EASTMONEY_PREFIXED = EASTMONEY_SHARE._replace(
    function="stock_zh_index_daily_em",
    arguments=lambda one, first, last: {"symbol": _prefixed(one), **_range(first, last)},
    columns=Columns(turnover="amount"),
)
EASTMONEY_HONG_KONG = EASTMONEY_SHARE._replace(
    function="stock_hk_hist", scale=Scale(volume=ONE, turnover=ONE), unit="股, 元 of its currency"
)
EASTMONEY_WORLD = Call(
    "index_global_hist_em",
    "no volume",
    _named(lambda one: EASTMONEY_NAMES[one.code]),
    Columns("日期", "今开", "最高", "最低", "最新价", volume=""),
    Scale(),
    echo="代码",
)
EASTMONEY_FOREIGN_FUTURES = Call(
    "futures_global_hist_em",
    "contracts",
    _named(_foreign),
    Columns("日期", "开盘", "最高", "最低", "最新价", "总量"),
    echo="代码",
    echoed=_foreign,
)
SINA_INDEX = Call("stock_zh_index_daily", "股", _named(_prefixed))
SINA_ETF = SINA_INDEX._replace(function="fund_etf_hist_sina", unit="份")
# The same file of the site, of whatever it lists; nobody states what a bond's volume counts.
SINA_BOND = Call("bond_zh_hs_cov_daily", UNSTATED, _named(_prefixed), Columns(volume=""), Scale())
SINA_HONG_KONG_INDEX = SINA_BOND._replace(
    function="stock_hk_index_daily_sina", arguments=_named(lambda one: SINA_HONG_KONG[one.code])
)
SINA_US_INDEX = SINA_BOND._replace(
    function="index_us_stock_sina", arguments=_named(lambda one: SINA_US[one.code])
)
SINA_WORLD_INDEX = SINA_BOND._replace(
    function="index_global_hist_sina", arguments=_named(lambda one: SINA_WORLD[one.code])
)
SINA_FUTURES = Call(
    "futures_main_sina",
    "手 (contracts); main contracts spliced without adjustment",
    lambda one, first, last: {"symbol": f"{one.symbol}0", **_range(first, last)},
    Columns("日期", "开盘价", "最高价", "最低价", "收盘价", "成交量"),
)
SINA_CONTRACT = Call("futures_zh_daily_sina", "手 (contracts)")
SINA_FOREIGN_FUTURES = Call("futures_foreign_hist", "contracts")
CSINDEX_INDEX = Call(
    "stock_zh_index_hist_csindex",
    "万手, 亿元",
    lambda one, first, last: {"symbol": one.symbol, **_range(first, last)},
    Columns("日期", "开盘", "最高", "最低", "收盘", "成交量", "成交金额"),
    Scale(volume=Decimal(1_000_000), turnover=Decimal(100_000_000)),
    takes_range=True,
    echo="指数代码",
)
# AKShare does not check the certificate of this site: it is asked after Tushare.
SHENWAN_INDEX = Call(
    "index_hist_sw",
    UNSTATED,
    lambda one, first, last: {"symbol": one.symbol, "period": "day"},
    Columns("日期", "开盘", "最高", "最低", "收盘", volume=""),
    Scale(),
    echo="代码",
)


def eastmoney(one: Instrument) -> Call | None:
    """How 东方财富 is asked for an instrument, or None where it has it not."""
    if one.kind in (Kind.CHINA_INDEX, Kind.B_SHARE, Kind.CLOSED_FUND, Kind.REIT):
        return EASTMONEY_PREFIXED
    if one.code in EASTMONEY_NAMES:
        return EASTMONEY_WORLD
    if one.code == "CL.NYM":
        return EASTMONEY_FOREIGN_FUTURES
    of_kind = {
        Kind.A_SHARE: EASTMONEY_SHARE,
        Kind.CHINA_ETF: EASTMONEY_ETF,
        Kind.HK_SHARE: EASTMONEY_HONG_KONG,
    }
    return of_kind.get(one.kind)


def sina(one: Instrument) -> Call | None:
    """How 新浪 is asked for an instrument, or None where it has it not."""
    if one.kind is Kind.CHINA_INDEX:
        return SINA_INDEX if one.market.name in ("SSE", "SZSE") else None
    if one.kind in FUND_KINDS:
        return SINA_ETF
    if one.kind is Kind.CONVERTIBLE_BOND:
        return SINA_BOND
    if one.kind is Kind.FUTURES_CONTRACT:
        return SINA_CONTRACT
    if one.kind is Kind.FUTURES:
        return SINA_FOREIGN_FUTURES if one.code == "CL.NYM" else SINA_FUTURES
    if one.code in SINA_HONG_KONG:
        return SINA_HONG_KONG_INDEX
    if one.code in SINA_US:
        return SINA_US_INDEX
    return SINA_WORLD_INDEX if one.code in SINA_WORLD else None


def shenwan(one: Instrument) -> Call | None:
    """How 申万宏源研究 itself is asked, for its industry indices."""
    return SHENWAN_INDEX if one.kind is Kind.INDUSTRY_INDEX else None


def csindex(one: Instrument) -> Call | None:
    """How 中证指数 itself is asked, for the indices that carry its name."""
    return CSINDEX_INDEX if one.market.name == "CSI" else None
