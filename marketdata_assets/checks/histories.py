"""What speaks against one history by code: sessions it lacks, days it can't have, other units.

Here belong judgements over the bars of one instrument, and of several sources' bars of it. Who is
asked next, and which history is taken, is `assets.refreshing`.

Mainland China trades on the exchanges' calendar, a coin every day. Of other markets only this is
known: none trades at a weekend, and none has been closed for more than ten weekdays on end.
"""

import datetime as dt
import statistics
from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import groupby
from typing import Any, NamedTuple

import pyarrow as pa

from marketdata_assets.instruments import FUND_KINDS, Instrument, Kind
from marketdata_assets.trading_calendar import (
    FIRST_SESSION,
    last_published_session,
    sessions_between,
)

# A vendor may be late by a session or two, and begin or end a little beside another.
FEW_SESSIONS = 3
# Weekdays: Tokyo was closed for 6 in 2019, New York for 4 in 2001.
LONGEST_CLOSURE = 10
# What trades on every session of its market; the others are halted, or leave the market.
UNINTERRUPTED = frozenset(
    {
        Kind.CHINA_INDEX,
        Kind.INDUSTRY_INDEX,
        Kind.HK_INDEX,
        Kind.WORLD_INDEX,
        Kind.FUTURES,
        Kind.CRYPTO,
    }
)
_INDICES = frozenset({Kind.CHINA_INDEX, Kind.INDUSTRY_INDEX, Kind.HK_INDEX, Kind.WORLD_INDEX})
# Turnover over volume is a price of the day, which it is not of an index or of a contract.
_STRICTLY_PRICED = frozenset({Kind.A_SHARE}) | FUND_KINDS
_PRICED = _STRICTLY_PRICED | {Kind.B_SHARE, Kind.HK_SHARE, Kind.US_SHARE, Kind.CONVERTIBLE_BOND}
# What rounding leaves of a mean price: of a volume in 手, of a turnover in 千元 with two decimals.
_ROUNDING = 0.01
_ROUNDED_VOLUME, _ROUNDED_TURNOVER = 100.0, 10.0
# Nearer to a hundred than to one; and what no volume of an index does from one week to another.
_ANOTHER_UNIT, _ANOTHER_VOLUME = 10.0, 30.0
_NEIGHBOURS = 10
_WEEKEND = 5


class Flaw(StrEnum):
    """What can be wrong with a history; the values are the names of the checks.

    Each knows what it asks, in English and Chinese, and what is `seen` on so many days.
    """

    _value_: str
    doc: str
    doc_zh: str
    seen: str

    def __new__(cls, value: str, doc: str = "", doc_zh: str = "", seen: str = "") -> "Flaw":
        flaw = str.__new__(cls, value)
        flaw._value_, flaw.doc, flaw.doc_zh, flaw.seen = value, doc, doc_zh, seen
        return flaw

    SESSIONS = (
        "sessions_present",
        "Every session between the first and the last bar has one, or is known to have none: by "
        "the ledger, or because two sources lack it.",
        "首末两日之间的每个交易日都有行情，或有停牌等依据（台账，或两个数据源同样缺失）。",
        "session(s) without a bar that nothing explains",
    )
    END = (
        "ends_in_time",
        f"It ends at most {FEW_SESSIONS} sessions before the last one that is over "
        f"({LONGEST_CLOSURE} weekdays abroad).",
        f"最后一日距最近已收盘交易日不超过{FEW_SESSIONS}个交易日（境外{LONGEST_CLOSURE}个工作日）。",
        "session(s) after its last bar",
    )
    BEGINNING = (
        "begins_in_time",
        "No other source has an earlier beginning.",
        "没有其他数据源的起始日更早。",
        "session(s) before its first bar that another source has",
    )
    CLOSED = (
        "no_bar_on_a_closed_day",
        "No bar is of a day on which the market was closed.",
        "休市日没有行情。",
        "bar(s) of closed days",
    )
    OPEN = (
        "no_bar_of_an_open_day",
        "No bar is of a day that was not over.",
        "没有尚未收盘日期的行情。",
        "bar(s) of days that are not over",
    )
    UNITS = (
        "one_unit",
        "Volume and turnover are counted alike on every day.",
        "每日成交量与成交额的单位一致。",
        "day(s) with volume or turnover in another unit",
    )
    PRICES = (
        "mean_price_of_the_day",
        "Turnover over volume lies between low and high, up to rounding.",
        "成交额除以成交量（均价）在最低价与最高价之间（允许舍入误差）。",
        "day(s) with a mean price outside low and high",
    )


class Fault(NamedTuple):
    """The days of a history that have one flaw, in order."""

    flaw: Flaw
    days: tuple[dt.date, ...]

    def __str__(self) -> str:
        first, last = self.days[0], self.days[-1]
        return f"{len(self.days)} {self.flaw.seen}, {first}{f' … {last}' * (last > first)}"


def sessions(instrument: Instrument, first: dt.date, last: dt.date) -> list[dt.date]:
    """The days from `first` to `last` on which the instrument's market trades, as far as is known.

    Abroad they are the weekdays; in mainland China none before 2005 and none beyond the published
    calendar.
    """
    if is_of_mainland(instrument):
        first = max(first, FIRST_SESSION)
        last = min(last, _calendar_ends())
        return sessions_between(first, last) if first <= last else []
    every = (first + dt.timedelta(n) for n in range((last - first).days + 1))
    return [day for day in every if instrument.kind is Kind.CRYPTO or day.weekday() < _WEEKEND]


def is_of_mainland(instrument: Instrument) -> bool:
    """Whether the instrument trades on the calendar of the exchanges of mainland China."""
    return instrument.market.timezone == "Asia/Shanghai"


def faults_of(
    instrument: Instrument,
    bars: pa.Table,
    last: dt.date,
    explained: Collection[dt.date] = (),
) -> list[Fault]:
    """What is wrong with `bars`, sorted by day, of which `last` is the latest that can be there.

    `explained` are sessions on which it is known to have no bar.
    """
    rows = bars.to_pylist()
    days = [row["date"] for row in rows]
    holes, end = _lacking(instrument, days, last, explained)
    units = _in_other_units(instrument, rows)
    found = {
        Flaw.SESSIONS: holes,
        Flaw.END: end,
        Flaw.CLOSED: closed_days(instrument, days),
        Flaw.OPEN: [day for day in days if day > last],
        Flaw.UNITS: units,
        Flaw.PRICES: [day for day in _off_price(instrument, rows) if day not in set(units)],
    }
    return [Fault(flaw, tuple(wrong)) for flaw, wrong in found.items() if wrong]


def begins_late(instrument: Instrument, first: dt.date, earliest: dt.date) -> list[Fault]:
    """The fault of a history whose first bar is of `first`, where another has `earliest`."""
    before = sessions(instrument, earliest, first - dt.timedelta(1))
    late = len(before) > _few(instrument)
    return [Fault(Flaw.BEGINNING, tuple(before))] if late else []


def ends_early(instrument: Instrument, end: dt.date, last: dt.date) -> bool:
    """Whether a history up to `end` lacks more than the last few sessions up to `last`."""
    return len(sessions(instrument, end + dt.timedelta(1), last)) > _few(instrument)


def closed_days(instrument: Instrument, days: Iterable[dt.date]) -> list[dt.date]:
    """Those of `days` on which the instrument's market is known to have been closed."""
    known = list(days)
    # Oil has a session on Sunday evenings, which some date by its beginning.
    if not known or instrument.market.name == "NYMEX":
        return []
    first, last = min(known), max(known)
    if is_of_mainland(instrument):
        first, last = max(first, FIRST_SESSION), min(last, _calendar_ends())
    trading = set(sessions(instrument, first, last))
    return [day for day in known if first <= day <= last and day not in trading]


def lacked_alike(
    instrument: Instrument,
    lacking: Iterable[dt.date],
    days: Sequence[dt.date],
    others: Iterable[Sequence[dt.date]],
) -> set[dt.date]:
    """The `lacking` sessions that another source lacks as well, and none has.

    `days` are those of the history that lacks them, `others` those of the other sources' histories.
    Of an index, a main contract or a coin nothing is explained by that: they trade every session.
    """
    if instrument.kind in UNINTERRUPTED:
        return set()
    compared = [(set(one), one[0], _reach(instrument, days, one)) for one in others]
    return {
        day
        for day in lacking
        if not any(day in present for present, _, _ in compared)
        and any(first <= day <= reach for _, first, reach in compared)
    }


def _reach(instrument: Instrument, days: Sequence[dt.date], other: Sequence[dt.date]) -> dt.date:
    """Up to when a history tells of absences: to its end, or for ever where both end together."""
    between = sessions(instrument, *sorted((days[-1], other[-1])))
    return dt.date.max if len(between) <= FEW_SESSIONS else other[-1]


def _lacking(
    instrument: Instrument, days: Sequence[dt.date], last: dt.date, explained: Collection[dt.date]
) -> tuple[list[dt.date], list[dt.date]]:
    """The sessions without a bar before the last bar, and those after it."""
    known = {*days, *explained}
    holes: list[dt.date] = []
    end: list[dt.date] = []
    tolerated = 0 if _calendar_is_known(instrument) else LONGEST_CLOSURE
    expected = sessions(instrument, days[0], last)
    for is_there, run in groupby(expected, key=known.__contains__):
        absent = [] if is_there else list(run)
        if absent and absent[0] > days[-1]:
            end = absent
        elif len(absent) > tolerated:
            holes += absent
    return holes, end if len(end) > _few(instrument) else []


def _few(instrument: Instrument) -> int:
    return FEW_SESSIONS if _calendar_is_known(instrument) else LONGEST_CLOSURE


def _calendar_is_known(instrument: Instrument) -> bool:
    return is_of_mainland(instrument) or instrument.kind is Kind.CRYPTO


def _calendar_ends() -> dt.date:
    return dt.date(last_published_session().year, 12, 31)


def _in_other_units(instrument: Instrument, rows: Sequence[dict[str, Any]]) -> list[dt.date]:
    both = [row for row in rows if row["volume"] and row["turnover"]]
    means = [row["turnover"] / row["volume"] / row["close"] for row in both]
    usual = [1.0] * len(means) if instrument.kind in _PRICED else list(_around(means))
    wrong = _beyond(both, means, usual, _ANOTHER_UNIT)
    if instrument.kind in _INDICES:
        alone = [row for row in rows if row["volume"] and not row["turnover"]]
        volumes = [row["volume"] for row in alone]
        wrong += _beyond(alone, volumes, list(_around(volumes)), _ANOTHER_VOLUME)
    return sorted(wrong)


def _around(values: Sequence[float]) -> Iterator[float]:
    """The median of every value and its neighbours, which a lasting step does not move."""
    for n in range(len(values)):
        yield statistics.median(values[max(n - _NEIGHBOURS, 0) : n + _NEIGHBOURS + 1])


def _beyond(
    rows: Sequence[dict[str, Any]], values: Sequence[float], usual: Sequence[float], factor: float
) -> list[dt.date]:
    return [
        row["date"]
        for row, value, middle in zip(rows, values, usual, strict=True)
        if not 1 / factor < value / middle < factor
    ]


def _off_price(instrument: Instrument, rows: Sequence[dict[str, Any]]) -> list[dt.date]:
    if instrument.kind not in _STRICTLY_PRICED:
        return []
    return [
        row["date"]
        for row in rows
        if row["volume"] and row["turnover"] and row["low"] and row["high"] and _is_off(row)
    ]


def _is_off(row: dict[str, Any]) -> bool:
    least = (row["volume"] - _ROUNDED_VOLUME) * row["low"] * (1 - _ROUNDING) - _ROUNDED_TURNOVER
    most = (row["volume"] + _ROUNDED_VOLUME) * row["high"] * (1 + _ROUNDING) + _ROUNDED_TURNOVER
    return not least <= row["turnover"] <= most
