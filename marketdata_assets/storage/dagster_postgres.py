"""Dagster's databases in PostgreSQL, where several hosts share them; `dagster.yaml` names them.

Here belongs where they are: in the hosts' database, by `hosts`, so that no file holds its password.
On one machine they are `dagster_sqlite`, which says what is left out of an event.
"""

from typing import Any

import dagster as dg
from dagster._serdes import ConfigurableClassData
from dagster_postgres import (
    DagsterPostgresStorage,
    PostgresEventLogStorage,
    PostgresRunStorage,
)
from dagster_postgres.utils import create_pg_engine

from marketdata_assets.hosts import FORMS, hosts
from marketdata_assets.settings import SettingError
from marketdata_assets.storage.dagster_sqlite import in_short


class Runs(PostgresRunStorage):
    """The runs. Their tags tell their days."""

    def add_run(self, dagster_run: dg.DagsterRun) -> dg.DagsterRun:
        super().add_run(dagster_run._replace(partitions_subset=None))
        return dagster_run


class EventLog(PostgresEventLogStorage):
    """The event log, by a connection that is kept.

    What is planned for a range is thousands of events, of 39 kB each as Dagster has them.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._engine = create_pg_engine(
            url,
            None,
            isolation_level="AUTOCOMMIT",
            pool_size=1,
            max_overflow=10,
            pool_pre_ping=True,
        )

    def dispose(self) -> None:
        super().dispose()
        self._engine.dispose()

    def store_event(self, event: dg.EventLogEntry) -> None:
        super().store_event(in_short(event))


class SharedStorage(DagsterPostgresStorage):
    """Runs, events and schedules of all hosts."""

    def __init__(self, url: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(url, inst_data=inst_data)
        self._run_storage = Runs(url)
        self._event_log_storage = EventLog(url)

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
