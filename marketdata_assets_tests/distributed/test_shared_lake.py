"""The lake of several hosts: what was acknowledged stays answerable, whoever writes or dies."""

import contextlib
import datetime as dt
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

pytest.importorskip("obstore", reason="the extra `distributed` is not installed")

import obstore
import psycopg
from obstore.store import S3Store

from marketdata_assets.hosts import Hosts
from marketdata_assets.storage.as_of import (
    NotKnownThen,
    NotReadableAsOf,
    as_of,
    held_still,
    known_at,
)
from marketdata_assets.storage.copies import SECONDS_KEPT, Copies
from marketdata_assets.storage.database_turns import DatabaseRefuses
from marketdata_assets.storage.durable_files import DiskRefuses
from marketdata_assets.storage.lake import DamagedPartitions, Lake, MissingPartitions, Outcome
from marketdata_assets.storage.objects import (
    AGAIN,
    CLIENT,
    Objects,
    StoreRefuses,
    refuse_soon,
)
from marketdata_assets.storage.shared_lake import OtherVersionsThere, SharedLake
from marketdata_assets.tables import INSTRUMENT_HISTORY, PRICE_LIMITS
from marketdata_assets_tests.api.stored_world import history_of
from marketdata_assets_tests.disks import full_disk
from marketdata_assets_tests.distributed.store_proxy import StoreProxy
from marketdata_assets_tests.storage.tables_for_tests import DAY, NEXT_DAY, flip, limits

WRITERS, WRITES = "abc", 40
# In which the client gives a call up that is not answered.
SECONDS_BY_ITSELF = 30


@pytest.fixture
def lake(tmp_path: Path, shared: Hosts) -> SharedLake:
    return SharedLake(tmp_path / "one" / "sandbox", "test", shared)


@pytest.fixture
def other(tmp_path: Path, shared: Hosts) -> SharedLake:
    """The same lake, on another host."""
    return SharedLake(tmp_path / "other" / "sandbox", "test", shared)


def known(lake: SharedLake, moment: dt.datetime) -> list[tuple]:
    with (
        duckdb.connect() as connection,
        as_of(connection, lake, PRICE_LIMITS, [DAY], moment) as rows,
    ):
        return rows.select("ts_code, up_limit").fetchall()


def _rows(path: Path) -> tuple[str, float]:
    [row] = pq.read_table(path, partitioning=None).select(["ts_code", "up_limit"]).to_pylist()
    return row["ts_code"], row["up_limit"]


def moments(lake: SharedLake) -> list[dt.datetime]:
    with held_still(lake) as versions:
        return [one.known_from for one in versions.of(PRICE_LIMITS, DAY)]


def test_what_one_host_stores_another_reads(lake: SharedLake, other: SharedLake) -> None:
    stored = lake.write(PRICE_LIMITS, DAY, limits(DAY, a=11.0))
    assert (stored.outcome, stored.rows) == (Outcome.NEW, 1)
    assert other.load(PRICE_LIMITS, DAY).rows.equals(lake.load(PRICE_LIMITS, DAY).rows)
    assert other.days(PRICE_LIMITS) == [DAY]
    assert other.identities(PRICE_LIMITS) == {DAY: lake.identity(PRICE_LIMITS, DAY)}
    assert other.load(PRICE_LIMITS, DAY).file == lake.identity(PRICE_LIMITS, DAY)
    assert other.write(PRICE_LIMITS, DAY, limits(DAY, a=11.0)).outcome is Outcome.UNCHANGED
    assert other.write(PRICE_LIMITS, DAY, limits(DAY, a=12.0)).outcome is Outcome.REPLACED
    assert lake.load(PRICE_LIMITS, DAY).rows["up_limit"].to_pylist() == [12.0]


def test_a_step_looks_once_but_sees_what_it_writes_and_what_it_is_alone_with(
    lake: SharedLake, other: SharedLake, shared: Hosts
) -> None:
    elsewhere = Objects(f"{shared.lake}/sandbox")
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    with lake.looking_once():
        assert not lake.has(PRICE_LIMITS, NEXT_DAY)
        assert lake.days(PRICE_LIMITS) == [DAY]
        # Whoever opens the lake in this process has looked as well.
        other.write(PRICE_LIMITS, NEXT_DAY, limits(NEXT_DAY, a=1.0))
        other.write(PRICE_LIMITS, DAY, limits(DAY, a=2.0))
        assert lake.has(PRICE_LIMITS, NEXT_DAY)
        assert lake.days(PRICE_LIMITS) == [DAY, NEXT_DAY]
        assert lake.load(PRICE_LIMITS, DAY).rows["up_limit"].to_pylist() == [2.0]
        assert len(lake.earlier_versions(PRICE_LIMITS, DAY)) == 1
        assert lake.earlier_versions(PRICE_LIMITS, NEXT_DAY) == []
        key = f"lake/price_limits/2024/{DAY}.parquet"
        _, raw = elsewhere.get(key)
        elsewhere.put(key.replace(str(DAY), "2024-12-31"), raw)
        assert not lake.has(PRICE_LIMITS, dt.date(2024, 12, 31))
        with lake.alone(PRICE_LIMITS):
            assert lake.has(PRICE_LIMITS, dt.date(2024, 12, 31))
    assert lake.identity(PRICE_LIMITS, DAY) == other.identity(PRICE_LIMITS, DAY)


def test_who_looks_is_not_held_up_by_the_end_of_anothers_looking_once(lake: SharedLake) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    is_over = threading.Event()

    def look_once() -> None:
        while not is_over.is_set():
            with lake.looking_once():
                pass

    with ThreadPoolExecutor(2) as pool:
        others = [pool.submit(look_once) for _ in range(2)]
        try:
            assert all(lake.has(PRICE_LIMITS, DAY) for _ in range(500))
        finally:
            is_over.set()
        assert [other.result() for other in others] == [None, None]


def test_a_copy_of_one_machines_folder_is_refused_with_what_to_do(
    lake: SharedLake, tmp_path: Path
) -> None:
    """It names versions by when they ended: at that moment another one was stored."""
    folder = Lake(tmp_path / "alone", "test")
    for up in (1.0, 2.0):
        folder.write(PRICE_LIMITS, DAY, limits(DAY, a=up))
    for path in folder.root.rglob("*.parquet"):
        lake.objects.put(path.relative_to(folder.root).as_posix(), path.read_bytes())
    with pytest.raises(OtherVersionsThere, match="set MARKETDATA_LAKE to an empty place"):
        lake.write(PRICE_LIMITS, DAY, limits(DAY, a=3.0))
    assert lake.load(PRICE_LIMITS, DAY).rows.equals(limits(DAY, a=2.0))
    assert len(lake.earlier_versions(PRICE_LIMITS, DAY)) == 1


def test_other_programs_objects_are_no_partitions(lake: SharedLake) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=2.0))
    lake.write(INSTRUMENT_HISTORY, "HSI", history_of("HSI", [DAY]))
    for key in (
        f"lake/price_limits/2024/{NEXT_DAY}.csv",
        "lake/instrument_history/HSI (1).parquet",
        f"superseded/price_limits/2024/{DAY}/README.txt",
    ):
        lake.objects.put(key, b"?")
    assert lake.days(PRICE_LIMITS) == list(lake.identities_of_year(PRICE_LIMITS, 2024)) == [DAY]
    assert lake.codes(INSTRUMENT_HISTORY) == ["HSI"]
    assert len(lake.earlier_versions(PRICE_LIMITS, DAY)) == 1


def test_what_is_stored_for_all_is_not_denied_for_a_full_disk_of_one(
    lake: SharedLake, other: SharedLake
) -> None:
    with full_disk():
        assert lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0)).outcome is Outcome.NEW
        assert lake.write(PRICE_LIMITS, DAY, limits(DAY, a=2.0)).outcome is Outcome.REPLACED
        assert lake.write(PRICE_LIMITS, DAY, limits(DAY, a=2.0)).outcome is Outcome.UNCHANGED
        with pytest.raises(DiskRefuses, match=f"{DAY}.parquet could not be copied to this host"):
            other.load(PRICE_LIMITS, DAY)
    assert other.describe(PRICE_LIMITS, DAY) == lake.describe(PRICE_LIMITS, DAY)
    assert other.load(PRICE_LIMITS, DAY).rows["up_limit"].to_pylist() == [2.0]


def test_a_day_that_came_after_the_look_is_compared_and_put_aside(
    lake: SharedLake, shared: Hosts
) -> None:
    elsewhere, key = Objects(f"{shared.lake}/sandbox"), f"lake/price_limits/2024/{DAY}.parquet"
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    _, raw = elsewhere.get(key)
    for limit, outcome in ((1.0, Outcome.UNCHANGED), (2.0, Outcome.REPLACED)):
        elsewhere.delete([key])
        with lake.looking_once():
            assert not lake.has(PRICE_LIMITS, DAY)
            elsewhere.put(key, raw)
            assert lake.write(PRICE_LIMITS, DAY, limits(DAY, a=limit)).outcome is outcome
    assert len(lake.earlier_versions(PRICE_LIMITS, DAY)) == 1


def test_days_that_are_not_stored_are_named(lake: SharedLake) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=11.0))
    with pytest.raises(MissingPartitions, match=str(NEXT_DAY)):
        lake.paths(PRICE_LIMITS, [DAY, NEXT_DAY])
    assert lake.read(PRICE_LIMITS, NEXT_DAY) is None
    assert [path.exists() for path in lake.paths(PRICE_LIMITS, [DAY])] == [True]


def test_every_version_is_answered_for_its_time(lake: SharedLake, other: SharedLake) -> None:
    for number in (1.0, 2.0, 3.0):
        (lake if number % 2 else other).write(PRICE_LIMITS, DAY, limits(DAY, a=number))
    times = moments(other)
    assert [known(other, moment) for moment in times] == [[("a", 1.0)], [("a", 2.0)], [("a", 3.0)]]
    with pytest.raises(NotKnownThen):
        known(lake, times[0] - dt.timedelta(microseconds=1))
    just_before = times[2] - dt.timedelta(microseconds=1)
    assert known(lake, just_before) == [("a", 2.0)]


def test_a_copy_that_is_damaged_on_one_host_is_fetched_again(lake: SharedLake) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=11.0))
    flip(lake.file(PRICE_LIMITS, DAY), 2_000)
    assert lake.load(PRICE_LIMITS, DAY).rows["up_limit"].to_pylist() == [11.0]


def test_a_store_that_is_gone_refuses_an_api_within_seconds(
    shared: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, kept in {"AGAIN": AGAIN, "CLIENT": CLIENT}.items():
        monkeypatch.setattr(f"{Objects.__module__}.{name}", {**kept})
    refuse_soon()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StoreRefuses, match="retry_timeout: 3s"):
        Objects(shared.lake).head("any")
    # One that hangs: it is connected to, and never answers.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(StoreRefuses):
            Objects(shared.lake).head("any")
    assert time.monotonic() - began < SECONDS_BY_ITSELF


@pytest.mark.parametrize("status", [409, 412])
def test_a_conflict_where_no_condition_was_named_is_a_refusal(
    status: int, shared: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StoreProxy(os.environ["AWS_ENDPOINT_URL"]).running() as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL", store.url)
        objects = Objects(shared.lake)
        store.refuse_for(600, status)
        for call in (
            lambda: objects.put_file("any", b"one"),
            lambda: objects.get("any"),
            lambda: objects.fetch("any", tmp_path / "any"),
        ):
            with pytest.raises(StoreRefuses, match=f"{status}"):
                call()


def test_a_file_that_may_not_be_written_is_no_fault_of_the_store(shared: Hosts) -> None:
    objects = Objects(shared.lake)
    objects.put_file("any", b"one")
    # Nobody may, whoever it is.
    with pytest.raises(PermissionError):
        objects.fetch("any", Path("/proc/sys/kernel/ostype"))


def test_who_asks_what_was_known_does_not_wait_for_a_database_that_is_gone(
    lake: SharedLake, shared: Hosts, caplog: pytest.LogCaptureFixture
) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    nobody = shared._replace(database="postgresql://market@127.0.0.1:9/none")
    with pytest.raises(DatabaseRefuses):
        known(SharedLake(lake.root, "test", nobody), dt.datetime.now(dt.UTC))
    assert caplog.messages == []


def test_what_was_known_is_answered_from_copies_that_are_whole(lake: SharedLake) -> None:
    for number in (1.0, 2.0):
        lake.write(PRICE_LIMITS, DAY, limits(DAY, a=number))
    times = moments(lake)
    copies = [path for path in (lake.root / "copies").rglob("*") if path.is_file()]
    assert len(copies) == 3
    for path in copies:
        flip(path, 2_000)
    assert [known(lake, moment) for moment in times] == [[("a", 1.0)], [("a", 2.0)]]
    # As a power cut may leave them.
    for path in copies:
        path.write_bytes(b"")
    assert lake.held(PRICE_LIMITS).files == {}
    assert [known(lake, moment) for moment in times] == [[("a", 1.0)], [("a", 2.0)]]


def test_a_damaged_object_is_named_kept_aside_and_never_answered(
    lake: SharedLake, other: SharedLake, shared: Hosts
) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=10.0))
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=11.0))
    objects = Objects(f"{shared.lake}/sandbox")
    [one] = objects.listed("lake/price_limits")
    raw = bytearray(objects.get(one.key)[1])
    raw[len(raw) // 2] ^= 1
    objects.put(one.key, bytes(raw), one.etag)
    with pytest.raises(DamagedPartitions, match=str(DAY)):
        other.load(PRICE_LIMITS, DAY)
    before = moments(lake)
    assert lake.write(PRICE_LIMITS, DAY, limits(DAY, a=12.0)).outcome is Outcome.REPLACED
    assert known(other, dt.datetime.now(dt.UTC)) == [("a", 12.0)]
    with pytest.raises(NotReadableAsOf):
        known(other, before[-1])


def test_a_day_removed_by_hand_is_not_answered_as_an_older_version(
    lake: SharedLake, shared: Hosts
) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=2.0))
    time = moments(lake)[1]
    store = S3Store.from_url(f"{shared.lake}/sandbox", client_options={"allow_http": True})
    obstore.delete(store, f"lake/price_limits/2024/{DAY}.parquet")
    with pytest.raises(NotReadableAsOf, match="removed"):
        known(lake, time)


def test_old_copies_go_when_there_are_too_many(lake: SharedLake, shared: Hosts) -> None:
    paths = []
    for number in range(3):
        lake.write(PRICE_LIMITS, DAY, limits(DAY, a=float(number)))
        paths.append(lake.file(PRICE_LIMITS, DAY))
    copies = Copies(lake.root / "copies", Objects(shared.lake), most_bytes=paths[2].stat().st_size)
    copies.evict()
    assert [path.exists() for path in paths] == [True, True, True]
    used = paths[2].stat().st_mtime
    copies.evict(now=used + SECONDS_KEPT + 60)
    assert [path.exists() for path in paths] == [False, False, True]


def test_a_store_that_is_not_there_is_named_without_a_secret(tmp_path: Path, shared: Hosts) -> None:
    lake = SharedLake(tmp_path / "sandbox", "test", shared._replace(lake="s3://no-such-bucket/x"))
    with pytest.raises(StoreRefuses, match="no-such-bucket") as refused:
        lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    assert "SECRET" not in str(refused.value).upper().replace("AWS_…", "")


@contextlib.contextmanager
def turns_cut(database: str) -> Iterator[None]:
    """Meanwhile every connection that has a turn is cut, again and again."""
    is_over = threading.Event()

    def cut() -> None:
        with psycopg.connect(database, autocommit=True) as connection:
            while not is_over.wait(0.01):
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks "
                    "WHERE locktype = 'advisory' AND granted"
                )

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@pytest.mark.parametrize("are_cut", [False, True], ids=["with turns", "with turns cut"])
def test_whatever_was_acknowledged_is_answerable_though_a_writer_is_killed(
    are_cut: bool, shared: Hosts, tmp_path: Path
) -> None:
    """Three writers of one partition, of which one is killed midway."""
    with turns_cut(shared.database) if are_cut else contextlib.nullcontext():
        writers = {
            name: subprocess.Popen(
                [
                    sys.executable,
                    *("-m", "marketdata_assets_tests.distributed.writer"),
                    *(tmp_path / name / "sandbox", shared.database, shared.lake, name, str(WRITES)),
                ],
                stdout=subprocess.PIPE,
                text=True,
            )
            for name in WRITERS
        }
        told: list[str] = []
        for line in writers["a"].stdout:
            told.append(line)
            if len(told) == WRITES // 2:
                writers["a"].kill()
        for writer in writers.values():
            rest, _ = writer.communicate()
            told += rest.splitlines()
        assert [writers[name].returncode for name in WRITERS] == [-9, 0, 0]
    came = [line.split() for line in told if len(line.split()) == 3]
    acknowledged = {(name, float(value)) for what, name, value in came if what == "stored"}
    assert len(acknowledged) >= 20
    lake = SharedLake(tmp_path / "reader" / "sandbox", "test", shared)
    with held_still(lake) as held:
        versions = held.of(PRICE_LIMITS, DAY)
        rows = [_rows(version.path) for version in versions]
        assert all(known_at(versions, version.known_from) is version for version in versions)
    assert len(set(rows)) == len(rows), "a version twice"
    assert acknowledged <= set(rows)
    assert known(lake, versions[20].known_from) == [rows[20]]
    if not are_cut:
        assert not {what for what, _, _ in came} - {"stored"}
