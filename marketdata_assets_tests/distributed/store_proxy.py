"""A proxy on loopback before the S3 store: counts what is asked, and refuses for a while.

Here belongs what stands between a client and the store. What the store answers is its own.
"""

import http.client
import time
from collections.abc import Iterable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple
from urllib.parse import urlsplit

from marketdata_sandbox.loopback_server import LoopbackServer

# They are of one connection, which has another one behind it.
OF_A_CONNECTION = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class Asked(NamedTuple):
    method: str
    path: str

    @property
    def kind(self) -> str:
        return "LIST" if "list-type=" in self.path else self.method


class StoreProxy(LoopbackServer):
    """Before the store at `address`, any number of clients at a time."""

    def __init__(self, address: str) -> None:
        super().__init__(_Handler, 0)
        self.behind = urlsplit(address).netloc
        self.asked: list[Asked] = []
        self.refused = 0
        self._until, self.status = 0.0, 503

    def refuse_for(self, seconds: float, status: int = 503) -> None:
        """From now on and so long every answer is a 503, or another one."""
        self._until, self.status = time.monotonic() + seconds, status

    @property
    def refuses(self) -> bool:
        return time.monotonic() < self._until

    def count(self, kind: str) -> int:
        """How many calls of a kind there were: HEAD, GET, PUT or LIST."""
        return sum(one.kind == kind for one in self.asked)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: StoreProxy

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.refuses:
            self.server.refused += 1
            self._reply(self.server.status, [], b"")
            return
        self.server.asked.append(Asked(self.command, self.path))
        connection = http.client.HTTPConnection(self.server.behind, timeout=60)
        try:
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            self._reply(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    def _reply(self, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        told = dict(headers)
        self.send_response(status)
        for name, value in told.items():
            if name.lower() not in OF_A_CONNECTION:
                self.send_header(name, value)
        length = told.get("Content-Length", "0") if self.command == "HEAD" else len(body)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """What was asked is `StoreProxy.asked`."""
