"""What the simulated history tells about one session: closes, pre_close, limits, who trades.

Here belong the stored result and what can be read off it. The walk through the sessions that
fills it is in `price_walk`; open, high, low and volume are derived from it in `trading_details`.

Prices are integers in ticks: 0.01 yuan, or 0.001 for funds and Shanghai B shares.
"""

import dataclasses
import datetime as dt

import numpy as np
import numpy.typing as npt

from marketdata_sandbox.market import price_limits
from marketdata_sandbox.market.agenda import Agenda
from marketdata_sandbox.market.ex_rights import PaidRights
from marketdata_sandbox.market.life_events import LifeEvents
from marketdata_sandbox.market.listings import Listings
from marketdata_sandbox.market.market_returns import Floats, Market, Traits
from marketdata_sandbox.market.price_limits import Booleans, Integers


@dataclasses.dataclass(frozen=True)
class PricePath:
    """The simulated history. Rows of all sessions lie one after another, in order of listing.

    Who is halted, true or not, is packed into bits, session by session.
    """

    listings: Listings
    life: LifeEvents
    traits: Traits
    market: Market
    closes: Integers
    halted: list[npt.NDArray[np.uint8]]
    row_starts: npt.NDArray[np.int64]
    issue_prices: Integers
    rights: PaidRights
    rights_agenda: Agenda
    quarterly_volatility: dict[int, Floats]

    def close(self, session: int) -> Integers:
        """Closes in ticks of all instruments listed by then; a halted one keeps its last."""
        return self.closes[self.row_starts[session] : self.row_starts[session + 1]]

    def pre_close(self, session: int) -> Integers:
        """Reference prices in ticks: the last close, less rights; the issue price at first."""
        count = int(self.row_starts[session + 1] - self.row_starts[session])
        reference = self.issue_prices[:count].copy()
        if session > 0:
            previous = self.close(session - 1)
            reference[: previous.size] = previous
        events = self.rights_agenda.at(session)
        reference[self.rights.instrument[events]] = self.rights.reference[events]
        return reference

    def is_listed(self, session: int) -> Booleans:
        """Which of the instruments listed by then are not delisted yet."""
        return self.life.delist_session[: self.close(session).size] > session

    def trades(self, session: int) -> Booleans:
        """Which instruments are listed and not halted."""
        listed = self.is_listed(session)
        halted = np.unpackbits(self.halted[session], count=listed.size).view(np.bool_)
        return listed & ~halted

    def limit_percents(self, session: int) -> tuple[Integers, Integers]:
        """Percent up and down that apply on the session."""
        count = self.close(session).size
        is_st = self.life.st.covers(session, self.listings.board.size)
        return limit_percents_of(self.listings, self.life, np.arange(count), session, is_st[:count])

    def limits(self, session: int) -> tuple[Integers, Integers]:
        """Highest and lowest price of the session, in ticks."""
        reference = self.pre_close(session)
        board = self.listings.board[: reference.size]
        return price_limits.limit_ticks(reference, *self.limit_percents(session), board)

    def volatility(self, session: int) -> Floats:
        """The daily volatility of the quarter, market apart, of all instruments listed by then."""
        quarter = quarter_number(self.listings.sessions[session])
        return self.quarterly_volatility[quarter][: self.close(session).size]

    def bonus_factor(self, session: int) -> npt.NDArray[np.float64]:
        """How many shares one share of the beginning has become through bonus shares."""
        factor = np.ones(self.close(session).size)
        events = self.rights_agenda.before(session + 1)
        events = events[self.rights.bonus_per_10[events] > 0]
        growth = 1 + self.rights.bonus_per_10[events] / 10
        np.multiply.at(factor, self.rights.instrument[events], growth)
        return factor


def quarter_number(day: dt.date) -> int:
    """Quarters since the year 0."""
    return day.year * 4 + (day.month - 1) // 3


def limit_percents_of(
    listings: Listings,
    life: LifeEvents,
    instruments: npt.NDArray[np.intp],
    session: int | npt.NDArray[np.int32],
    is_st: Booleans,
) -> tuple[Integers, Integers]:
    """Percent up and down of pairs of an instrument and a session (or one session for all)."""
    return price_limits.limit_percents(
        listings.board[instruments],
        is_st,
        listings.list_day[instruments],
        session - listings.list_session[instruments],
        life.delisting_start[instruments] == session,
        listings.session_days[session],
    )
