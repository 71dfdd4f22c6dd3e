"""The boards of the simulated market and what their names imply.

Here belongs what is fixed for a board for all time. Rules that changed with a date live in
`price_limits`; which instrument belongs to which board is decided in `listings`.
"""

import datetime as dt
import enum


class Board(enum.IntEnum):
    """Groups of instruments that share code ranges, tick and rules."""

    SSE_MAIN = 0
    SZSE_MAIN = 1
    CHINEXT = 2
    STAR = 3
    BSE = 4
    FUND = 5
    WIDE_FUND = 6  # 1599xx and 588xxx, whose limit is 20 %
    B_SHARE_SZSE = 7
    B_SHARE_SSE = 8


A_SHARE_BOARDS = (Board.SSE_MAIN, Board.SZSE_MAIN, Board.CHINEXT, Board.STAR, Board.BSE)
MAIN_BOARDS = (Board.SSE_MAIN, Board.SZSE_MAIN)

MARKET_NAMES = {
    Board.SSE_MAIN: "主板",
    Board.SZSE_MAIN: "主板",
    Board.CHINEXT: "创业板",
    Board.STAR: "科创板",
    Board.BSE: "北交所",
}
EXCHANGES = {
    Board.SSE_MAIN: "SSE",
    Board.SZSE_MAIN: "SZSE",
    Board.CHINEXT: "SZSE",
    Board.STAR: "SSE",
    Board.BSE: "BSE",
}
SUFFIXES = {
    Board.SSE_MAIN: "SH",
    Board.SZSE_MAIN: "SZ",
    Board.CHINEXT: "SZ",
    Board.STAR: "SH",
    Board.BSE: "BJ",
    Board.B_SHARE_SZSE: "SZ",
    Board.B_SHARE_SSE: "BJ",  # the vendor's own label for 900xxx
}
OPENING_DAYS = {
    Board.CHINEXT: dt.date(2009, 10, 30),
    Board.STAR: dt.date(2019, 7, 22),
    Board.BSE: dt.date(2021, 11, 15),
}
THREE_DECIMAL_BOARDS = (Board.FUND, Board.WIDE_FUND, Board.B_SHARE_SSE)
