"""Clients of an HTTP server, each in a process of its own with one connection that stays open.

Here belongs the asking. It imports no pandas, and reads answers by hand: the client of the standard
library takes a third of a millisecond an answer, on the machine that makes the answers.
"""

import socket
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from threading import Barrier
from typing import NamedTuple

import orjson

from benchmarks.latency import Latency, summary, timed

CLIENTS = 8


class Ask(NamedTuple):
    """A request; without a body it is a GET."""

    path: str
    body: bytes | None = None


class Connection:
    """One connection to a server on loopback."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._answers = self._socket.makefile("rb")

    def ask(self, ask: Ask) -> bytearray:
        """The whole answer. Raises `RuntimeError` when it is no 200."""
        lines = [f"{'POST' if ask.body else 'GET'} {ask.path} HTTP/1.1", "Host: 127.0.0.1"]
        if ask.body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(ask.body)}"]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode() + (ask.body or b""))
        status, length = self._answers.readline(), 0
        while header := self._answers.readline().strip():
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        content = bytearray(length)
        read = self._answers.readinto(content)
        if read < length or not status.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{ask.path}: {status!r} {content[:200]!r}")
        return content


def latency_of(port: int, asks: Sequence[Ask]) -> Latency:
    """From the request to the last byte of its answer, one after the other."""
    connection = Connection(port)
    return timed(lambda number: connection.ask(asks[number]), len(asks))


def requests_a_second(port: int, asks: Sequence[Ask], seconds: float) -> float:
    """What all clients together are answered, from the moment at which all of them are there."""
    context = get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(CLIENTS, mp_context=context) as pool:
        all_there = manager.Barrier(CLIENTS)
        counts = [pool.submit(_ask_on, port, asks, n, seconds, all_there) for n in range(CLIENTS)]
        return sum(count.result() for count in counts)


def _ask_on(
    port: int, asks: Sequence[Ask], client: int, seconds: float, all_there: Barrier
) -> float:
    all_there.wait()
    connection, number, count = Connection(port), client, 0
    connection.ask(asks[number])
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        number = (number + CLIENTS) % len(asks)
        connection.ask(asks[number])
        count += 1
    return count / (time.perf_counter() - began)


class Read(NamedTuple):
    """Milliseconds of all answers, and how many of them were torn."""

    taken: list[float]
    torn: int


def read_on(
    port: int, asks: Sequence[Ask], days: Sequence[str], section: Ask, codes: int, seconds: float
) -> Read:
    """Ask for prices, and every tenth time for a day; an answer with a hole in it is torn.

    Whole is every one of `days` once, and `codes` shares on a day.
    """
    connection, taken, torn, number = Connection(port), [], 0, 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        number += 1
        is_section = number % 10 == 0
        began = time.perf_counter()
        content = connection.ask(section if is_section else asks[number % len(asks)])
        taken.append((time.perf_counter() - began) * 1e3)
        told = orjson.loads(content)
        if is_section:
            torn += len({row["code"] for row in told["data"]}) != codes
        else:
            torn += [row["date"] for row in told["data"]] != list(days)
    return Read(taken, torn)


def in_words(reads: Sequence[Read]) -> tuple[str, str, str, str]:
    taken = [milliseconds for read in reads for milliseconds in read.taken]
    torn = sum(read.torn for read in reads)
    return f"{len(taken):,}", str(torn), summary(taken).in_words(), f"{max(taken):,.0f}"
