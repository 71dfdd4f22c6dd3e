"""What every test may use: a lake of its own, a platform over a server, a quiet instance."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.instance.types import InstanceType
from dagster._core.launcher.sync_in_memory_run_launcher import SyncInMemoryRunLauncher
from dagster._core.run_coordinator import DefaultRunCoordinator
from dagster._core.storage.event_log import InMemoryEventLogStorage
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager
from dagster._core.storage.root import TemporaryLocalArtifactStorage
from dagster._core.storage.runs import InMemoryRunStorage
from hypothesis import settings

from marketdata_assets.automation.chains import FUNDS, STOCKS
from marketdata_assets.definitions import build_definitions
from marketdata_assets.resources.alerts import AlertsResource
from marketdata_assets.resources.hub_client import settle
from marketdata_assets.resources.publisher import Publisher
from marketdata_assets.resources.sources.routing import InstrumentSources
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.storage.dagster_sqlite import in_short
from marketdata_assets.storage.io_manager import LakeIOManager, LakeResource
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import STORED_TABLES
from marketdata_assets_tests.alert_server import AlertServer
from marketdata_assets_tests.hub_emulator.server import HubServer
from marketdata_assets_tests.hubs import hub_at
from marketdata_assets_tests.published_folder import dataset_folder
from marketdata_assets_tests.small_market import SmallMarket
from marketdata_sandbox.instruments import SandboxSources
from marketdata_sandbox.market.exchange import SimulatedExchange
from marketdata_sandbox.protocol import TushareProtocol
from marketdata_sandbox.server import TushareServer
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


class ShortEventLog(InMemoryEventLogStorage):
    """The event log in memory, of events as they are kept on disk; in full they take seconds."""

    def store_event(self, event: dg.EventLogEntry) -> None:
        super().store_event(in_short(event))


def instance_in_memory() -> dg.DagsterInstance:
    return dg.DagsterInstance(
        instance_type=InstanceType.EPHEMERAL,
        local_artifact_storage=TemporaryLocalArtifactStorage(),
        run_storage=InMemoryRunStorage(),
        event_storage=ShortEventLog(),
        compute_log_manager=NoOpComputeLogManager(),
        run_coordinator=DefaultRunCoordinator(),
        run_launcher=SyncInMemoryRunLauncher(),
    )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with instance_in_memory() as instance:
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


def unhurried_tushare(url: str, root: Path, token: str = "x") -> TushareResource:
    """The resource as the platform under `root` has it, of an account that never waits."""
    return TushareResource(
        token=token, url=url, calls_per_minute=50_000, state_folder=str(root / "state")
    )


@pytest.fixture
def market() -> SmallMarket:
    """What `server` answers with; a file of tests over another market has its own."""
    return SmallMarket()


@pytest.fixture
def server(market: SmallMarket) -> Iterator[TushareServer]:
    with TushareServer(TushareProtocol(market)).running() as server:
        yield server


@pytest.fixture
def platform(server: TushareServer, tmp_path: Path, instance: dg.DagsterInstance) -> Platform:
    return Platform(tmp_path, unhurried_tushare(server.url, tmp_path), instance)


@pytest.fixture
def hub_server(tmp_path: Path) -> Iterator[HubServer]:
    with hub_at(tmp_path / "hub") as server:
        yield server


@pytest.fixture
def alert_server() -> Iterator[AlertServer]:
    with AlertServer().running() as server:
        yield server
        server.released.set()


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
