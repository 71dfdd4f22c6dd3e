"""A POST that is over in time, whatever the other side does.

`requests` bounds the wait for each read, so a server that sends a byte now and then is never given
up. Here a watchdog hangs up when the whole call has lasted too long. What is sent and what an
answer means belong to the clients.
"""

import contextlib
import socket
import threading
from contextvars import ContextVar
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import HTTPResponse


class CallBoundReached(Exception):
    """The call lasted longer than it may; its connection was closed."""


class _Watchdog:
    """Hangs up the connection of the current call after `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.socket: socket.socket | None = None
        self.has_hung_up = False
        self._timer = threading.Timer(seconds, self._hang_up)
        self._timer.daemon = True

    def _hang_up(self) -> None:
        self.has_hung_up = True
        if self.socket is not None:
            with contextlib.suppress(OSError):
                # Below TLS: its own farewell could wait for the other side again.
                socket.socket.shutdown(self.socket, socket.SHUT_RDWR)

    def __enter__(self) -> "_Watchdog":
        _watchdog.set(self)
        self._timer.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._timer.cancel()
        _watchdog.set(None)


_watchdog: ContextVar[_Watchdog | None] = ContextVar("_watchdog", default=None)


def _show_socket(connection: HTTPConnection) -> None:
    if watchdog := _watchdog.get():
        watchdog.socket = connection.sock


class _WatchedHTTP(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        _show_socket(self)
        return super().getresponse()


class _WatchedHTTPS(HTTPSConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        _show_socket(self)
        return super().getresponse()


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _WatchedHTTP


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedHTTPS


class WatchedAdapter(HTTPAdapter):
    """The adapter of `requests` over connections that a watchdog can close."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}


def post_json(
    session: requests.Session, url: str, body: object, silence_seconds: float, bound_seconds: float
) -> tuple[int, bytes]:
    """Status and whole body of the answer; redirects are not followed.

    `silence_seconds` bounds every single wait, `bound_seconds` all of them together. Raises
    `CallBoundReached`, or what `requests` raises.
    """
    with _Watchdog(bound_seconds) as watchdog:
        try:
            response = session.post(url, json=body, timeout=silence_seconds, allow_redirects=False)
        except Exception:
            if watchdog.has_hung_up:
                raise CallBoundReached from None
            raise
    return response.status_code, response.content
