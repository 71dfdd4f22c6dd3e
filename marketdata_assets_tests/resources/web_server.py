"""A web server on loopback that answers what a test gave it, and notes what it was asked.

Here belongs HTTP, over TLS too. What an answer holds is the test's.
"""

import ssl
import time
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from marketdata_sandbox.loopback_server import LoopbackServer


class Asked(NamedTuple):
    host: str
    path: str
    params: dict[str, str]


class Reply(NamedTuple):
    body: bytes
    status: int = 200
    drip_seconds: float = 0.0


class WebServer(LoopbackServer):
    """Answers every request by `answer`; `replies` are used up first, one a request."""

    def __init__(
        self,
        answer: Callable[[Asked], Reply] = lambda asked: Reply(b"{}"),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(_Handler, 0)
        self.answer = answer
        self.asked: list[Asked] = []
        self.replies: deque[Reply] = deque()
        self.tls = tls


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: WebServer

    def do_CONNECT(self) -> None:
        """As a proxy: be the host that is asked for, under the test's own certificates."""
        assert self.server.tls is not None
        self.send_response(200)
        self.end_headers()
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb", self.rbufsize)
        self.wfile = self.connection.makefile("wb", self.wbufsize)
        self.close_connection = False

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        params = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        asked = Asked(self.headers["Host"], parts.path, params)
        self.server.asked.append(asked)
        replies = self.server.replies
        reply = replies.popleft() if replies else self.server.answer(asked)
        self.send_response(reply.status)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if not reply.drip_seconds:
            self.wfile.write(reply.body)
        else:
            for byte in reply.body:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(reply.drip_seconds)

    def finish(self) -> None:
        super().finish()
        if isinstance(self.connection, ssl.SSLSocket):
            self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """The log is `WebServer.asked`."""
