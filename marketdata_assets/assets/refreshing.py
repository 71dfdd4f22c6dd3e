"""One code's history brought up to date: who is asked for how much, and what has changed.

Here belong decisions over what is stored and what sources answer; no Dagster and no files.

A history comes from one source as a whole, for sources differ in the last digit and in what they
count. Where the source that is stored answers again, only what is new is fetched, with an overlap
that proves that the past is still the same.
"""

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.errors import MarketdataError
from marketdata_assets.instruments import Instrument
from marketdata_assets.resources.sources.history import (
    BARS,
    History,
    HistorySource,
    SourceFailed,
)
from marketdata_assets.tables import INSTRUMENT_HISTORY

OVERLAP_BARS = 10
# A vendor may take a wrong day back, but a stretch that is gone is an answer that is cut.
MOST_DAYS_TAKEN_BACK = 5
ROWS_SHOWN = 5


class Restatement(NamedTuple):
    """How the past differs from what was stored of it; `sample` has a line a day."""

    changed: int
    gone: int
    appeared: int
    sample: list[str]

    def __str__(self) -> str:
        return (
            f"{self.changed} day(s) changed, {self.gone} gone, {self.appeared} appeared: "
            f"{'; '.join(self.sample)}"
        )


class Refreshed(NamedTuple):
    """The whole history as it is now, in INSTRUMENT_HISTORY, and how it came about."""

    table: pa.Table
    source: HistorySource
    was_whole: bool
    new_days: int
    restatement: Restatement | None
    failures: list[SourceFailed]


class NoSource(MarketdataError):
    """Every source failed; what is stored stays as it is."""

    def __init__(self, instrument: Instrument, failures: Sequence[SourceFailed]) -> None:
        reasons = " | ".join(map(str, failures)) or f"No source has it: {instrument.kind.doc}."
        super().__init__(f"instrument_history {instrument.code}: no usable history. {reasons}")


def refresh(
    instrument: Instrument,
    sources: Sequence[HistorySource],
    stored: pa.Table | None,
    first: dt.date,
    last: dt.date,
) -> Refreshed:
    """The history from `first` to `last` by the first source that has it.

    `stored` is what is known from a former time, with the same `first`. Raises `NoSource`.
    """
    failures: list[SourceFailed] = []
    for source in sources:
        try:
            return _from(source, instrument, stored, first, last)._replace(failures=failures)
        except SourceFailed as failure:
            failures.append(failure)
    raise NoSource(instrument, failures)


def _from(
    source: HistorySource,
    instrument: Instrument,
    stored: pa.Table | None,
    first: dt.date,
    last: dt.date,
) -> Refreshed:
    known = stored if stored is not None and _source_of(stored) == source.name else None
    if known is not None and not source.whole_only(instrument):
        start = known["date"][max(len(known) - OVERLAP_BARS, 0)].as_py()
        recent = source.history(instrument, start, last)
        overlap = known.filter(pc.greater_equal(known["date"], pa.scalar(start)))
        if recent.source_unit == _unit_of(known) and compare(overlap, recent.bars) is None:
            older = known.filter(pc.less(known["date"], pa.scalar(start)))
            table = pa.concat_tables([older, as_table(instrument, recent)])
            return Refreshed(table, source, False, len(table) - len(known), None, [])
    whole = source.history(instrument, first, last)
    if stored is not None:
        _refuse_less(source, instrument, stored, whole.bars, same_source=known is not None)
    return Refreshed(
        table=as_table(instrument, whole),
        source=source,
        was_whole=True,
        new_days=_days_after(stored, whole.bars),
        restatement=compare(known, whole.bars) if known is not None else None,
        failures=[],
    )


def compare(stored: pa.Table, fetched: pa.Table) -> Restatement | None:
    """What `fetched` says otherwise about the days up to the last stored one; None if nothing."""
    before = {row["date"]: row for row in stored.select(BARS.names).to_pylist()}
    end = max(before)
    after = {row["date"]: row for row in fetched.to_pylist() if row["date"] <= end}
    changed = sorted(day for day in before.keys() & after.keys() if before[day] != after[day])
    gone, appeared = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
    if not (changed or gone or appeared):
        return None
    lines = [f"{day} {_differences(before[day], after[day])}" for day in changed]
    lines += [f"{day} is gone" for day in gone] + [f"{day} appeared" for day in appeared]
    return Restatement(len(changed), len(gone), len(appeared), lines[:ROWS_SHOWN])


def as_table(instrument: Instrument, history: History) -> pa.Table:
    """The bars as INSTRUMENT_HISTORY."""
    constants = {
        "code": instrument.code,
        "currency": instrument.currency,
        "volume_unit": instrument.unit.value,
        "source": history.source,
        "source_unit": history.source_unit,
    }
    rows = history.bars.num_rows
    return pa.Table.from_arrays(
        [
            pa.repeat(pa.scalar(constants[name]), rows)
            if name in constants
            else history.bars[name].combine_chunks()
            for name in INSTRUMENT_HISTORY.column_names
        ],
        schema=INSTRUMENT_HISTORY.schema,
    )


def _refuse_less(
    source: HistorySource,
    instrument: Instrument,
    stored: pa.Table,
    bars: pa.Table,
    same_source: bool,
) -> None:
    """Raise `SourceFailed` when a whole history lacks days that are stored."""
    lost = sorted(set(stored["date"].to_pylist()) - set(bars["date"].to_pylist()))
    if len(lost) > (MOST_DAYS_TAKEN_BACK if same_source else 0):
        what = (
            f"its history lacks {len(lost)} day(s) that are stored from {_source_of(stored)}, "
            f"{lost[0]} … {lost[-1]}; nothing of it was taken."
        )
        raise SourceFailed(source.name, instrument.code, what)


def _differences(before: dict[str, object], after: dict[str, object]) -> str:
    return ", ".join(
        f"{name} {before[name]} → {after[name]}"
        for name in BARS.names
        if before[name] != after[name]
    )


def _days_after(stored: pa.Table | None, bars: pa.Table) -> int:
    if stored is None:
        return int(bars.num_rows)
    last = max(stored["date"].to_pylist())
    return sum(day > last for day in bars["date"].to_pylist())


def _source_of(stored: pa.Table) -> str:
    return str(stored["source"][-1].as_py())


def _unit_of(stored: pa.Table) -> str:
    return str(stored["source_unit"][-1].as_py())
