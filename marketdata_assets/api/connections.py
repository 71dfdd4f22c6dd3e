"""How many may be connected, how long a question may be on its way, how large its head may be.

Here belongs what is decided before there is a question, and so before any token is seen. What a
question may be is `guarding`'s. The server keeps a connection until its client closes it, so one
that never finishes what it began has to be ended here.
"""

import asyncio
import resource
from enum import Enum, auto
from http import HTTPStatus

import orjson
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from marketdata_assets.api.api_settings import Limits

# Above this multiple of the limit nobody is told any more why they are not answered.
MOST_REFUSED_AT_ONCE = 2
SECONDS_OF_A_REFUSED = 1.0
# Of the files that the process may open the others are for data.
SHARE_OF_FILES = 0.5


def server_config(
    app: ASGIApp, limits: Limits, log_level: str | None = None, finish: int | None = None
) -> uvicorn.Config:
    """The server around the application, within the limits.

    Without a `log_level` logging is left as it is. `finish` are the seconds that answers which are
    on their way have when the server ends.
    """
    return uvicorn.Config(
        app,
        http=bounded(limits),
        ws="none",
        log_config=uvicorn.config.LOGGING_CONFIG if log_level else None,
        log_level=log_level,
        timeout_graceful_shutdown=finish,
        access_log=False,
        server_header=False,
    )


def bounded(limits: Limits) -> type[HttpToolsProtocol]:
    """The protocol of a connection that keeps to the limits."""

    class Bounded(BoundedConnection):
        most = most_connections(limits)
        head_bytes = limits.head_bytes
        seconds_to_ask = limits.seconds_to_ask
        seconds_to_read = limits.seconds_to_read

    return Bounded


def most_connections(limits: Limits) -> int:
    """The limit, or fewer where the process may not open as many files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return limits.connections
    return max(1, min(limits.connections, int(files * SHARE_OF_FILES)))


class Stage(Enum):
    """What a connection is at: its question begins, or has not; its body comes; it is answered."""

    HEAD = auto()
    BODY = auto()
    ANSWER = auto()


class BoundedConnection(HttpToolsProtocol):
    """A connection. Where all places are taken the oldest that asks nothing makes room."""

    most: int
    head_bytes: int
    seconds_to_ask: float
    seconds_to_read: float
    # How many bytes have come since the last head, or piece of a body, was whole.
    _unread = 0
    _since = 0.0
    _stage = Stage.HEAD
    _watched: Stage | None = None
    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > self.most and not self._make_room():
            if len(self.connections) > self.most * MOST_REFUSED_AT_ONCE:
                transport.abort()
                return
            # Told when the question comes: a reset on unread bytes would swallow the answer.
            self._is_refused = True
            self._end_after(SECONDS_OF_A_REFUSED)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            self._answer(503, "Too many connections are open. Ask again in a moment.")
            return
        self._unread += len(data)
        super().data_received(data)
        if self._unread > self.head_bytes and not self.transport.is_closing():
            self.send_400_response("The question is too long.")
        self._watch()

    def on_headers_complete(self) -> None:
        self._stage, self._unread = Stage.BODY, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        # The rest of a body may come when the answer was that nobody reads it.
        self._stage = Stage.HEAD if self.cycle.response_complete else Stage.ANSWER
        self._unread = 0
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._deadline, self._stalled):
            if timer:
                timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._since = self.loop.time()
        if self._stage is Stage.ANSWER and not self.pipeline:
            self._stage = Stage.HEAD
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        most = self.head_bytes
        self._answer(400, f"{msg} It is no HTTP/1.1, or its head has more than {most:,} bytes.")

    def _unsupported_upgrade_warning(self) -> None:
        """Of an offer to speak HTTP/2, as Java's client makes with every question, no log is told.

        The parser leaves out the body of such a question, which has to be asked without.
        """
        head = dict(self.headers)
        if head.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in head:
            self._answer(400, "No body is read with Upgrade. Ask by HTTP/1.1 without that header.")

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(self.seconds_to_read, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled:
            self._stalled.cancel()
            self._stalled = None

    @property
    def is_asking_nothing(self) -> bool:
        """Whether no head has come whole since the last answer."""
        return self._stage is Stage.HEAD and not self.transport.is_closing()

    def _watch(self) -> None:
        """A deadline for the head, and another for the body; none while the answer is made."""
        if self._watched is self._stage and self._deadline:
            # More bytes of the same do not make it later.
            return
        self._watched = self._stage
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None
        if self._stage is not Stage.ANSWER:
            self._since = self.loop.time()
            self._end_after(self.seconds_to_ask)

    def _end_after(self, seconds: float) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self._end)

    def _end(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        is_body = self._stage is Stage.BODY
        if not (self._unread or is_body) or (is_body and self.cycle.response_started):
            # Nobody waits for an answer, or there is one already.
            self.transport.close()
        else:
            self._answer(408, f"The question did not come whole in {self.seconds_to_ask:g} s.")

    def _make_room(self) -> bool:
        idle = [
            one
            for one in self.connections
            if isinstance(one, BoundedConnection) and one is not self and one.is_asking_nothing
        ]
        if not idle:
            return False
        min(idle, key=lambda one: one._since).transport.abort()
        return True

    def _answer(self, status: int, error: str) -> None:
        """An error as JSON, and the end of the connection."""
        body = orjson.dumps({"error": error})
        lines = [
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            lines.append("Retry-After: 1")
        self.transport.write("\r\n".join([*lines, "", ""]).encode("ascii") + body)
        self.transport.close()
