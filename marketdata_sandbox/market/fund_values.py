"""What the simulated funds are worth, and when each says so (`fund_nav`).

Here belongs the way from a fund's price to its value. Domestic ETFs stay within a few tenths of a
percent of it; funds that invest abroad stray by several percent for days. Each session has its own
random stream, so days can be asked for in any order.

Calibration: the premiums of 510300 and 518880 (sd 0.2 %) and of 513100 (mean 2.9 %, sd 4 %,
autocorrelation 0.87).
"""

import bisect
import datetime as dt
from typing import Any

import numpy as np
import numpy.typing as npt

from marketdata_sandbox.market.funds import FundKind, fund_kinds, is_fund
from marketdata_sandbox.market.price_path import PricePath
from marketdata_sandbox.market.random_streams import Purpose, random_stream

Doubles = npt.NDArray[np.float64]

# By kind: mean and standard deviation of the premium, and how much of it is left a day later.
_MEAN = {FundKind.ABROAD: 0.0285, FundKind.LOF: -0.005, FundKind.REIT: 0.1}
_SD = {FundKind.DOMESTIC: 0.0018, FundKind.ABROAD: 0.04, FundKind.GOLD: 0.0015}
_SD |= {FundKind.MONEY: 0.0, FundKind.LOF: 0.012, FundKind.REIT: 0.05}
_KEPT = {FundKind.ABROAD: 0.87, FundKind.LOF: 0.8, FundKind.REIT: 0.9}
_USUALLY_KEPT = 0.2
# What is left after so many days can't be seen in a printed value.
_DAYS_REMEMBERED = 40
_MONEY_MARKET_VALUE = 1.0
REPORTING_DAYS = ((6, 30), (12, 31))


def fund_values(
    seed: int, path: PricePath, code_order: npt.NDArray[np.intp], nav_date: dt.date
) -> dict[str, list[Any]]:
    """The values of a calendar day in code order.

    There are some on sessions, and at the ends of half-years whether they trade or not; REITs
    report on the latter only.
    """
    sessions = path.listings.sessions
    session = bisect.bisect_right(sessions, nav_date) - 1
    is_report = (nav_date.month, nav_date.day) in REPORTING_DAYS
    if session < 0 or not (is_report or sessions[session] == nav_date):
        return _columns([], nav_date, np.empty(0), np.empty(0), [])
    kinds = fund_kinds(seed, path.listings)
    reports = is_fund(path.listings, session) & path.is_listed(session)
    if not is_report:
        reports &= kinds[: reports.size] != FundKind.REIT
    order = code_order[code_order < reports.size]
    funds = order[reports[order]]
    price, factor = _price_and_factor(path, session)
    value = price[funds] / (1 + _premiums(seed, kinds, session)[funds])
    value = np.where(kinds[funds] == FundKind.MONEY, _MONEY_MARKET_VALUE, value)
    next_day = sessions[bisect.bisect_right(sessions, nav_date) :][:1]
    is_late = (kinds[funds] == FundKind.ABROAD) | (sessions[session] != nav_date)
    announced = [
        (f"{next_day[0]:%Y%m%d}" if next_day else None) if late else f"{nav_date:%Y%m%d}"
        for late in is_late.tolist()
    ]
    codes: list[str] = path.listings.ts_code[funds].tolist()
    return _columns(codes, nav_date, np.round(value, 4), factor[funds], announced)


def _columns(
    codes: list[str], nav_date: dt.date, values: Doubles, factor: Doubles, announced: list[Any]
) -> dict[str, list[Any]]:
    adjusted = np.round(values * factor, 4).tolist()
    return {
        "ts_code": codes,
        "ann_date": announced,
        "nav_date": [f"{nav_date:%Y%m%d}"] * len(codes),
        "unit_nav": values.tolist(),
        "accum_nav": adjusted,
        "adj_nav": adjusted,
        "update_flag": ["0"] * len(codes),
    }


def _price_and_factor(path: PricePath, session: int) -> tuple[Doubles, Doubles]:
    """Prices in yuan and shares made of one; both as after a split that is about to trade."""
    count = path.close(session).size
    price = path.close(session) / path.listings.ticks_per_yuan[:count]
    factor = path.bonus_factor(session)
    if session + 1 < len(path.listings.sessions):
        events = path.rights_agenda.at(session + 1)
        events = events[path.rights.instrument[events] < count]
        split = path.rights.instrument[events]
        price[split] = path.rights.reference[events] / path.listings.ticks_per_yuan[split]
        factor[split] *= 1 + path.rights.bonus_per_10[events] / 10
    return price, factor


def _premiums(seed: int, kinds: npt.NDArray[np.int8], session: int) -> Doubles:
    """Of every instrument: what is left of the surprises of the last days, around the mean."""
    mean, sd = (np.array([table.get(kind, 0.0) for kind in FundKind]) for table in (_MEAN, _SD))
    kept = np.array([_KEPT.get(kind, _USUALLY_KEPT) for kind in FundKind])[kinds]
    stray = np.zeros(kinds.size)
    for earlier in range(max(session - _DAYS_REMEMBERED, 0), session + 1):
        surprise = random_stream(seed, Purpose.PREMIUMS, earlier).standard_normal(kinds.size)
        stray = kept * stray + surprise
    premium: Doubles = mean[kinds] + sd[kinds] * np.sqrt(1 - kept**2) * stray
    return premium
