"""Dagster's databases in PostgreSQL, where several hosts share them; `dagster.yaml` names them.

Here belongs where they are: in the hosts' database, by `hosts`, so that no file holds its password;
and that a server which starts again is waited for. Of what is stored every statement is a
transaction of its own; an event whose answer was lost is stored twice, which Dagster takes. On one
machine they are `dagster_sqlite`, which says what is left out of an event.
"""

import copy
import datetime as dt
import functools
import inspect
import os
import threading
import types
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import dagster as dg
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._serdes import ConfigurableClassData
from dagster_postgres import (
    DagsterPostgresStorage,
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)
from dagster_postgres.utils import DagsterPostgresException, create_pg_engine
from sqlalchemy import text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.event import listen
from sqlalchemy.exc import DBAPIError

from marketdata_assets.hosts import FORMS, hosts
from marketdata_assets.settings import SettingError
from marketdata_assets.shared_database import HEARD, READ_ONLY, when_it_is_there
from marketdata_assets.storage.dagster_sqlite import (
    IN_THE_INDEX,
    MOST_EVENTS_IN_A_BATCH,
    WAITING,
    in_short,
)
from marketdata_assets.storage.run_history import SPENT_EVENTS, SPENT_OUTCOMES

Storage = TypeVar("Storage", bound=type)

# What the index of SQLite has, beside the log of each run.
COUNTS = ", ".join(f"'{kind.value}'" for kind in IN_THE_INDEX)
OWN = f"""
    coalesce(dagster_event_type, '') NOT IN ({COUNTS})
    AND coalesce(dagster_event_type, '') NOT LIKE 'PIPELINE_%'
"""
WITHOUT_OWN = f"DELETE FROM event_logs WHERE run_id = :run_id AND {OWN}"
BYTES_OF_OWN = (
    f"SELECT run_id, sum(pg_column_size(event)) FROM event_logs WHERE {OWN} GROUP BY run_id"
)
WITHOUT_SPENT_EVENTS = f"""
    WITH spent AS (DELETE FROM event_logs WHERE id IN ({SPENT_EVENTS}) RETURNING id)
    DELETE FROM asset_event_tags WHERE event_id IN (SELECT id FROM spent)
"""
WITHOUT_SPENT_OUTCOMES = f"DELETE FROM asset_check_executions WHERE id IN ({SPENT_OUTCOMES})"
RUNS_OF_USE = f"""
    SELECT run_id FROM event_logs WHERE timestamp >= :before OR dagster_event_type IN ({COUNTS})
    UNION SELECT run_id FROM asset_check_executions
"""

NUMBERED = SqlEventLogStorageTable.insert().returning(
    SqlEventLogStorageTable.c.id, sort_by_parameter_order=True
)
# Once the tables are made, this stays as it is; Dagster looks with every event.
LOOKED_UP = {"has_table", "has_asset_key_col", "has_run_stats_index_cols"}


def waiting(storage: Storage) -> Storage:
    """The class, whose calls wait for a database that is gone for a moment."""
    for name in dir(storage):
        call = inspect.getattr_static(storage, name)
        if isinstance(call, types.FunctionType) and (name == "__init__" or name[0] != "_"):
            setattr(storage, name, _waiting(call))
    return storage


def _waiting(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def asked(*arguments: Any, **named: Any) -> Any:
        return when_it_is_there(functools.partial(call, *arguments, **named), _is_lost)

    return asked


def _is_lost(error: Exception) -> bool:
    """Whether a connection was lost, or leads to a server that may only be read for now, or
    Dagster's own six seconds of trying were too few."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or _is_only_read(error.orig)
    return isinstance(error, DagsterPostgresException)


@waiting
class Runs(PostgresRunStorage):
    """The runs. Their tags tell their days."""

    def add_run(self, dagster_run: dg.DagsterRun) -> dg.DagsterRun:
        super().add_run(dagster_run._replace(partitions_subset=None))
        return dagster_run


class Pending(threading.local):
    """The events of a thread's step that wait for the next one."""

    def __init__(self) -> None:
        self.events: list[dg.EventLogEntry] = []


@waiting
class EventLog(PostgresEventLogStorage):
    """The event log.

    What is planned for a range is thousands of events, of 39 kB each as Dagster has them.
    """

    def __init__(self, url: str) -> None:
        self._pending = Pending()
        super().__init__(url)
        # What a step has made comes together, as on one machine.
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(MOST_EVENTS_IN_A_BATCH))

    def prune(self, before: dt.datetime) -> set[str]:
        told_before = {"before": before.astimezone(dt.UTC).replace(tzinfo=None)}
        with self.index_connection() as connection:
            for statement in (WITHOUT_SPENT_EVENTS, WITHOUT_SPENT_OUTCOMES):
                connection.execute(text(statement), told_before)
            return {run_id for (run_id,) in connection.execute(text(RUNS_OF_USE), told_before)}

    def bytes_of_own(self) -> dict[str, int]:
        with self.index_connection() as connection:
            return {run_id: size for run_id, size in connection.execute(text(BYTES_OF_OWN))}

    def delete_own(self, run_id: str) -> None:
        with self.index_connection() as connection:
            connection.execute(text(WITHOUT_OWN), {"run_id": run_id})

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Store an event; as on one machine some of a step wait for the next of another kind."""
        if event.step_key and event.dagster_event_type in WAITING:
            self._pending.events.append(event)
        else:
            self._store([event])

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        self._store(events)

    def _store(self, new: Sequence[dg.EventLogEntry]) -> None:
        """Store events, after those that wait, by one statement a table; not by three an event."""
        events = [in_short(event) for event in (*self._pending.events, *new)]
        with self._connect() as connection:
            rows = [self._event_to_row(event) for event in events]
            ids = connection.execute(NUMBERED, rows).scalars().all()
            stored = dict(zip(ids, events, strict=True))
            made = {
                number: one
                for number, one in stored.items()
                if one.dagster_event_type in ASSET_EVENTS
            }
            self._store_asset_event_tags(connection, [*made.values()], [*made])
            # Of an asset no other needs to be written.
            newest = {
                (one.get_dagster_event().asset_key, one.dagster_event_type): (one, number)
                for number, one in made.items()
            }
            for one, number in newest.values():
                self._store_asset_event(connection, one, number)
        for number, one in stored.items():
            if one.dagster_event_type in ASSET_CHECK_EVENTS:
                self.store_asset_check_event(one, number)
        self._pending.events.clear()


@waiting
class Schedules(PostgresScheduleStorage):
    """What schedules and sensors did."""


@functools.cache
def of_this_process(url: str) -> tuple[Runs, EventLog, Schedules]:
    """The three by a connection that is kept, with what they have looked up.

    A worker has an instance of its own for every step, and each would begin anew.
    """
    engine = create_pg_engine(
        url,
        None,
        isolation_level="AUTOCOMMIT",
        pool_size=1,
        max_overflow=10,
        connect_args=HEARD,
    )
    listen(engine, "handle_error", _lose_what_is_only_read)
    storages = Runs(url), EventLog(url), Schedules(url)
    for one in storages:
        one._engine = engine
        for name in LOOKED_UP & set(dir(one)):
            setattr(one, name, functools.cache(getattr(one, name)))
    return storages


def _lose_what_is_only_read(told: ExceptionContext) -> None:
    """A connection may stay so for as long as it lasts, whatever the server has become."""
    if _is_only_read(told.original_exception):
        told.is_disconnect = True


def _is_only_read(error: BaseException | None) -> bool:
    return getattr(error, "pgcode", None) == READ_ONLY.sqlstate


class SharedStorage(DagsterPostgresStorage):
    """Runs, events and schedules of all hosts."""

    def __init__(self, url: str, inst_data: ConfigurableClassData | None = None) -> None:
        self.postgres_url, self.should_autocreate_tables = url, True
        self._inst_data = inst_data
        # Each belongs to one instance.
        runs, events, schedules = of_this_process(url)
        self._run_storage = copy.copy(runs)
        self._event_log_storage = copy.copy(events)
        self._schedule_storage = copy.copy(schedules)
        # Not those that Dagster would make, which wait for nobody.
        super(DagsterPostgresStorage, self).__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def config_type(cls) -> Any:
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "SharedStorage":
        if (shared := hosts()) is None:
            how = "this run history is of several hosts, set what they share"
            raise SettingError(next(iter(FORMS)), "", how)
        return cls(shared.database_of_dagster, inst_data)
