"""A backfill while the code server is away, as the daemon of `dev` looks at it."""

import logging
import time
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import GrpcServerTarget
from dagster._daemon.backfill import execute_backfill_iteration

from marketdata_assets.dev import BACKFILLS

DAYS = dg.StaticPartitionsDefinition(["2024-01-02"])
TABLE = dg.AssetKey("table")


@pytest.mark.filterwarnings("ignore:Error loading repository location away")
def test_a_backfill_waits_while_the_code_server_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in BACKFILLS.items():
        monkeypatch.setenv(name, value)
    away = GrpcServerTarget("localhost", None, str(tmp_path / "none"), "away")
    day = DAYS.subset_with_partition_keys(DAYS.get_partition_keys())
    with (
        dg.DagsterInstance.local_temp(str(tmp_path)) as instance,
        WorkspaceProcessContext(instance, away) as context,
    ):
        backfill = PartitionBackfill.from_asset_graph_subset(
            backfill_id="away",
            backfill_timestamp=time.time(),
            tags={},
            dynamic_partitions_store=instance,
            asset_graph_subset=AssetGraphSubset({TABLE: day}),  # type: ignore[call-arg]
            title=None,
            description=None,
            run_config=None,
        )
        instance.add_backfill(backfill)
        list(execute_backfill_iteration(context, logging.getLogger("test")))
        found = instance.get_backfill(backfill.backfill_id)
        assert found
        assert found.status is BulkActionStatus.REQUESTED
