"""Dagster's databases in SQLite without Dagster: what they tell, and what may go once it is old.

Here belongs the SQL over Dagster's own tables. When it prunes, and which files of a run go with
it, is `automation.pruning`.
"""

import datetime as dt
import sqlite3
from contextlib import closing
from pathlib import Path

SECONDS_WAITED = 30
# Others write between two batches.
ROWS_AT_ONCE = 500
# Plans, and what is told once more elsewhere: outcomes of checks, and states of runs.
SPENT_EVENTS = """
    SELECT id FROM event_logs WHERE timestamp < :before AND (
        dagster_event_type IN (
            'ASSET_MATERIALIZATION_PLANNED', 'ASSET_CHECK_EVALUATION_PLANNED',
            'ASSET_CHECK_EVALUATION'
        )
        OR dagster_event_type LIKE 'PIPELINE_%'
    )
    UNION ALL
    SELECT id FROM event_logs
    WHERE timestamp < :before AND dagster_event_type = 'ASSET_MATERIALIZATION' AND id NOT IN (
        SELECT max(id) FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION'
        GROUP BY asset_key, partition
    )
"""
# A plan that is old has no outcome, and the one before it counts.
SPENT_OUTCOMES = """
    SELECT id FROM asset_check_executions
    WHERE evaluation_event_timestamp < :before AND id NOT IN (
        SELECT max(id) FROM asset_check_executions WHERE execution_status != 'PLANNED'
        GROUP BY asset_key, check_name, partition
    )
"""
RUNS_OF_USE = "SELECT run_id FROM event_logs UNION SELECT run_id FROM asset_check_executions"

LAST_MADE = """
    SELECT partition, max(timestamp) FROM event_logs
    WHERE asset_key = ? AND dagster_event_type = 'ASSET_MATERIALIZATION' AND partition IS NOT NULL
    GROUP BY partition
"""
SWITCHED_OFF = """
    SELECT json_extract(instigator_body, '$.origin.job_name') FROM instigators
    WHERE status = 'STOPPED'
"""


def days_made(history: Path, asset: str) -> dict[dt.date, dt.datetime]:
    """When each day of an asset was materialized last; nothing where nothing has run yet."""
    index = history / "history" / "runs" / "index.db"
    rows = _read(index, LAST_MADE, (f'["{asset}"]',))
    return {
        dt.date.fromisoformat(day): dt.datetime.fromisoformat(at).replace(tzinfo=dt.UTC)
        for day, at in rows
    }


def switched_off(history: Path) -> frozenset[str]:
    """The schedules and sensors that somebody has switched off."""
    rows = _read(history / "schedules" / "schedules.db", SWITCHED_OFF)
    return frozenset(name for (name,) in rows)


def _read(database: Path, query: str, values: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not database.exists():
        return []
    address = f"{database.as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=SECONDS_WAITED)) as connection:
        return connection.execute(query, values).fetchall()


def prune(index: Path, before: dt.datetime) -> set[str]:
    """Delete from the index of all runs what was told before a moment and has been superseded.

    The last materialization of every partition stays, and the last outcome of every check, of the
    run and of each day. Returns the runs that something of is left.
    """
    told_before = {"before": before.astimezone(dt.UTC).replace(tzinfo=None).isoformat(" ")}
    with closing(sqlite3.connect(index, timeout=SECONDS_WAITED)) as connection:
        events = connection.execute(SPENT_EVENTS, told_before).fetchall()
        _delete(connection, "event_logs", "id", events)
        _delete(connection, "asset_event_tags", "event_id", events)
        outcomes = connection.execute(SPENT_OUTCOMES, told_before).fetchall()
        _delete(connection, "asset_check_executions", "id", outcomes)
        return {run_id for (run_id,) in connection.execute(RUNS_OF_USE)}


def _delete(connection: sqlite3.Connection, table: str, column: str, ids: list[tuple[int]]) -> None:
    for start in range(0, len(ids), ROWS_AT_ONCE):
        with connection:
            some = ids[start : start + ROWS_AT_ONCE]
            connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", some)


def give_back_room(database: Path) -> None:
    """Write a database anew if a third of it is empty; less is soon filled again.

    Takes seconds, for which its other users wait. Raises `sqlite3.OperationalError` when they
    don't let go of it, or there is no room for the copy.
    """
    with closing(sqlite3.connect(database, timeout=SECONDS_WAITED)) as connection:
        [[pages]] = connection.execute("PRAGMA page_count").fetchall()
        [[empty]] = connection.execute("PRAGMA freelist_count").fetchall()
        if empty * 3 > pages:
            connection.execute("VACUUM")
