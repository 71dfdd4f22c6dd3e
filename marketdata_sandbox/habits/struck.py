"""Which rows of a day the habits strike, out of those that each of them can happen to.

Here belong the candidates of each habit. Of one share at most one habit shows on one day, so that
all else in its rows is true. What is done to the rows is in `vendor`.
"""

import datetime as dt
import functools
from collections.abc import Callable, Mapping
from typing import Protocol

from marketdata_assets.trading_calendar import FIRST_SESSION, previous_session
from marketdata_sandbox.habits.code_changes import CHANGING_SHARES
from marketdata_sandbox.habits.draws import Draws
from marketdata_sandbox.habits.frequencies import Habit
from marketdata_sandbox.habits.rows import Table
from marketdata_sandbox.protocol import FundMarket, Market, NamedMarket

Struck = Mapping[Habit, frozenset[str]]

LEAST_SENTINEL = 99_999
_DAYS_HELD = 4
_STRUCK_HELD = 10_000


class Exchange(Market, NamedMarket, FundMarket, Protocol):
    """A market of shares and funds, whose answers are the truth."""

    def stock_st(self, day: dt.date) -> Table: ...


class StruckRows:
    """`listed` holds the days of listing by code."""

    def __init__(self, market: Exchange, draws: Draws, listed: Mapping[str, dt.date]) -> None:
        self._market = market
        self._draws = draws
        self._listed = listed
        self._candidates: dict[Habit, Callable[[dt.date], list[str]]] = {
            Habit.SUSPENDED_YET_TRADED: self._without_notice,
            Habit.SUSPENDED_AND_RESUMED: self._without_notice,
            Habit.HALT_OF_NO_WIDTH: self._halted,
            Habit.NOTICE_TWICE: self._halted,
            Habit.ROUGH_AMOUNT: self._with_one_price,
            Habit.STALE_INDICATORS: self._with_other_indicators_before,
            Habit.INDICATORS_WITHOUT_BAR: self._halted_since_today,
            Habit.NEGATIVE_FREE_SHARE: self._elsewhere_than_beijing,
            Habit.CHANGE_NOT_TOLD: self._of_beijing,
            Habit.AMOUNT_NOT_TOLD: self._traded,
            Habit.ZERO_LIMITS: self._halted,
            Habit.OTHER_SENTINEL: self._unlimited,
            Habit.BAR_MISSING: self._unmoved,
            Habit.FACTOR_MISSING: self._traded,
            Habit.WITHOUT_EX_PRICE: self._on_ex_date,
            Habit.FUND_BAR_MISSING: lambda day: _codes(market.fund_daily(day)),
        }
        # Several tables of a day ask for its bars and its halts.
        self._bars = functools.lru_cache(_DAYS_HELD)(market.daily)
        self._notices = functools.lru_cache(_DAYS_HELD)(market.suspend_d)
        self.on = functools.lru_cache(_STRUCK_HELD)(self._on)

    def _on(self, day: dt.date) -> Struck:
        """The codes of `day` that each habit strikes."""
        struck = dict.fromkeys(Habit, frozenset[str]())
        taken = set(CHANGING_SHARES)
        for habit, candidates in self._candidates.items():
            if self._draws.count(habit, day):
                free = [code for code in candidates(day) if code not in taken]
                struck[habit] = self._draws.choice(habit, day, free)
                taken |= struck[habit]
        return struck

    def _traded(self, day: dt.date) -> list[str]:
        return _codes(self._bars(day))

    def _without_notice(self, day: dt.date) -> list[str]:
        noticed = set(_codes(self._notices(day)))
        return [code for code in self._traded(day) if code not in noticed]

    def _halted(self, day: dt.date) -> list[str]:
        return self._noticed(day, "S", None)

    def _noticed(self, day: dt.date, kind: str, timing: str | None) -> list[str]:
        notices = self._notices(day)
        columns = (notices[name] for name in ("ts_code", "suspend_type", "suspend_timing"))
        return [str(code) for code, *told in zip(*columns, strict=True) if told == [kind, timing]]

    def _with_one_price(self, day: dt.date) -> list[str]:
        """Those with one price whose amount has a third decimal to lose."""
        bars = self._bars(day)
        columns = (bars[name] for name in ("ts_code", "low", "high", "amount"))
        return [
            str(code)
            for code, low, high, amount in zip(*columns, strict=True)
            if low == high and amount != rough(amount)
        ]

    def _with_other_indicators_before(self, day: dt.date) -> list[str]:
        before = self._indicators_before(day)
        closes = dict(zip(before["ts_code"], before["close"], strict=True)) if before else {}
        bars = self._bars(day)
        pairs = zip(self._traded(day), bars["close"], strict=True)
        return [code for code, close in pairs if closes.get(code, close) != close]

    def _halted_since_today(self, day: dt.date) -> list[str]:
        before = self._indicators_before(day)
        had = set(_codes(before)) if before else set()
        return [code for code in self._halted(day) if code in had]

    def _indicators_before(self, day: dt.date) -> Table | None:
        return self._market.daily_basic(previous_session(day)) if day > FIRST_SESSION else None

    def _elsewhere_than_beijing(self, day: dt.date) -> list[str]:
        return [code for code in self._traded(day) if not code.endswith(".BJ")]

    def _of_beijing(self, day: dt.date) -> list[str]:
        """The new ones among the Beijing shares, all of them where none is new."""
        codes = [code for code in self._traded(day) if code.endswith(".BJ")]
        return [code for code in codes if self._listed.get(code) == day] or codes

    def _unlimited(self, day: dt.date) -> list[str]:
        limits = self._market.stk_limit(day)
        pairs = zip(_codes(limits), limits["up_limit"], strict=True)
        return [code for code, limit in pairs if limit >= LEAST_SENTINEL]

    def _unmoved(self, day: dt.date) -> list[str]:
        """Those after which nobody can tell that they traded."""
        pairs = zip(self._traded(day), self._bars(day)["change"], strict=True)
        return [code for code, change in pairs if change == 0 and self._listed.get(code) != day]

    def _on_ex_date(self, day: dt.date) -> list[str]:
        """Those that trade on an ex-date; only those that resume with it, where there are some."""
        if day <= FIRST_SESSION:
            return []
        now, before = (
            dict(zip(table["ts_code"], table["adj_factor"], strict=True))
            for table in map(self._market.adj_factor, (day, previous_session(day)))
        )
        growing = [code for code in self._traded(day) if now[code] != before.get(code, now[code])]
        resumed = set(self._noticed(day, "R", None))
        return [code for code in growing if code in resumed] or growing


def rough(amount: float) -> float:
    """An amount with two decimals, rounded half up."""
    return round(amount + 1e-6, 2)


def _codes(table: Table) -> list[str]:
    return list(table["ts_code"])
