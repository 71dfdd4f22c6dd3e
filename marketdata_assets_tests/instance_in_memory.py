"""Dagster's history in memory, of events as they are kept on disk: an empty one for every test.

To make the tables and to open the database for each statement takes longer than what is stored.
So a process keeps its databases, each over one connection, and hands them out empty.
"""

import copy
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster._core.instance.types import InstanceType
from dagster._core.launcher.sync_in_memory_run_launcher import SyncInMemoryRunLauncher
from dagster._core.run_coordinator import DefaultRunCoordinator
from dagster._core.storage.event_log import InMemoryEventLogStorage
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager
from dagster._core.storage.root import TemporaryLocalArtifactStorage
from dagster._core.storage.runs import InMemoryRunStorage
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import StaticPool

from marketdata_assets.storage.dagster_sqlite import in_short


class Database:
    """One connection for every thread, and the database as it was when it was new.

    An engine remembers what its statements are in SQL: it stays as well.
    """

    def __init__(self, engine: Engine, made_by: Connection) -> None:
        self._engine = create_engine(
            engine.url, poolclass=StaticPool, connect_args={"check_same_thread": False}
        )
        self._connection = self._engine.connect()
        made_by.close()
        self._lock = threading.RLock()
        self.tables = set(inspect(self._connection).get_table_names())
        self._connection.rollback()
        self._new = sqlite3.connect(":memory:", check_same_thread=False)
        self._driver.backup(self._new)

    @property
    def _driver(self) -> Any:
        return self._connection.connection.driver_connection

    def empty(self) -> None:
        self._new.backup(self._driver)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction; within another one of the thread, a part of it."""
        with self._lock:
            if self._connection.in_transaction():
                yield self._connection
            else:
                with self._connection.begin():
                    yield self._connection


class Runs(InMemoryRunStorage):
    def __init__(self) -> None:
        super().__init__()
        self.database = Database(self._engine, self._held_conn)

    def connect(self) -> Any:
        return self.database.transaction()

    def dispose(self) -> None:
        """The database stays, for the next test."""


class Events(InMemoryEventLogStorage):
    def __init__(self) -> None:
        super().__init__()
        self.database = Database(self._engine, self._held_conn)

    def _connect(self) -> Any:
        return self.database.transaction()

    def has_table(self, table_name: str) -> bool:
        return table_name in self.database.tables

    def store_event(self, event: dg.EventLogEntry) -> None:
        super().store_event(in_short(event))


# Nobody's at the moment.
_idle: list[tuple[Runs, Events]] = []


@contextmanager
def instance_in_memory() -> Iterator[dg.DagsterInstance]:
    runs, events = kept = _idle.pop() if _idle else (Runs(), Events())
    try:
        with dg.DagsterInstance(
            instance_type=InstanceType.EPHEMERAL,
            local_artifact_storage=TemporaryLocalArtifactStorage(),
            # An instance leaves its mark on what it stores with.
            run_storage=copy.copy(runs),
            event_storage=copy.copy(events),
            compute_log_manager=NoOpComputeLogManager(),
            run_coordinator=DefaultRunCoordinator(),
            run_launcher=SyncInMemoryRunLauncher(),
        ) as instance:
            yield instance
    finally:
        for storage in kept:
            storage.database.empty()
        _idle.append(kept)
