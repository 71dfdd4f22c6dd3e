"""Measuring a function as a process of its own, and showing figures.

Here belongs the stopwatch. What is measured is in the other modules of this folder.
"""

import multiprocessing
import os
import platform
import resource
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

console = Console(highlight=False, width=110)


class Shown(NamedTuple):
    """A table of figures, as it was shown."""

    title: str
    header: list[str]
    rows: list[list[str]]


# Since it was emptied last.
shown: list[Shown] = []


class Measured(NamedTuple):
    result: object
    seconds: float
    cpu_seconds: float
    peak_megabytes: float


def in_own_process(function: Callable[..., object], *arguments: object) -> Measured:
    """Call a module-level function in a fresh process: its time without imports, its memory."""
    pool = multiprocessing.get_context("spawn").Pool(1)
    try:
        return pool.apply(_measure, (function, arguments))
    finally:
        pool.close()
        pool.join()


def _measure(function: Callable[..., object], arguments: tuple[object, ...]) -> Measured:
    began, cpu_began = time.perf_counter(), time.process_time()
    result = function(*arguments)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Measured(result, seconds, cpu_seconds, peak)


def show(title: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    told = Shown(title, list(header), [list(row) for row in rows])
    shown.append(told)
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2), header_style="bold")
    for number, name in enumerate(told.header):
        table.add_column(name, justify="left" if number == 0 else "right")
    for row in told.rows:
        table.add_row(*row)
    console.print(table)
    console.print()


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}"
    )
