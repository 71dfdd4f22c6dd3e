"""Short suspensions of single stocks: when each begins and on which session trading resumes.

Here belong the drawn halts. Pauses of a listing, which last for months, are `life_events`.
"""

import dataclasses
import datetime as dt

import numpy as np
import numpy.typing as npt

from marketdata_sandbox.market.ex_rights import fund_split
from marketdata_sandbox.market.life_events import LifeEvents
from marketdata_sandbox.market.listings import Listings, sessions_of_year
from marketdata_sandbox.market.random_streams import Purpose, random_stream

# From 2017 on the exchanges hardly allowed long suspensions any more.
_STRICT_SINCE = 2017
_DAILY_START_CHANCE = 0.0008
_EARLY_DAILY_START_CHANCE = 0.0045
_MEAN_LENGTHS = (2.2, 11.0)  # of ordinary and of long halts, in sessions
_EARLY_MEAN_LENGTHS = (2.6, 22.0)
_LONG_SHARE = 0.1
_EARLY_LONG_SHARE = 0.2

# In the crash of July 2015 every second company took refuge in a suspension.
_FLIGHT = (dt.date(2015, 7, 6), dt.date(2015, 7, 9))
_FLIGHT_START_CHANCE = 0.11
_FLIGHT_MEAN_LENGTH = 14.0


@dataclasses.dataclass(frozen=True)
class Halts:
    """Per halt the instrument, its first session without trading and the session it resumes."""

    instrument: npt.NDArray[np.int32]
    start: npt.NDArray[np.int32]
    resume: npt.NDArray[np.int32]


def build_halts(seed: int, listings: Listings, life: LifeEvents) -> Halts:
    """Draw the halts year by year and add the pauses of the listing to them."""
    instruments = [life.pauses.instrument]
    starts = [np.maximum(life.pauses.start, 0)]  # some began before the first session
    resumes = [life.pauses.end]
    for year in range(listings.sessions[0].year, listings.sessions[-1].year + 1):
        rng = random_stream(seed, Purpose.HALTS, year)
        in_year = sessions_of_year(listings.sessions, year)
        listed_before = np.flatnonzero(
            listings.is_a_share & (listings.list_session < in_year.start)
        )
        for instrument, start, length in _year_of_halts(year, in_year, listed_before, rng):
            instruments.append(instrument)
            starts.append(start)
            resumes.append(start + length)
        flight = [n for n in in_year if _FLIGHT[0] <= listings.sessions[n] <= _FLIGHT[1]]
        for session in flight:
            fled = listed_before[rng.random(listed_before.size) < _FLIGHT_START_CHANCE]
            instruments.append(fled.astype(np.int32))
            starts.append(np.full(fled.size, session, dtype=np.int32))
            resumes.append(session + _lengths(_FLIGHT_MEAN_LENGTH, fled.size, rng))
    fund, ex_session = fund_split(listings)
    instruments.append(fund.astype(np.int32))
    starts.append((ex_session - 1).astype(np.int32))
    resumes.append(ex_session.astype(np.int32))
    return Halts(
        np.concatenate(instruments).astype(np.int32),
        np.concatenate(starts).astype(np.int32),
        np.concatenate(resumes).astype(np.int32),
    )


def _year_of_halts(
    year: int, in_year: range, listed: npt.NDArray[np.int64], rng: np.random.Generator
) -> list[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32]]]:
    is_early = year < _STRICT_SINCE
    chance = _EARLY_DAILY_START_CHANCE if is_early else _DAILY_START_CHANCE
    means = _EARLY_MEAN_LENGTHS if is_early else _MEAN_LENGTHS
    long_share = _EARLY_LONG_SHARE if is_early else _LONG_SHARE
    groups = []
    for mean, share in zip(means, (1 - long_share, long_share), strict=True):
        count = int(rng.poisson(chance * share * listed.size * len(in_year)))
        instrument = listed[rng.integers(listed.size, size=count)].astype(np.int32)
        start = rng.integers(in_year.start, in_year.stop, size=count).astype(np.int32)
        groups.append((instrument, start, _lengths(mean, count, rng)))
    return groups


def _lengths(mean: float, count: int, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    return rng.geometric(1 / mean, size=count).astype(np.int32)
