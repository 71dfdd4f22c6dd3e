"""The queue of requests: joined, claimed once, concluded once, expired; under many processes."""

import datetime as dt
import os
import random
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import chain
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from marketdata_assets.serving.queries import ExportQuery, Format
from marketdata_assets.serving.request_database import QueueNotReady, RequestDatabase
from marketdata_assets.serving.requests import (
    RESULT_LASTS,
    ExportsFull,
    Request,
    RequestKind,
    Requests,
    State,
    TooManyOpen,
    UnknownRequest,
)

QUERY = ExportQuery(codes=["600000.SH", "HSI"], format=Format.CSV)
NOW = dt.datetime.now(dt.UTC)
MINUTE, DAY = dt.timedelta(minutes=1), dt.timedelta(days=1)


@pytest.fixture
def requests(tmp_path: Path) -> Requests:
    return Requests(tmp_path)


def test_an_export_from_the_question_to_the_file_that_expires(requests: Requests) -> None:
    asked = requests.request_export(QUERY)
    assert (asked.kind, asked.state, asked.code) == (RequestKind.EXPORT, State.QUEUED, None)
    assert asked.export_query == QUERY
    [claimed] = requests.claim(10)
    assert (claimed.id, claimed.state) == (asked.id, State.RUNNING)
    assert requests.started(asked.id, "run 1")
    file = requests.exports / f"{asked.id}.csv"
    file.write_text("code,date\n")
    beside = requests.exports / f"{asked.id}.json"
    beside.write_text("{}")
    assert requests.finish(asked.id, file.name, rows=0)
    done = requests.get(asked.id)
    assert (done.state, done.run_id, done.rows) == (State.DONE, "run 1", 0)
    assert requests.result(done) == file
    assert done.expires is not None
    assert requests.expire(done.expires - MINUTE) == []
    assert [one.id for one in requests.expire(done.expires)] == [asked.id]
    expired = requests.get(asked.id)
    assert (expired.state, expired.expires) == (State.EXPIRED, None)
    assert requests.result(expired) is None
    assert not file.exists()
    assert not beside.exists()
    assert requests.expire(NOW + 32 * DAY) == []
    with pytest.raises(UnknownRequest, match=asked.id):
        requests.get(asked.id)


def test_who_asks_for_a_code_on_its_way_joins_the_request(requests: Requests) -> None:
    first = requests.request_history("HSI")
    assert requests.request_history("HSI", refresh=True).id == first.id
    assert requests.get(first.id).refresh
    assert requests.request_history("NDX").id != first.id
    assert len(requests.claim(10)) == 2
    assert requests.request_history("HSI").id == first.id
    requests.finish(first.id)
    assert requests.request_history("HSI").id != first.id


def test_a_history_that_failed_a_moment_ago_is_not_fetched_again_unless_told(
    requests: Requests,
) -> None:
    failed = requests.request_history("HSI")
    requests.claim(1)
    requests.fail(failed.id, "nobody has it")
    again = requests.request_history("HSI")
    assert (again.id, again.state, again.error) == (failed.id, State.FAILED, "nobody has it")
    assert requests.request_history("HSI", refresh=True).id != failed.id


def test_there_is_one_outcome_and_one_run(requests: Requests) -> None:
    asked = requests.request_export(QUERY)
    requests.claim(1)
    assert requests.started(asked.id, "run 1")
    assert requests.started(asked.id, "run 1")
    assert not requests.started(asked.id, "run 2")
    assert requests.fail(asked.id, "killed")
    assert not requests.finish(asked.id, "late.csv", rows=1)
    assert not requests.started(asked.id, "run 1")
    assert requests.get(asked.id).error == "killed"


def test_a_claim_without_a_run_is_over_after_a_while(requests: Requests) -> None:
    one, other = requests.request_history("HSI"), requests.request_history("NDX")
    now = dt.datetime.now(dt.UTC)
    assert [claimed.id for claimed in requests.claim(1, now)] == [one.id]
    assert [claimed.id for claimed in requests.claim(10, now)] == [other.id]
    assert requests.claim(10, now + MINUTE) == []
    requests.started(other.id, "run 1")
    assert [claimed.id for claimed in requests.claim(10, now + 3 * MINUTE)] == [one.id]


def test_open_requests_have_a_limit(tmp_path: Path) -> None:
    requests = Requests(tmp_path, most_open_exports=2, most_open_histories=1)
    first = requests.request_export(QUERY)
    requests.request_export(QUERY)
    with pytest.raises(TooManyOpen, match="2 export requests are open, which is the limit"):
        requests.request_export(QUERY)
    requests.request_history("HSI")
    requests.request_history("HSI")
    with pytest.raises(TooManyOpen, match="1 history"):
        requests.request_history("NDX")
    requests.claim(10)
    assert requests.open_counts() == {
        (RequestKind.EXPORT, State.QUEUED): 0,
        (RequestKind.EXPORT, State.RUNNING): 2,
        (RequestKind.HISTORY, State.QUEUED): 0,
        (RequestKind.HISTORY, State.RUNNING): 1,
    }
    requests.finish(first.id, "x.csv", 1)
    requests.request_export(QUERY)


def test_folders_of_other_programs_do_not_keep_results_from_expiring(requests: Requests) -> None:
    folder = requests.exports / "@eaDir"
    folder.mkdir()
    os.utime(folder, (0, 0))
    left = requests.exports / ".0.csv.unfinished"
    left.touch()
    os.utime(left, (0, 0))
    assert requests.expire(NOW + DAY) == []
    assert list(requests.exports.iterdir()) == [folder]


def test_finished_exports_have_a_limit_until_they_expire(tmp_path: Path) -> None:
    requests = Requests(tmp_path, most_export_bytes=1_000)
    first = requests.request_export(QUERY)
    (requests.exports / f"{first.id}.csv").write_bytes(b"x" * 1_001)
    requests.claim(1)
    requests.finish(first.id, f"{first.id}.csv", 1)
    with pytest.raises(ExportsFull, match="1e-06 GB, which is the limit"):
        requests.request_export(QUERY)
    requests.expire(dt.datetime.now(dt.UTC) + RESULT_LASTS)
    requests.request_export(QUERY)


def test_what_is_stored_answers_a_request_that_nobody_wants_renewed(requests: Requests) -> None:
    one = requests.request_history("HSI")
    requests.claim(1)
    requests.request_history("HSI", refresh=True)
    assert not requests.finish_as_stored(one.id)
    assert requests.get(one.id).state.is_open
    other = requests.request_history("NDX")
    assert requests.finish_as_stored(other.id)
    assert not requests.finish_as_stored(other.id)


@pytest.mark.parametrize("statement", ["DROP INDEX by_state", "CREATE TABLE other (x)"])
def test_a_database_of_another_version_is_kept_aside(tmp_path: Path, statement: str) -> None:
    asked = Requests(tmp_path).request_history("HSI")
    path = tmp_path / "state" / "requests.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()
    with pytest.raises(UnknownRequest):
        Requests(tmp_path).get(asked.id)
    with sqlite3.connect(path.with_name("requests.damaged.sqlite3")) as connection:
        assert connection.execute("SELECT id FROM requests").fetchall() == [(asked.id,)]
    connection.close()


FLIPS = 60
PAGE = 4_096


def test_of_flipped_bits_none_is_answered_and_all_are_mended(tmp_path: Path) -> None:
    requests = Requests(tmp_path)
    asked = [requests.request_history(f"{100_000 + n}.CSI") for n in range(8)]
    asked += [requests.request_export(QUERY) for _ in range(2)]
    requests.fail(asked[0].id, "nobody has it")
    asked[0] = requests.get(asked[0].id)
    folder, path = tmp_path / "state", tmp_path / "state" / "requests.sqlite3"
    whole, chance = path.read_bytes(), random.Random(1)
    header = [18 * 8 + bit for bit in range(8)]
    kept_aside = 0
    for bit in [*header, *(chance.randrange(len(whole) * 8) for _ in range(FLIPS))]:
        for file in folder.glob("requests.*sqlite3*"):
            file.unlink()
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        # One that has been at work for long, like the API's, and one of a sensor's next tick.
        found = [answered(requests, one.id) for one in asked]
        assert [one for one in found if one and one not in asked] == []
        found = [answered(Requests(tmp_path), one.id) for one in asked]
        is_new = (folder / "requests.damaged.sqlite3").exists()
        assert found == ([None] * len(asked) if is_new else asked), bit
        again = Requests(tmp_path).request_history("HSI")
        assert again in Requests(tmp_path).claim(100) or again.state is State.QUEUED
        kept_aside += is_new
    assert kept_aside > FLIPS / 10


def without_its_index(path: Path, request_id: str) -> None:
    """Spoil what says in the index by id where the request is; the row itself is whole."""
    raw = path.read_bytes()
    places = [found.start() for found in re.finditer(request_id.encode(), raw)]
    # The row holds it twice, once in its proof; the index is the page that holds it alone.
    pages = Counter(place // PAGE for place in places)
    [at] = [place for place in places if pages[place // PAGE] == 1]
    spoiled = bytearray(raw)
    spoiled[at] ^= 1
    path.write_bytes(spoiled)


@pytest.fixture
def many(requests: Requests) -> Request:
    """One of as many requests as fill several pages."""
    return [requests.request_history(f"{100_000 + n}.CSI") for n in range(60)][30]


def test_no_request_is_unknown_because_the_index_is_damaged(
    tmp_path: Path, requests: Requests, many: Request
) -> None:
    with pytest.raises(UnknownRequest):
        requests.get("nobody's")
    without_its_index(tmp_path / "state" / "requests.sqlite3", many.id)
    with pytest.raises(QueueNotReady, match="was damaged and is new now"):
        requests.get(many.id)
    assert requests.has_damaged_copy()


def test_what_nobody_trips_over_is_noticed_when_the_proof_is_old(
    tmp_path: Path, many: Request
) -> None:
    lasting, renewed = Requests(tmp_path), Requests(tmp_path, proof_lasts=dt.timedelta(0))
    for requests in (lasting, renewed):
        assert len(requests.claim(0)) == 0
    without_its_index(tmp_path / "state" / "requests.sqlite3", many.id)
    lasting.open_counts()
    assert not lasting.has_damaged_copy()
    renewed.open_counts()
    assert renewed.has_damaged_copy()


def test_a_proof_that_is_due_waits_for_nobody_who_writes(tmp_path: Path) -> None:
    requests = Requests(tmp_path, patience=dt.timedelta(0), proof_lasts=dt.timedelta(0))
    asked = requests.request_history("HSI")
    with closing(sqlite3.connect(tmp_path / "state" / "requests.sqlite3")) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert requests.get(asked.id) == asked


def answered(requests: Requests, request_id: str) -> Request | None:
    try:
        return requests.get(request_id)
    except (QueueNotReady, UnknownRequest):
        return None


def test_a_fault_of_ours_is_no_damage(requests: Requests, tmp_path: Path) -> None:
    asked = requests.request_history("HSI")
    database = RequestDatabase(tmp_path / "state" / "requests.sqlite3", MINUTE, MINUTE)
    with (
        pytest.raises(sqlite3.OperationalError, match="no such column"),
        database.connection() as connection,
    ):
        connection.execute("SELECT nonsense FROM requests")
    assert Requests(tmp_path).get(asked.id) == asked


def test_who_is_kept_waiting_by_another_process_is_told(tmp_path: Path) -> None:
    requests = Requests(tmp_path, patience=dt.timedelta(0))
    asked = requests.request_history("HSI")
    with (
        held(tmp_path),
        pytest.raises(QueueNotReady, match="another process holds it"),
    ):
        requests.get(asked.id)
    assert requests.get(asked.id) == asked


@contextmanager
def held(root: Path) -> Iterator[None]:
    """Nobody else can read or write the database meanwhile."""
    with closing(sqlite3.connect(root / "state" / "requests.sqlite3")) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        yield


def ask_and_claim(root: Path, number: int) -> tuple[list[str], list[str]]:
    """A process with four threads that ask for the same codes, and claim until nothing is left."""
    requests = Requests(root)

    def ask(code: str) -> str:
        return requests.request_history(code).id

    def claim(_: int) -> list[str]:
        return [one.id for one in requests.claim(3)]

    with ThreadPoolExecutor(4) as threads:
        asked = list(threads.map(ask, [f"{100_000 + n}.CSI" for n in range(40)]))
        claimed = list(chain.from_iterable(threads.map(claim, range(20))))
    return asked, claimed


def test_processes_and_threads_share_one_queue(
    processes: ForkServerContext, tmp_path: Path
) -> None:
    with ProcessPoolExecutor(3, mp_context=processes) as pool:
        done = [
            one.result(60) for one in [pool.submit(ask_and_claim, tmp_path, n) for n in (1, 2, 3)]
        ]
    assert len(set(chain.from_iterable(asked for asked, _ in done))) == 40
    claims = Counter(chain.from_iterable(claimed for _, claimed in done))
    assert len(claims) == 40
    assert set(claims.values()) == {1}


def test_a_disk_that_is_full_is_told_though_sqlite_has_rolled_back_already(tmp_path: Path) -> None:
    database = RequestDatabase(tmp_path / "requests.sqlite3", MINUTE, MINUTE)
    with pytest.raises(QueueNotReady, match="the disk is full"):
        fill(database)
    with database.connection() as connection:
        assert connection.execute("SELECT count(*) FROM requests").fetchone() == (0,)


def fill(database: RequestDatabase) -> None:
    """Write, all or nothing, more than a file of eight pages holds."""
    with database.transaction() as connection:
        connection.execute("PRAGMA max_page_count = 8")
        for number in range(200):
            connection.execute(
                "INSERT INTO requests (id, kind, state, created, code) "
                "VALUES (?, 'history', 'done', 1, 'HSI')",
                (f"{number:100}",),
            )


def test_a_folder_of_results_that_somebody_removed_keeps_nobody_from_asking(
    requests: Requests,
) -> None:
    requests.exports.rmdir()
    asked = requests.request_export(QUERY)
    assert requests.expire() == []
    assert [one.id for one in requests.claim(1)] == [asked.id]
