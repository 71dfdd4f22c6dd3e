"""A DuckDB that takes no more of a machine than a laptop can spare, and one for brief questions.

Here belong the bound, which is the same for everybody, and the quiet. What is asked is up to the
caller, and so is how many days are asked about at once: what can't spill to disk has to fit.
"""

import functools
import os
from pathlib import Path

import duckdb

MEMORY_LIMIT = "400MB"
# Each takes a share of the memory, so that on 16 of them fifteen days of the market did not fit.
MOST_THREADS = 4


def bounded_duckdb(spill: Path | None = None) -> duckdb.DuckDBPyConnection:
    """A connection of its own, in memory, that writes to `spill` what it can't hold."""
    settings: dict[str, str | bool | int | float | list[str]]
    settings = {"memory_limit": MEMORY_LIMIT, "threads": min(MOST_THREADS, os.cpu_count() or 1)}
    if spill:
        settings["temp_directory"] = str(spill)
    connection = duckdb.connect(config=settings)
    draw_no_progress(connection)
    return connection


def brief_duckdb() -> duckdb.DuckDBPyConnection:
    """A connection of its own to a database in memory that all of the process share.

    For one question about few rows: a database takes longer to make than that to answer. What is
    registered is seen by the one connection alone.
    """
    return _shared().cursor()


@functools.cache
def _shared() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    draw_no_progress(connection)
    return connection


def draw_no_progress(connection: duckdb.DuckDBPyConnection) -> None:
    """Switch the progress bar off where it is on.

    In a notebook it is off, and DuckDB refuses to be told anything about it without ipywidgets.
    """
    [[is_on]] = connection.execute("SELECT current_setting('enable_progress_bar')").fetchall()
    if is_on:
        connection.execute("SET enable_progress_bar = false")
