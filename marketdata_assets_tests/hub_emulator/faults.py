"""What can go wrong between a publisher and the hub, as things the server can do instead.

Each fault gets the request's exchange and decides whether what was asked for is done, and what is
said about it. What the platform makes of them is tested, not described.
"""

import threading
from collections.abc import Callable
from typing import Protocol

from marketdata_assets_tests.hub_emulator.messages import Answer, refused


class Exchange(Protocol):
    """One request under way."""

    def apply(self) -> Answer: ...
    def say(self, answer: Answer) -> None: ...
    def read_half(self) -> None: ...
    def hang_up(self) -> None: ...


Fault = Callable[[Exchange], None]
LATE_AT_MOST_SECONDS = 30.0


def refusal(status: int, message: str = "", code: str = "", **headers: str) -> Fault:
    """Nothing is done, and the answer says why; `Retry_After="7"` is the header Retry-After."""

    def act(exchange: Exchange) -> None:
        answer = refused(status, message or f"injected {status}", code)
        answer.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
        exchange.say(answer)

    return act


def done_but(status: int) -> Fault:
    """It is done, and the answer claims that it failed."""

    def act(exchange: Exchange) -> None:
        exchange.apply()
        exchange.say(refused(status, f"injected {status}"))

    return act


def answer_lost() -> Fault:
    """It is done, and the connection ends before a word is said."""

    def act(exchange: Exchange) -> None:
        exchange.apply()
        exchange.hang_up()

    return act


def dropped() -> Fault:
    """The connection ends in the middle of the request."""

    def act(exchange: Exchange) -> None:
        exchange.read_half()
        exchange.hang_up()

    return act


def done_late(when: threading.Event) -> Fault:
    """Silence until `when`, then it is done, whoever still listens."""

    def act(exchange: Exchange) -> None:
        when.wait(LATE_AT_MOST_SECONDS)
        exchange.say(exchange.apply())

    return act


def then(event: threading.Event) -> Fault:
    """It is done and answered as ever; `event` tells others so."""

    def act(exchange: Exchange) -> None:
        answer = exchange.apply()
        event.set()
        exchange.say(answer)

    return act


def first(act: Callable[[], object]) -> Fault:
    """`act` happens before the request is looked at, as if somebody else had been quicker."""

    def happen(exchange: Exchange) -> None:
        act()
        exchange.say(exchange.apply())

    return happen
