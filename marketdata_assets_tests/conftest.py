"""What every test may use: a lake of its own, a platform over a server, a quiet instance."""

import datetime as dt
import itertools
import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from hypothesis import settings

from marketdata_assets.automation.chains import FUNDS, STOCKS
from marketdata_assets.definitions import build_definitions
from marketdata_assets.hosts import FORMS
from marketdata_assets.resources.alerts import AlertsResource
from marketdata_assets.resources.hub_client import settle
from marketdata_assets.resources.publisher import Publisher
from marketdata_assets.resources.sources.routing import InstrumentSources
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.storage.io_manager import LakeIOManager, LakeResource
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import STORED_TABLES
from marketdata_assets_tests.alert_server import AlertServer
from marketdata_assets_tests.hub_emulator.server import HubServer
from marketdata_assets_tests.hubs import hub_at
from marketdata_assets_tests.instance_in_memory import instance_in_memory
from marketdata_assets_tests.published_folder import dataset_folder
from marketdata_assets_tests.small_market import SmallMarket
from marketdata_sandbox.instruments import SandboxSources
from marketdata_sandbox.market.exchange import SimulatedExchange
from marketdata_sandbox.protocol import TushareProtocol
from marketdata_sandbox.server import TushareServer
from marketdata_sandbox.transport import sandbox_tushare

# How long an example takes says more of the machine than of the code. The suite tries the same
# examples each time; other and more of them: pytest --hypothesis-profile thorough.
settings.register_profile("any machine", deadline=None, max_examples=50, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=1_000, derandomize=False)
settings.load_profile("any machine")

# Who is started in the background ignores Ctrl-C, and so would all that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Commands speak the language of the shell; what tests read is English.
os.environ["LC_ALL"] = "C.UTF-8"

# Read once, when the hub's client is imported: before any test imports it.
settle("http://127.0.0.1")

CHAIN = tuple(name for name in STOCKS.names if name in STORED_TABLES)
ETF_CHAIN = FUNDS.names
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files of slow tests, dealt to the workers, so that none is alone at the end.

    xdist gives each worker a stretch of the list, and takes from its end for those who are done.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0))
    if not workers:
        return

    def together(item: pytest.Item) -> Path:
        """Its file; each worker would start the servers of several hosts for itself."""
        folder = item.path.parent
        return folder if folder.name == "distributed" else item.path

    slow = {together(item) for item in items if item.get_closest_marker("slow")}
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for _, file in itertools.groupby((one for one in items if together(one) in slow), together):
        min(shares, key=len).extend(file)
    rest, left = (one for one in items if together(one) not in slow), len(items)
    for number, share in enumerate(shares):
        size = left // (workers - number)
        share.extend(itertools.islice(rest, max(size - len(share), 0)))
        left -= size
    items[:] = [*itertools.chain(*shares), *rest]


def costly() -> settings:
    """For a property whose examples take a tenth of a second: a fifth of their usual number."""
    return settings(max_examples=settings.default.max_examples // 5)


def repeats(usual: int, thorough: int) -> int:
    """How many kills, flips or days a test has, each of which takes a while."""
    return thorough if settings.get_current_profile_name() == "thorough" else usual


@pytest.fixture(scope="session")
def processes() -> ForkServerContext:
    """Processes that start in an instant: their imports are done once, in the fork server."""
    context = multiprocessing.get_context("forkserver")
    # What imports these only when it first needs them would be killed before it is at work.
    lazily = ("marketdata_assets.resources.tushare_client", "huggingface_hub.hf_api")
    # They are not there without the extra `distributed`.
    of_hosts = (
        "marketdata_assets.celery_results",
        "marketdata_assets.celery_steps",
        "marketdata_assets.storage.dagster_postgres",
        "marketdata_assets.storage.shared_lake",
        "celery.apps.worker",
        "celery.concurrency.prefork",
        "celery.worker.components",
        "celery.worker.consumer",
        "kombu.transport.pyamqp",
    )
    context.set_forkserver_preload([__name__, *lazily, *of_hosts, "pandas", "pyarrow.dataset"])
    with pytest.MonkeyPatch.context() as patch:
        # Those of the test that asks first.
        for name in FORMS:
            patch.delenv(name, raising=False)
        forkserver.ensure_running()
    return context


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path, "test")


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
        """Materialize assets for a day as of the evening, for the days from `first` to `last` as of
        a backfill, or without partitions.

        As by hand in the UI: not through the jobs, whose retry policy waits for the vendor.
        """
        tags = dict(more_tags or {})
        if last is None:
            key = str(first) if first else None
            return self._execute(assets, partition_key=key, tags=tags)
        span = {
            "dagster/asset_partition_range_start": str(first),
            "dagster/asset_partition_range_end": str(last),
        }
        return self._execute(assets, tags={**span, **tags})

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
