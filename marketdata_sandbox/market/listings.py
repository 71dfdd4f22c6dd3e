"""Who is listed when: the population of the simulated exchange, in order of listing.

Here belong codes, boards, days of listing and what the vendor's list of stocks tells of a
company. What happens to a company later (ST, pauses, delisting) is drawn in `life_events`;
prices are `price_path`'s matter.

An instrument is known by its number: its position in the order of listing. The instruments
listed at the end of a session are therefore always the first ones of every array.
"""

import bisect
import collections
import dataclasses
import datetime as dt
import functools

import numpy as np
import numpy.typing as npt

from marketdata_sandbox.market import listing_counts
from marketdata_sandbox.market.boards import (
    A_SHARE_BOARDS,
    OPENING_DAYS,
    SUFFIXES,
    THREE_DECIMAL_BOARDS,
    Board,
)
from marketdata_sandbox.market.random_streams import Purpose, random_stream

# Session number of everything listed before the first session; far enough to have no age effect.
BEFORE_FIRST_SESSION = -10_000
_FIRST_CDR_DAY = dt.date(2020, 10, 29)
_CDR_CODE = "689009"
# Funds that people know by their code, and the year in which each is listed.
WELL_KNOWN_FUNDS = {
    "510050.SH": 2005,
    "510300.SH": 2012,
    "513100.SH": 2013,
    "518880.SH": 2013,
    "511990.SH": 2013,
    "161725.SZ": 2015,
    "501018.SH": 2016,
    "562500.SH": 2021,
    "520990.SH": 2024,
}


@dataclasses.dataclass(frozen=True)
class Listings:
    """Every instrument ever listed; the arrays are equally long and in order of listing."""

    sessions: list[dt.date]
    ts_code: npt.NDArray[np.object_]
    board: npt.NDArray[np.int8]
    list_session: npt.NDArray[np.int32]
    list_day: npt.NDArray[np.datetime64]

    @functools.cached_property
    def is_a_share(self) -> npt.NDArray[np.bool_]:
        """Shares in yuan, as opposed to funds and B shares."""
        return np.isin(self.board, A_SHARE_BOARDS)

    @functools.cached_property
    def ticks_per_yuan(self) -> npt.NDArray[np.int32]:
        """100 for stocks, 1000 for what is quoted with three decimals."""
        three_decimals = np.isin(self.board, THREE_DECIMAL_BOARDS)
        return np.where(three_decimals, 1000, 100).astype(np.int32)

    @functools.cached_property
    def session_days(self) -> npt.NDArray[np.datetime64]:
        """The sessions as an array."""
        return np.array(self.sessions, dtype="datetime64[D]")

    @functools.cached_property
    def listed_by_session(self) -> npt.NDArray[np.int64]:
        """For each session the count of instruments listed on it or before."""
        numbers = np.arange(len(self.sessions))
        return np.searchsorted(self.list_session, numbers, side="right")


def sessions_of_year(sessions: list[dt.date], year: int) -> range:
    """The session numbers of a calendar year."""
    start = bisect.bisect_left(sessions, dt.date(year, 1, 1))
    return range(start, bisect.bisect_left(sessions, dt.date(year + 1, 1, 1)))


def build_listings(seed: int, sessions: list[dt.date]) -> Listings:
    """Draw the population year by year, so that a longer calendar changes no past year."""
    days: list[dt.date] = []
    boards: list[Board] = []
    codes: list[str] = []
    coder = _Coder()
    for year in range(min(listing_counts.EARLIER_LISTINGS), sessions[-1].year + 1):
        rng = random_stream(seed, Purpose.LISTINGS, year)
        drawn = (
            _earlier_listings(year, rng)
            if year < sessions[0].year
            else _later_listings(year, sessions, rng)
        )
        for day, board in sorted(drawn):
            days.append(day)
            boards.append(board)
            codes.append(coder.next_code(board, day, rng))
    # A fund becomes a wide one by its code, which is drawn last.
    is_wide = [code[:4] == "1599" or code[:3] == "588" for code in codes]
    number_of = {day: number for number, day in enumerate(sessions)}
    return Listings(
        sessions=sessions,
        ts_code=np.array(codes, dtype=object),
        board=np.where(is_wide, Board.WIDE_FUND, np.array(boards)).astype(np.int8),
        list_session=np.array(
            [number_of.get(day, BEFORE_FIRST_SESSION) for day in days], dtype=np.int32
        ),
        list_day=np.array(days, dtype="datetime64[D]"),
    )


def _earlier_listings(year: int, rng: np.random.Generator) -> list[tuple[dt.date, Board]]:
    count = listing_counts.EARLIER_LISTINGS[year]
    workdays = _workdays(year)
    drawn = [
        (
            workdays[rng.integers(len(workdays))],
            Board.SSE_MAIN if rng.random() < listing_counts.EARLIER_SSE_SHARE else Board.SZSE_MAIN,
        )
        for _ in range(count)
    ]
    if year == 1999:
        for board, shares in listing_counts.B_SHARES.items():
            drawn += [(day, board) for day in _pick(workdays, shares, rng)]
    if year == 2004:
        drawn += [(day, Board.FUND) for day in _pick(workdays, listing_counts.EARLIER_FUNDS, rng)]
    return drawn


def _later_listings(
    year: int, sessions: list[dt.date], rng: np.random.Generator
) -> list[tuple[dt.date, Board]]:
    trading = [sessions[number] for number in sessions_of_year(sessions, year)]
    unfrozen = [
        day
        for day in trading
        if not any(start <= day <= end for start, end in listing_counts.LISTING_FREEZES)
    ]
    drawn: list[tuple[dt.date, Board]] = []
    for board, count in listing_counts.listings_in(year).items():
        opening = OPENING_DAYS.get(board, dt.date.min)
        cohort = listing_counts.OPENING_COHORTS[board] if opening.year == year else 0
        drawn += [(opening, board)] * cohort
        later = [day for day in unfrozen if day > opening]
        drawn += [(day, board) for day in _pick(later, count - cohort, rng)]
    funds = listing_counts.funds_in(year)
    return drawn + [(day, Board.FUND) for day in _pick(trading, funds, rng)]


def _pick(days: list[dt.date], count: int, rng: np.random.Generator) -> list[dt.date]:
    if count == 0:
        return []
    return [days[position] for position in rng.integers(len(days), size=count)]


def _workdays(year: int) -> list[dt.date]:
    """Days of a year before 2005 that were surely sessions: the calendar kept starts later.

    The exchanges opened on 1990-12-19; around the holidays all days are left out.
    """
    days = (dt.date(year, month, day) for month in (3, 4, 6, 8, 11, 12) for day in range(1, 29))
    return [
        day
        for day in days
        if day.weekday() < 5
        and day >= dt.date(1990, 12, 19)
        and (day.month, day.day) not in {(4, 4), (4, 5), (4, 6)}
    ]


class _Coder:
    """Hands out the codes of each range in order, and none twice."""

    def __init__(self) -> None:
        self._used: collections.Counter[str] = collections.Counter()
        self._has_cdr = False
        self._well_known = dict(WELL_KNOWN_FUNDS)

    def next_code(self, board: Board, day: dt.date, rng: np.random.Generator) -> str:
        if board is Board.FUND:
            return self._fund_code(day, rng)
        if board is Board.STAR and day >= _FIRST_CDR_DAY and not self._has_cdr:
            self._has_cdr = True
            return f"{_CDR_CODE}.SH"
        prefix = _stock_prefix(board, day)
        self._used[prefix] += 1
        # Shanghai's first range begins with 600000, all others with 001.
        number = self._used[prefix] - (prefix == "600")
        return f"{prefix}{number:03d}.{SUFFIXES[board]}"

    def _fund_code(self, day: dt.date, rng: np.random.Generator) -> str:
        frequencies = listing_counts.fund_prefixes_in(day.year)
        cumulative = np.cumsum(list(frequencies.values()))
        position = np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")
        prefix = list(frequencies)[position]
        for code, year in self._well_known.items():
            if code.startswith(prefix) and day.year >= year:
                del self._well_known[code]
                return code
        while True:
            self._used[prefix] += 1
            code = _numbered_fund(prefix, self._used[prefix])
            if code not in WELL_KNOWN_FUNDS:
                return code


def _numbered_fund(prefix: str, number: int) -> str:
    match prefix:
        case "15":  # 159901 to 159999 first, then 159000 and on
            return f"159{(900 + number) % 1000:03d}.SZ"
        case "58":
            return f"588{number - 1:03d}.SH"
        case "16" | "18":
            return f"{prefix}{100 + number:04d}.SZ"
        case _:
            return f"{prefix}{number:04d}.SH"


def _stock_prefix(board: Board, day: dt.date) -> str:
    match board:
        case Board.SSE_MAIN:
            ranges = {1990: "600", 2005: "601", 2012: "603", 2020: "605"}
        case Board.SZSE_MAIN:
            ranges = {1990: "000", 2004: "002", 2020: "003", 2022: "001"}
        case Board.CHINEXT:
            ranges = {2009: "300", 2021: "301"}
        case Board.STAR:
            ranges = {2019: "688"}
        case Board.BSE:
            ranges = {2021: "920"}
        case Board.B_SHARE_SZSE:
            ranges = {1990: "200"}
        case _:
            ranges = {1990: "900"}
    return ranges[max(start for start in ranges if start <= day.year)]
