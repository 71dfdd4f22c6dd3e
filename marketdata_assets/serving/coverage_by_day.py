"""What is stored of every table and trading day, and what is the matter with it.

Here belong the ledgers and the findings put together by day, for the map of coverage, the client
and the API. What they find is `checks`; rows by code are `table_rows`.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from marketdata_assets.checks.ledger import UNEXPLAINED
from marketdata_assets.serving.caches import DaysInMemory
from marketdata_assets.serving.table_rows import BY_DAY, daily_table
from marketdata_assets.storage import damage_notes
from marketdata_assets.storage.finding_list import FindingLine, finding_list
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.sealed_parquet import DamagedFile, open_sealed
from marketdata_assets.storage.series import SERIES_ASSETS, has_been_made
from marketdata_assets.tables import COVERAGE, ETF_COVERAGE, FINDINGS, Table
from marketdata_assets.tables.declaration import Chain, Outcome
from marketdata_assets.trading_calendar import FIRST_SESSION, last_session_over, sessions_between

LEDGERS = (COVERAGE, ETF_COVERAGE)
LEDGER_ROWS = 500
# How far back a finding is followed to its first day.
SESSIONS_FOLLOWED = 20
# How many rows lack in a table, and how many findings of an outcome there are of it.
Gaps: TypeAlias = Mapping[str, int]
Found: TypeAlias = Mapping[tuple[str, str], int]


class State(StrEnum):
    """The worst that is known of a table and day, worst first."""

    MISSING = "missing"
    REFUSED = "refused"
    DAMAGED = "damaged"
    UNEXPLAINED = "unexplained"
    HELD = "held"
    FLAGGED = "flagged"
    STORED = "stored"


@dataclass(frozen=True)
class DayOfTable:
    """`rows` and `stored_at`, when the file became what it is, are null where there is none that
    can be read; the others count rows of the day.

    `unexplained` lack in the table without a reason, by the ledger; the others are findings.
    """

    date: dt.date
    state: State
    rows: int | None
    unexplained: int
    held: int
    flagged: int
    stored_at: dt.datetime | None


class StoredDay(NamedTuple):
    """What the file of a day says of itself; None where it says nothing."""

    rows: int | None = None
    stored_at: dt.datetime | None = None


class TableByDay(NamedTuple):
    """A table and its sessions that are over, from the first that is stored of any table."""

    table: Table
    days: list[DayOfTable]


@dataclass(frozen=True)
class Lacking:
    code: str
    reason: str


@dataclass(frozen=True)
class LedgerOfDay(DayOfTable):
    """One day of a table: `reasons` why rows are missing, with their number, and the rows.

    `ledger` has at most 500 of them, the unexplained first; `lacking` is how many there are.
    """

    table: str
    lacking: int
    reasons: dict[str, int]
    ledger: list[Lacking]
    findings: list[FindingLine]


class CoverageByDay:
    """The days of every table under a lake; threads may share one.

    What was read is kept until its file changes. A year that nobody has asked for yet takes about
    a tenth of a millisecond a file, and a millisecond a day of its ledgers.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._rows = {
            name: DaysInMemory(lake, table, partial(self._file, table))
            for name, table in BY_DAY.items()
        }
        self._gaps = [DaysInMemory(lake, one, partial(self._read_gaps, one)) for one in LEDGERS]
        self._found = DaysInMemory(lake, FINDINGS, self._read_findings)

    def first_day(self) -> dt.date | None:
        """The first day that is stored of any table; None where nothing is."""
        return min(filter(None, self._firsts()), default=None)

    def tables(
        self, names: Sequence[str], start: dt.date, end: dt.date, now: dt.datetime
    ) -> list[TableByDay]:
        """The tables of these names, or those that are stored of any day where there are none.

        What has a series was stored: it is told of although all its days have vanished.
        Raises `NoSuchTable`.
        """
        firsts = self._firsts()
        since = min(filter(None, firsts), default=None)
        chosen: Iterable[Table] = [daily_table(name) for name in names] or [
            table
            for table, first in zip(BY_DAY.values(), firsts, strict=True)
            if first or (table.name in SERIES_ASSETS and has_been_made(self._lake, table))
        ]
        if since is None:
            return [TableByDay(table, []) for table in chosen]
        last = min(end, last_session_over(now))
        start = max(start, since, FIRST_SESSION)
        sessions = sessions_between(start, last) if start <= last else []
        gaps = self._gaps_between(start, last)
        found = self._found.between(start, last)
        root = self._lake.root
        damaged = {root / path for path in damage_notes.noted(root)}
        return [
            TableByDay(table, list(self._days(table, sessions, gaps, found, damaged)))
            for table in chosen
        ]

    def day(self, name: str, day: dt.date, now: dt.datetime) -> LedgerOfDay | None:
        """One day of a table, with what the ledger and the checks say; None where it is no session.

        Raises `NoSuchTable`.
        """
        [found] = self.tables([name], day, day, now)
        if not found.days:
            return None
        lacking = list(self._lacking(found.table, day))
        reasons = Counter(one.reason for one in lacking)
        lacking.sort(key=lambda one: (one.reason != UNEXPLAINED, one.reason, one.code))
        findings = (
            finding_list(self._lake.root, day, followed_for=SESSIONS_FOLLOWED)
            if day in self._found.between(day, day)
            else []
        )
        return LedgerOfDay(
            **vars(found.days[0]),
            table=name,
            lacking=len(lacking),
            reasons=dict(reasons.most_common()),
            ledger=lacking[:LEDGER_ROWS],
            findings=[one for one in findings if one.table == name],
        )

    def _days(
        self,
        table: Table,
        sessions: Sequence[dt.date],
        gaps: Mapping[dt.date, Gaps],
        found: Mapping[dt.date, Found | None],
        damaged: set[Path],
    ) -> Iterator[DayOfTable]:
        if not sessions:
            return
        stored = self._rows[table.name].between(sessions[0], sessions[-1])
        first = table.first_date
        if table.chain is Chain.EXTRAS:
            # Off until somebody names it: nothing of before is missing.
            first = self._lake.first_day(table) or first
        for day in sessions:
            if day < first:
                continue
            rows, stored_at = stored.get(day) or StoredDay()
            refused, held, flagged = (
                (found.get(day) or {}).get((table.name, outcome), 0)
                for outcome in (Outcome.REFUSED, Outcome.HELD, Outcome.FLAGGED)
            )
            unexplained = gaps.get(day, {}).get(table.name, 0)
            state = State.STORED
            if day not in stored:
                state = State.REFUSED if refused else State.MISSING
            elif rows is None or self._lake.path(table, day) in damaged:
                state, rows, stored_at = State.DAMAGED, None, None
            elif unexplained:
                state = State.UNEXPLAINED
            elif held or flagged:
                state = State.HELD if held else State.FLAGGED
            yield DayOfTable(day, state, rows, unexplained, held, flagged, stored_at)

    def _firsts(self) -> list[dt.date | None]:
        return list(self._lake.each(self._lake.first_day, BY_DAY.values()))

    def _file(self, table: Table, day: dt.date) -> StoredDay | None:
        try:
            found = pq.read_metadata(self._lake.file(table, day))
        except (pa.ArrowException, OSError):
            return None
        stored_at = (found.metadata or {}).get(b"stored_at")
        moment = dt.datetime.fromisoformat(stored_at.decode()) if stored_at else None
        return StoredDay(found.num_rows, moment)

    def _read_gaps(self, ledger: Table, day: dt.date) -> Gaps | None:
        try:
            # Two columns of ten, which takes a third of the time.
            rows = open_sealed(self._lake.file(ledger, day))[0].read(["missing", "reason"])
        except (DamagedFile, pa.ArrowException, OSError):
            return None
        unexplained = rows.filter(pc.equal(rows["reason"], UNEXPLAINED))["missing"]
        return Counter(name for one in unexplained.to_pylist() for name in one.split(", "))

    def _read_findings(self, day: dt.date) -> Found | None:
        rows = self._lake.read(FINDINGS, day)
        if rows is None:
            return None
        pairs = (rows[name].to_pylist() for name in ("table_name", "outcome"))
        return Counter(zip(*pairs, strict=True))

    def _gaps_between(self, start: dt.date, end: dt.date) -> dict[dt.date, Gaps]:
        both: dict[dt.date, Gaps] = {}
        for ledger in self._gaps:
            for day, counts in ledger.between(start, end).items():
                both[day] = {**both.get(day, {}), **(counts or {})}
        return both

    def _lacking(self, table: Table, day: dt.date) -> Iterator[Lacking]:
        """Who has no row in the table on the day, and why, out of the ledger that knows it."""
        for ledger in LEDGERS:
            if table.name not in ledger.column_names:
                continue
            if (rows := self._lake.read(ledger, day)) is not None:
                lacks = pc.and_(pc.invert(rows[table.name]), pc.is_valid(rows["reason"]))
                for row in rows.filter(lacks).select(["ts_code", "reason"]).to_pylist():
                    yield Lacking(row["ts_code"], row["reason"])
