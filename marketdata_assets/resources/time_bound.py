"""The time that a call may take, or a publication with all its calls.

Here belongs the clock, and hanging up at its end. What the HTTP clients do about it is `hub_http`
and `bounded_http`.
"""

import contextlib
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import TypeVar

CONNECT_SECONDS = 20.0
SILENCE_SECONDS = 120.0
T = TypeVar("T")


class TimeIsUp(Exception):
    """What was bounded has lasted longer than it may."""


def begun(call: Callable[[], T]) -> Future[T]:
    """What `call` returns, once it does, in a thread that nobody has to wait for."""
    done: Future[T] = Future()

    def work() -> None:
        try:
            done.set_result(call())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return done


class Bound:
    """The time that something may take, and the bytes it has sent so far by HTTP.

    Every wait of a call is bounded by what is left. Whoever trickles just fast enough to be never
    waited for too long is hung up on at the end, if `watching`.
    """

    def __init__(self, seconds: float, silence_seconds: float = SILENCE_SECONDS) -> None:
        self.seconds = seconds
        self.silence_seconds = silence_seconds
        self.ends = time.monotonic() + seconds
        self.bytes_sent = 0
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    @property
    def ends_in(self) -> float:
        return self.ends - time.monotonic()

    @property
    def left(self) -> float:
        """Seconds left. Raises `TimeIsUp` when there are none."""
        if (left := self.ends_in) <= 0:
            raise TimeIsUp(f"not done within {self.seconds:.0f} s.")
        return left

    def timeouts(self) -> dict[str, float]:
        silence = min(self.silence_seconds, self.left)
        connect = min(CONNECT_SECONDS, silence)
        return {"connect": connect, "read": silence, "write": silence, "pool": connect}

    def count_sent(self, size: int) -> None:
        with self._lock:
            self.bytes_sent += size

    def watch(self, connected: socket.socket) -> None:
        """Hang up on this one as well when the time is over."""
        with self._lock:
            self._sockets.add(connected)

    def waited_for(self, call: Callable[[], T]) -> T:
        """What `call` returns. Raises `TimeIsUp` at the end of the time, whatever `call` waits for.

        So it is with transfers by xet, whose connections aren't seen here.
        """
        done = begun(call)
        while not done.done():
            wait([done], self.left)
        return done.result()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """At the end of the time hang up on everybody."""
        timer = threading.Timer(max(0.0, self.ends_in), self._hang_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _hang_up(self) -> None:
        with self._lock:
            for connected in self._sockets:
                with contextlib.suppress(OSError):
                    # Below TLS: its own farewell could wait for the other side again.
                    socket.socket.shutdown(connected, socket.SHUT_RDWR)
