"""A DAGSTER_HOME as the commands make one, with the instance settings that are shipped."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord

from marketdata_assets.__main__ import instance_settings
from marketdata_assets_tests.conftest import Platform


@contextmanager
def shipped_instance(home: Path) -> Iterator[dg.DagsterInstance]:
    """The instance of `home` with the settings that are shipped."""
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_bytes(instance_settings(home))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home))
        with dg.DagsterInstance.get() as instance:
            yield instance


def partitions(instance: dg.DagsterInstance) -> dict[str, set[str]]:
    """The partitions of every asset that the instance knows of."""
    return {
        key.to_user_string(): set(instance.get_materialized_partitions(key))
        for key in instance.all_asset_keys()
    }


def outcomes(platform: Platform) -> Mapping[tuple[str, str | None], str]:
    """The latest outcome of every check, by its name and the day; no day is the last run of many.

    A check that is planned and has no outcome is told as that.
    """
    latest: dict[tuple[str, str | None], str] = {}
    graph = platform.definitions.resolve_asset_graph()
    for key in graph.asset_check_keys:
        for record in history(platform.instance, key):
            told = (key.to_user_string(), record.partition)
            latest.setdefault(told, record.status.value)
    return latest


def history(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> list[AssetCheckExecutionRecord]:
    """All that is known of a check, the newest first."""
    return list(instance.event_log_storage.get_asset_check_execution_history(key, limit=10_000))
