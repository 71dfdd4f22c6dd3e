"""The commands about findings: `findings` lists them, `excuse` and `accept` decide about them.

Here belongs what they print and what they write into `excuses.csv`. What a finding is, is `checks`;
every run reads the file again, so a decision counts from the next run on.
"""

import datetime as dt
import getpass
import os
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from marketdata_assets.checks.excuses import (
    EVERY_CODE,
    FILE,
    Excuse,
    as_csv,
    excuse_list,
)
from marketdata_assets.command_texts import text
from marketdata_assets.profile import profile_root
from marketdata_assets.storage.finding_list import FindingLine, finding_list
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.opening import open_lake
from marketdata_assets.tables import FINDINGS, STORED_TABLES
from marketdata_assets.tables.declaration import ANSWER, Outcome

COLOURS = {"refused": "bold red", "held": "red", "flagged": "yellow", "excused": "dim"}
OPEN = [Outcome.REFUSED.value, Outcome.HELD.value, Outcome.FLAGGED.value]
FROM_THE_NEXT_RUN = (
    "It counts from the next run of coverage, suspended, daily_prices and findings on."
)
NOTHING_TO_ACCEPT = (
    "{table} {day}: the answer was not what was asked for, so there is nothing to accept. It is "
    "asked for again by itself."
)


def show_findings(day: dt.date | None, since: dt.date | None, code: str, with_excused: bool) -> int:
    """Print what is found on a day, by default the last that is stored."""
    console, root = Console(highlight=False), profile_root()
    days = open_lake(root, "reader").days(FINDINGS)
    if not days:
        none = "No day of `findings` is stored: materialize it, or run `marketdata demo`."
        console.print(text(none))
        return 1
    last = day or days[-1]
    lines = finding_list(root, last, since, code, () if with_excused else OPEN)
    span = f"{last}" if since is None else f"{since} … {last}"
    if last not in days and since is None:
        absent = "findings of {day} are not stored; the last day is {last}."
        console.print(text(absent, day=last, last=days[-1]))
        return 1
    if not lines:
        console.print(text("Nothing is found on {span}.", span=span))
        return 0
    console.print(findings_grid(lines))
    counts = ", ".join(
        f"{number} {text(outcome)}"
        for outcome in Outcome
        if (number := sum(one.outcome == outcome.value for one in lines))
    )
    right = text("What is right as it is: `excuse CODE`, `accept TABLE DAY`.")
    console.print(f"\n{span}: {counts}. {right}")
    return 0


def excuse(code: str, check: str, first: dt.date | None, last: dt.date | None, reason: str) -> int:
    """Excuse what is found of a code, or one check of it, for as long as it is found or told."""
    console, root = _plain_console(), profile_root()
    lake = open_lake(root, "reader")
    days = lake.days(FINDINGS)
    found = finding_list(root, days[-1], days[0], code, OPEN) if days else []
    chosen: dict[str, list[FindingLine]] = {}
    for one in found:
        name = f"{one.table}.{one.check}"
        if check in ("", name) and one.outcome != Outcome.REFUSED.value:
            chosen.setdefault(name, []).append(one)
    if not chosen:
        what = {"code": code, "check": check or text("any check")}
        console.print(
            text("Nothing is found of {code} by {check}: `findings --since DAY`.", **what)
        )
        return 1
    added = [
        Excuse(
            name,
            lines[0].code,
            first or min(one.since for one in lines),
            last or max(one.last for one in lines),
            reason,
            _who(),
        )
        for name, lines in chosen.items()
    ]
    return _write(console, lake, added, text(FROM_THE_NEXT_RUN))


def accept(table: str, day: dt.date, reason: str) -> int:
    """Accept what refuses a day of a table: every share of it is excused from these checks."""
    console, root = _plain_console(), profile_root()
    if table not in STORED_TABLES:
        names = ", ".join(STORED_TABLES)
        console.print(
            text("There is no table {table}; there are {names}.", table=table, names=names)
        )
        return 1
    refused = {
        one.check
        for one in finding_list(root, day, outcomes=[Outcome.REFUSED.value])
        if one.table == table
    }
    if not refused:
        fine = "{table} {day} is not refused; see `findings {day}`."
        console.print(text(fine, table=table, day=day))
        return 1
    if ANSWER.name in refused:
        console.print(text(NOTHING_TO_ACCEPT, table=table, day=day))
        return 1
    added = [
        Excuse(f"{table}.{check}", EVERY_CODE, day, day, reason, _who())
        for check in sorted(refused)
    ]
    next_one = text("Materialize {table} and what follows for {day}.", table=table, day=day)
    return _write(console, open_lake(root, "reader"), added, next_one)


def _plain_console() -> Console:
    """A console that shows what the user wrote as it is, brackets and colons too."""
    return Console(highlight=False, markup=False, emoji=False)


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A user of a container has a number alone.
        return str(os.getuid())


def _write(console: Console, lake: Lake, added: Sequence[Excuse], what_next: str) -> int:
    """Raises `ExcusesUnreadable`, and writes nothing, where a run could not read the file."""
    lines: list[Excuse] = []

    def with_the_new(file: bytes | None) -> bytes:
        known = excuse_list(file)
        lines[:] = [*known, *(one for one in added if one not in known)]
        written = as_csv(lines).encode()
        excuse_list(written)
        return written

    lake.change_beside(FILE, with_the_new)
    for one in added:
        who = text("the day") if one.code == EVERY_CODE else one.code
        span = f"{one.first} … {one.last}"
        console.print(f"{text('excused')}  {one.check}  {who}  {span}  {one.reason}")
    told = text("{file} has {count} line(s).", file=FILE, count=len(lines))
    console.print(f"{told} {what_next}", soft_wrap=True)
    return 0


def findings_grid(lines: Sequence[FindingLine]) -> Grid:
    """The lines as a table for a terminal."""
    grid = Grid(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("", "code", "since"):
        grid.add_column(text(name), no_wrap=True)
    grid.add_column(text("days"), justify="right")
    grid.add_column(text("table.check, and what was seen"), ratio=1, overflow="fold")
    for one in lines:
        seen = f"{one.seen} ({one.reason})" if one.reason else one.seen
        grid.add_row(
            f"[{COLOURS[one.outcome]}]{text(one.outcome)}[/]",
            one.code or text("(answer)"),
            str(one.since),
            f"{one.days:,}",
            f"{one.table}.{one.check}\n[dim]{escape(seen)}[/]",
        )
    return grid
