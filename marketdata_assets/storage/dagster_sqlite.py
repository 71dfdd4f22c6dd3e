"""Dagster's databases in SQLite as this platform keeps them; a profile's `dagster.yaml` names them.

Here belongs what differs from Dagster's own: runs and plans don't repeat the definition of the
partitions, nor events what they tell twice. Either reads what the other has stored. A class
in `dagster.yaml` is the one public way to have a say in what is stored, and what it builds on is
private.
"""

import datetime as dt
import functools
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationPlanned,
)
from dagster._core.definitions.partitions.subset import DefaultPartitionsSubset
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS, DagsterEventType
from dagster._core.execution.plan.handle import StepHandle
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    INDEX_SHARD_NAME,
    SqliteEventLogStorage,
)
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.sql import create_engine
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from dagster_shared.record import replace
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import NullPool

from marketdata_assets.storage.run_history import prune

# What is stored in the index besides.
IN_THE_INDEX = ASSET_EVENTS | ASSET_CHECK_EVENTS
# A step has many of them, one after the other.
WAITING = {DagsterEventType.STEP_OUTPUT, DagsterEventType.ASSET_CHECK_EVALUATION}
# SQLAlchemy learns for each what its statements are in SQL.
DATABASES_KNOWN = 8
# Of all partitions and checks of a run, some thousands.
MOST_EVENTS_IN_A_BATCH = 1_000


class Runs(SqliteRunStorage):
    """The runs. Their tags tell their days."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "Runs":
        return cls.from_local(inst_data=inst_data, **config_value)

    def add_run(self, dagster_run: dg.DagsterRun) -> dg.DagsterRun:
        super().add_run(dagster_run._replace(partitions_subset=None))
        return dagster_run


class Batch(threading.local):
    """What a thread stores together: the open connections to the run's database and the index, the
    newest event of each asset and kind, and the events of a run that wait for the next one."""

    connections: tuple[Connection, Connection] | None = None

    def __init__(self) -> None:
        self.waiting: list[dg.EventLogEntry] = []
        self.newest: dict[tuple[object, object], tuple[dg.EventLogEntry, int]] = {}


class EventLog(SqliteEventLogStorage):
    """The event log. The part of a run may be deleted; what comes together is stored together."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._batch = Batch()
        self._engines = functools.lru_cache(DATABASES_KNOWN)(self._engine)
        self._kept_open: sqlite3.Connection | None = None
        # Tables and columns that were seen once; Dagster looks for them at every event.
        self._there: set[str] = set()
        super().__init__(base_dir, inst_data)
        # Both databases are open while a batch is stored.
        self._db_lock = threading.RLock()  # type: ignore[assignment]
        # Dagster hands over a batch only where this says how many events may wait for each other.
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(MOST_EVENTS_IN_A_BATCH))

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "EventLog":
        return cls(inst_data=inst_data, **config_value)

    @property
    def index(self) -> Path:
        """The database of what all runs have made, planned and checked."""
        return self.own(INDEX_SHARD_NAME)

    def own(self, run_id: str) -> Path:
        """The database of a run, which holds all of its events."""
        return Path(self.path_for_shard(run_id))

    def prune(self, before: dt.datetime) -> set[str]:
        return prune(self.index, before)

    def bytes_of_own(self) -> dict[str, int]:
        """What the databases of single runs take."""
        sizes = {}
        for file in self.index.parent.glob("*.db"):
            # Whoever prunes deletes them meanwhile.
            with suppress(FileNotFoundError):
                sizes[file.stem] = file.stat().st_size
        sizes.pop(self.index.stem, None)
        return sizes

    def delete_own(self, run_id: str) -> None:
        """Delete the database of a run; what the index has of the run stays."""
        for file in self.own(run_id).parent.glob(f"{run_id}.db*"):
            file.unlink()

    def _keep_index_open(self, is_needed: bool) -> None:
        """Have the index be open while steps of a run are made.

        SQLite writes all that is new back into a database when its last connection closes, and
        Dagster opens one an event. That of a run is written so: Dagster's UI watches the file.
        """
        with self._db_lock:
            if self._kept_open and not is_needed:
                self._kept_open.close()
                self._kept_open = None
            elif is_needed and not self._kept_open:
                self._kept_open = sqlite3.connect(self.index, check_same_thread=False)
                # It is opened when it is read first.
                self._kept_open.execute("SELECT count(*) FROM sqlite_master").fetchall()

    def dispose(self) -> None:
        self._keep_index_open(False)
        super().dispose()

    def run_connection(self, run_id: str | None = None) -> Any:
        if self._batch.connections:
            return nullcontext(self._batch.connections[0])
        # Who has seen the events of a run before they were deleted would miss the tables.
        if run_id and not self.own(run_id).exists():
            self._initialized_dbs.discard(run_id)
        return super().run_connection(run_id)

    def index_connection(self) -> AbstractContextManager[Connection]:
        if self._batch.connections:
            return nullcontext(self._batch.connections[1])
        return super().index_connection()

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        """A connection of its own, and a transaction; what SQLAlchemy has learnt is kept."""
        with self._db_lock:
            engine = self._engines(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def _engine(self, shard: str) -> Engine:
        engine: Engine = create_engine(
            self.conn_string_for_shard(shard),
            poolclass=NullPool,
            connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
        )
        return engine

    def has_table(self, table_name: str) -> bool:
        if table_name not in self._there and super().has_table(table_name):
            self._there.add(table_name)
        return table_name in self._there

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        known = super()._has_asset_key_col_on_connection
        if column_name not in self._there and known(conn, column_name):
            self._there.add(column_name)
        return column_name in self._there

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Store an event; what a step has put out and checked, with the next event of another kind.

        That one comes with every step, at its end at the latest, so that none that has ended lacks
        any. What a killed step had put out is put out again.
        """
        waiting = self._batch.waiting
        if waiting and waiting[0].run_id != event.run_id:
            self._store_waiting()
        waiting.append(event)
        if not event.step_key or event.dagster_event_type not in WAITING:
            self._store_waiting()
        if event.step_key:
            self._keep_index_open(True)
        elif event.dagster_event and event.dagster_event.is_job_event:
            self._keep_index_open(False)

    def _store_waiting(self) -> None:
        events = self._batch.waiting[:]
        self._batch.waiting.clear()
        if len(events) > 1 or events[0].dagster_event_type in IN_THE_INDEX:
            self.store_event_batch(events)
        else:
            super().store_event(in_short(events[0]))

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Events of one run, in one transaction of each database instead of several an event."""
        with self.run_connection(events[0].run_id) as own, self.index_connection() as index:
            self._batch.connections = (own, index)
            try:
                for event in events:
                    super().store_event(in_short(event))
                for newest in self._batch.newest.values():
                    super()._store_asset_event(index, *newest)
            finally:
                self._batch.connections = None
                self._batch.newest.clear()

    def _store_asset_event(self, conn: Connection, event: dg.EventLogEntry, event_id: int) -> None:
        """Of an asset the index keeps the newest event, of a batch no other needs to be written."""
        if not self._batch.connections:
            super()._store_asset_event(conn, event, event_id)
            return
        told = event.get_dagster_event()
        kind = (told.asset_key, told.event_type)
        self._batch.newest.pop(kind, None)
        self._batch.newest[kind] = (event, event_id)


def in_short(event: dg.EventLogEntry) -> dg.EventLogEntry:
    """The event without what it tells twice: the tags of its log line, the handle of its step.

    Where an event has no handle of a step, Dagster makes it from that of the node.
    The plan of a check names its day, or none where many are. Dagster adds the definition of all
    partitions to every plan, with each holiday since 2005: 39 kB a check, and in a range once more
    for each of its days. A range has one outcome a check (see `assets.quality_gate`), so that one
    plan is enough, and its days keep the outcomes they had.
    """
    told_event = event.dagster_event
    if told_event is None:
        return event
    told_event = told_event._replace(logging_tags={})
    if told_event.node_handle and told_event.step_handle == StepHandle(told_event.node_handle):
        told_event = told_event._replace(step_handle=None)
    planned = told_event.event_specific_data
    if isinstance(planned, AssetCheckEvaluationPlanned) and planned.partitions_subset is not None:
        keys = set(planned.partitions_subset.get_partition_keys())
        day = DefaultPartitionsSubset(keys) if len(keys) == 1 else None
        told_event = told_event._replace(
            event_specific_data=replace(planned, partitions_subset=day)
        )
    return event._replace(dagster_event=told_event)
