"""The vendor's answers about a market: true but for its habits.

Here belongs what each habit does to the rows it strikes. Which rows those are is in `struck`, how
often in `frequencies`; changes of code and bars from before a listing have files of their own. The
truth is the market's, the wire is `protocol`.
"""

import datetime as dt
import functools
from collections.abc import Collection

import numpy as np

from marketdata_assets.trading_calendar import last_published_session, previous_session
from marketdata_sandbox.habits.before_listing import BeforeListing
from marketdata_sandbox.habits.code_changes import (
    renamed_today,
    under_codes_of_today,
    under_codes_served,
)
from marketdata_sandbox.habits.draws import Draws
from marketdata_sandbox.habits.frequencies import Frequencies, Habit
from marketdata_sandbox.habits.fund_list import with_ended_funds, with_numbers_used_twice
from marketdata_sandbox.habits.rows import Row, Table, changed, joined, rows_of, without
from marketdata_sandbox.habits.struck import Exchange, StruckRows, rough
from marketdata_sandbox.market.exchange import FINE_PCT_CHG_SINCE, UNLIMITED_SENTINELS
from marketdata_sandbox.market.vendor_numbers import percent_change

BEIJING_LIMITS_SINCE = dt.date(2023, 1, 1)
NEGATIVE_FREE_SHARE = -5719.78
NO_WIDTH = "09:30-09:30"
OTHER_SENTINELS = (10_000.0, 100_000.0, 1_000_000.0)
# With this one every twenty sessions of 2025 and 2026 show three findings at least in the sample.
SEED = 53
_SAMPLE = Frequencies.sample()


class VendorHabits:
    """A market as the vendor tells it. The same day asked for again has the same answer."""

    def __init__(
        self, market: Exchange, frequencies: Frequencies = _SAMPLE, seed: int = SEED
    ) -> None:
        self._market = market
        self._frequencies = frequencies
        self._draws = Draws(seed, frequencies)

    def stock_basic(self, today: dt.date) -> Table:
        """Of the shares listed on `today` itself some are not told yet."""
        stocks: Table = self._market.stock_basic(today)
        written = f"{today:%Y%m%d}"
        late = {
            str(code)
            for code, day in zip(stocks["ts_code"], stocks["list_date"], strict=True)
            if day == written
            and self._draws.of("late in the list", code) < self._frequencies.listed_a_day_late
        }
        stocks = without(stocks, late)
        return under_codes_of_today(stocks, today) if self._frequencies.changes_of_code else stocks

    def namechange(self, today: dt.date) -> Table:
        """Some rows are there twice; the past, too, is served under the codes of today."""
        names: Table = self._market.namechange(today)
        rows = zip(names["ts_code"], names["start_date"], strict=True)
        part = self._frequencies.names_told_twice
        twice = [at for at, row in enumerate(rows) if self._draws.of("name twice", *row) < part]
        names = {name: [*values, *(values[at] for at in twice)] for name, values in names.items()}
        return renamed_today(names, today) if self._frequencies.changes_of_code else names

    def daily(self, day: dt.date) -> Table:
        bars: Table = self._market.daily(day)
        struck = self._struck.on(day)
        bars = without(bars, struck[Habit.BAR_MISSING])
        bars = changed(bars, self._last_closes(day))
        if self._frequencies.rounded_twice and day < FINE_PCT_CHG_SINCE:
            bars = bars | {"pct_chg": _rounded_twice(bars)}
        untold: Row = dict.fromkeys(("pre_close", "change", "pct_chg"))
        bars = changed(bars, dict.fromkeys(struck[Habit.CHANGE_NOT_TOLD], untold))
        no_amount: Row = {"amount": None}
        bars = changed(bars, dict.fromkeys(struck[Habit.AMOUNT_NOT_TOLD], no_amount))
        rounded = rows_of(bars, struck[Habit.ROUGH_AMOUNT])
        bars = changed(bars, {row["ts_code"]: {"amount": rough(row["amount"])} for row in rounded})
        return self._served(joined(bars, self._before_listing.bars(day)), day, "daily")

    def stk_limit(self, day: dt.date) -> Table:
        limits: Table = self._market.stk_limit(day)
        struck = self._struck.on(day)
        if self._frequencies.beijing_limits_missing and day < BEIJING_LIMITS_SINCE:
            # 900 are B shares, which the vendor takes for Beijing ones.
            beijing = {
                code
                for code in limits["ts_code"]
                if code.endswith(".BJ") and not code.startswith("900")
            }
            limits = without(limits, beijing)
        zero: Row = {"up_limit": 0.0, "down_limit": 0.0}
        edits = dict.fromkeys(struck[Habit.ZERO_LIMITS], zero)
        edits |= {
            code: {"up_limit": self._other_sentinel(code, day)}
            for code in struck[Habit.OTHER_SENTINEL]
        }
        for code, row in self._last_closes(day).items():
            up, down = UNLIMITED_SENTINELS[code[-2:]]
            edits[code] = {"pre_close": row["pre_close"], "up_limit": up, "down_limit": down}
        return self._served(changed(limits, edits), day, "stk_limit")

    def daily_basic(self, day: dt.date) -> Table:
        basics: Table = self._market.daily_basic(day)
        struck = self._struck.on(day)
        basics = without(basics, struck[Habit.BAR_MISSING])
        negative: Row = {"free_share": NEGATIVE_FREE_SHARE}
        basics = changed(basics, dict.fromkeys(struck[Habit.NEGATIVE_FREE_SHARE], negative))
        stale = struck[Habit.STALE_INDICATORS]
        stale |= struck[Habit.INDICATORS_WITHOUT_BAR]
        if stale:
            rows = self._rows("daily_basic", previous_session(day), stale)
            today = {"trade_date": f"{day:%Y%m%d}"}
            basics = joined(without(basics, stale), [row | today for row in rows])
        return self._served(basics, day, "daily_basic")

    def adj_factor(self, day: dt.date) -> Table:
        factors: Table = self._market.adj_factor(day)
        missing = self._struck.on(day)[Habit.FACTOR_MISSING]
        waiting = {code for code, since in self._first_factors.items() if day < since}
        factors = without(factors, missing | waiting)
        return self._served(joined(factors, self._before_listing.factors(day)), day, "adj_factor")

    def suspend_d(self, day: dt.date) -> Table:
        notices: Table = self._market.suspend_d(day)
        struck = self._struck.on(day)
        no_width: Row = {"suspend_timing": NO_WIDTH}
        notices = changed(notices, dict.fromkeys(struck[Habit.HALT_OF_NO_WIDTH], no_width))
        rows = rows_of(notices, struck[Habit.NOTICE_TWICE])
        both = struck[Habit.SUSPENDED_AND_RESUMED]
        suspended = struck[Habit.SUSPENDED_YET_TRADED] | both
        rows += [_notice(code, day, "S") for code in sorted(suspended)]
        rows += [_notice(code, day, "R") for code in sorted(both)]
        return self._served(joined(notices, rows), day, "suspend_d")

    def stock_st(self, day: dt.date) -> Table:
        return self._served(self._market.stock_st(day), day, "stock_st")

    def fund_basic(self, today: dt.date) -> Table:
        funds: Table = self._market.fund_basic(today)
        part = self._frequencies.numbers_used_twice
        again = [code for code in funds["ts_code"] if self._draws.of("number twice", code) < part]
        funds = with_numbers_used_twice(funds, again)
        return with_ended_funds(funds, self._frequencies.funds_ended_without_date)

    def fund_daily(self, day: dt.date) -> Table:
        missing = self._struck.on(day)[Habit.FUND_BAR_MISSING]
        return without(self._market.fund_daily(day), missing)

    def fund_nav(self, nav_date: dt.date) -> Table:
        return self._market.fund_nav(nav_date)

    @functools.cached_property
    def _listed(self) -> dict[str, dt.date]:
        """The day of listing of everything that will ever be listed."""
        stocks: Table = self._market.stock_basic(last_published_session())
        days = (dt.datetime.strptime(str(day), "%Y%m%d").date() for day in stocks["list_date"])
        return dict(zip(stocks["ts_code"], days, strict=True))

    @functools.cached_property
    def _struck(self) -> StruckRows:
        return StruckRows(self._market, self._draws, self._listed)

    @functools.cached_property
    def _before_listing(self) -> BeforeListing:
        return BeforeListing(self._draws, self._listed, self._frequencies.bars_before_listing)

    @functools.cached_property
    def _first_factors(self) -> dict[str, dt.date]:
        """The Beijing shares whose factors begin late, most of them after a few days."""
        longest, part = self._frequencies.longest_factor_delay, self._frequencies.late_factors
        return {
            code: day + dt.timedelta(round(longest ** self._draws.of("factor delay", code)))
            for code, day in self._listed.items()
            if code.endswith(".BJ") and self._draws.of("late factor", code) < part
        }

    def _last_closes(self, day: dt.date) -> dict[str, Row]:
        """Of shares without ex-price: what their bars say instead."""
        codes = self._struck.on(day)[Habit.WITHOUT_EX_PRICE]
        if not codes:
            return {}
        before = previous_session(day)
        # The pre_close of a halted share is its last close; one that traded has a bar besides.
        last = {row["ts_code"]: row["pre_close"] for row in self._rows("stk_limit", before, codes)}
        last |= {row["ts_code"]: row["close"] for row in self._rows("daily", before, codes)}
        bars = self._rows("daily", day, codes)
        return {row["ts_code"]: _changes(row["close"], last[row["ts_code"]], day) for row in bars}

    def _rows(self, call: str, day: dt.date, codes: Collection[str]) -> list[Row]:
        return rows_of(getattr(self._market, call)(day), codes)

    def _other_sentinel(self, code: str, day: dt.date) -> float:
        draw = self._draws.of("sentinel", code, day)
        return OTHER_SENTINELS[int(draw * len(OTHER_SENTINELS))]

    def _served(self, table: Table, day: dt.date, call: str) -> Table:
        return under_codes_served(table, day, call) if self._frequencies.changes_of_code else table


def _notice(code: str, day: dt.date, kind: str) -> Row:
    return {
        "ts_code": code,
        "trade_date": f"{day:%Y%m%d}",
        "suspend_timing": None,
        "suspend_type": kind,
    }


def _changes(close: float, pre_close: float, day: dt.date) -> Row:
    now, before = (np.array([round(price * 100)], dtype=np.int32) for price in (close, pre_close))
    decimals = 4 if day >= FINE_PCT_CHG_SINCE else 2
    [percent] = percent_change(now, before, decimals).tolist()
    return {"pre_close": pre_close, "change": round(close - pre_close, 2), "pct_chg": percent}


def _rounded_twice(bars: Table) -> list[float]:
    """pct_chg to four decimals and these to two, as floats round; a zero has no sign."""
    pairs = zip(bars["close"], bars["pre_close"], strict=True)
    return [round(round((close / before - 1) * 100, 4), 2) + 0.0 for close, before in pairs]
