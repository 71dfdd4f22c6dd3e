"""Runs in the process of a command: what they materialize, how far they are, what an account lacks.

Here belongs what `demo` and `backfill` have in common. Everything that is run is what the daemon's
runs are made of; what is run is each command's own.
"""

import datetime as dt
import logging
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

import dagster as dg
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from marketdata_assets import environment
from marketdata_assets.automation.requests_sensor import root_cause
from marketdata_assets.command_texts import text
from marketdata_assets.definitions import defs
from marketdata_assets.profile import Profile, profile
from marketdata_assets.storage import lake as lake_module
from marketdata_assets.tables.declaration import Chain
from marketdata_assets.trading_calendar import last_session_over, previous_session

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
# Of lines where nobody sees a bar.
SECONDS_BETWEEN_LINES, MOST_SECONDS_BETWEEN_LINES = 5, 60
SHARE_BETWEEN_LINES = 0.05
SHOW_CURSOR = b"\x1b[?25h"
# The run that is under way in this process.
_under_way: list[str] = []


def materialize(
    names: Collection[str],
    instance: dg.DagsterInstance,
    days: Sequence[dt.date] = (),
) -> list[str]:
    """Materialize datasets of neighbouring days by hand, as in the UI; a line for every step that
    failed.

    Ctrl-C ends the process at once, which `ending_at_once` has to be around for.
    """
    span = {"start": days[0], "end": days[-1]} if days else {}
    run_id = str(uuid.uuid4())
    _under_way.append(run_id)
    result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
        run_config=QUIET,
        run_id=run_id,
        instance=instance,
        asset_selection=[dg.AssetKey(name) for name in sorted(names)],
        tags={f"dagster/asset_partition_range_{end}": f"{day}" for end, day in span.items()},
        raise_on_error=False,
    )
    _under_way.remove(run_id)
    return [
        f"{event.step_key}: {root_cause(event).strip()}"
        for event in result.all_events
        if event.is_step_failure
    ]


@contextmanager
def ending_at_once(
    instance: dg.DagsterInstance, console: Console, last_words: str
) -> Iterator[None]:
    """Within the block Ctrl-C ends the process, with `last_words` and the exit code of shells.

    Whatever is stored is whole at any moment, so there is nothing to wait for. An interrupt that
    is raised instead would meet whoever computes: DuckDB makes an error of it, as of a query.
    """
    told, tells = os.pipe()
    os.set_blocking(tells, False)
    over, has_bar = 0, console.is_terminal

    def wait() -> None:
        while (number := os.read(told, 1)[0]) not in (signal.SIGINT, signal.SIGTERM):
            if number == over:
                return
        # Of what the interrupt meets in the other threads nobody has to read.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
        if has_bar:
            os.write(sys.stdout.fileno(), SHOW_CURSOR)
        console.print(f"\n{last_words}", soft_wrap=True)
        for run_id in _under_way:
            if run := instance.get_run_by_id(run_id):
                instance.report_run_canceled(run)
        os._exit(128 + signal.SIGINT)

    # Told whichever thread the signal reaches, and whatever handler Dagster has set meanwhile.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    before = signal.set_wakeup_fd(tells, warn_on_full_buffer=False)
    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.write(tells, bytes([over]))
        waiting.join()
        os.close(told)
        os.close(tells)


def closed_to_the_account(chain: Chain) -> str:
    """Which call of a chain the account's points don't open; empty where all are open."""
    if profile() is Profile.SANDBOX:
        return ""
    day = previous_session(last_session_over(dt.datetime.now(dt.UTC)))
    asked = environment.asked_by_the_account(os.environ, [chain], day)[chain]
    takes = "{call} takes {points:,} points"
    return ", ".join(
        text(takes, call=one.call, points=one.points) for one in asked if one.is_closed
    )


@contextmanager
def partitions_told(console: Console, total: int) -> Iterator[Callable[[int], None]]:
    """Tells how far the `total` partitions are, with every one that the lake reports as stored.

    A bar on a terminal, elsewhere a line now and then. Yields a function to say how many are done
    for sure: what is stored already is not reported, nor is what is published.
    """
    progress = Progress(
        TextColumn("{task.description:<26}"),
        BarColumn(bar_width=36),
        MofNCompleteColumn(),
        TextColumn(text("partitions")),
        TimeElapsedColumn(),
        TextColumn(text("left")),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    bar = progress.add_task(text("starting"), total=total)
    lines = _Lines(console, total)

    def at_least(done: int) -> None:
        if done > progress.tasks[0].completed:
            progress.update(bar, completed=done)

    class Advance(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            assert isinstance(record.args, tuple)
            table, day, *_ = map(str, record.args)
            progress.update(bar, advance=1, description=f"{table} {day}")
            lines.tell(progress.tasks[0].completed, f"{table} {day}")

    handler, logger = Advance(), lake_module.logger
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with progress:
            yield at_least
            progress.update(bar, description=text("done" if progress.finished else "stopped"))
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _Lines:
    """Where there is no terminal: a line when much is done, or time has passed."""

    def __init__(self, console: Console, total: int) -> None:
        self._console, self._total = console, total
        # While there is a bar, the console takes itself for none.
        self._has_bar = console.is_terminal
        self._began = self._told_at = time.monotonic()
        self._told = 0.0

    def tell(self, done: float, last: str) -> None:
        if self._has_bar:
            return
        now = time.monotonic()
        waited, share = now - self._told_at, (done - self._told) / self._total
        is_due = waited >= SECONDS_BETWEEN_LINES and share >= SHARE_BETWEEN_LINES
        if is_due or waited >= MOST_SECONDS_BETWEEN_LINES:
            self._told, self._told_at = done, now
            elapsed = now - self._began
            left = in_words(elapsed / done * max(self._total - done, 0))
            how_far = text("after {took}, about {left} left", took=in_words(elapsed), left=left)
            self._console.print(f"{done / self._total:>4.0%}  {last}  {how_far}")


def in_words(seconds: float) -> str:
    """A time that one waits, as people say it."""
    if seconds < 90:
        return text("{number:.0f} s", number=seconds)
    if seconds < 90 * 60:
        return text("{number:.0f} min", number=seconds / 60)
    return text("{number:.1f} h", number=seconds / 3600)
