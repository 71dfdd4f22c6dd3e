"""Dagster's databases without Dagster: what they tell, and what may go once it is old.

Here belongs the SQL over Dagster's own tables; where they lie in PostgreSQL, `dagster_postgres`
takes from here what goes. When it prunes, and which files of a run go with it, is
`automation.pruning`.
"""

import datetime as dt
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from marketdata_assets.hosts import hosts

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
SWITCHED_OFF = "SELECT instigator_body FROM instigators WHERE status = 'STOPPED'"
LAST_BEAT = "SELECT max(timestamp) FROM daemon_heartbeats"
# Dagster's daemons tell that they are there every half minute.
A_BEAT_LASTS = dt.timedelta(minutes=2)


@runtime_checkable
class PrunedLog(Protocol):
    """An event log that is pruned: what counts of all runs, and what is of one run alone."""

    def prune(self, before: dt.datetime) -> set[str]:
        """Delete of what counts what has been superseded since. The runs that some is left of."""

    def bytes_of_own(self) -> dict[str, int]:
        """What the logs of single runs take, by the run's id."""

    def delete_own(self, run_id: str) -> None:
        """Delete the log of a run; what counts of it stays."""


def days_made(history: Path, asset: str) -> dict[dt.date, dt.datetime]:
    """When each day of an asset was materialized last; nothing where nothing has run yet."""
    index = history / "history" / "runs" / "index.db"
    rows = _read(index, LAST_MADE, (f'["{asset}"]',))
    return {
        dt.date.fromisoformat(day): dt.datetime.fromisoformat(str(at)).replace(tzinfo=dt.UTC)
        for day, at in rows
    }


def switched_off(history: Path) -> frozenset[str]:
    """The schedules and sensors that somebody has switched off."""
    rows = _read(history / "schedules" / "schedules.db", SWITCHED_OFF)
    return frozenset(json.loads(body)["origin"]["job_name"] for (body,) in rows)


def daemon_beats(history: Path, now: dt.datetime) -> bool:
    """Whether a daemon of any host has told so a moment ago, by the clock of its host."""
    beats = [beat for (beat,) in _read(history / "history" / "runs.db", LAST_BEAT) if beat]
    moments = [dt.datetime.fromisoformat(str(beat)).replace(tzinfo=dt.UTC) for beat in beats]
    return any(now - moment < A_BEAT_LASTS for moment in moments)


def _read(database: Path, query: str, values: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
    """The rows of a query of one machine's `database`, or of that of several hosts.

    None of a table that is not made yet.
    """
    if shared := hosts():
        from marketdata_assets.storage.database_turns import ask

        return ask(shared.database, query.replace("?", "%s"), values)
    if not database.exists():
        return []
    address = f"{database.as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=SECONDS_WAITED)) as connection:
        try:
            return connection.execute(query, values).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise


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
