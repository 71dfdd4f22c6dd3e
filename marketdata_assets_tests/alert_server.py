"""A channel for alerts on loopback, as apprise's json:// addresses reach one."""

import json
import threading
from http.server import BaseHTTPRequestHandler

from marketdata_sandbox.loopback_server import LoopbackServer

TOKEN = "alert-token-9c41"


class AlertServer(LoopbackServer):
    """Keeps what it is told in `told`; a fault with the kind `alert` answers instead."""

    def __init__(self) -> None:
        super().__init__(_Handler, 0)
        self.told: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.released = threading.Event()

    def address(self, more: str = "") -> str:
        """As in ALERT_URLS, with a token in the user's place, in the path and in the query."""
        place = f"127.0.0.1:{self.server_port}/hook/{TOKEN}"
        return f"json://someone:{TOKEN}@{place}?-access_token={TOKEN}{more}"

    def hang(self, handler: BaseHTTPRequestHandler) -> None:
        """A fault: no answer until the server is `released`."""
        self.released.wait(60)


class _Handler(BaseHTTPRequestHandler):
    server: AlertServer

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.paths.append(self.path)
        if fault := self.server.fault_for("alert"):
            fault(self)
        else:
            self.server.told.append(told)
            self.reply(200)

    def reply(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """What was told is `AlertServer.told`."""
