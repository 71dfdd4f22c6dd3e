"""The walk through all sessions since 2005-01-04 that produces the closes.

Here belongs the part of the simulation that must run day after day: a close depends on the limits,
those on the close before. One session is a handful of steps over all listed instruments. What
can be asked about the result is in `price_path`.
"""

import itertools

import numpy as np
import numpy.typing as npt

from marketdata_sandbox.market import price_limits
from marketdata_sandbox.market.agenda import Agenda
from marketdata_sandbox.market.ex_rights import (
    PaidRights,
    cash_per_10_shares,
    ex_rights_price,
    plan_rights,
)
from marketdata_sandbox.market.life_events import LifeEvents
from marketdata_sandbox.market.listings import Listings
from marketdata_sandbox.market.market_returns import (
    Floats,
    draw_market,
    draw_quarter,
    draw_traits,
    reversion,
)
from marketdata_sandbox.market.price_limits import Integers
from marketdata_sandbox.market.price_path import PricePath, limit_percents_of, quarter_number
from marketdata_sandbox.market.random_streams import Purpose, random_stream
from marketdata_sandbox.market.trading_halts import build_halts

# No price falls below this many ticks (one yuan for a stock) unless a limit demands it.
_LOWEST_TICKS = 100
_LOWEST_BONUS_PRICE = 3 * _LOWEST_TICKS
_DELISTING_GROWTH = 0.6


def simulate(seed: int, listings: Listings, life: LifeEvents) -> PricePath:
    """Walk through all sessions of the calendar."""
    return _Walk(seed, listings, life).run()


class _Walk:
    """The state while walking: arrays of all instruments, of which a growing part is listed."""

    def __init__(self, seed: int, listings: Listings, life: LifeEvents) -> None:
        self._seed = seed
        self._listings = listings
        self._life = life
        self._session_count = len(listings.sessions)
        self._counts = [0, *listings.listed_by_session.tolist()]
        self._traits = draw_traits(seed, listings)
        self._market = draw_market(seed, self._session_count)
        self._plan = plan_rights(seed, listings)
        self._plan_agenda = Agenda.of(self._plan.session, self._session_count)
        self._halts = build_halts(seed, listings, life)
        self._halt_agenda = Agenda.of(self._halts.start, self._session_count)
        self._resume = np.zeros(listings.board.size, dtype=np.int32)
        self._shock_agenda, self._shocked, self._shock_growth = self._draw_shocks()
        self._draw_percent_changes()
        self._issue_prices = self._draw_issue_prices()
        self._paid: list[tuple[npt.NDArray[np.int32], ...]] = []

    def run(self) -> PricePath:
        row_starts = np.concatenate([[0], np.cumsum(self._counts[1:])])
        self._closes = np.empty(row_starts[-1], dtype=np.int32)
        self._halted: list[npt.NDArray[np.uint8]] = []
        self._reference = self._issue_prices.copy()
        volatility: dict[int, Floats] = {}
        numbers = range(self._session_count)
        for quarter, group in itertools.groupby(
            numbers, key=lambda number: quarter_number(self._listings.sessions[number])
        ):
            sessions = list(group)
            growth, volatility[quarter] = self._wished_growth(quarter, sessions)
            for row, session in enumerate(sessions):
                count = self._counts[session + 1]
                rows = slice(row_starts[session], row_starts[session + 1])
                self._step(session, growth[row, :count], rows)
        empty = np.zeros((6, 0), dtype=np.int32)
        rights = np.concatenate([empty, *[np.stack(rows) for rows in self._paid]], axis=1)
        paid = PaidRights(*rights)
        return PricePath(
            listings=self._listings,
            life=self._life,
            traits=self._traits,
            market=self._market,
            closes=self._closes,
            halted=self._halted,
            row_starts=row_starts,
            issue_prices=self._issue_prices,
            rights=paid,
            rights_agenda=Agenda.of(paid.session, self._session_count),
            quarterly_volatility=volatility,
        )

    def _step(self, session: int, growth: Floats, rows: slice) -> None:
        """Trade one session. `self._reference` holds the closes of the last one on entry."""
        count = growth.size
        reference = self._reference[:count]
        resume = self._resume
        halts = self._halt_agenda.at(session)
        starting = self._halts.instrument[halts]
        resume[starting] = np.maximum(resume[starting], self._halts.resume[halts])
        halted = resume[:count] > session
        self._halted.append(np.packbits(halted))
        self._pay_rights(session, halted)

        changes = self._percent_agenda.at(session)
        changed = self._percent_instrument[changes]
        self._up_factor[changed] = 100 + self._percent_up[changes]
        self._down_factor[changed] = 100 - self._percent_down[changes]
        up = reference * self._up_factor[:count]
        up += self._up_term[:count]
        up //= 100
        down = reference * self._down_factor[:count]
        down += self._down_term[:count]
        down //= 100

        wished = np.multiply(reference, growth, dtype=np.float32)
        shocks = self._shock_agenda.at(session)
        shocked = self._shocked[shocks]
        wished[shocked] = reference[shocked] * self._shock_growth[shocks]
        np.rint(wished, out=wished)
        close = self._closes[rows]
        np.copyto(close, wished, casting="unsafe")
        np.maximum(close, _LOWEST_TICKS, out=close)
        np.minimum(close, up, out=close)
        np.maximum(close, down, out=close)
        np.copyto(close, reference, where=halted)
        reference[:] = close

    def _pay_rights(self, session: int, halted: price_limits.Booleans) -> None:
        events = self._plan_agenda.at(session)
        planned = self._plan.instrument[events]
        events = events[~halted[planned] & (self._life.delist_session[planned] > session)]
        if events.size == 0:
            return
        instrument = self._plan.instrument[events]
        previous_close = self._reference[instrument]
        is_cheap = previous_close < _LOWEST_BONUS_PRICE
        bonus = np.where(is_cheap, 0, self._plan.bonus_per_10[events]).astype(np.int32)
        cash = cash_per_10_shares(previous_close, self._plan.cash_yield[events])
        reference = ex_rights_price(previous_close, cash, bonus)
        self._reference[instrument] = reference
        sessions = np.full_like(instrument, session)
        self._paid.append((instrument, sessions, cash, bonus, previous_close, reference))

    def _wished_growth(self, quarter: int, sessions: list[int]) -> tuple[Floats, Floats]:
        count = self._counts[sessions[-1] + 1]
        days = range(sessions[0], sessions[-1] + 1)
        growth, volatility = draw_quarter(
            self._seed, quarter, days, count, self._market, self._traits
        )
        yuan = (self._reference[:count] / self._listings.ticks_per_yuan[:count]).astype(np.float32)
        growth += reversion(yuan, self._traits.level[:count])
        return growth, volatility

    def _draw_issue_prices(self) -> Integers:
        """Somewhat below the level, in ticks; for the oldest the close before the first day."""
        level = self._traits.level * self._listings.ticks_per_yuan
        is_new_share = self._listings.is_a_share & (self._listings.list_session >= 0)
        ticks: Integers = np.rint(np.where(is_new_share, 0.6 * level, level)).astype(np.int32)
        return np.maximum(ticks, 2 * _LOWEST_TICKS)

    def _draw_shocks(self) -> tuple[Agenda, npt.NDArray[np.intp], Floats]:
        """First days of new shares and of delisting periods, which are unlike other days."""
        new = np.flatnonzero(self._listings.is_a_share & (self._listings.list_session >= 0))
        leaving = np.flatnonzero(self._life.delisting_start < self._session_count)
        draws = random_stream(self._seed, Purpose.MARKET, 1).standard_normal(
            self._listings.board.size
        )
        growth = np.concatenate(
            [np.exp(0.55 + 0.4 * draws[new]), _DELISTING_GROWTH * np.exp(0.15 * draws[leaving])]
        )
        sessions = np.concatenate(
            [self._listings.list_session[new], self._life.delisting_start[leaving]]
        )
        agenda = Agenda.of(sessions.astype(np.int32), self._session_count)
        return agenda, np.concatenate([new, leaving]), growth.astype(np.float32)

    def _draw_percent_changes(self) -> None:
        """All sessions on which the limit of an instrument may differ from the day before."""
        listings, life = self._listings, self._life
        everyone = np.arange(listings.board.size)
        first = np.maximum(listings.list_session, 0)
        leaving = np.flatnonzero(life.delisting_start < self._session_count)
        pairs = [
            (everyone, first),
            (everyone, first + 1),
            (everyone, first + price_limits.FREE_SESSIONS),
            (life.st.instrument, np.maximum(life.st.start, 0)),
            (life.st.instrument, life.st.end),
            (leaving, life.delisting_start[leaving]),
            (leaving, life.delisting_start[leaving] + 1),
        ]
        for change in price_limits.RULE_CHANGES:
            session = int(np.searchsorted(listings.session_days, change))
            listed = np.flatnonzero(first <= session)
            pairs.append((listed, np.full(listed.size, session)))
        instrument = np.concatenate([pair[0] for pair in pairs]).astype(np.int64)
        session_of = np.concatenate([pair[1] for pair in pairs]).astype(np.int32)
        known = session_of < self._session_count
        instrument, session_of = instrument[known], session_of[known]

        is_st = life.st.cover_pairs(instrument, session_of)
        self._percent_agenda = Agenda.of(session_of, self._session_count)
        self._percent_instrument = instrument
        self._percent_up, self._percent_down = limit_percents_of(
            listings, life, instrument, session_of, is_st
        )
        self._up_factor = np.full(everyone.size, 110, dtype=np.int32)
        self._down_factor = np.full(everyone.size, 90, dtype=np.int32)
        self._up_term, self._down_term = price_limits.rounding_terms(listings.board)
