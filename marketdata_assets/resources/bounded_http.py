"""Requests that are over in time, whatever the other side does.

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
from urllib3.contrib.socks import SOCKSConnection, SOCKSHTTPSConnection
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


class _WatchedSOCKS(SOCKSConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        _show_socket(self)
        return super().getresponse()


class _WatchedSOCKSOverTLS(SOCKSHTTPSConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        _show_socket(self)
        return super().getresponse()


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _WatchedHTTP


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedHTTPS


class _SOCKSPool(HTTPConnectionPool):
    ConnectionCls = _WatchedSOCKS


class _SOCKSOverTLSPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedSOCKSOverTLS


class WatchedAdapter(HTTPAdapter):
    """The adapter of `requests` over connections that a watchdog can close."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if proxy.startswith("socks"):
            pools = {"http": _SOCKSPool, "https": _SOCKSOverTLSPool}
        else:
            pools = {"http": _HTTPPool, "https": _HTTPSPool}
        manager.pool_classes_by_scheme = pools
        return manager


def post_json(
    session: requests.Session, url: str, body: object, silence_seconds: float, bound_seconds: float
) -> tuple[int, bytes]:
    """Status and whole body of the answer; redirects are not followed.

    `silence_seconds` bounds every single wait, `bound_seconds` all of them together. Raises
    `CallBoundReached`, or what `requests` raises.
    """
    return _send(session, "POST", url, silence_seconds, bound_seconds, json=body)


def get(
    session: requests.Session,
    url: str,
    params: dict[str, str],
    proxy: str | None,
    silence_seconds: float,
    bound_seconds: float,
) -> tuple[int, bytes]:
    """As `post_json`, for a GET; with `proxy` this one call goes through it."""
    proxies = {"http": proxy, "https": proxy} if proxy else {}
    return _send(
        session, "GET", url, silence_seconds, bound_seconds, params=params, proxies=proxies
    )


def _send(
    session: requests.Session, method: str, url: str, silence: float, bound: float, **what: Any
) -> tuple[int, bytes]:
    with _Watchdog(bound) as watchdog:
        try:
            response = session.request(method, url, timeout=silence, allow_redirects=False, **what)
        except Exception:
            if watchdog.has_hung_up:
                raise CallBoundReached from None
            raise
    return response.status_code, response.content
