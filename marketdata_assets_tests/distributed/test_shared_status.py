"""How the platform of several hosts is, told on one that has no run history of its own."""

import datetime as dt
from pathlib import Path

import dagster as dg
import psycopg
import pytest

pytest.importorskip("obstore", reason="the extra `distributed` is not installed")

from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus
from dagster._daemon.types import DaemonHeartbeat

from marketdata_assets.allowance_counter import shared_path
from marketdata_assets.hosts import Hosts
from marketdata_assets.resources.rate_limit import Allowance
from marketdata_assets.serving.status import Status, status
from marketdata_assets.storage.database_turns import DatabaseRefuses
from marketdata_assets.storage.series import refresh
from marketdata_assets.storage.shared_lake import SharedLake
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.timetable import sessions_due
from marketdata_assets_tests.api.stored_world import prices_of
from marketdata_assets_tests.dagster_home import shipped_instance

# Before its evening is over, today is neither late nor unpublished.
SESSIONS = sessions_due(dt.datetime.now(dt.UTC))[-2:]


@pytest.fixture
def shared(shared: Hosts, monkeypatch: pytest.MonkeyPatch) -> Hosts:
    """A database with a run history of its own, set as on every host."""
    with psycopg.connect(shared.database, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS status WITH (FORCE)")
        connection.execute("CREATE DATABASE status")
    own = shared._replace(database=shared.database.rpartition("/")[0] + "/status")
    for name, value in own._asdict().items():
        monkeypatch.setenv(f"MARKETDATA_{name.upper()}", value)
    return own


def test_the_calls_of_all_hosts_are_told(shared: Hosts, tmp_path: Path) -> None:
    token = {"TUSHARE_TOKEN": "a token", "TUSHARE_URL": "http://127.0.0.1:9"}
    (tmp_path / "live-127.0.0.1").mkdir()

    def told() -> int | None:
        env = {"MARKETDATA_HOME": str(tmp_path), **token}
        return status(env, dt.datetime.now(dt.UTC)).calls

    assert told() == 0
    for _ in range(2):
        allowance = Allowance(50, shared_path(*token.values()))
        allowance.acquire()
        allowance.close()
    assert told() == 2


def test_what_other_hosts_have_done_is_told(
    shared: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = {"MARKETDATA_HOME": str(tmp_path), "DEFAULT_START_DATE": str(SESSIONS[0])}
    (tmp_path / "sandbox").mkdir()
    lake = SharedLake(tmp_path / "elsewhere" / "sandbox", "sandbox", shared)
    for day in SESSIONS:
        lake.write(DAILY_PRICES, day, prices_of(day))

    def told() -> Status:
        return status(env, dt.datetime.now(dt.UTC))

    before = told()
    assert (before.dev_runs, before.switched_off) == (False, ())
    assert before.evenings[0].series_to is None
    refresh(lake, DAILY_PRICES)
    assert told().evenings[0].series_to == SESSIONS[-1]
    assert before.evenings[0].unpublished == tuple(SESSIONS)
    with shipped_instance(tmp_path / "dagster") as instance:
        made = dg.AssetMaterialization("hf_dataset", partition=str(SESSIONS[0]))
        instance.report_runless_asset_event(made)
        here = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "here")
        origin = RemoteInstigatorOrigin(here, "requests_sensor")
        instance.add_instigator_state(
            InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.STOPPED)
        )
        now = dt.datetime.now(dt.UTC).timestamp()
        instance.add_daemon_heartbeat(DaemonHeartbeat(now, "SENSOR", "a daemon", []))
    after = told()
    assert (after.dev_runs, after.switched_off) == (True, ("requests_sensor",))
    assert after.evenings[0].last_published == SESSIONS[0]
    assert after.evenings[0].unpublished == (SESSIONS[1],)
    monkeypatch.setenv("MARKETDATA_DATABASE", "postgresql://market:secret@127.0.0.1:9/none")
    with pytest.raises(DatabaseRefuses, match="MARKETDATA_DATABASE") as refused:
        told()
    assert "secret" not in str(refused.value)
