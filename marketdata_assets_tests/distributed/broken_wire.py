"""A wire on loopback before a server, which may refuse connections, or lose what is sent and break.

Here belongs what a network does. What a server does when it ends is `servers`.
"""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

BYTES = 65_536


class BrokenWire(socketserver.ThreadingTCPServer):
    """Before the server at `port`: the next `refuses` connections are closed at once."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind, self.port = port, self.server_address[1]
        self.refuses = 0
        # Of the next thing that a client sends: it is lost, and the connection with it.
        self.loses, self.has_lost = threading.Event(), threading.Event()

    @contextmanager
    def running(self) -> Iterator[Self]:
        thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            self.server_close()
            thread.join()


class _Handler(socketserver.BaseRequestHandler):
    server: BrokenWire

    def handle(self) -> None:
        if self.server.refuses:
            self.server.refuses -= 1
            return
        with socket.create_connection(("127.0.0.1", self.server.behind)) as server:
            back = threading.Thread(target=self._answer, args=(server,), daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                self._ask(server)
            _end(server)
            back.join()

    def _ask(self, server: socket.socket) -> None:
        while sent := self.request.recv(BYTES):
            if self.server.loses.is_set():
                self.server.loses.clear()
                self.server.has_lost.set()
                return
            server.sendall(sent)

    def _answer(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while told := server.recv(BYTES):
                self.request.sendall(told)
        _end(self.request)


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
