"""Runs whose steps are done by workers of several hosts, which share no folder."""

import contextlib
import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

pytest.importorskip("obstore", reason="the extra `distributed` is not installed")

from marketdata_assets.hosts import Hosts
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.shared_lake import SharedLake
from marketdata_assets.tables import STORED_TABLES
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests import PROJECT
from marketdata_assets_tests.conftest import CHAIN, Platform, instance_in_memory
from marketdata_sandbox.transport import sandbox_tushare

DAYS = sessions_between(dt.date(2024, 9, 23), dt.date(2024, 9, 27))
SECONDS_TO_FINISH = 60


@pytest.fixture
def settings(shared: Hosts, broker: str, tmp_path: Path) -> Mapping[str, str]:
    kept = {name: text for name, text in os.environ.items() if name != "DAGSTER_HOME"}
    return {
        **kept,
        # Their working folder is another one.
        "PYTHONPATH": str(PROJECT),
        "MARKETDATA_DATABASE": shared.database,
        "MARKETDATA_LAKE": shared.lake,
        "MARKETDATA_BROKER": broker,
        "HF_TOKEN": "none",
        "HF_DATASET_REPO": "nobody/nothing",
        "HF_ENDPOINT": "http://127.0.0.1:9",
    }


@contextlib.contextmanager
def worker(
    folder: Path, settings: Mapping[str, str], dies: bool = False
) -> Iterator[subprocess.Popen]:
    """A worker with a folder of its own; it ends by itself when it is told to, or has died."""
    folder.mkdir()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "marketdata_assets", "worker"],
            cwd=folder,
            env={**settings, "MARKETDATA_HOME": str(folder)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS_TO_FINISH) == (-signal.SIGKILL if dies else 0)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run(folder: Path, settings: Mapping[str, str]) -> str:
    folder.mkdir()
    command = [sys.executable, "-m", "marketdata_assets_tests.distributed.coordinator"]
    days = (DAYS[0].isoformat(), DAYS[-1].isoformat())
    with (folder / "log").open("wb") as log:
        told = subprocess.run(
            [*command, *days, *CHAIN],
            cwd=folder,
            env={**settings, "MARKETDATA_HOME": str(folder)},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            check=False,
        )
    return told.stdout.splitlines()[-1] if told.stdout else ""


def rows(lake: Lake, name: str, day: dt.date) -> list[dict]:
    table = lake.load(STORED_TABLES[name], day).rows
    # When a finding was first seen is its own time.
    return table.drop_columns([c for c in table.column_names if c == "first_seen"]).to_pylist()


@pytest.fixture(scope="module")
def one_machine(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """What one machine makes of the days."""
    root = tmp_path_factory.mktemp("alone")
    with instance_in_memory() as instance:
        platform = Platform(root, sandbox_tushare(root / "state"), instance)
        assert platform.run(DAYS[0], DAYS[-1]).success
    return platform.lake


def is_the_same(lake: Lake, other: Lake) -> bool:
    for name in CHAIN:
        days = lake.days(STORED_TABLES[name])
        assert days == other.days(STORED_TABLES[name]), name
        for day in days:
            assert rows(lake, name, day) == rows(other, name, day), (name, day)
    return True


def test_two_hosts_make_the_partitions_that_one_machine_makes(
    settings: Mapping[str, str], shared: Hosts, tmp_path: Path, one_machine: Lake
) -> None:
    with worker(tmp_path / "one", settings), worker(tmp_path / "other", settings):
        assert run(tmp_path / "coordinator", settings) == "succeeded"
    lake = SharedLake(tmp_path / "reader" / "sandbox", "reader", shared)
    assert is_the_same(lake, one_machine)
    for host in ("one", "other", "coordinator"):
        assert not (tmp_path / host / "sandbox" / "lake").exists(), host


def test_a_run_goes_on_when_a_host_is_killed(
    settings: Mapping[str, str], shared: Hosts, tmp_path: Path, one_machine: Lake
) -> None:
    """All that was stored until then stays, and the steps in hand are done by the other host."""
    with worker(tmp_path / "other", settings), worker(tmp_path / "one", settings, dies=True) as one:
        killer = threading.Thread(target=kill_with_a_step_in_hand, args=(one, tmp_path / "one"))
        killer.start()
        assert run(tmp_path / "coordinator", settings) == "succeeded"
        killer.join()
    assert is_the_same(SharedLake(tmp_path / "reader" / "sandbox", "reader", shared), one_machine)


def kill_with_a_step_in_hand(process: subprocess.Popen, folder: Path) -> None:
    while process.poll() is None:
        if b"STEP_START" in (folder / "log").read_bytes():
            os.killpg(process.pid, signal.SIGKILL)
            return
        time.sleep(0.05)
