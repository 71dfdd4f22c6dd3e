"""Dagster's databases in PostgreSQL, where several hosts share them; `dagster.yaml` names them.

Here belongs where they are: in the hosts' database, by `hosts`, so that no file holds its password.
On one machine they are `dagster_sqlite`.
"""

from typing import Any

from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from marketdata_assets.hosts import FORMS, hosts
from marketdata_assets.settings import SettingError


class SharedStorage(DagsterPostgresStorage):
    """Runs, events and schedules of all hosts."""

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
        return cls(shared.database_of_dagster, should_autocreate_tables=True, inst_data=inst_data)
