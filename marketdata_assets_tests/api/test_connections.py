"""Connections that ask nothing, too much of them, too slowly: the others are answered."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from marketdata_assets.api.api_settings import ApiSettings, Limits
from marketdata_assets.api.connections import most_connections
from marketdata_assets.serving.queries import ExportQuery
from marketdata_assets.serving.requests import Requests
from marketdata_assets_tests.api.serving import Client, served

TOKEN = "token-of-this-test-1"
UNFINISHED = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-a: "
PATIENCE = 60


@contextmanager
def connected(client: Client, sent: bytes = b"") -> Iterator[socket.socket]:
    place = urlsplit(client.url)
    assert place.hostname
    assert place.port
    with socket.create_connection((place.hostname, place.port), timeout=PATIENCE) as one:
        one.sendall(sent)
        yield one


def all_of(one: socket.socket) -> bytes:
    """What comes until the server ends the connection."""
    pieces = []
    while piece := one.recv(65_536):
        pieces.append(piece)
    return b"".join(pieces)


def told(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end


def test_those_who_ask_nothing_make_room(tmp_path: Path) -> None:
    with served(tmp_path, connections=20) as client, ExitStack() as open_ones:
        for _ in range(240):
            open_ones.enter_context(connected(client, UNFINISHED))
        for _ in range(5):
            assert client.get("/health").status_code == 200
            client.session.close()


def test_a_head_that_does_not_end_is_ended(tmp_path: Path) -> None:
    with served(tmp_path, seconds_to_ask=1) as client:
        with connected(client, UNFINISHED) as one:
            assert told(all_of(one)) == (408, "The question did not come whole in 1 s.")
        with connected(client) as silent:
            assert all_of(silent) == b""
        with connected(client, UNFINISHED) as dripping:
            dripping.settimeout(0.02)
            answer = b""
            end = time.monotonic() + PATIENCE
            while not answer:
                assert time.monotonic() < end
                try:
                    dripping.sendall(b"a")
                    answer = dripping.recv(1_000)
                except TimeoutError:
                    continue
                except OSError:
                    break


def test_a_second_head_has_its_deadline_too(tmp_path: Path) -> None:
    whole = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with served(tmp_path, seconds_to_ask=1) as client, connected(client, whole) as one:
        first = one.recv(65_536)
        assert first.startswith(b"HTTP/1.1 200")
        one.sendall(UNFINISHED)
        assert told(all_of(one))[0] == 408


def test_a_body_that_does_not_end_is_ended(tmp_path: Path) -> None:
    head = b"POST /api/v1/exports HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{"
    with served(tmp_path, seconds_to_ask=1) as client, connected(client, head) as one:
        assert told(all_of(one))[0] == 408


def test_who_offers_to_speak_http_2_is_answered_but_for_a_body(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    offer = b"HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
    body = b'Content-Type: application/json\r\nContent-Length: 17\r\n\r\n{"codes":["BTC"]}'
    with served(tmp_path) as client:
        with connected(client, b"GET /health " + offer + b"\r\n") as one:
            assert one.recv(65_536).startswith(b"HTTP/1.1 200")
        with connected(client, b"POST /api/v1/exports " + offer + body) as one:
            status, error = told(all_of(one))
        assert client.get("/health").status_code == 200
    assert (status, "without that header" in error) == (400, True)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("length", "status"),
    [(b"17 ", 202), (b"0" * 5_000 + b"17", 202), (b"1_7", 400), (b"9" * 19, 413)],
)
def test_the_length_of_a_body_is_a_number(tmp_path: Path, length: bytes, status: int) -> None:
    head = b"POST /api/v1/exports HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    kind = b"Content-Type: application/json\r\nContent-Length: " + length
    asked = head + kind + b'\r\n\r\n{"codes":["BTC"]}'
    with served(tmp_path) as client, connected(client, asked) as one:
        assert all_of(one).split()[1] == str(status).encode()


def test_an_answer_may_take_longer_than_a_question(tmp_path: Path) -> None:
    with served(tmp_path, seconds_to_ask=1) as client:
        assert client.get("/api/v1/ohlcv", code="BTC", wait=1.5).status_code == 202


def test_an_answer_that_nobody_reads_is_ended(tmp_path: Path) -> None:
    queue, size = Requests(tmp_path), 50_000_000
    export = queue.request_export(ExportQuery(codes=["HSI"]))
    file = queue.exports / f"{export.id}.parquet"
    file.write_bytes(bytes(size))
    queue.finish(export.id, file=file.name, rows=1)
    asked = f"GET /api/v1/exports/{export.id}/file HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with served(tmp_path, queue=queue, seconds_to_read=1) as client:
        registry = client.state.metrics.registry
        with connected(client, asked.encode()) as one:
            # It has begun, and nothing more is read of it.
            assert one.recv(4).startswith(b"HTTP")
            until(lambda: registry.get_sample_value("marketdata_api_in_flight") == 0)
            with suppress(ConnectionError):
                assert len(all_of(one)) < size


def test_a_large_head_is_refused_with_the_limit(tmp_path: Path) -> None:
    with served(tmp_path) as client:
        with connected(client, UNFINISHED + b"a" * 40_000) as one:
            status, error = told(all_of(one))
        assert (status, "32,768 bytes" in error) == (400, True)
        # Without an end: the connection is closed long before all of it has been sent.
        with connected(client, UNFINISHED) as endless, pytest.raises(ConnectionError):
            endless.sendall(b"a" * 60_000_000)
        assert client.get("/health").status_code == 200


def test_a_body_whose_trailers_do_not_end_is_refused(tmp_path: Path) -> None:
    head = b"POST /api/v1/exports HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with served(tmp_path) as client:
        with connected(client, head + b"0\r\nX-a: ") as endless, pytest.raises(ConnectionError):
            endless.sendall(b"a" * 60_000_000)
        assert client.get("/health").status_code == 200


def test_a_body_that_comes_after_its_refusal_costs_the_next_question_nothing(
    tmp_path: Path,
) -> None:
    head = b"POST /api/v1/exports HTTP/1.1\r\nHost: elsewhere\r\nContent-Length: 2\r\n\r\n"
    whole = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with served(tmp_path, seconds_to_ask=1) as client, connected(client, head) as one:
        assert b" 403 " in one.recv(65_536)
        one.sendall(b"{}" + whole)
        assert b" 200 " in one.recv(65_536)
        # It asks nothing more, and is ended as any other.
        all_of(one)


def test_where_everybody_is_being_answered_the_next_is_a_503(tmp_path: Path) -> None:
    settings = ApiSettings(token=TOKEN)
    with served(tmp_path, settings, connections=2, default_wait=PATIENCE) as client:
        queue, registry = client.queue, client.state.metrics.registry

        def ask(code: str) -> int:
            headers = {"Authorization": f"Bearer {TOKEN}", "Connection": "close"}
            return client.ask("GET", f"/api/v1/ohlcv?code={code}", headers=headers).status_code

        with ThreadPoolExecutor(2) as callers:
            calls = [callers.submit(ask, code) for code in ("BTC", "ETH")]
            until(lambda: registry.get_sample_value("marketdata_api_waiting") == 2)
            # Before any token is looked at.
            with connected(client, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") as one:
                answer = all_of(one)
            assert told(answer) == (503, "Too many connections are open. Ask again in a moment.")
            assert b"Retry-After: 1" in answer
            for request in queue.claim(10):
                queue.fail(request.id, "nobody has it")
            assert [call.result() for call in calls] == [502, 502]
        assert client.get("/health").status_code == 200


def test_a_process_that_may_open_few_files_takes_fewer_connections() -> None:
    assert 1 <= most_connections(Limits()) <= Limits().connections
    assert most_connections(Limits(connections=1)) == 1
