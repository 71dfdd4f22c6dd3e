"""The commands of who runs the platform: `doctor` before the first evening, `status` after one.

Here belongs what they print. The facts are `serving.status`, the looks `doctor`.
"""

import datetime as dt
import os

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from marketdata_assets.command_texts import text
from marketdata_assets.profile import Profile, profile, profile_root
from marketdata_assets.serving.status import Evening, Status, status
from marketdata_assets.timetable import sessions_due
from marketdata_assets.trading_calendar import (
    RENEW_IT,
    SHANGHAI,
    ends_soon,
    last_published_session,
)

COLOURS = {"ok": "green", "note": "yellow", "STOPS": "bold red"}


def show_status() -> int:
    """Print how the platform is; 1 where the last evening is not stored or not published, or can't
    be known for the calendar has ended."""
    now = dt.datetime.now(dt.UTC)
    known, console = status(os.environ, now), Console(highlight=False)
    grid = Grid(box=None, show_header=False, padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, what in _lines(known):
        grid.add_row(name, what)
    console.print(grid)
    last = sessions_due(now)[-1]
    if known.calendar_has_ended:
        return 1
    return int(any(last in (*one.late, *one.unpublished) for one in known.evenings))


def diagnose(port: int) -> int:
    """Print what stands in the way of an evening, a line a thing; 1 where something stops it.

    `port` is the UI's.
    """
    # What it looks with takes seconds to import.
    from marketdata_assets.doctor import Outcome, looks

    console = Console(highlight=False)
    with console.status(text("looking …")):
        found = list(looks(os.environ, port, dt.datetime.now(dt.UTC)))
    grid = Grid(box=None, show_header=False, padding=(0, 2, 0, 0))
    for no_wrap in (True, True, False):
        grid.add_column(no_wrap=no_wrap, overflow="fold")
    for one in found:
        seen = escape(" → ".join(filter(None, (one.seen, one.cure))))
        grid.add_row(f"[{COLOURS[one.outcome]}]{text(one.outcome)}[/]", escape(one.what), seen)
    console.print(grid)
    stopping = [one.what for one in found if one.outcome is Outcome.STOPS]
    if stopping:
        said = text("The evening is stopped by: {names}.", names=", ".join(stopping))
        what_next = text("Mend that, then look again: marketdata doctor")
    else:
        said, what_next = text("Nothing stops the evening."), _what_next()
    console.print(f"\n{said}\n{what_next}", soft_wrap=True)
    return 1 if stopping else 0


def _what_next() -> str:
    """What comes after a look that found nothing in the way."""
    known = status(os.environ, dt.datetime.now(dt.UTC))
    if not known.evenings[0].last_stored:
        if profile() is Profile.SANDBOX:
            return text("Next: marketdata demo, for a first month of days")
        return text("Next: marketdata backfill FROM TO, for the days so far; then marketdata dev")
    if not known.dev_runs:
        return text("Next: marketdata dev, which makes every evening from now on")
    return text("After the evening: marketdata status")


def _lines(known: Status) -> list[tuple[str, str]]:
    lines = [(text("profile"), f"{text(known.origin)}{text('; ')}{profile_root()}")]
    for evening in known.evenings:
        lines += _lines_of(evening)
    nothing = "nothing runs by itself: start marketdata dev"
    lines.append((text("by itself"), text("the daemon runs" if known.dev_runs else nothing)))
    for run in known.next_runs:
        beyond = text("beyond the calendar that is installed")
        at = f"{run.at:%Y-%m-%d %H:%M}" if run.at else beyond
        lines.append(("", f"{at if run.is_on else text('switched off')}  {run.schedule}"))
    if ends_soon(known.now):
        seen = text("known to {last}", last=last_published_session())
        lines.append((text("calendar"), f"{seen} → {text(RENEW_IT)}"))
    if known.calls is not None:
        seen = text(
            "{calls} of {most} calls in the last minute",
            calls=known.calls,
            most=known.calls_per_minute,
        )
        lines.append((text("allowance"), seen))
    sizes = ", ".join(f"{name} {_size(size)}" for name, size in known.bytes_on_disk.items())
    free = text("{size} free", size=_size(known.bytes_free))
    lines.append((text("disk"), f"{sizes or text('nothing')}{text('; ')}{free}"))
    return lines


def _lines_of(evening: Evening) -> list[tuple[str, str]]:
    if evening.last_stored is None:
        return [(evening.table, text("no day is stored"))]
    at, series = _moment(evening.stored_at), text("not yet by code")
    if evening.series_to:
        series = text("by code to {day}", day=evening.series_to)
    stored = text("{day}, stored {at}", day=evening.last_stored, at=at)
    lines = [(evening.table, f"{stored}{text('; ')}{series}")]
    if evening.last_published:
        at = _moment(evening.published_at)
        what = text("{day}, published {at}", day=evening.last_published, at=at)
        lines.append((text("published"), what))
    for name, days in (("missing", evening.late), ("unpublished", evening.unpublished)):
        if days:
            span = f"{days[0]} … {days[-1]}" if len(days) > 1 else f"{days[0]}"
            asked = "{count} of the last 60 sessions, {span}: dev asks for them"
            lines.append((text(name), text(asked, count=len(days), span=span)))
    return lines


def _moment(at: dt.datetime | None) -> str:
    return f"{at.astimezone(SHANGHAI):%m-%d %H:%M}" if at else text("at an unknown hour")


def _size(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
