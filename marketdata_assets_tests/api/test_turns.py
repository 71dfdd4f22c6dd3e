"""The past is read for a few at once: some more wait, the others are told to come back."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from marketdata_assets.serving.answers import Slice
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets_tests.api.serving import Client, served
from marketdata_assets_tests.api.test_connections import PATIENCE, until

THEN = "2024-10-15T21:00:00+08:00"


class SlowReader(PriceReader):
    """Reads the past until it may end."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reading, self.may_end = threading.Semaphore(0), threading.Event()

    def ohlcv(self, code: str, *asked: Any) -> Slice:
        *others, as_of, frequency = asked
        if as_of:
            self.reading.release()
            assert self.may_end.wait(PATIENCE)
        now = (*others, None, frequency)
        return super().ohlcv(code, *now)


@pytest.fixture
def reader(world: Path) -> SlowReader:
    return SlowReader(world)


@pytest.fixture
def slow(world: Path, reader: SlowReader) -> Iterator[Client]:
    with served(world, reader=reader, as_of_at_once=1, as_of_waiting=2) as client:
        yield client
        reader.may_end.set()


def ask(client: Client) -> Any:
    return client.get("/api/v1/ohlcv", code="HSI", as_of=THEN)


def test_as_many_wait_as_may_and_the_others_are_a_429(slow: Client, reader: SlowReader) -> None:
    with ThreadPoolExecutor(7) as callers:
        calls = [callers.submit(ask, slow) for _ in range(7)]
        refused = []
        for call in as_completed(calls, timeout=PATIENCE):
            answer = call.result()
            if answer.status_code == 429:
                refused.append(answer)
            if len(refused) == 4:
                # What is not about the past is answered meanwhile.
                assert slow.get("/api/v1/ohlcv", code="HSI").status_code == 200
                reader.may_end.set()
    assert sorted(call.result().status_code for call in calls) == [200] * 3 + [429] * 4
    assert "2 callers wait" in refused[0].json()["error"]
    assert refused[0].headers["Retry-After"]


def test_who_hangs_up_leaves_the_queue(slow: Client, reader: SlowReader) -> None:
    def dropped() -> float:
        labels = {"endpoint": "/api/v1/ohlcv", "method": "GET", "status": "499"}
        registry = slow.state.metrics.registry
        return registry.get_sample_value("marketdata_api_requests_total", labels) or 0

    place = urlsplit(slow.url)
    assert place.hostname
    assert place.port
    question = f"GET /api/v1/ohlcv?code=HSI&as_of={quote(THEN)} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with ThreadPoolExecutor(3) as callers:
        first = callers.submit(ask, slow)
        assert reader.reading.acquire(timeout=PATIENCE)
        for _ in range(2):
            with socket.create_connection((place.hostname, place.port), PATIENCE) as one:
                one.sendall(question.encode())
        until(lambda: dropped() == 2)
        others = [callers.submit(ask, slow) for _ in range(2)]
        reader.may_end.set()
        assert [call.result().status_code for call in (first, *others)] == [200] * 3
    # Nothing was read for those who had gone.
    assert reader.reading.acquire(blocking=False)
    assert reader.reading.acquire(blocking=False)
    assert not reader.reading.acquire(blocking=False)
