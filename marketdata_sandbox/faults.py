"""What can go wrong between the vendor and us, as things a server can do instead of answering.

Each fault gets the request handler and the true answer. Here belong wire faults and spoilt
answers alone; what the platform makes of them is tested, not described.
"""

import json
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, Protocol


class Handler(Protocol):
    connection: socket.socket
    close_connection: bool
    rfile: Any
    wfile: Any

    def reply(self, status: int, body: bytes, content_type: str = ...) -> None: ...


Fault = Callable[[Any, bytes], None]
Edit = Callable[[dict[str, Any]], None]


def status(code: int, body: str, content_type: str = "application/json") -> Fault:
    """An HTTP status with a body of its own."""

    def act(handler: Handler, answer: bytes) -> None:
        handler.reply(code, body.encode(), content_type)

    return act


def html() -> Fault:
    """A page with status 200, as proxies and portals send."""
    return status(200, "<html><body>Login</body></html>", "text/html")


def truncated() -> Fault:
    """The first half of the answer, announced as if it were all."""

    def act(handler: Handler, answer: bytes) -> None:
        handler.reply(200, answer[: len(answer) // 2])

    return act


def reset() -> Fault:
    """The connection is reset before any answer."""

    def act(handler: Handler, answer: bytes) -> None:
        linger = struct.pack("ii", 1, 0)
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        # The reader holds the socket as well: only when both let go is the reset sent.
        handler.close_connection = True
        handler.rfile.close()
        handler.connection.close()

    return act


def cut() -> Fault:
    """The connection ends after half of the announced bytes."""

    def act(handler: Handler, answer: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\n\r\n"
        handler.wfile.write(head.encode() + answer[: len(answer) // 2])
        handler.connection.shutdown(socket.SHUT_RDWR)

    return act


def slow_drip(seconds_between_bytes: float = 0.05, seconds: float = 30) -> Fault:
    """A byte at a time, each well within any timeout of a single read."""

    def act(handler: Handler, answer: bytes) -> None:
        handler.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\n\r\n".encode())
        until = time.monotonic() + seconds
        for byte in answer:
            if time.monotonic() > until:
                return
            handler.wfile.write(bytes([byte]))
            time.sleep(seconds_between_bytes)

    return act


def refusal(code: int, message: str, key: str = "msg") -> Fault:
    """A vendor error: status 200, a code, no data."""
    body = {"request_id": "sandbox", "code": code, key: message, "data": None}
    return status(200, json.dumps(body, ensure_ascii=False))


def edited(edit: Edit) -> Fault:
    """The true answer, changed in place by `edit`."""

    def act(handler: Handler, answer: bytes) -> None:
        changed = json.loads(answer)
        edit(changed)
        handler.reply(200, json.dumps(changed, ensure_ascii=False).encode())

    return act
