"""How many instruments were listed, delisted and put under ST in each year.

Here belong the tables that give the simulated population its size. Which sessions and which
companies these numbers fall on is decided in `listings` and `life_events`.

Source: the yearly counts of the real market, rounded.
"""

import datetime as dt

from marketdata_sandbox.market.boards import Board

# Listed before the first session kept, by year; all on the main boards.
EARLIER_LISTINGS = {
    1990: 8, 1991: 5, 1992: 40, 1993: 112, 1994: 106, 1995: 22, 1996: 190, 1997: 204,
    1998: 110, 1999: 98, 2000: 134, 2001: 84, 2002: 74, 2003: 72, 2004: 103,
}  # fmt: skip
EARLIER_SSE_SHARE = 0.61
B_SHARES = {Board.B_SHARE_SZSE: 39, Board.B_SHARE_SSE: 43}
EARLIER_FUNDS = 30

_BOARD_ORDER = (Board.SSE_MAIN, Board.SZSE_MAIN, Board.CHINEXT, Board.STAR, Board.BSE)
_YEARLY_LISTINGS = {
    2005: (3, 12, 0, 0, 0),
    2006: (13, 53, 0, 0, 0),
    2007: (25, 101, 0, 0, 0),
    2008: (6, 71, 0, 0, 0),
    2009: (9, 54, 36, 0, 0),
    2010: (28, 204, 117, 0, 0),
    2011: (39, 115, 128, 0, 0),
    2012: (26, 55, 74, 0, 0),
    2014: (43, 33, 51, 0, 0),
    2015: (90, 46, 86, 0, 0),
    2016: (103, 46, 78, 0, 0),
    2017: (214, 82, 141, 0, 0),
    2018: (57, 19, 29, 0, 0),
    2019: (54, 26, 52, 70, 0),
    2020: (89, 54, 107, 145, 0),
    2021: (88, 34, 199, 162, 82),
    2022: (31, 40, 150, 124, 83),
    2023: (36, 23, 110, 67, 77),
    2024: (17, 7, 38, 15, 23),
    2025: (23, 15, 34, 19, 26),
    2026: (26, 16, 36, 22, 36),
}
_YEARLY_FUNDS = {
    2005: 12, 2006: 12, 2007: 10, 2008: 8, 2009: 15, 2010: 35, 2011: 45, 2012: 50, 2013: 55,
    2014: 60, 2015: 105, 2016: 60, 2017: 60, 2018: 50, 2019: 105, 2020: 105, 2021: 260,
    2022: 150, 2023: 130, 2024: 128, 2025: 390, 2026: 400,
}  # fmt: skip
_YEARLY_DELISTINGS = {
    2005: 11, 2006: 13, 2007: 10, 2008: 3, 2009: 7, 2010: 5, 2011: 4, 2012: 4, 2013: 7,
    2014: 2, 2015: 7, 2016: 2, 2017: 5, 2018: 5, 2019: 10, 2020: 20, 2021: 21, 2022: 44,
    2023: 46, 2024: 53, 2025: 34, 2026: 36,
}  # fmt: skip
_LATEST_YEAR = 2026

# The first day of a board is not one of single listings.
OPENING_COHORTS = {Board.CHINEXT: 28, Board.STAR: 25, Board.BSE: 81}

# No initial public offering was listed between these days, both included.
LISTING_FREEZES = (
    (dt.date(2005, 6, 1), dt.date(2006, 6, 16)),
    (dt.date(2008, 9, 25), dt.date(2009, 7, 9)),
    (dt.date(2012, 11, 3), dt.date(2014, 1, 16)),
    (dt.date(2015, 7, 6), dt.date(2015, 11, 29)),
)

# Relative frequency of the code ranges among the funds listed from this year on.
FUND_PREFIXES = {
    1990: {"15": 3, "16": 4, "50": 1, "51": 4},
    2014: {"15": 4, "16": 10, "50": 6, "51": 8},
    2020: {"15": 14, "16": 3, "18": 1, "50": 3, "51": 9, "56": 7, "58": 3},
    2024: {"15": 12, "18": 1, "50": 1, "51": 3, "52": 2, "53": 2, "56": 4, "58": 5},
}

# Share of the healthy stocks of a board that fall under ST within a year, from the given year on.
ST_HAZARDS = {
    Board.SSE_MAIN: (2004, 0.018),
    Board.SZSE_MAIN: (2004, 0.018),
    Board.CHINEXT: (2020, 0.013),
    Board.STAR: (2020, 0.004),
}
PAUSES_A_YEAR = 3


def listings_in(year: int) -> dict[Board, int]:
    """Initial public offerings by board. Years not yet known repeat the latest one."""
    counts = _YEARLY_LISTINGS.get(min(year, _LATEST_YEAR), (0, 0, 0, 0, 0))
    return dict(zip(_BOARD_ORDER, counts, strict=True))


def funds_in(year: int) -> int:
    """Funds listed in the year."""
    return _YEARLY_FUNDS[min(year, _LATEST_YEAR)]


def delistings_in(year: int) -> int:
    """A-shares delisted in about that year."""
    return _YEARLY_DELISTINGS[min(year, _LATEST_YEAR)]


def fund_prefixes_in(year: int) -> dict[str, int]:
    """Code range to relative frequency among the funds listed in the year."""
    return FUND_PREFIXES[max(start for start in FUND_PREFIXES if start <= year)]
