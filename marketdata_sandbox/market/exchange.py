"""The simulated exchange: the tables of one day in the vendor's columns and units.

Here belongs putting the tables together and printing numbers as the vendor does. What the values
are is simulated by the neighbouring modules; the wire protocol, row caps and publication hours
belong to the simulated vendor that serves these tables.

Units, as in Tushare: prices in yuan, vol in 手 (100 shares), amount in 千元, shares in 万股,
market values in 万元, rates in percent.
"""

import bisect
import dataclasses
import datetime as dt
import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from marketdata_assets import trading_calendar
from marketdata_sandbox.market import price_limits, trading_details
from marketdata_sandbox.market.adjustment import adjustment_factors
from marketdata_sandbox.market.boards import Board
from marketdata_sandbox.market.company_names import CompanyDescriptions, describe_companies
from marketdata_sandbox.market.fund_values import fund_values
from marketdata_sandbox.market.fundamentals import Fundamentals
from marketdata_sandbox.market.funds import is_fund, list_funds
from marketdata_sandbox.market.life_events import LifeEvents, build_life_events
from marketdata_sandbox.market.listings import Listings, build_listings
from marketdata_sandbox.market.name_history import list_names, list_st_shares
from marketdata_sandbox.market.price_path import PricePath
from marketdata_sandbox.market.price_walk import simulate
from marketdata_sandbox.market.random_streams import Purpose, random_stream
from marketdata_sandbox.market.share_counts import ShareRegister
from marketdata_sandbox.market.stock_list import list_stocks
from marketdata_sandbox.market.suspensions import suspensions_on
from marketdata_sandbox.market.vendor_numbers import (
    market_value,
    percent_change,
    rounded_or_none,
)

Table = dict[str, list[Any]]

SESSIONS_HELD = 12
FINE_PCT_CHG_SINCE = dt.date(2018, 7, 20)
BSE_BASICS_SINCE = dt.date(2024, 1, 1)
UNLIMITED_SENTINELS = {
    "SH": (99999.999, 0.01),
    "SZ": (999999.999, 0.01),
    "BJ": (99999.99, 0.0),
}


@dataclasses.dataclass(frozen=True)
class _Population:
    """Who is listed and what becomes of them; known without any price."""

    listings: Listings
    life: LifeEvents
    companies: CompanyDescriptions


@dataclasses.dataclass(frozen=True)
class _History:
    """Everything simulated once; the tables of a day are derived from it."""

    path: PricePath
    register: ShareRegister
    fundamentals: Fundamentals
    code_order: npt.NDArray[np.intp]


class SimulatedExchange:
    """A Chinese market of shares and funds that never was, but could have been.

    The same seed gives the same market, whatever is asked and whenever. The market reaches as
    far as the installed trading calendar: days in later years raise its `CalendarExhausted`.
    """

    def __init__(self, seed: int = 20050104) -> None:
        self._seed = seed
        # Several tables of a day ask for them, and for those of the days before.
        self._details = functools.lru_cache(SESSIONS_HELD)(self._draw_details)
        self._shares = functools.lru_cache(SESSIONS_HELD)(self._draw_shares)

    def stock_basic(self, today: dt.date) -> Table:
        """Every A-share ever listed as known on `today`, which need not be a session."""
        population = self._population
        return list_stocks(population.listings, population.life, population.companies, today)

    def namechange(self, today: dt.date) -> Table:
        """Every name of every A-share as announced by `today`, which need not be a session."""
        population = self._population
        return list_names(population.listings, population.life, population.companies, today)

    def daily(self, day: dt.date) -> Table:
        """The bars of all A-shares that traded on `day`."""
        session = self._session_number(day)
        decimals = 4 if day >= FINE_PCT_CHG_SINCE else 2
        return self._bars(self._traded_stocks(session), session, decimals)

    def stk_limit(self, day: dt.date) -> Table:
        """The limits of all listed A-shares, B shares and funds, halted ones included."""
        session = self._session_number(day)
        history = self._history
        path = history.path
        rows = self._in_code_order(path.is_listed(session))
        up, down = path.limits(session)
        per_yuan = path.listings.ticks_per_yuan[rows]
        up_limit, down_limit = up[rows] / per_yuan, down[rows] / per_yuan
        is_unlimited = path.limit_percents(session)[0][rows] == price_limits.UNLIMITED_UP
        codes = self._codes(rows)
        for row in np.flatnonzero(is_unlimited):
            up_limit[row], down_limit[row] = UNLIMITED_SENTINELS[codes[row][-2:]]
        return {
            "trade_date": [f"{day:%Y%m%d}"] * rows.size,
            "ts_code": codes,
            "pre_close": (path.pre_close(session)[rows] / per_yuan).tolist(),
            "up_limit": up_limit.tolist(),
            "down_limit": down_limit.tolist(),
        }

    def daily_basic(self, day: dt.date) -> Table:
        """Shares, market values and ratios of the A-shares that traded on `day`."""
        session = self._session_number(day)
        history = self._history
        path = history.path
        stocks = self._traded_stocks(session)
        if day < BSE_BASICS_SINCE:
            stocks = stocks[path.listings.board[stocks] != Board.BSE]
        ticks = path.close(session)[stocks].astype(np.int64)
        traded = self._details(session)[1].shares
        volume_ratio = traded / trading_details.usual_shares(path, self._shares, session)
        counts = history.register.on(session)
        total, floating, free = counts.total[stocks], counts.floating[stocks], counts.free[stocks]
        ratios = history.fundamentals.on(session)
        return {
            "ts_code": self._codes(stocks),
            "trade_date": [f"{day:%Y%m%d}"] * stocks.size,
            "close": (ticks / 100).tolist(),
            "turnover_rate": rounded_or_none(traded[stocks] * 100 / floating, 4),
            "turnover_rate_f": rounded_or_none(traded[stocks] * 100 / free, 4),
            "volume_ratio": rounded_or_none(volume_ratio[stocks], 2),
            "pe": rounded_or_none(ratios.pe[stocks], 4),
            "pe_ttm": rounded_or_none(ratios.pe_ttm[stocks], 4),
            "pb": rounded_or_none(ratios.pb[stocks], 4),
            "ps": rounded_or_none(ratios.ps[stocks], 4),
            "ps_ttm": rounded_or_none(ratios.ps_ttm[stocks], 4),
            "dv_ratio": rounded_or_none(ratios.dv_ratio[stocks], 4),
            "dv_ttm": rounded_or_none(ratios.dv_ttm[stocks], 4),
            "total_share": (total / 10_000).tolist(),
            "float_share": (floating / 10_000).tolist(),
            "free_share": (free / 10_000).tolist(),
            "total_mv": market_value(ticks, total),
            "circ_mv": market_value(ticks, floating),
        }

    def adj_factor(self, day: dt.date) -> Table:
        """The adjustment factors of all listed A-shares, suspended ones included."""
        session = self._session_number(day)
        path = self._history.path
        listed = path.is_listed(session)
        stocks = self._in_code_order(listed & path.listings.is_a_share[: listed.size])
        return {
            "ts_code": self._codes(stocks),
            "trade_date": [f"{day:%Y%m%d}"] * stocks.size,
            "adj_factor": adjustment_factors(self._seed, path, session)[stocks].tolist(),
        }

    def suspend_d(self, day: dt.date) -> Table:
        """The A-shares that did not trade on `day`, paused within it, or trade again."""
        session = self._session_number(day)
        rows = suspensions_on(self._seed, self._history.path, session)
        codes = self._codes(np.array([row.instrument for row in rows], dtype=np.intp))
        in_order = sorted(zip(codes, rows, strict=True), key=lambda pair: pair[0])
        return {
            "ts_code": [code for code, _ in in_order],
            "trade_date": [f"{day:%Y%m%d}"] * len(rows),
            "suspend_timing": [row.timing for _, row in in_order],
            "suspend_type": [row.type for _, row in in_order],
        }

    def stock_st(self, day: dt.date) -> Table:
        """The A-shares that are ST on `day`."""
        session = self._session_number(day)
        population = self._population
        return list_st_shares(population.listings, population.life, population.companies, session)

    def fund_basic(self, today: dt.date) -> Table:
        """Every exchange-listed fund as known on `today`, those about to be listed too."""
        return list_funds(self._seed, self._population.listings, today)

    def fund_daily(self, day: dt.date) -> Table:
        """The bars of all funds that traded on `day`."""
        session = self._session_number(day)
        path = self._history.path
        funds = self._in_code_order(path.trades(session) & is_fund(path.listings, session))
        bars = self._bars(funds, session, 4)
        # Of funds the vendor tells it before the prices.
        return {name: bars[name] for name in ("ts_code", "trade_date", "pre_close", *bars)}

    def fund_nav(self, nav_date: dt.date) -> Table:
        """The values of all listed funds on `nav_date`, as they are in the end; see `ann_date`."""
        history = self._history
        return fund_values(self._seed, history.path, history.code_order, nav_date)

    def row_counts(self, day: dt.date) -> dict[str, int]:
        """How many rows the tables of shares have on `day`, by their calls, without making them."""
        session = self._session_number(day)
        path = self._history.path
        listed = path.is_listed(session)
        traded = self._traded_stocks(session)
        with_basics = (
            traded if day >= BSE_BASICS_SINCE else traded[path.listings.board[traded] != Board.BSE]
        )
        return {
            "daily": traded.size,
            "stk_limit": int(listed.sum()),
            "daily_basic": with_basics.size,
            "adj_factor": int((listed & path.listings.is_a_share[: listed.size]).sum()),
            "suspend_d": len(suspensions_on(self._seed, path, session)),
        }

    def _session_number(self, day: dt.date) -> int:
        first = trading_calendar.FIRST_SESSION
        if day < first or not trading_calendar.is_session(day):
            raise ValueError(f"{day} is not a session since {first}")
        return bisect.bisect_left(self._population.listings.sessions, day)

    @functools.cached_property
    def _population(self) -> _Population:
        first = trading_calendar.FIRST_SESSION
        last = trading_calendar.last_published_session()
        listings = build_listings(self._seed, trading_calendar.sessions_between(first, last))
        return _Population(
            listings=listings,
            life=build_life_events(self._seed, listings),
            companies=describe_companies(
                int(listings.is_a_share.sum()),
                random_stream(self._seed, Purpose.DESCRIPTIONS),
            ),
        )

    @functools.cached_property
    def _history(self) -> _History:
        population = self._population
        path = simulate(self._seed, population.listings, population.life)
        return _History(
            path=path,
            register=ShareRegister(self._seed, path),
            fundamentals=Fundamentals(self._seed, path),
            code_order=np.argsort(population.listings.ts_code, kind="stable"),
        )

    def _bars(self, rows: npt.NDArray[np.intp], session: int, decimals: int) -> Table:
        """The bars of some instruments, pct_chg with so many decimals."""
        path = self._history.path
        prices, turnover = self._details(session)
        per_yuan = path.listings.ticks_per_yuan[rows]
        close, pre_close = path.close(session)[rows], path.pre_close(session)[rows]
        return {
            "ts_code": self._codes(rows),
            "trade_date": [f"{path.listings.sessions[session]:%Y%m%d}"] * rows.size,
            "open": (prices.open[rows] / per_yuan).tolist(),
            "high": (prices.high[rows] / per_yuan).tolist(),
            "low": (prices.low[rows] / per_yuan).tolist(),
            "close": (close / per_yuan).tolist(),
            "pre_close": (pre_close / per_yuan).tolist(),
            "change": ((close - pre_close) / per_yuan).tolist(),
            "pct_chg": percent_change(close, pre_close, decimals).tolist(),
            "vol": (turnover.shares[rows] / 100).tolist(),
            "amount": (turnover.amount[rows] / 1000).tolist(),
        }

    def _draw_details(
        self, session: int
    ) -> tuple[trading_details.Prices, trading_details.Turnover]:
        history = self._history
        prices = trading_details.draw_prices(self._seed, history.path, session)
        shares = self._shares(session)
        ticks_per_yuan = history.path.listings.ticks_per_yuan[: shares.size]
        turnover = trading_details.settle(
            self._seed, session, shares, prices.low, prices.high, ticks_per_yuan
        )
        return prices, turnover

    def _draw_shares(self, session: int) -> npt.NDArray[np.int64]:
        history = self._history
        return trading_details.draw_shares(self._seed, history.path, history.register, session)

    def _traded_stocks(self, session: int) -> npt.NDArray[np.intp]:
        path = self._history.path
        trades = path.trades(session)
        return self._in_code_order(trades & path.listings.is_a_share[: trades.size])

    def _in_code_order(self, wanted: price_limits.Booleans) -> npt.NDArray[np.intp]:
        order = self._history.code_order
        order = order[order < wanted.size]
        return order[wanted[order]]

    def _codes(self, instruments: npt.NDArray[np.intp]) -> list[str]:
        codes: list[str] = self._history.path.listings.ts_code[instruments].tolist()
        return codes
