"""JSON from a public web site: sent politely, bounded in time, through the tunnel where it must.

Here belongs what the clients of this folder that speak HTTP themselves have in common. What they
ask and what an answer means is their own.
"""

import json
from typing import NamedTuple
from urllib.parse import urlsplit

import requests

from marketdata_assets.errors import MarketdataError
from marketdata_assets.resources.bounded_http import CallBoundReached, WatchedAdapter, get
from marketdata_assets.resources.rate_limit import Allowance
from marketdata_assets.resources.ssh_tunnel import SshTunnel

SILENCE_SECONDS = 20.0
CALL_SECONDS = 60.0
LONGEST_SHOWN = 160
# Sites like these turn away what does not look like a browser.
HEADERS = {"User-Agent": "Mozilla/5.0 (compatible; marketdata-assets)"}


class NoJson(MarketdataError):
    """No JSON came; the text says what came instead."""


class JsonAnswer(NamedTuple):
    status: int
    content: object


class JsonSite:
    """A site at `url`, through `tunnel` where there is one."""

    def __init__(
        self,
        url: str,
        allowance: Allowance,
        tunnel: SshTunnel | None,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self.url = url.rstrip("/")
        self._allowance = allowance
        self._tunnel = tunnel
        self._call_seconds = call_seconds
        self._session = requests.Session()
        self._session.headers.update(HEADERS)
        self._session.mount(self.url, WatchedAdapter())

    def get(self, path: str, params: dict[str, str]) -> JsonAnswer:
        """The answer, whatever its status. Raises `NoJson`, or `TunnelDown`."""
        proxy = self._tunnel.proxy_url() if self._tunnel else None
        self._allowance.acquire()
        silence = min(SILENCE_SECONDS, self._call_seconds)
        try:
            status, body = get(
                self._session, f"{self.url}{path}", params, proxy, silence, self._call_seconds
            )
        except (CallBoundReached, requests.Timeout):
            raise NoJson(f"no complete answer within {self._call_seconds:.0f} s.") from None
        except (requests.RequestException, OSError) as error:
            raise NoJson(f"the connection failed, {type(error).__name__}{self._why()}") from None
        if status == 429:
            raise NoJson("too many requests (HTTP status 429); it is asked again tomorrow.")
        try:
            return JsonAnswer(status, json.loads(body))
        except ValueError:
            shown = " ".join(body.decode("utf-8", "replace").split())[:LONGEST_SHOWN]
            raise NoJson(f"HTTP status {status} and no JSON: «{shown}».") from None

    def close(self) -> None:
        self._session.close()

    def _why(self) -> str:
        """What is known of a connection that failed."""
        if self._tunnel is None:
            return " (is a tunnel needed? see SSH_ENABLED)."
        site = urlsplit(self.url)
        port = site.port or (443 if site.scheme == "https" else 80)
        why = self._tunnel.why_not(site.hostname or "", port)
        return f" through the tunnel: {why}" if why else " through the tunnel."
