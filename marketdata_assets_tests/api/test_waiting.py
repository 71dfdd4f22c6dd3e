"""A code that is not stored: requested once, awaited, and answered when somebody has made it."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from marketdata_assets.api.waiting import SECONDS_FOR_THE_QUEUE
from marketdata_assets.serving.requests import Request, Requests
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import INSTRUMENT_HISTORY
from marketdata_assets_tests.api.serving import Client, served
from marketdata_assets_tests.api.stored_world import DAYS, FUND, history_of
from marketdata_assets_tests.serving.test_requests import held

Answering = Callable[[Request], object]


@contextmanager
def answered_by(queue: Requests, answer: Answering) -> Iterator[list[Request]]:
    """A thread that takes requests off the queue, as the sensor and its runs do."""
    stop, taken = threading.Event(), []

    def work() -> None:
        while not stop.wait(0.01):
            for request in queue.claim(10):
                taken.append(request)
                answer(request)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield taken
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Client]:
    with served(tmp_path) as client:
        yield client


def storing(client: Client, close: float = 100.0) -> Answering:
    lake, queue = Lake(client.state.root, "test"), client.queue

    def store(request: Request) -> None:
        assert request.code
        lake.write(INSTRUMENT_HISTORY, request.code, history_of(request.code, DAYS[-30:], close))
        queue.finish(request.id)

    return store


def failing(client: Client, error: str) -> Answering:
    return lambda request: client.queue.fail(request.id, error) and None


def test_the_call_waits_and_answers(empty: Client) -> None:
    with answered_by(empty.queue, storing(empty)) as taken:
        answer = empty.get("/api/v1/ohlcv", code="btc")
        assert answer.status_code == 200
        assert answer.json()["count"] == 30
        assert answer.json()["cached"] is False
        again = empty.get("/api/v1/ohlcv", code="btc").json()
        assert again["cached"] is True
    assert [request.code for request in taken] == ["BTC"]


def test_a_call_that_waited_in_vain_says_where_to_look(empty: Client) -> None:
    began = time.monotonic()
    answer = empty.get("/api/v1/ohlcv", code="BTC", wait=0.3)
    assert 0.3 <= time.monotonic() - began < 20
    assert answer.status_code == 202
    told = answer.json()
    assert (told["code"], told["asset_type"], told["status"]) == ("BTC", "crypto", "queued")
    assert answer.headers["Location"] == told["status_url"]
    status = empty.get(told["status_url"])
    assert status.status_code == 200
    assert status.json()["id"] == told["request_id"]
    assert (status.json()["kind"], status.json()["status"]) == ("history", "queued")
    # Asked again, it is the same request.
    assert empty.get("/api/v1/ohlcv", code="BTC", wait=0).json()["request_id"] == told["request_id"]
    with answered_by(empty.queue, storing(empty)):
        assert empty.get("/api/v1/ohlcv", code="BTC").status_code == 200
    assert empty.get(told["status_url"]).json()["status"] == "done"


def test_a_failed_request_is_a_502_with_its_error(empty: Client) -> None:
    with answered_by(empty.queue, failing(empty, "Sina: HTTP 503.")) as taken:
        for code in ("BTC", "BTC", FUND):
            answer = empty.get("/api/v1/ohlcv", code=code)
            assert answer.status_code == 502
            told = answer.json()
            assert (told["error"], told["code"]) == ("Sina: HTTP 503.", code)
            assert empty.get(told["status_url"]).json()["error"] == "Sina: HTTP 503."
    # What has just failed is not asked of the sources again at once.
    assert [request.code for request in taken] == ["BTC", FUND]


def test_a_request_that_is_done_without_data_is_a_404(empty: Client) -> None:
    queue = empty.queue
    with answered_by(queue, lambda request: queue.finish(request.id) and None) as taken:
        for path, code, kind in (("ohlcv", "BTC", "crypto"), ("etf/nav", FUND, "china_etf")):
            answer = empty.get(f"/api/v1/{path}", code=code, start="2024-01-01", end="2024-02-01")
            assert answer.status_code == 404
            told = answer.json()
            assert ("Materialize etf_premium" in told.pop("message", "")) == (code == FUND)
            assert told == {
                "error": "No data available",
                "code": code,
                "asset_type": kind,
                "start": "2024-01-01",
                "end": "2024-02-01",
            }
    # No history by code has values of a fund.
    assert [request.code for request in taken] == ["BTC"]


def test_nocache_renews_that_code_alone(empty: Client) -> None:
    with answered_by(empty.queue, storing(empty)):
        for code in ("BTC", "ETH"):
            empty.get("/api/v1/ohlcv", code=code)
    with answered_by(empty.queue, storing(empty, close=200.0)) as taken:
        answer = empty.get("/api/v1/ohlcv", code="BTC", nocache="true")
        assert answer.status_code == 200
        assert (answer.json()["cached"], answer.json()["data"][-1]["close"]) == (False, 229.0)
        assert empty.get("/api/v1/ohlcv", code="ETH").json()["data"][-1]["close"] == 129.0
    assert [(request.code, request.refresh) for request in taken] == [("BTC", True)]
    # Stored data are no answer to who asks for new ones.
    assert empty.get("/api/v1/ohlcv", code="BTC", nocache="true", wait=0).status_code == 202


def test_waiting_calls_hold_nobody_up(tmp_path: Path) -> None:
    patience = 600
    with (
        served(tmp_path, default_wait=patience, longest_wait=patience) as empty,
        ThreadPoolExecutor(60) as callers,
    ):
        # More than there are threads to answer with.
        waiting = [callers.submit(empty.get, "/api/v1/ohlcv", code="BTC") for _ in range(60)]
        began = time.monotonic()
        while "marketdata_api_waiting 60.0" not in empty.get("/metrics").text:
            assert time.monotonic() - began < patience / 2
        assert empty.get("/api/v1/ohlcv", code="ETH", wait=0).status_code == 202
        assert not any(call.done() for call in waiting)
        with answered_by(empty.queue, storing(empty)) as taken:
            assert {call.result().status_code for call in waiting} == {200}
    assert [request.code for request in taken if request.code == "BTC"] == ["BTC"]


def test_a_batch_waits_for_all_of_its_codes_at_once(empty: Client) -> None:
    store, fail = storing(empty), failing(empty, "nobody has it")

    def answer(request: Request) -> None:
        (fail if request.code == "NDX" else store)(request)

    body = {"codes": ["btc", "NDX", "ETH"], "start": str(DAYS[-5]), "wait": 20}
    with answered_by(empty.queue, answer):
        told = empty.post("/api/v1/ohlcv/batch", body).json()
    assert (told["success_count"], told["failed_count"]) == (2, 1)
    assert told["results"]["btc"]["count"] == told["results"]["ETH"]["count"] == 5
    assert told["results"]["btc"]["cached"] is False
    assert told["results"]["NDX"]["error"] == "nobody has it"


def test_a_batch_answers_what_is_stored_at_once(tmp_path: Path) -> None:
    Lake(tmp_path, "test").write(INSTRUMENT_HISTORY, "BTC", history_of("BTC", DAYS[-30:]))
    # Nobody answers requests: a call that waited would not end before the client gives up.
    with served(tmp_path, default_wait=600) as client:
        told = client.post("/api/v1/ohlcv/batch", {"codes": ["BTC", "NDX"]}).json()
        status = client.get(told["results"]["NDX"]["status_url"]).json()
    assert (told["success_count"], told["failed_count"]) == (1, 1)
    assert told["results"]["BTC"]["count"] == 30
    lacking = told["results"]["NDX"]
    assert (lacking["status"], lacking["data"]) == ("queued", [])
    assert status["id"] == lacking["request_id"]


def test_a_batch_says_where_to_look_for_what_is_requested(empty: Client) -> None:
    later = empty.post("/api/v1/ohlcv/batch", {"codes": ["SPX"], "wait": 0}).json()
    assert later["failed_count"] == 1
    assert later["results"]["SPX"]["status_url"].startswith("/api/v1/requests/")
    assert "requested" in later["results"]["SPX"]["error"]


def test_too_many_open_requests_are_a_429_with_the_limit(tmp_path: Path) -> None:
    queue = Requests(tmp_path, most_open_histories=1)
    with served(tmp_path, queue=queue, default_wait=0) as client:
        assert client.get("/api/v1/ohlcv", code="BTC").status_code == 202
        answer = client.get("/api/v1/ohlcv", code="ETH")
        assert answer.status_code == 429
        assert "1 history requests are open" in answer.json()["error"]
        assert "Retry-After" in answer.headers
        told = client.post("/api/v1/ohlcv/batch", {"codes": ["ETH"]}).json()
        assert "1 history requests are open" in told["results"]["ETH"]["error"]


def test_a_request_that_never_was_is_a_404(empty: Client) -> None:
    answer = empty.get(f"/api/v1/requests/{'0' * 32}")
    assert answer.status_code == 404
    assert "There is no request" in answer.json()["error"]


def test_a_held_queue_keeps_nobody_waiting_for_long_and_no_slice_at_all(api: Client) -> None:
    api.queue.request_history("ETH")
    calls = [
        ("POST", "/api/v1/exports", {"codes": ["HSI"]}),
        ("GET", "/api/v1/ohlcv?code=ETH", None),
    ]
    with held(api.state.root), ThreadPoolExecutor(60) as callers:
        kept = [callers.submit(asked_alone, api, *calls[n % 2]) for n in range(60)]
        began = time.monotonic()
        assert api.get("/api/v1/ohlcv", code="HSI").status_code == 200
        assert time.monotonic() - began < SECONDS_FOR_THE_QUEUE
        told = api.get("/metrics")
        assert told.status_code == 200
        batch = api.post("/api/v1/ohlcv/batch", {"codes": ["HSI", "ETH"]}).json()["results"]
        assert batch["HSI"]["count"]
        assert "another process holds it" in batch["ETH"]["error"]
        for answer in [one.result() for one in kept]:
            assert answer.status_code == 503
            assert answer.headers["Retry-After"]
            assert "another process holds it" in answer.json()["error"]


def asked_alone(api: Client, method: str, path: str, body: object) -> requests.Response:
    return requests.request(method, api.url + path, json=body, timeout=60)
