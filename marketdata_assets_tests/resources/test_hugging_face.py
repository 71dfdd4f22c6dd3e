"""Publishing over the wire: what each fault makes of it, and that no secret gets out."""

import datetime as dt
import itertools
import logging
import pickle
import shutil
import threading
import traceback
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from marketdata_assets.listening import is_simulated
from marketdata_assets.resources.hub_errors import (
    BadHubToken,
    BoundReached,
    HeadMoved,
    HubBusy,
    HubError,
    HubUnavailable,
    NoRepository,
    NotALocalHub,
    NoWriteAccess,
    RefusedByHub,
    TooLarge,
    scrubbed,
)
from marketdata_assets.resources.publisher import Outcome
from marketdata_assets.storage.durable_files import DiskRefuses
from marketdata_assets.storage.lake import Lake
from marketdata_assets_tests.disks import full_disk
from marketdata_assets_tests.hub_emulator import faults
from marketdata_assets_tests.hub_emulator.faults import Fault
from marketdata_assets_tests.hub_emulator.server import HubServer
from marketdata_assets_tests.hubs import TOKEN, hub_at
from marketdata_assets_tests.publishing.prices import SHARES, store
from marketdata_assets_tests.resources.hub_publishing import (
    DAYS,
    FIRST,
    NEW,
    ORIGIN,
    WakefulHub,
    hub_resource,
    marker,
    publish,
    published_keys,
    titles,
)

NEW_TITLE = f"{NEW} … {NEW}"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path, ORIGIN)
    store(lake, DAYS)
    return lake


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub on which all days but the last are, and the folder of who has published them."""
    root = tmp_path_factory.mktemp("published")
    lake = Lake(root, ORIGIN)
    store(lake, FIRST)
    with hub_at(root / "hub") as server:
        publish(hub_resource(server, root / "work"), lake, FIRST)
    return root


@pytest.fixture
def hub(hub_server: HubServer, published: Path, tmp_path: Path) -> WakefulHub:
    """All days but the last are published."""
    for name in ("hub", "work"):
        shutil.copytree(published / name, tmp_path / name, dirs_exist_ok=True)
    return hub_resource(hub_server, tmp_path / "work")


def assert_complete(hub_server: HubServer, days: list[dt.date] = DAYS) -> None:
    assert published_keys(hub_server.protocol.store) == list(
        itertools.product(days, sorted(SHARES))
    )
    assert marker(hub_server.protocol.store) == f"{days[-1]:%Y%m%d}"


def test_a_day_is_one_commit_that_says_what_it_did(
    hub: WakefulHub, lake: Lake, hub_server: HubServer
) -> None:
    done = publish(hub, lake, [NEW])
    assert done.outcome is Outcome.COMMITTED
    assert titles(hub_server)[1:] == [NEW_TITLE]
    assert done.revision == hub_server.protocol.store.head(hub.repository)
    assert done.place == f"{hub_server.url}/datasets/someone/prices/commit/{done.revision}"
    assert done.files_changed == [
        ".last_update_date",
        "README.md",
        "all-prices.csv",
        "data/prices-2024.parquet",
        "manifest.json",
    ]
    assert 0 < done.bytes_sent <= hub_server.bytes_received
    assert_complete(hub_server)


def test_publishing_again_sends_nothing(hub: WakefulHub, lake: Lake, hub_server: HubServer) -> None:
    publish(hub, lake, [NEW])
    hub_server.requests.clear()
    done = publish(hub, lake, [NEW])
    assert done.outcome is Outcome.ALREADY_THERE
    assert done.files_changed == []
    assert not {"preupload", "upload", "commit"} & set(hub_server.stages())
    assert titles(hub_server)[1:] == [NEW_TITLE]


def test_a_full_disk_is_no_fault_of_the_hub_and_told_at_once(
    hub: WakefulHub, lake: Lake, hub_server: HubServer, tmp_path: Path
) -> None:
    # Without local copies the client downloads what is published.
    shutil.rmtree(tmp_path / "work")
    with full_disk(1_000), pytest.raises(DiskRefuses, match="Make room") as refusal:
        publish(hub, lake, [NEW])
    assert hub._pauses == []
    # The client's own exceptions hold the token.
    assert refusal.value.__cause__ is not None
    assert refusal.value.__cause__.__context__ is None
    publish(hub, lake, [NEW])
    assert_complete(hub_server)


def test_state_is_read_at_the_sha_of_the_head_never_at_a_branch(
    hub: WakefulHub, lake: Lake, hub_server: HubServer
) -> None:
    publish(hub, lake, [NEW])
    for request in hub_server.requests:
        if request.stage in ("tree", "resolve"):
            assert "/main" not in request.target


RECOVERED: dict[str, tuple[dict[str, list[Fault]], Outcome]] = {
    "answer lost after the commit": ({"commit": [faults.answer_lost()]}, Outcome.FOUND),
    "504 after the commit": ({"commit": [faults.done_but(504)]}, Outcome.FOUND),
    "500 after the commit": ({"commit": [faults.done_but(500)]}, Outcome.FOUND),
    "500 before the commit": ({"commit": [faults.refusal(500)]}, Outcome.COMMITTED),
    "503 on info": ({"info": [faults.refusal(503)] * 2}, Outcome.COMMITTED),
    "503 on the tree": ({"tree": [faults.refusal(503)]}, Outcome.COMMITTED),
    "connection lost on info": ({"info": [faults.dropped()]}, Outcome.COMMITTED),
    "upload dropped once": ({"upload": [faults.dropped()]}, Outcome.COMMITTED),
    "500 on the batch": ({"batch": [faults.refusal(500)]}, Outcome.COMMITTED),
    "412, the head is the same": ({"commit": [faults.refusal(412)]}, Outcome.COMMITTED),
    "409, the head is the same": ({"commit": [faults.refusal(409)]}, Outcome.COMMITTED),
    "429 with a wait": ({"commit": [faults.refusal(429, Retry_After="7")]}, Outcome.COMMITTED),
}


@pytest.mark.parametrize("fault", RECOVERED)
def test_what_passes_ends_in_exactly_one_commit(
    fault: str, hub: WakefulHub, lake: Lake, hub_server: HubServer
) -> None:
    injected, outcome = RECOVERED[fault]
    hub_server.faults = {stage: deque(some) for stage, some in injected.items()}
    done = publish(hub, lake, [NEW])
    assert done.outcome is outcome
    assert titles(hub_server)[1:] == [NEW_TITLE]
    assert_complete(hub_server)
    assert publish(hub, lake, [NEW]).outcome is Outcome.ALREADY_THERE


def test_the_wait_that_the_hub_dictates_is_kept(
    hub: WakefulHub, lake: Lake, hub_server: HubServer
) -> None:
    hub_server.faults = {"commit": deque([faults.refusal(429, Retry_After="7")])}
    publish(hub, lake, [NEW])
    assert hub._pauses == [7]


REFUSED: dict[str, tuple[str, Fault, type[HubError], str]] = {
    "401 on info": ("info", faults.refusal(401), BadHubToken, "Set HF_TOKEN"),
    "401 on commit": ("commit", faults.refusal(401), BadHubToken, "Set HF_TOKEN"),
    "403 on commit": ("commit", faults.refusal(403), NoWriteAccess, "write access"),
    "403 on preupload": ("preupload", faults.refusal(403), NoWriteAccess, "write access"),
    "404 on commit": ("commit", faults.refusal(404, "", "RepoNotFound"), NoRepository, "Create"),
    "413 on commit": ("commit", faults.refusal(413), TooLarge, "no file or commit of this size"),
    "413 on upload": ("upload", faults.refusal(413), TooLarge, "no file or commit of this size"),
    "400 on commit": ("commit", faults.refusal(400), RefusedByHub, "refuses this form"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_a_retry_can_not_mend_fails_at_once_and_says_what_to_do(
    fault: str, hub: WakefulHub, lake: Lake, hub_server: HubServer
) -> None:
    stage, injected, kind, cure = REFUSED[fault]
    hub_server.faults = {stage: deque([injected])}
    with pytest.raises(kind, match=cure) as refusal:
        publish(hub, lake, [NEW])
    assert "someone/prices" in str(refusal.value)
    assert hub_server.stages().count("info") == 1
    assert hub._pauses == []
    assert titles(hub_server)[1:] == []
    assert_complete(hub_server, FIRST)
    assert publish(hub, lake, [NEW]).outcome is Outcome.COMMITTED
    assert_complete(hub_server)


def test_a_dataset_that_does_not_exist_is_not_created_unasked(
    hub_server: HubServer, lake: Lake, tmp_path: Path
) -> None:
    hub = hub_resource(hub_server, tmp_path / "work", repository="someone/else")
    with pytest.raises(NoRepository, match="Create the dataset at https"):
        publish(hub, lake, DAYS)
    assert "create" not in hub_server.stages()


def test_a_commit_that_is_applied_late_loses_against_its_repetition(
    hub_server: HubServer, hub: WakefulHub, lake: Lake, tmp_path: Path
) -> None:
    released = threading.Event()
    hub_server.faults = {"commit": deque([faults.done_late(released), faults.then(released)])}
    hasty = hub_resource(hub_server, tmp_path / "work", silence_seconds=0.5)
    assert publish(hasty, lake, [NEW]).outcome is Outcome.COMMITTED
    assert titles(hub_server)[1:] == [NEW_TITLE]
    assert_complete(hub_server)


def test_a_commit_that_is_applied_late_but_before_its_repetition_is_found(
    hub_server: HubServer, hub: WakefulHub, lake: Lake, tmp_path: Path
) -> None:
    released = threading.Event()
    hub_server.faults = {
        "commit": deque([faults.done_late(released)]),
        "preupload": deque([faults.first(lambda: None), faults.first(released.set)]),
    }
    hasty = hub_resource(hub_server, tmp_path / "work", silence_seconds=0.5)
    assert publish(hasty, lake, [NEW]).outcome in (Outcome.FOUND, Outcome.COMMITTED)
    assert titles(hub_server)[1:] == [NEW_TITLE]
    assert_complete(hub_server)


def test_another_publisher_of_the_same_day_makes_ours_unnecessary(
    hub_server: HubServer, hub: WakefulHub, lake: Lake
) -> None:
    store_ = hub_server.protocol.store
    before = store_.at(hub.repository, "main")
    publish(hub, lake, [NEW])
    theirs = store_.at(hub.repository, "main")
    # Back to the day before; then the other one commits while ours is on its way.
    store_.commit(hub.repository, "back", theirs.sha, before.files)

    def be_quicker() -> None:
        store_.commit(hub.repository, "theirs", None, theirs.files)

    hub_server.faults = {"commit": deque([faults.first(be_quicker)])}
    assert publish(hub, lake, [NEW]).outcome is Outcome.FOUND
    assert titles(hub_server)[1:] == [NEW_TITLE, "back", "theirs"]
    assert_complete(hub_server)


def test_a_commit_of_other_files_in_between_is_built_upon(
    hub_server: HubServer, hub: WakefulHub, lake: Lake
) -> None:
    def add_a_note() -> None:
        store_ = hub_server.protocol.store
        entry = store_.at(hub.repository, "main").files[".last_update_date"]
        store_.commit(hub.repository, "a note", None, {"note.txt": entry})

    hub_server.faults = {"commit": deque([faults.first(add_a_note)])}
    assert publish(hub, lake, [NEW]).outcome is Outcome.COMMITTED
    assert titles(hub_server)[1:] == ["a note", NEW_TITLE]
    assert "note.txt" in hub_server.protocol.store.at(hub.repository, "main").files
    assert_complete(hub_server)


def test_a_hub_that_stays_away_ends_in_a_clear_error(
    hub_server: HubServer, hub: WakefulHub, lake: Lake, tmp_path: Path
) -> None:
    hub_server.faults = {"info": deque([faults.refusal(503)] * 50)}
    patient = hub_resource(hub_server, tmp_path / "work", bound_seconds=3600)
    hub_server.requests.clear()
    with pytest.raises(HubUnavailable, match="HTTP 503"):
        publish(patient, lake, [NEW])
    assert len(hub_server.stages()) < 10


def test_publishers_that_never_stop_end_in_a_clear_error(
    hub_server: HubServer, hub: WakefulHub, lake: Lake
) -> None:
    hub_server.faults = {"commit": deque([faults.refusal(412)] * 50)}
    with pytest.raises(HeadMoved, match="Others keep committing"):
        publish(hub, lake, [NEW])


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("stage", ["info", "preupload", "upload", "commit"])
def test_a_wait_beyond_the_bound_of_the_run_is_not_waited_for(
    hub_server: HubServer, hub: WakefulHub, lake: Lake, stage: str, status: int
) -> None:
    hub_server.faults = {stage: deque([faults.refusal(status, Retry_After="3600")])}
    kind = HubBusy if status == 429 else HubUnavailable
    with pytest.raises(kind, match=rf"HTTP {status}, to be asked again in 3600 s"):
        publish(hub, lake, [NEW])
    assert hub._pauses == []


def test_a_hub_that_never_answers_is_given_up_in_time(
    hub_server: HubServer, hub: WakefulHub, lake: Lake, tmp_path: Path
) -> None:
    never = threading.Event()
    hub_server.faults = {"info": deque([faults.done_late(never)] * 50)}
    hasty = hub_resource(hub_server, tmp_path / "work", silence_seconds=0.2, bound_seconds=1.0)
    with pytest.raises((BoundReached, HubUnavailable)):
        publish(hasty, lake, [NEW])
    never.set()


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nX-Drip: ", b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"],
    ids=["headers", "body"],
)
def test_a_hub_that_answers_byte_by_byte_is_hung_up_on(
    hub_server: HubServer, hub: WakefulHub, lake: Lake, tmp_path: Path, head: bytes
) -> None:
    was_hung_up_on, beat = threading.Event(), threading.Event()

    def drip(exchange: Any) -> None:
        exchange.close_connection = True
        exchange.wfile.write(head)
        try:
            for _ in range(400):
                exchange.wfile.write(b"x")
                beat.wait(0.05)
        except OSError:
            was_hung_up_on.set()

    # The first request of a publication, so that nothing else uses up the time.
    hub_server.faults = {"info": deque([drip])}
    hasty = hub_resource(hub_server, tmp_path / "work", bound_seconds=2.0)
    with pytest.raises(BoundReached, match="not done within 2 s"):
        publish(hasty, lake, [NEW])
    assert was_hung_up_on.wait(10)
    assert titles(hub_server)[1:] == []


@pytest.mark.parametrize("stage", ["info", "tree", "batch", "upload", "commit"])
def test_no_secret_is_in_any_text_log_or_pickle(
    hub_server: HubServer,
    hub: WakefulHub,
    lake: Lake,
    stage: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    said = f"token {TOKEN} at https://s3.example/x?X-Amz-Signature=5e4f9c"
    waits = [faults.dropped()] if stage in ("batch", "upload") else []
    hub_server.faults = {stage: deque([*waits, faults.refusal(403, said)])}
    with pytest.raises(HubError) as refusal:
        publish(hub, lake, [NEW])
    error = refusal.value
    assert error.__cause__ is None
    assert error.__context__ is None
    told = capfd.readouterr()
    texts = [
        str(error),
        repr(error),
        pickle.dumps(error).decode("latin-1"),
        str(pickle.loads(pickle.dumps(error))),
        "".join(traceback.format_exception(error)),
        caplog.text,
        told.out,
        told.err,
    ]
    for text in texts:
        assert TOKEN not in text
        assert "5e4f9c" not in text
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_scrubbing_takes_tokens_and_the_queries_of_urls() -> None:
    text = "Bearer hf_abc123 PUT http://127.0.0.1/lfs/ab?Signature=x failed; https://h/a?b=c"
    assert scrubbed(text) == "Bearer *** PUT http://127.0.0.1/lfs/ab*** failed; https://h/a***"


def test_the_token_is_not_in_the_resource_s_text(hub: WakefulHub) -> None:
    assert TOKEN not in repr(hub)


@pytest.mark.parametrize(
    ("origin", "simulated"),
    [
        ("sandbox: simulated, not a real market", True),
        ("Tushare, 127.0.0.1", True),
        ("Tushare, localhost", True),
        ("Tushare, api.tushare.pro", False),
        ("Tushare, tushare.example.cn", False),
    ],
)
def test_simulated_rows_go_to_a_local_hub_only(
    origin: str, simulated: bool, lake: Lake, tmp_path: Path
) -> None:
    assert is_simulated(origin) is simulated
    if simulated:
        lake.origin = origin
        hub = WakefulHub(repository="a/b", token=TOKEN, work_folder=str(tmp_path / "w"))
        with pytest.raises(NotALocalHub, match="hub on this machine only"):
            publish(hub, lake, [NEW])
