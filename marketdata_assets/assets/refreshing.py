"""One code's history brought up to date: who is asked for how much, and what has changed.

Here belong decisions over what is stored and what sources answer; no Dagster and no files.

A history comes from one source as a whole, for sources differ in the last digit and in what they
count. Where the source that is stored answers again, only what is new is fetched, with an overlap
that proves that the past is still the same.

What `checks.histories` finds makes a source fail, and the next one is asked. Where none is whole
the best is taken, and all are asked again the next time.
"""

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.checks.histories import (
    Fault,
    Flaw,
    begins_late,
    closed_days,
    faults_of,
    lacked_alike,
)
from marketdata_assets.errors import MarketdataError
from marketdata_assets.instruments import Instrument
from marketdata_assets.resources.sources.history import (
    BARS,
    ROLLS,
    History,
    HistorySource,
    SourceFailed,
)
from marketdata_assets.tables import INSTRUMENT_HISTORY

OVERLAP_BARS = 10
# A vendor may take a wrong day back, but a stretch that is gone is an answer that is cut.
MOST_DAYS_TAKEN_BACK = 5
ROWS_SHOWN = 5

# Of some sessions of a code those on which it is known to have no bar.
Explain: TypeAlias = Callable[[Sequence[dt.date]], Collection[dt.date]]


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
    """The whole history as it is now, in INSTRUMENT_HISTORY, and how it came about.

    `faults` are what is wrong with it, where no source has a better one; `alike` are the sessions
    that two sources lack; `untold` is why the source does not tell which contract was the main one.
    """

    table: pa.Table
    source: HistorySource
    was_whole: bool
    new_days: int
    restatement: Restatement | None
    failures: Sequence[SourceFailed] = ()
    faults: Sequence[Fault] = ()
    alike: Collection[dt.date] = ()
    untold: str = ""

    @property
    def days(self) -> list[dt.date]:
        return list(self.table["date"].to_pylist())


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
    explain: Explain,
) -> Refreshed:
    """The history from `first` to `last` by the first source that has all of it, or by the best.

    `stored` is what is known from a former time, with the same `first`; `explain` tells on which
    sessions there is no bar. Raises `NoSource`.
    """
    failures: list[SourceFailed] = []
    had: list[Refreshed] = []
    judged: list[Refreshed] = []
    is_faulty = stored is not None and _is_faulty(instrument, stored, explain)
    for source in sources:
        try:
            answered = _from(source, instrument, stored, first, last, again=is_faulty)
            _refuse_another_unit(instrument, answered, last)
        except SourceFailed as failure:
            failures.append(failure)
            continue
        had.append(answered)
        judged = [
            _beside(one, [other for other in had if other is not one], instrument, last, explain)
            for one in had
        ]
        is_alone = len(had) == 1 and stored is None
        if any(not one.faults for one in judged) and not (
            is_alone and begins_late(instrument, had[0].days[0], first)
        ):
            break
    if not judged:
        raise NoSource(instrument, failures)
    best = min(
        judged, key=lambda one: (sum(len(fault.days) for fault in one.faults), -len(one.table))
    )
    failures += [
        SourceFailed(one.source.name, instrument.code, in_words(one.faults))
        for one in judged
        if one.faults and one is not best
    ]
    return best._replace(failures=failures)


def in_words(faults: Sequence[Fault]) -> str:
    """What is wrong with a history, as one sentence."""
    return f"{'; '.join(map(str, faults))}."


def _is_faulty(instrument: Instrument, stored: pa.Table, explain: Explain) -> bool:
    """Whether something is wrong with what is stored, but for its end, which is to be refreshed."""
    end = stored["date"][-1].as_py()
    faults = faults_of(instrument, stored, end)
    return bool(faults and faults_of(instrument, stored, end, explain(_lacking(faults))))


def _beside(
    one: Refreshed,
    others: Sequence[Refreshed],
    instrument: Instrument,
    last: dt.date,
    explain: Explain,
) -> Refreshed:
    """A history with what is wrong with it, seen beside those of other sources."""
    lacking = _lacking(faults_of(instrument, one.table, last))
    explained = set(explain(lacking))
    compared = [other.days for other in others]
    unexplained = [day for day in lacking if day not in explained]
    alike = lacked_alike(instrument, unexplained, one.days, compared)
    faults = faults_of(instrument, one.table, last, explained | alike)
    earliest = min((days[0] for days in compared), default=one.days[0])
    return one._replace(faults=faults + begins_late(instrument, one.days[0], earliest), alike=alike)


def _lacking(faults: Sequence[Fault]) -> list[dt.date]:
    return [
        day for fault in faults if fault.flaw in (Flaw.SESSIONS, Flaw.END) for day in fault.days
    ]


def _from(
    source: HistorySource,
    instrument: Instrument,
    stored: pa.Table | None,
    first: dt.date,
    last: dt.date,
    again: bool,
) -> Refreshed:
    """One source's history; the whole of it where it is asked `again` for what was faulty."""
    known = stored if stored is not None and _source_of(stored) == source.name else None
    if known is not None and not again and not source.whole_only(instrument):
        start = known["date"][max(len(known) - OVERLAP_BARS, 0)].as_py()
        recent = source.history(instrument, start, last)
        overlap = known.filter(pc.greater_equal(known["date"], pa.scalar(start)))
        answered = as_table(instrument, recent)
        if (
            recent.source_unit == _unit_of(known)
            and compare(overlap, recent.bars) is None
            and not _rolls_otherwise(overlap, answered)
        ):
            older = known.slice(0, len(known) - len(overlap))
            table = pa.concat_tables([older, _with_rolls_of(overlap, answered)])
            new = len(table) - len(known)
            return Refreshed(table, source, False, new, None, untold=recent.untold)
    whole = source.history(instrument, first, last)
    if stored is not None:
        _refuse_less(source, instrument, stored, whole.bars, same_source=known is not None)
    return Refreshed(
        table=as_table(instrument, whole),
        source=source,
        was_whole=True,
        new_days=_days_after(stored, whole.bars),
        restatement=compare(known, whole.bars) if known is not None else None,
        untold=whole.untold,
    )


def _rolls_otherwise(overlap: pa.Table, answered: pa.Table) -> bool:
    """Whether a source says otherwise of the main contracts, or knows the first one by now."""
    pairs = {
        name: list(zip(overlap[name].to_pylist(), answered[name].to_pylist(), strict=False))
        for name in ROLLS.names
    }
    before, after = pairs["main_contract"][0]
    return (before is None and after is not None) or any(
        None not in pair and pair[0] != pair[1] for both in pairs.values() for pair in both
    )


def _with_rolls_of(overlap: pa.Table, answered: pa.Table) -> pa.Table:
    """`answered`, which begins like `overlap`, with what was known of the main contracts before."""
    for number, name in enumerate(answered.column_names):
        if name in ROLLS.names:
            absent = pa.nulls(len(answered) - len(overlap), overlap[name].type)
            before = pa.chunked_array([*overlap[name].chunks, absent])
            answered = answered.set_column(
                number, answered.field(number), pc.coalesce(before, answered[name])
            )
    return answered


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
    rolls = history.rolls or ROLLS.empty_table()
    columns = dict(zip(history.bars.column_names, history.bars.columns, strict=True))
    for name, kind in zip(ROLLS.names, ROLLS.types, strict=True):
        columns[name] = rolls[name] if len(rolls) else pa.chunked_array([pa.nulls(rows, kind)])
    return pa.Table.from_arrays(
        [
            pa.repeat(pa.scalar(constants[name]), rows)
            if name in constants
            else columns[name].combine_chunks()
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
    closed = set(closed_days(instrument, lost))
    lost = [day for day in lost if day not in closed]
    if len(lost) > (MOST_DAYS_TAKEN_BACK if same_source else 0):
        what = (
            f"its history lacks {len(lost)} day(s) that are stored from {_source_of(stored)}, "
            f"{lost[0]} … {lost[-1]}; nothing of it was taken."
        )
        raise SourceFailed(source.name, instrument.code, what)


def _refuse_another_unit(instrument: Instrument, one: Refreshed, last: dt.date) -> None:
    """Raise `SourceFailed` when volume or turnover is in another unit on most days."""
    for fault in faults_of(instrument, one.table, last):
        if fault.flaw is Flaw.UNITS and 2 * len(fault.days) > len(one.table):
            what = f"{fault}, of {len(one.table)}: nothing of it was taken."
            raise SourceFailed(one.source.name, instrument.code, what)


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
