"""The commands of who runs the platform: `doctor` before the first evening, `status` after one.

Here belongs what they print. The facts are `serving.status`, the looks `doctor`.
"""

import datetime as dt
import os

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from marketdata_assets.profile import profile_root
from marketdata_assets.serving.status import Evening, Status, status
from marketdata_assets.timetable import sessions_due
from marketdata_assets.trading_calendar import SHANGHAI

COLOURS = {"ok": "green", "note": "yellow", "STOPS": "bold red"}


def show_status() -> int:
    """Print how the platform is; 1 where the last evening is not stored or not published."""
    now = dt.datetime.now(dt.UTC)
    known, console = status(os.environ, now), Console(highlight=False)
    grid = Grid(box=None, show_header=False, padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for name, what in _lines(known):
        grid.add_row(name, what)
    console.print(grid)
    last = sessions_due(now)[-1]
    return int(any(last in (*one.late, *one.unpublished) for one in known.evenings))


def diagnose(ui_port: int) -> int:
    """Print what stands in the way of an evening, a line a thing; 1 where something stops it."""
    # What it looks with takes seconds to import.
    from marketdata_assets.doctor import Outcome, looks

    console = Console(highlight=False)
    with console.status("looking …"):
        found = list(looks(os.environ, ui_port, dt.datetime.now(dt.UTC)))
    grid = Grid(box=None, show_header=False, padding=(0, 2, 0, 0))
    for no_wrap in (True, True, False, False):
        grid.add_column(no_wrap=no_wrap)
    for one in found:
        grid.add_row(
            f"[{COLOURS[one.outcome]}]{one.outcome}[/]",
            *map(escape, (one.what, one.seen, one.cure)),
        )
    console.print(grid)
    stopping = [one.what for one in found if one.outcome is Outcome.STOPS]
    if stopping:
        console.print(f"\nThe evening is stopped by: {', '.join(stopping)}.")
    else:
        console.print("\nNothing stops the evening.")
    return 1 if stopping else 0


def _lines(known: Status) -> list[tuple[str, str]]:
    lines = [("profile", f"{known.origin}; {profile_root()}")]
    for evening in known.evenings:
        lines += _lines_of(evening)
    runs = "dev runs" if known.dev_runs else "nothing runs by itself: start marketdata dev"
    lines.append(("by itself", runs))
    for run in known.next_runs:
        at = f"{run.at:%Y-%m-%d %H:%M}" if run.at else "beyond the calendar that is installed"
        lines.append(("", f"{at if run.is_on else 'switched off'}  {run.schedule}"))
    if known.calls is not None:
        lines.append(("calls", f"{known.calls} of {known.calls_per_minute} in the last minute"))
    sizes = ", ".join(f"{name} {_size(size)}" for name, size in known.bytes_on_disk.items())
    lines.append(("disk", f"{sizes or 'nothing'}; {_size(known.bytes_free)} free"))
    return lines


def _lines_of(evening: Evening) -> list[tuple[str, str]]:
    if evening.last_stored is None:
        return [(evening.table, "no day is stored")]
    stored = f"{evening.last_stored}, stored {_moment(evening.stored_at)}"
    series = f"; by code to {evening.series_to}" if evening.series_to else "; not yet by code"
    lines = [(evening.table, stored + series)]
    if evening.last_published:
        what = f"{evening.last_published}, published {_moment(evening.published_at)}"
        lines.append(("published", what))
    for what, days in (("missing", evening.late), ("unpublished", evening.unpublished)):
        if days:
            span = f"{days[0]} … {days[-1]}" if len(days) > 1 else f"{days[0]}"
            lines.append((what, f"{len(days)} of the last 60 sessions, {span}: dev asks for them"))
    return lines


def _moment(at: dt.datetime | None) -> str:
    return f"{at.astimezone(SHANGHAI):%m-%d %H:%M}" if at else "at an unknown hour"


def _size(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
