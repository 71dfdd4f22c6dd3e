"""Daily bars in the compressed text that 新浪 answers with, as AKShare's own decoder reads it.

Bits are filled into base64 signs from the lowest up. A row says how wide its numbers are, on which
day it is, and how its prices differ from the row before.
"""

import datetime as dt
import string
from collections.abc import Sequence
from typing import NamedTuple

ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
FORMAT, VERSION = 3466, 63
DAY_ZERO = dt.date(1990, 12, 19)
PRICE_WIDTH, VOLUME_WIDTH, AMOUNT_WIDTH = 8, 13, 5
FIRST_WIDTHS = (3, 3, 3, 3, 5, 5)
WIDTHS = (*[PRICE_WIDTH] * 4, VOLUME_WIDTH, AMOUNT_WIDTH)


class SinaBar(NamedTuple):
    """Prices in hundredths."""

    day: dt.date
    open: int
    high: int
    low: int
    close: int
    volume: int


def encoded(bars: Sequence[SinaBar]) -> str:
    bits = _Bits()
    bits.number(FORMAT, 12)
    bits.number(VERSION, 6)
    widths = list(FIRST_WIDTHS)
    close = volume = 0
    for bar in bars:
        bits.flags(1, 1, 0, 1)
        for position, wanted in enumerate(WIDTHS):
            bits.change(wanted - widths[position])
            widths[position] = wanted
        bits.flags(1)
        bits.number(1, 3)
        bits.number((bar.day - DAY_ZERO).days, 18)
        bits.flags(0)
        differences = (
            bar.open - close,
            bar.high - bar.open,
            bar.open - bar.low,
            bar.close - bar.open,
            bar.volume - volume,
            0,
        )
        for difference, width in zip(differences, WIDTHS, strict=True):
            bits.number(difference, 3 * width)
        close, volume = bar.close, bar.volume
    bits.flags(1, 1, 0, 0, 0)
    return bits.text()


class _Bits:
    def __init__(self) -> None:
        self._bits: list[int] = []

    def number(self, value: int, width: int) -> None:
        self._bits += [value >> position & 1 for position in range(width)]

    def flags(self, *flags: int) -> None:
        self._bits += flags

    def change(self, by: int) -> None:
        """Whether a width changes, in which direction, and by how much, counted in ones."""
        if by:
            self.flags(1, int(by > 0), *[1] * (abs(by) - 1), 0)
        else:
            self.flags(0)

    def text(self) -> str:
        padded = self._bits + [0] * (-len(self._bits) % 6)
        groups = (padded[start : start + 6] for start in range(0, len(padded), 6))
        return "".join(
            ALPHABET[sum(bit << place for place, bit in enumerate(group))] for group in groups
        )
