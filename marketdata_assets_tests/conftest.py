"""What every test may use: a lake of its own, a platform over a server, a quiet instance."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from hypothesis import settings

from marketdata_assets.automation.chains import FUNDS, STOCKS
from marketdata_assets.definitions import build_definitions
from marketdata_assets.resources.alerts import AlertsResource
from marketdata_assets.resources.hub_client import settle
from marketdata_assets.resources.publisher import Publisher
from marketdata_assets.resources.sources.routing import InstrumentSources
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.storage.io_manager import LakeIOManager, LakeResource
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import STORED_TABLES
from marketdata_assets_tests.published_folder import dataset_folder
from marketdata_sandbox.instruments import SandboxSources
from marketdata_sandbox.market.exchange import SimulatedExchange
from marketdata_sandbox.transport import sandbox_tushare

# How long an example takes says more of the machine than of the code.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# Read once, when the hub's client is imported: before any test imports it.
settle("http://127.0.0.1")

CHAIN = tuple(name for name in STOCKS.names if name in STORED_TABLES)
ETF_CHAIN = FUNDS.names
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path, "test")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture(scope="session")
def exchange() -> SimulatedExchange:
    """One for all tests, as its history takes seconds to simulate; its answers never change."""
    return SimulatedExchange()


class Platform:
    """The platform's own definitions over a chosen Tushare and a lake under `root`."""

    def __init__(
        self,
        root: Path,
        tushare: TushareResource,
        instance: dg.DagsterInstance,
        publisher: Publisher | None = None,
        origin: str = "test",
        sources: InstrumentSources | None = None,
    ) -> None:
        resource = LakeResource(root=str(root), origin=origin)
        self.lake = resource.open()
        self.instance = instance
        self.definitions = build_definitions(
            {
                "tushare": tushare,
                "lake": resource,
                "lake_io": LakeIOManager(lake=resource),
                "publisher": publisher or dataset_folder(root),
                "alerts": AlertsResource(),
                "instrument_sources": sources or SandboxSources(tushare=tushare),
                "run_history_days": 30,
                "extra_tables": [],
            }
        )

    def run(
        self,
        first: dt.date | None = None,
        last: dt.date | None = None,
        assets: Sequence[str] = CHAIN,
        more_tags: Mapping[str, str] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Materialize assets for the days from `first` to `last`, or without partitions.

        As by hand in the UI: not through the jobs, whose retry policy waits for the vendor.
        """
        tags: dict[str, str] = {}
        if first is not None:
            tags = {
                "dagster/asset_partition_range_start": first.isoformat(),
                "dagster/asset_partition_range_end": (last or first).isoformat(),
            }
        return self._execute(assets, tags={**tags, **(more_tags or {})})

    def run_code(self, code: str) -> dg.ExecuteInProcessResult:
        """Materialize the history of one code, tracked from now on."""
        self.instance.add_dynamic_partitions("instrument", [code])
        return self._execute(["instrument_history"], partition_key=code)

    def _execute(self, assets: Sequence[str], **which: Any) -> dg.ExecuteInProcessResult:
        return self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            run_config=QUIET,
            instance=self.instance,
            asset_selection=[dg.AssetKey(name) for name in assets],
            raise_on_error=False,
            **which,
        )


@pytest.fixture
def sandbox(tmp_path: Path, instance: dg.DagsterInstance) -> Platform:
    return Platform(tmp_path, sandbox_tushare(tmp_path / "state"), instance)


def failure_text(result: dg.ExecuteInProcessResult, step: str) -> str:
    """The message a user sees for a failed step, its causes included."""
    [event] = [e for e in result.all_events if e.is_step_failure and e.step_key == step]
    error, lines = event.step_failure_data.error, []
    while error is not None:
        lines.append(error.message)
        error = error.cause
    return "\n".join(lines)


def metadata_of(
    result: dg.ExecuteInProcessResult, asset: str, day: dt.date | None = None
) -> dict[str, Any]:
    """The metadata values of an asset's materialization in a run, of `day` where given."""
    [event] = [
        event
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(asset) and (day is None or event.partition == str(day))
    ]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def check_outcomes(platform: Platform, asset: str) -> dict[str, bool]:
    """The latest outcome of every check of an asset, as Dagster's history tells it."""
    keys = platform.definitions.resolve_asset_graph().get_check_keys_for_assets(
        {dg.AssetKey(asset)}
    )
    storage = platform.instance.event_log_storage
    records = storage.get_latest_asset_check_execution_by_key(list(keys))
    return {
        key.name: record.event.dagster_event.event_specific_data.passed
        for key, record in records.items()
    }
