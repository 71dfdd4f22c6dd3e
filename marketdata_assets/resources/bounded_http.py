"""Requests that are over in time, whatever the other side does.

`requests` bounds the wait for each read, so a server that sends a byte now and then is never given
up. Here a call is hung up on when it has lasted too long. What is sent and what an answer means
belong to the clients.
"""

import socket
from contextvars import ContextVar
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.contrib.socks import SOCKSConnection, SOCKSHTTPSConnection
from urllib3.response import HTTPResponse

from marketdata_assets.resources.time_bound import Bound

_bound: ContextVar[Bound | None] = ContextVar("_bound", default=None)


class _Watched:
    """A connection that the bound of its call may hang up."""

    sock: socket.socket | None

    def getresponse(self) -> HTTPResponse:
        if (bound := _bound.get()) and self.sock:
            bound.watch(self.sock)
            _ = bound.left
        answer: HTTPResponse = super().getresponse()  # type: ignore[misc]
        return answer


def _pools(plain: type, over_tls: type) -> dict[str, type]:
    """The pools of watched connections of these kinds, by the scheme of an address."""
    return {
        scheme: type(
            pool.__name__, (pool,), {"ConnectionCls": type(kind.__name__, (_Watched, kind), {})}
        )
        for scheme, pool, kind in (
            ("http", HTTPConnectionPool, plain),
            ("https", HTTPSConnectionPool, over_tls),
        )
    }


DIRECT = _pools(HTTPConnection, HTTPSConnection)
THROUGH_SOCKS = _pools(SOCKSConnection, SOCKSHTTPSConnection)


class WatchedAdapter(HTTPAdapter):
    """The adapter of `requests` over connections that can be hung up."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = DIRECT

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = THROUGH_SOCKS if proxy.startswith("socks") else DIRECT
        return manager


def ask(
    session: requests.Session,
    method: str,
    url: str,
    silence_seconds: float,
    bound_seconds: float,
    **what: Any,
) -> tuple[int, bytes]:
    """Status and whole body of the answer; redirects are not followed.

    `silence_seconds` bounds every single wait, `bound_seconds` all of them together; `what` is sent
    as `requests` has it. Raises `TimeIsUp`, or what `requests` raises.
    """
    bound = Bound(bound_seconds)
    before = _bound.set(bound)
    try:
        with bound.watching():
            response = session.request(
                method, url, timeout=silence_seconds, allow_redirects=False, **what
            )
    except Exception:
        # A connection that was hung up looks like one that broke.
        _ = bound.left
        raise
    finally:
        _bound.reset(before)
    # So does one whose answer has no length, or whose headers were not over: it looks whole.
    _ = bound.left
    return response.status_code, response.content
