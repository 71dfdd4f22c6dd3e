"""The hub as a real HTTP server on loopback: its request log, and faults that wait for a request.

Here belongs HTTP. What is answered is `protocol`, what can go wrong is `faults`.
"""

import re
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import NamedTuple

from marketdata_assets.listening import asks_this_machine
from marketdata_assets_tests.hub_emulator.messages import Answer, Request, refused
from marketdata_assets_tests.hub_emulator.protocol import HubProtocol
from marketdata_sandbox.loopback_server import LoopbackServer

CHUNK = 1 << 20


class Logged(NamedTuple):
    """A line of the request log: what it was for, and how many bytes came with it."""

    stage: str
    method: str
    target: str
    bytes: int
    at: float


class HubServer(LoopbackServer):
    """Serves `protocol`; `faults` are by the stage of a publication."""

    def __init__(self, protocol: HubProtocol, port: int = 0) -> None:
        super().__init__(_Handler, port)
        self.protocol = protocol
        self.requests: list[Logged] = []

    @property
    def bytes_received(self) -> int:
        return sum(request.bytes for request in self.requests)

    def stages(self) -> list[str]:
        return [request.stage for request in self.requests]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HubServer
    asked: Request
    is_read: bool

    def serve(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.asked = Request(self.command, self.path, headers, self.rfile, self.server.url)
        self.is_read = False
        stage = self.server.protocol.stage(self.asked)
        self.server.requests.append(
            Logged(stage, self.command, self.path, self.asked.size, time.monotonic())
        )
        fault = self.server.fault_for(stage)
        if not asks_this_machine(headers.get("host", "")):
            self.say(refused(403, "This hub answers to 127.0.0.1 and localhost only."))
        elif fault:
            fault(self)
        else:
            self.say(self.apply())

    do_GET = do_HEAD = do_POST = do_PUT = serve

    def apply(self) -> Answer:
        self.is_read = True
        return self.server.protocol.answer(self.asked)

    def read_half(self) -> None:
        self.is_read = True
        self.rfile.read(self.asked.size // 2)

    def hang_up(self) -> None:
        self.close_connection = True

    def say(self, answer: Answer) -> None:
        if not self.is_read:
            self.rfile.read(self.asked.size)
        body = answer.body
        size = body.stat().st_size if isinstance(body, Path) else len(body)
        start, end, status = 0, size, answer.status
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.asked.headers.get("range", ""))
        if wanted and isinstance(body, Path):
            start = int(wanted[1])
            end = min(size, int(wanted[2]) + 1) if wanted[2] else size
            if start >= size:
                status, start, end = 416, 0, 0
            else:
                status = 206
                answer.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        self.send_response(status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        if self.command != "HEAD":
            self._send(body, start, end)

    def _send(self, body: bytes | Path, start: int, end: int) -> None:
        if not isinstance(body, Path):
            self.wfile.write(body[start:end])
            return
        with body.open("rb") as file:
            file.seek(start)
            while start < end and (chunk := file.read(min(CHUNK, end - start))):
                self.wfile.write(chunk)
                start += len(chunk)

    def log_message(self, format: str, *args: object) -> None:
        """The request log is `HubServer.requests`."""
