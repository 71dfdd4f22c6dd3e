"""What happens to a listed company: ST spells, pauses of the listing, delisting.

Here belong the drawn events and the questions they answer for one session. Who is listed at all
is `listings`' matter, short halts of trading are drawn in `trading_halts`.
"""

import dataclasses
import functools

import numpy as np
import numpy.typing as npt

from marketdata_sandbox.market import listing_counts
from marketdata_sandbox.market.boards import MAIN_BOARDS, Board
from marketdata_sandbox.market.listings import Listings, sessions_of_year
from marketdata_sandbox.market.random_streams import Purpose, random_stream

NEVER = 1_000_000
_KEY_WIDTH = 4 * NEVER  # so that a pair of instrument and session fits one number
DELISTING_PERIOD = 15
_SESSIONS_A_YEAR = 242
_MATURE_AGE = 2 * _SESSIONS_A_YEAR
_ST_BEFORE_DELISTING = 250
_STARRED_SHARE = 0.5


@dataclasses.dataclass(frozen=True)
class Spells:
    """Stretches of sessions: instrument, first session, first session after it, a mark."""

    instrument: npt.NDArray[np.int32]
    start: npt.NDArray[np.int32]
    end: npt.NDArray[np.int32]
    is_starred: npt.NDArray[np.bool_]

    def lasting(self, session: int) -> npt.NDArray[np.bool_]:
        """Which spells cover the session."""
        return (self.start <= session) & (session < self.end)

    def covers(self, session: int, instrument_count: int) -> npt.NDArray[np.bool_]:
        """For each instrument whether one of its spells covers the session."""
        covered = np.zeros(instrument_count, dtype=np.bool_)
        covered[self.instrument[self.lasting(session)]] = True
        return covered

    def cover_pairs(
        self, instrument: npt.NDArray[np.int64], session: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.bool_]:
        """For each pair of an instrument and a session whether a spell covers it.

        Spells of one instrument do not overlap: the last one begun by then decides.
        """
        keys = self.instrument.astype(np.int64) * _KEY_WIDTH + self.start
        order = np.argsort(keys)
        asked = instrument * _KEY_WIDTH + session
        latest = order[np.searchsorted(keys[order], asked, side="right") - 1]
        covered: npt.NDArray[np.bool_] = (self.instrument[latest] == instrument) & (
            (self.start[latest] <= session) & (session < self.end[latest])
        )
        return covered


@dataclasses.dataclass(frozen=True)
class LifeEvents:
    """`delist_session` is the first session no longer listed, `NEVER` when there is none."""

    st: Spells
    pauses: Spells
    delist_session: npt.NDArray[np.int32]

    @functools.cached_property
    def delisting_start(self) -> npt.NDArray[np.int32]:
        """The first session of the delisting period."""
        start = self.delist_session - DELISTING_PERIOD
        return np.where(self.delist_session == NEVER, NEVER, start).astype(np.int32)


def build_life_events(seed: int, listings: Listings) -> LifeEvents:
    """Draw the events year by year, so that a longer calendar changes no past day."""
    count = listings.board.size
    delist_session = np.full(count, NEVER, dtype=np.int32)
    # Until when the last spell of an instrument lasts; a new one starts later only.
    busy_until = np.full(count, -NEVER, dtype=np.int64)
    st_rows: list[tuple[int, int, int, bool]] = []
    pause_rows: list[tuple[int, int, int, bool]] = []
    is_main = np.isin(listings.board, MAIN_BOARDS)
    first_year = listings.sessions[0].year

    for year in range(first_year - 1, listings.sessions[-1].year + 1):
        rng = random_stream(seed, Purpose.LIFE_EVENTS, year)
        in_year = sessions_of_year(listings.sessions, year)
        if year < first_year:  # what the first session finds already going on
            in_year = range(-_SESSIONS_A_YEAR, 0)
        is_mature = listings.list_session + _MATURE_AGE <= in_year.start

        def pick_free(
            candidates: npt.NDArray[np.bool_], wanted: int, first: int, rng: np.random.Generator
        ) -> npt.NDArray[np.int64]:
            free = np.flatnonzero(candidates & (busy_until < first))
            chosen: npt.NDArray[np.int64] = rng.choice(free, min(wanted, free.size), replace=False)
            return chosen

        # ST begins in this year, the delisting follows about a year later.
        may_delist = is_mature & (is_main | ((listings.board == Board.CHINEXT) & (year >= 2020)))
        doomed = pick_free(may_delist, listing_counts.delistings_in(year + 1), in_year.start, rng)
        for instrument in doomed:
            start = int(rng.integers(in_year.start, in_year.stop))
            delist = max(start, -DELISTING_PERIOD) + _ST_BEFORE_DELISTING
            st_rows.append((int(instrument), start, delist, bool(rng.random() < 0.8)))
            delist_session[instrument] = delist
            busy_until[instrument] = NEVER

        for board, (since, hazard) in listing_counts.ST_HAZARDS.items():
            candidates = is_mature & (listings.board == board)
            if year < since:
                continue
            wanted = round(hazard * int(candidates.sum()))
            for instrument in pick_free(candidates, wanted, in_year.start, rng):
                start = int(rng.integers(in_year.start, in_year.stop))
                length = int(np.clip(330 * np.exp(0.5 * rng.standard_normal()), 60, 1000))
                is_starred = bool(rng.random() < _STARRED_SHARE)
                st_rows.append((int(instrument), start, start + length, is_starred))
                busy_until[instrument] = start + length

        paused = pick_free(is_mature & is_main, listing_counts.PAUSES_A_YEAR, in_year.start, rng)
        for instrument in paused:
            start = int(rng.integers(in_year.start, in_year.stop))
            end = start + int(rng.integers(120, 400))
            pause_rows.append((int(instrument), start, end, False))
            busy_until[instrument] = end

    return LifeEvents(_spells(st_rows), _spells(pause_rows), delist_session)


def _spells(rows: list[tuple[int, int, int, bool]]) -> Spells:
    table = np.array(rows, dtype=np.int32).reshape(-1, 4)
    return Spells(table[:, 0], table[:, 1], table[:, 2], table[:, 3].astype(np.bool_))
