"""The commands about findings: `findings` lists them, `excuse` and `accept` decide about them.

Here belongs what they print and what they write into `excuses.csv`. What a finding is, is `checks`;
every run reads the file again, so a decision counts from the next run on.
"""

import datetime as dt
import getpass
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from marketdata_assets.assets.quality_gate import ANSWER
from marketdata_assets.checks.excuses import (
    EVERY_CODE,
    FILE,
    Excuse,
    as_csv,
    excuse_list,
)
from marketdata_assets.profile import profile_root
from marketdata_assets.storage.durable_files import becoming
from marketdata_assets.storage.finding_list import FindingLine, finding_list
from marketdata_assets.storage.opening import open_lake
from marketdata_assets.tables import FINDINGS, STORED_TABLES
from marketdata_assets.tables.checking import Outcome

COLOURS = {"refused": "bold red", "held": "red", "flagged": "yellow", "excused": "dim"}
OPEN = [Outcome.REFUSED.value, Outcome.HELD.value, Outcome.FLAGGED.value]
DERIVED = "coverage, suspended, daily_prices and findings"


def show_findings(day: dt.date | None, since: dt.date | None, code: str, with_excused: bool) -> int:
    """Print what is found on a day, by default the last that is stored."""
    console, root = Console(highlight=False), profile_root()
    days = open_lake(root, "reader").days(FINDINGS)
    if not days:
        console.print("No day of `findings` is stored: materialize it, or run `marketdata demo`.")
        return 1
    last = day or days[-1]
    lines = finding_list(root, last, since, code, () if with_excused else OPEN)
    span = f"{last}" if since is None else f"{since} … {last}"
    if last not in days and since is None:
        console.print(f"findings of {last} are not stored; the last day is {days[-1]}.")
        return 1
    if not lines:
        console.print(f"Nothing is found on {span}.")
        return 0
    console.print(findings_grid(lines))
    counts = ", ".join(
        f"{number} {outcome}"
        for outcome in Outcome
        if (number := sum(one.outcome == outcome.value for one in lines))
    )
    console.print(f"\n{span}: {counts}. What is right as it is: `excuse CODE`, `accept TABLE DAY`.")
    return 0


def excuse(code: str, check: str, first: dt.date | None, last: dt.date | None, reason: str) -> int:
    """Excuse what is found of a code, or one check of it, for as long as it is found or told."""
    console, root = Console(highlight=False), profile_root()
    days = open_lake(root, "reader").days(FINDINGS)
    found = finding_list(root, days[-1], days[0], code, OPEN) if days else []
    chosen: dict[str, list[FindingLine]] = {}
    for one in found:
        name = f"{one.table}.{one.check}"
        if check in ("", name) and one.outcome != Outcome.REFUSED.value:
            chosen.setdefault(name, []).append(one)
    if not chosen:
        by_check = f" by {check}" if check else ""
        console.print(f"Nothing is found of {code}{by_check}; see `findings --since DAY`.")
        return 1
    added = [
        Excuse(
            name,
            lines[0].code,
            first or min(one.since for one in lines),
            last or max(one.last for one in lines),
            reason,
            getpass.getuser(),
        )
        for name, lines in chosen.items()
    ]
    return _write(console, root, added, f"It counts from the next run of {DERIVED} on.")


def accept(table: str, day: dt.date, reason: str) -> int:
    """Accept what refuses a day of a table: every share of it is excused from these checks."""
    console, root = Console(highlight=False), profile_root()
    if table not in STORED_TABLES:
        console.print(f"There is no table {table}; there are {', '.join(STORED_TABLES)}.")
        return 1
    refused = {
        one.check
        for one in finding_list(root, day, outcomes=[Outcome.REFUSED.value])
        if one.table == table
    }
    if not refused:
        console.print(f"{table} {day} is not refused; see `findings {day}`.")
        return 1
    if ANSWER.name in refused:
        console.print(
            f"{table} {day}: the answer was not what was asked for, so there is nothing to accept. "
            "It is asked for again by itself."
        )
        return 1
    added = [
        Excuse(f"{table}.{check}", EVERY_CODE, day, day, reason, getpass.getuser())
        for check in sorted(refused)
    ]
    return _write(console, root, added, f"Materialize {table} and what follows for {day}.")


def _write(console: Console, root: Path, added: Sequence[Excuse], what_next: str) -> int:
    with FileLock(root / f".{FILE}.lock"):
        known = excuse_list(root)
        new = [one for one in added if one not in known]
        with becoming(root / FILE) as unfinished:
            unfinished.write_text(as_csv([*known, *new]), "utf-8")
    for one in added:
        who = "the day" if one.code == EVERY_CODE else one.code
        console.print(f"excused  {one.check}  {who}  {one.first} … {one.last}  {one.reason}")
    console.print(f"{root / FILE} has {len(known) + len(new)} line(s). {what_next}", soft_wrap=True)
    return 0


def findings_grid(lines: Sequence[FindingLine]) -> Grid:
    """The lines as a table for a terminal."""
    grid = Grid(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("", "code", "since"):
        grid.add_column(name, no_wrap=True)
    grid.add_column("days", justify="right")
    grid.add_column("table.check, and what was seen", ratio=1, overflow="fold")
    for one in lines:
        seen = f"{one.seen} ({one.reason})" if one.reason else one.seen
        grid.add_row(
            f"[{COLOURS[one.outcome]}]{one.outcome}[/]",
            one.code or "(answer)",
            str(one.since),
            f"{one.days:,}",
            f"{one.table}.{one.check}\n[dim]{escape(seen)}[/]",
        )
    return grid
