"""Runs whose steps are done by workers of several hosts, which share no folder."""

import datetime as dt
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("obstore", reason="the extra `distributed` is not installed")

from marketdata_assets.hosts import Hosts
from marketdata_assets.storage.objects import objects_at
from marketdata_assets.storage.shared_lake import SharedLake
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.conftest import CHAIN, Platform
from marketdata_assets_tests.distributed.running import is_the_same, run, settings_of, worker
from marketdata_assets_tests.distributed.store_proxy import StoreProxy
from marketdata_assets_tests.instance_in_memory import instance_in_memory
from marketdata_assets_tests.killed_dev import processes_of, until
from marketdata_sandbox.transport import sandbox_tushare

DAYS = sessions_between(dt.date(2024, 9, 23), dt.date(2024, 9, 27))
MOST_HEADS, MOST_LISTS = 2, 2


def huge_pages_of(pid: int) -> str:
    """0 for a process that has none; nothing by an older kernel, or where it has just ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return ""
    return "".join(re.findall(r"THP_enabled:\s*(\d)", status))


@pytest.mark.slow
def test_two_hosts_make_the_partitions_that_one_machine_makes(
    shared: Hosts, broker: str, tmp_path: Path
) -> None:
    with instance_in_memory() as instance:
        alone = Platform(tmp_path / "alone", sandbox_tushare(tmp_path / "state"), instance)
        assert alone.run(DAYS[0], DAYS[-1]).success
    with StoreProxy(os.environ["AWS_ENDPOINT_URL"]).running() as store:
        settings = settings_of(shared._replace(broker=broker), AWS_ENDPOINT_URL=store.url)
        with (
            worker(tmp_path / "one", settings) as one,
            worker(tmp_path / "other", settings),
            run(tmp_path / "coordinator", settings, DAYS),
        ):
            until(lambda: " ready." in one.said(), "the worker is ready")
            huge_pages = {huge_pages_of(pid) for pid in processes_of(one.folder)}
    assert huge_pages <= {"0", ""}
    lake = SharedLake(tmp_path / "reader" / "sandbox", "reader", shared)
    assert is_the_same(lake, alone.lake, DAYS)
    for host in ("one", "other", "coordinator"):
        assert not (tmp_path / host / "sandbox" / "lake").exists(), host
    logs = objects_at(f"{shared.lake}/logs")
    printed = b"".join(found[1] for one in logs.listed("storage") if (found := logs.get(one.key)))
    assert [name for name in CHAIN if f"{name} - STEP_SUCCESS".encode() not in printed] == []
    partitions = len(CHAIN) * len(DAYS)
    assert store.count("HEAD") <= MOST_HEADS * partitions
    assert store.count("LIST") <= MOST_LISTS * partitions


def test_a_worker_that_the_broker_refuses_says_so_and_ends(
    shared: Hosts, broker: str, tmp_path: Path
) -> None:
    settings = settings_of(shared._replace(broker=broker.replace(":guest@", ":secret@")))
    told = subprocess.run(
        [sys.executable, "-m", "marketdata_assets", "worker"],
        cwd=tmp_path,
        env={**settings, "MARKETDATA_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 1
    assert told.stderr.startswith("RabbitMQ refuses")
    assert "secret" not in told.stderr
    assert "Traceback" not in told.stderr
