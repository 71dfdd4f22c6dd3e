"""The queue of several hosts: what one is asked another answers, and every host has the file."""

import datetime as dt
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import psycopg
import pytest

pytest.importorskip("obstore", reason="the extra `distributed` is not installed")

import dagster as dg

from marketdata_assets.hosts import Hosts
from marketdata_assets.serving.queries import ExportQuery, Format
from marketdata_assets.serving.request_database import QueueNotReady
from marketdata_assets.serving.requests import (
    CLAIM_LASTS,
    RESULT_LASTS,
    ExportsFull,
    Requests,
    State,
)
from marketdata_assets.serving.shared_requests import SharedRequestDatabase
from marketdata_assets.storage.database_turns import DatabaseRefuses
from marketdata_assets.storage.objects import Objects
from marketdata_assets.storage.series import refresh
from marketdata_assets.storage.shared_lake import SharedLake
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets_tests.api.serving import Client, served
from marketdata_assets_tests.api.stored_world import DAYS, SHARES, prices_of
from marketdata_assets_tests.automation.test_requests_sensor import Daemon
from marketdata_assets_tests.conftest import Platform
from marketdata_assets_tests.distributed.conftest import OneDatabase
from marketdata_assets_tests.serving import test_requests as one_machine
from marketdata_sandbox.transport import sandbox_tushare

QUERY = ExportQuery(codes=["HSI", "NDX"], format=Format.CSV)
REQUESTS = 1_000

# What holds of the queue of one machine.
test_who_asks_joins = one_machine.test_who_asks_for_a_code_on_its_way_joins_the_request
test_a_failure = (
    one_machine.test_a_history_that_failed_a_moment_ago_is_not_fetched_again_unless_told
)
test_one_outcome = one_machine.test_there_is_one_outcome_and_one_run
test_a_claim_is_over = one_machine.test_a_claim_without_a_run_is_over_after_a_while
test_limits = one_machine.test_open_requests_have_a_limit
test_renewed = one_machine.test_what_is_stored_answers_a_request_that_nobody_wants_renewed


@pytest.fixture(autouse=True)
def several_hosts(shared: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETDATA_DATABASE", shared.database)
    monkeypatch.setenv("MARKETDATA_LAKE", shared.lake)
    monkeypatch.setenv("MARKETDATA_BROKER", shared.broker)


@pytest.fixture
def requests(tmp_path: Path) -> Requests:
    return Requests(tmp_path)


@pytest.fixture
def daemon(tmp_path: Path, instance: dg.DagsterInstance) -> Daemon:
    """The host that does the runs."""
    root = tmp_path / "runs" / "sandbox"
    return Daemon(Platform(root, sandbox_tushare(tmp_path / "state"), instance))


@pytest.fixture
def apis(tmp_path: Path) -> Iterator[list[Client]]:
    """Two hosts of the API."""
    with ExitStack() as stack:
        yield [stack.enter_context(served(tmp_path / host / "sandbox")) for host in ("a", "b")]


def test_what_one_host_is_asked_another_answers(daemon: Daemon, apis: list[Client]) -> None:
    one, other = apis
    asked = one.get("/api/v1/ohlcv", code="HSI", start="2024-01-02", wait=0)
    assert asked.status_code == 202
    assert other.get("/api/v1/ohlcv", code="HSI", start="2024-01-02", wait=0).json() == asked.json()
    assert daemon.tick() == 1
    for api in apis:
        assert api.get(asked.json()["status_url"]).json()["status"] == State.DONE
    answers = [api.get("/api/v1/ohlcv", code="HSI", start="2024-01-02").json() for api in apis]
    assert answers[0]["data"]
    assert answers[0] == answers[1]


def test_an_export_is_downloaded_from_every_host_until_it_expires(
    daemon: Daemon, apis: list[Client]
) -> None:
    asked = apis[0].post("/api/v1/exports", {"codes": ["HSI", "NDX"], "format": "csv"}).json()
    daemon.requests.request_history("HSI")
    assert daemon.tick() == 2
    # Whichever run came first, this one has it.
    again = apis[1].post("/api/v1/exports", {"codes": ["HSI", "NDX"], "format": "csv"}).json()
    assert daemon.tick() == 1
    url = again["file_url"] or f"{again['status_url']}/file"
    whole, other = (api.get(url) for api in apis)
    assert whole.status_code == 200
    assert whole.content.startswith(b'"code","date"')
    assert whole.content == other.content
    assert whole.headers["X-Missing-Codes"] == other.headers["X-Missing-Codes"] == "1: NDX"
    assert whole.headers["etag"] == other.headers["etag"]
    size = len(whole.content)
    part = apis[1].ask("GET", url, headers={"Range": f"bytes=10-{size}"})
    assert (part.status_code, part.content) == (206, whole.content[10:])
    head = apis[0].ask("HEAD", url, headers={"Accept-Encoding": "identity"})
    assert head.headers["content-length"] == str(size)
    assert list(daemon.requests.exports.iterdir()) == []

    now = dt.datetime.now(dt.UTC)
    expired = daemon.requests.expire(now + RESULT_LASTS)
    assert {one.id for one in expired} == {asked["id"], again["id"]}
    assert apis[0].get(url).status_code == 404
    assert daemon.requests.files.bytes() == 0


def test_an_export_has_what_another_host_has_made_by_code(
    daemon: Daemon, shared: Hosts, tmp_path: Path
) -> None:
    lake = SharedLake(tmp_path / "maker" / "sandbox", "test", shared)
    for day in (DAYS[0], DAYS[1]):
        lake.write(DAILY_PRICES, day, prices_of(day))
        refresh(lake, DAILY_PRICES)
        asked = daemon.requests.request_export(ExportQuery(codes=list(SHARES), format=Format.CSV))
        assert daemon.tick() == 1
        told = daemon.requests.get(asked.id)
        assert (told.state, told.rows) == (State.DONE, len(SHARES) * (DAYS.index(day) + 1))


def test_the_files_of_all_hosts_have_one_limit(shared: Hosts, tmp_path: Path) -> None:
    hosts = [Requests(tmp_path / host / "sandbox", most_export_bytes=1_000) for host in "ab"]
    hosts[0].request_export(QUERY)
    left = tmp_path / "large.csv"
    left.write_bytes(b"x" * 1_001)
    Objects(shared.lake_of(tmp_path / "sandbox")).put_file("exports/0.csv", left)
    with pytest.raises(ExportsFull):
        hosts[1].request_export(QUERY)
    # It is of no request, as what a killed run leaves: who begins removes it when it is old.
    now = dt.datetime.now(dt.UTC)
    for later, is_left in ((0, True), (26, False)):
        Requests(tmp_path / f"{later}" / "sandbox").expire(now + dt.timedelta(hours=later))
        assert (hosts[0].files.bytes() > 0) == is_left


def test_a_thousand_requests_are_answered_once_though_a_host_is_killed(tmp_path: Path) -> None:
    requests = Requests(tmp_path / "api" / "sandbox", most_open_histories=REQUESTS)
    with ThreadPoolExecutor(4) as threads:
        codes = [f"{100_000 + number}.CSI" for number in range(REQUESTS)]
        asked = {one.id for one in threads.map(requests.request_history, codes)}
    command = [sys.executable, "-m", "marketdata_assets_tests.distributed.answerer"]

    def host(name: str, seconds: float = 0) -> subprocess.Popen[str]:
        root = tmp_path / name / "sandbox"
        return subprocess.Popen(
            [*command, str(root), str(seconds)], stdout=subprocess.PIPE, text=True
        )

    killed, other = host("killed"), host("other")
    assert killed.stdout
    # On a busy machine the other may have answered all before this one has begun.
    told = [line.strip() for line in islice(killed.stdout, 25)]
    killed.send_signal(signal.SIGKILL)
    told += killed.communicate()[0].split()
    # What it had in hand is claimed again, when that may be.
    last = host("last", CLAIM_LASTS.total_seconds() + 1)
    told += last.communicate()[0].split() + other.communicate()[0].split()
    counts = Counter(told)
    assert set(counts) <= asked
    assert set(counts.values()) == {1}
    # The killed one may have concluded one without telling.
    assert len(counts) >= REQUESTS - 1
    assert all(requests.get(one).state is State.DONE for one in asked)


def test_who_claims_waits_for_nobody_who_has_asked_and_not_ended(
    requests: Requests, shared: Hosts, tmp_path: Path
) -> None:
    asked = requests.request_history("HSI")
    database = SharedRequestDatabase(shared.database, shared.lake_of(tmp_path), dt.timedelta(0))
    with database.transaction() as connection:
        connection.execute("UPDATE requests SET refresh = 1 WHERE id = ?", (asked.id,))
        assert requests.claim(10) == []
    assert [one.id for one in requests.claim(10)] == [asked.id]


def test_two_profiles_never_meet_in_one_database(tmp_path: Path) -> None:
    asked = Requests(tmp_path / "sandbox").request_history("HSI")
    assert Requests(tmp_path / "live").claim(10) == []
    assert [one.id for one in Requests(tmp_path / "sandbox").claim(10)] == [asked.id]


def test_connections_that_were_cut_are_made_again(requests: Requests, shared: Hosts) -> None:
    asked = requests.request_history("HSI")
    with psycopg.connect(shared.database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        )
    assert requests.get(asked.id) == asked


def test_a_database_that_is_only_read_for_a_while_is_told(
    tmp_path: Path, one_database: OneDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETDATA_DATABASE", one_database.address)
    asked = Requests(tmp_path).request_history("HSI")
    one_database.only_read(True)
    # What began before may write until it is cut off.
    assert Requests(tmp_path).get(asked.id) == asked
    one_database.cut_off()
    impatient = Requests(tmp_path, patience=dt.timedelta(0))
    for refused in (lambda: impatient.request_history("NDX"), lambda: impatient.get(asked.id)):
        with pytest.raises(QueueNotReady, match="can't be used now"):
            refused()
    one_database.only_read(False)
    assert Requests(tmp_path).request_history("NDX").id


def test_a_database_out_of_reach_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETDATA_DATABASE", "postgresql://market:secret@127.0.0.1:9/market")
    requests = Requests(tmp_path, patience=dt.timedelta(0))
    with pytest.raises(QueueNotReady, match="can't be used now") as refused:
        requests.get("0" * 32)
    assert "secret" not in str(refused.value)
    with pytest.raises(DatabaseRefuses, match="MARKETDATA_DATABASE"):
        requests.prove()
