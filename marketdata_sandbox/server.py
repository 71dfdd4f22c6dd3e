"""Tushare's protocol as a real HTTP server on loopback, with faults on demand.

    python -m marketdata_sandbox.server --port 8765 --habits real
    TUSHARE_URL=http://127.0.0.1:8765 TUSHARE_TOKEN=x make demo    # into data/live-127.0.0.1

Here belongs HTTP. What is answered is `protocol`, what can go wrong on the wire is `faults`.
"""

import argparse
import contextlib
import json
import time
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple

from marketdata_sandbox.loopback_server import LoopbackServer
from marketdata_sandbox.protocol import TushareProtocol


class Request(NamedTuple):
    call: str
    params: dict[str, object]
    at: float


class TushareServer(LoopbackServer):
    """Serves `protocol`; `faults` are by the name of the call."""

    def __init__(
        self, protocol: TushareProtocol, port: int = 0, latency_seconds: float = 0.0
    ) -> None:
        super().__init__(_Handler, port)
        self.protocol = protocol
        self.latency_seconds = latency_seconds
        self.requests: list[Request] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: TushareServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = json.loads(body)
        call = request["api_name"]
        self.server.requests.append(Request(call, request.get("params") or {}, time.monotonic()))
        answer = self.server.protocol.answer(body)
        time.sleep(self.server.latency_seconds)
        fault = self.server.fault_for(call)
        if fault:
            fault(self, answer)
        else:
            self.reply(200, answer)

    def reply(self, status: int, body: bytes, content_type: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """The request log is `TushareServer.requests`."""


def main() -> None:
    from marketdata_sandbox.habits.frequencies import Frequencies
    from marketdata_sandbox.habits.vendor import VendorHabits
    from marketdata_sandbox.market.exchange import SimulatedExchange

    habits = {
        "clean": Frequencies.clean(),
        "sample": Frequencies.sample(),
        "real": Frequencies.real(),
    }
    parser = argparse.ArgumentParser(description="The simulated exchange, as a Tushare server.")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--calls-per-minute", type=int, help="refuse more calls of one name")
    parser.add_argument("--points", type=int, help="refuse calls that take more of an account")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds to every answer")
    parser.add_argument(
        "--habits",
        choices=habits,
        default="sample",
        help="what is wrong with single shares: nothing, something now and then, as with Tushare",
    )
    args = parser.parse_args()
    market = VendorHabits(SimulatedExchange(), habits[args.habits])
    protocol = TushareProtocol(market, calls_per_minute=args.calls_per_minute, points=args.points)
    with TushareServer(protocol, args.port, args.latency) as server:
        print(f"Tushare's protocol on {server.url}; any token will do. Ctrl-C ends it.")
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
