"""What there is to know of single bars of a share or a fund: halts, limits, ex-dates, doubts.

Here belongs what a chart marks, by day. Prices are `price_reader`, and what was found of the whole
market is `storage.finding_list`.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.serving.adjusting import BAR_COLUMNS, MissingFactors, fund_factors
from marketdata_assets.serving.caches import DaysInMemory
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import Series
from marketdata_assets.tables import DAILY_PRICES, FINDINGS, RESTATEMENTS, SUSPENDED, Table
from marketdata_assets.tables.declaration import Outcome
from marketdata_assets.trading_calendar import FIRST_SESSION

# What is kept of a day.
COLUMNS = {
    SUSPENDED.name: ["ts_code", "reason"],
    RESTATEMENTS.name: ["ts_code", "table_name", "column_name", "kind", "old", "new"],
    FINDINGS.name: ["ts_code", "table_name", "check_name", "outcome", "seen"],
}
PRICES_NEEDED = ("date", "close", "high_limit", "low_limit", "adj_factor")


class MarkKind(StrEnum):
    EX_DATE = "ex_date"
    SUSPENDED = "suspended"
    LIMIT_UP = "limit_up"
    LIMIT_DOWN = "limit_down"
    RESTATED = "restated"
    FLAGGED = "flagged"
    HELD = "held"


@dataclass(frozen=True, order=True)
class Mark:
    """`detail` is the factor over the one before of an ex-date, a reason, columns, or a finding."""

    date: dt.date
    kind: MarkKind
    detail: str


class Marks:
    """The marks of codes under a lake; what was read of a day is kept until its file changes."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._days = {
            table.name: DaysInMemory(lake, table, partial(self._read, table))
            for table in (SUSPENDED, RESTATEMENTS, FINDINGS)
        }

    def of(
        self, codes: Collection[str], series: Series | None, start: dt.date, end: dt.date
    ) -> list[Mark]:
        """The marks of an instrument that is stored under `codes`, by day.

        `series` is that of its daily table; None leaves out what only prices tell.
        """
        marks = [*self._of_days(codes, start, end)]
        if series:
            of = _of_prices if series.table.name == DAILY_PRICES.name else _of_a_fund
            for code in codes:
                # An ex-date shows against the bar before, which may lie before the range.
                since = _last_day_before(series, code, start)
                marks += (one for one in of(series, code, since, end) if one.date >= start)
        return sorted(set(marks))

    def _of_days(self, codes: Collection[str], start: dt.date, end: dt.date) -> Iterator[Mark]:
        for day, row in self._rows(SUSPENDED, codes, start, end):
            yield Mark(day, MarkKind.SUSPENDED, str(row["reason"]))
        for day, row in self._rows(RESTATEMENTS, codes, start, end):
            what = f"{row['table_name']}.{row['column_name'] or row['kind']}"
            yield Mark(day, MarkKind.RESTATED, f"{what}: {row['old']} → {row['new']}")
        for day, row in self._rows(FINDINGS, codes, start, end):
            kinds = {Outcome.FLAGGED: MarkKind.FLAGGED, Outcome.HELD: MarkKind.HELD}
            if kind := kinds.get(Outcome(str(row["outcome"]))):
                yield Mark(day, kind, f"{row['table_name']}.{row['check_name']}: {row['seen']}")

    def _rows(
        self, table: Table, codes: Collection[str], start: dt.date, end: dt.date
    ) -> Iterator[tuple[dt.date, Mapping[str, object]]]:
        wanted = pa.array(codes, pa.string())
        for day, rows in self._days[table.name].between(start, end).items():
            if rows is not None and rows.num_rows:
                for row in rows.filter(pc.is_in(rows["ts_code"], value_set=wanted)).to_pylist():
                    yield day, row

    def _read(self, table: Table, day: dt.date) -> pa.Table | None:
        rows = self._lake.read(table, day)
        return None if rows is None else rows.select(COLUMNS[table.name])


def _last_day_before(series: Series, code: str, start: dt.date) -> dt.date:
    column = str(series.table.date_column)
    days = series.slice(code, None, max(start, FIRST_SESSION) - dt.timedelta(1), [column])[column]
    return days[-1].as_py() if len(days) else start


def _of_prices(series: Series, code: str, start: dt.date, end: dt.date) -> Iterator[Mark]:
    rows = series.slice(code, start, end, PRICES_NEEDED)
    days = rows["date"].to_pylist()
    yield from _ex_dates(zip(days, rows["adj_factor"].to_pylist(), strict=True))
    for kind, holds in (
        (MarkKind.LIMIT_UP, pc.greater_equal(rows["close"], rows["high_limit"])),
        (MarkKind.LIMIT_DOWN, pc.less_equal(rows["close"], rows["low_limit"])),
    ):
        for day, holds_then in zip(days, holds.to_pylist(), strict=True):
            if holds_then:
                yield Mark(day, kind, "")


def _of_a_fund(series: Series, code: str, start: dt.date, end: dt.date) -> Iterator[Mark]:
    rows = series.slice(code, start, end, BAR_COLUMNS)
    # Where nobody can tell a factor, nothing is adjusted and nothing is marked.
    with suppress(MissingFactors):
        factors = fund_factors(code, rows, start, end)
        yield from _ex_dates(zip(*(one.to_pylist() for one in factors.columns), strict=True))


def _ex_dates(factors: Iterable[tuple[dt.date, float | None]]) -> Iterator[Mark]:
    known = [(day, factor) for day, factor in factors if factor]
    for (_, before), (day, factor) in pairwise(known):
        if factor != before:
            yield Mark(day, MarkKind.EX_DATE, f"{factor / before:.6g}")
