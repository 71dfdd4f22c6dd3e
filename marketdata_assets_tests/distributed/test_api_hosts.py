"""Two hosts that serve the HTTP API over one lake: the same answers, whole, whoever is killed."""

import contextlib
import datetime as dt
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
import requests

pytest.importorskip("obstore", reason="the extra `distributed` is not installed")

from marketdata_assets.hosts import Hosts
from marketdata_assets.storage.series import refresh
from marketdata_assets.storage.shared_lake import SharedLake
from marketdata_assets.tables import DAILY_PRICES, FINDINGS, INSTRUMENT_HISTORY
from marketdata_assets_tests import PROJECT
from marketdata_assets_tests.api.stored_world import (
    DAYS,
    SHARES,
    close_of,
    history_of,
    prices_of,
)
from marketdata_assets_tests.distributed.servers import BUCKET
from marketdata_assets_tests.killed_dev import OURS, free_port, until

SPAN = DAYS[:4]
CLIENTS, VERSIONS = 8, 9
PATIENCE = 120.0


class Host:
    """A host that serves, in a folder of its own; it may be killed and started again."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder, self.port = folder, free_port()
        self._settings = {**settings, "MARKETDATA_HOME": str(folder), "API_PORT": str(self.port)}

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "marketdata_assets", "serve"],
                cwd=self.folder,
                env=self._settings,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def get(self, path: str, headers: Any = None, **asked: Any) -> requests.Response | None:
        """The answer; None where the host is not there, or goes before it has answered."""
        url = f"http://127.0.0.1:{self.port}{path}"
        with requests.Session() as session:
            session.trust_env = False
            try:
                return session.get(url, params=asked, headers=headers, timeout=PATIENCE)
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                return None

    def is_ready(self) -> bool:
        assert self.process.poll() is None, (self.folder / "log").read_text("utf-8")
        answer = self.get("/ready")
        return answer is not None and answer.status_code == 200

    def generation(self) -> int:
        return self.get("/ready").json()["tables"]["daily_prices"]["generation"]


@pytest.fixture(scope="module")
def shared(database: str, object_store: None) -> Hosts:
    return Hosts(database, f"s3://{BUCKET}/api", "amqp://guest:guest@127.0.0.1")


@pytest.fixture(scope="module")
def lake(shared: Hosts, tmp_path_factory: pytest.TempPathFactory) -> SharedLake:
    """The lake, on the host that makes what the others serve."""
    root = tmp_path_factory.mktemp("worker") / "sandbox"
    return SharedLake(root, "test: not a real market", shared)


@pytest.fixture(scope="module")
def settings(shared: Hosts) -> Mapping[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith(OURS)}
    return {
        **kept,
        "PYTHONPATH": str(PROJECT),
        "MARKETDATA_DATABASE": shared.database,
        "MARKETDATA_LAKE": shared.lake,
        "MARKETDATA_BROKER": shared.broker,
    }


@pytest.fixture(scope="module")
def hosts(
    settings: Mapping[str, str], lake: SharedLake, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Host]]:
    store(lake, 0)
    both = [Host(tmp_path_factory.mktemp(name), settings) for name in ("one", "other")]
    with contextlib.ExitStack() as stack:
        for host in both:
            host.start()
            stack.callback(host.kill)
        for host in both:
            until(host.is_ready, "the host is ready", PATIENCE)
        yield both


def store(lake: SharedLake, version: int) -> int:
    """Write all days anew and refresh; the generation."""
    for day in SPAN:
        lake.write(DAILY_PRICES, day, prices_of(day, shift=float(version)))
    return refresh(lake, DAILY_PRICES).generation


def version_in(rows: list[dict]) -> float:
    """By how much the closes of rows are shifted, each as much as the others."""
    days = {day.isoformat(): day for day in SPAN}
    closes = [(row["close"], close_of(row["code"], days[row["date"]])) for row in rows]
    [version] = {round(close - usual, 6) for close, usual in closes}
    return version


def test_both_hosts_answer_the_same_of_all_that_is_stored(
    lake: SharedLake, hosts: list[Host]
) -> None:
    store(lake, 0)
    known = dt.datetime.now(dt.UTC)
    made = store(lake, 1)
    lake.write(INSTRUMENT_HISTORY, "HSI", history_of("HSI", SPAN))
    found = {"trade_date": SPAN[-1], "table_name": "daily_prices", "ts_code": SHARES[0]}
    found |= {"check_name": "factor_missing", "outcome": "flagged", "seen": "NULL"}
    found |= {"expected": "a factor", "reason": None, "first_seen": known}
    lake.write(FINDINGS, SPAN[-1], pa.Table.from_pylist([found], schema=FINDINGS.schema))
    # Within five seconds, where nothing else is done.
    for host in hosts:
        until(lambda host=host: host.generation() == made, "the host has it", PATIENCE)
    span = {"start": SPAN[0], "end": SPAN[-1]}
    asked: list[tuple[str, Any, int | None]] = [
        ("/api/v1/ohlcv", {"code": SHARES[0], **span}, 4),
        ("/api/v1/ohlcv", {"code": "HSI", **span}, 4),
        ("/api/v1/ohlcv", {"code": SHARES[0], "as_of": known.isoformat(), **span}, 4),
        ("/api/v1/cross-section", {"date": SPAN[1]}, 3),
        ("/api/v1/tables/daily_prices/rows", {"date": SPAN[1]}, 3),
        ("/api/v1/tables/daily_prices/rows", {"code": SHARES[0], **span}, 4),
        ("/api/v1/findings", {"date": SPAN[-1]}, 1),
        ("/api/v1/marks", {"code": SHARES[0], **span}, 5),
        ("/api/v1/market", span, None),
        ("/api/v1/coverage", span, None),
        ("/api/v1/instruments", {"q": "600000"}, 1),
    ]
    for path, question, count in asked:
        answers = [host.get(path, **question) for host in hosts]
        assert [one.status_code for one in answers] == [200, 200], (path, answers[0].text)
        assert answers[0].json() == answers[1].json(), path
        assert answers[0].headers.get("ETag") == answers[1].headers.get("ETag"), path
        assert count in (None, answers[0].json().get("count")), (path, answers[0].text)
    then, now = (
        hosts[1].get("/api/v1/ohlcv", code=SHARES[0], **span, **more).json()["data"]
        for more in ({"as_of": known.isoformat()}, {})
    )
    assert [row["close"] + 1 for row in then] == [row["close"] for row in now]
    day = hosts[0].get("/api/v1/market", **span).json()["days"][0]
    assert (day["date"], day["shares"]) == (str(SPAN[0]), 3)
    tables = hosts[0].get("/api/v1/coverage", **span).json()["tables"]
    [days] = [one["days"] for one in tables if one["name"] == DAILY_PRICES.name]
    assert [one["rows"] for one in days] == [3] * 4
    # What one of them has answered the other knows as unchanged.
    etag = hosts[0].get("/api/v1/ohlcv", code=SHARES[0], **span).headers["ETag"]
    again = hosts[1].get("/api/v1/ohlcv", code=SHARES[0], headers={"If-None-Match": etag}, **span)
    assert again.status_code == 304
    requested = hosts[0].get("/api/v1/ohlcv", code="NDX", wait=0)
    assert requested.status_code == 202
    seen = hosts[1].get(f"/api/v1/requests/{requested.json()['request_id']}")
    assert (seen.status_code, seen.json()["status"]) == (200, "queued")
    assert hosts[0].get("/metrics").status_code == 200
    catalog = hosts[0].folder / "sandbox" / "catalog.duckdb"
    until(catalog.exists, "the host has its catalog", PATIENCE)
    # Dagster has not run yet on any of them.
    told = hosts[0].get("/api/v1/status").json()
    assert (told["dev_runs"], told["calls"]) == (False, None)
    assert told["evenings"][0]["series_to"] == str(SPAN[-1])
    assert set(told["bytes_on_disk"]) == {"copies", "series", "dagster"}


def test_no_answer_is_torn_while_a_host_is_killed_and_comes_back(
    lake: SharedLake, hosts: list[Host]
) -> None:
    """Eight clients, each of which asks both hosts in turn."""
    is_over = threading.Event()

    def ask(number: int) -> dict[int, set[float]]:
        code = SHARES[number % len(SHARES)]
        seen: dict[int, set[float]] = {host.port: set() for host in hosts}
        in_turn = itertools.cycle(hosts)
        while not is_over.is_set():
            host = next(in_turn)
            told = host.get("/api/v1/ohlcv", code=code, start=SPAN[0], end=SPAN[-1])
            if told is not None:
                rows = told.json()["data"]
                assert [row["date"] for row in rows] == [str(day) for day in SPAN]
                seen[host.port].add(version_in([{**row, "code": code} for row in rows]))
            told = host.get("/api/v1/cross-section", date=SPAN[number % len(SPAN)])
            if told is not None:
                rows = [{**row, "date": told.json()["date"]} for row in told.json()["data"]]
                assert [row["code"] for row in rows] == list(SHARES)
                seen[host.port].add(version_in(rows))
        return seen

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(ask, number) for number in range(CLIENTS)]
        try:
            for version in range(1, VERSIONS + 1):
                if version == VERSIONS // 3:
                    hosts[0].kill()
                if version == VERSIONS * 2 // 3:
                    hosts[0].start()
                made = store(lake, version)
            until(hosts[0].is_ready, "the host is back", PATIENCE)
            for host in hosts:
                until(lambda host=host: host.generation() == made, "it has the newest", PATIENCE)
        finally:
            is_over.set()
        seen = [client.result() for client in clients]
    # The other went on, and saw what was made meanwhile.
    assert all(len(one[hosts[1].port]) > 2 for one in seen)
    assert all(one[hosts[0].port] for one in seen)
    for host in hosts:
        told = host.get("/api/v1/ohlcv", code=SHARES[0], start=SPAN[0], end=SPAN[-1]).json()
        assert version_in([{**row, "code": SHARES[0]} for row in told["data"]]) == VERSIONS


def test_a_host_that_could_take_no_request_is_not_ready_and_says_why(
    settings: Mapping[str, str], database: str, tmp_path: Path
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE ROLE reader LOGIN")
    reader = database.replace("market@", "reader@")
    host = Host(tmp_path, {**settings, "MARKETDATA_DATABASE": reader})
    host.start()
    try:
        until(lambda: host.get("/health"), "the host answers", PATIENCE)
        answer = host.get("/ready")
    finally:
        host.kill()
    assert answer.status_code == 503
    assert "Make it the database's owner" in answer.json()["error"]
