"""A public site that answers JSON: asked politely, bounded in time, through the tunnel if it must.

Here belongs what the sources that speak HTTP themselves have in common. What they ask and what an
answer means is their own.
"""

import json
from urllib.parse import urlsplit

import requests

from marketdata_assets.errors import MarketdataError
from marketdata_assets.resources.bounded_http import WatchedAdapter, ask
from marketdata_assets.resources.rate_limit import Allowance
from marketdata_assets.resources.sources.history import HistorySource
from marketdata_assets.resources.ssh_tunnel import SshTunnel
from marketdata_assets.resources.time_bound import TimeIsUp

SILENCE_SECONDS = 20.0
CALL_SECONDS = 60.0
LONGEST_SHOWN = 160
# Sites like these turn away what does not look like a browser.
HEADERS = {"User-Agent": "Mozilla/5.0 (compatible; marketdata-assets)"}


class NoJson(MarketdataError):
    """No JSON came; the text says what came instead."""


class WebSource(HistorySource):
    """The source at `url`, asked through `tunnel` where there is one."""

    def __init__(
        self,
        allowance: Allowance,
        tunnel: SshTunnel | None,
        url: str,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self.url = url.rstrip("/")
        self.host = self.url.partition("://")[2]
        self._allowance = allowance
        self._tunnel = tunnel
        self._call_seconds = call_seconds
        self._session = requests.Session()
        self._session.headers.update(HEADERS)
        self._session.mount(self.url, WatchedAdapter())

    def get(self, path: str, params: dict[str, str]) -> tuple[int, object]:
        """Status and content of the answer, whatever they are. Raises `NoJson`, or `TunnelDown`."""
        proxies = dict.fromkeys(("http", "https"), self._tunnel.proxy_url()) if self._tunnel else {}
        self._allowance.acquire()
        silence = min(SILENCE_SECONDS, self._call_seconds)
        try:
            status, body = ask(
                self._session,
                "GET",
                f"{self.url}{path}",
                silence,
                self._call_seconds,
                params=params,
                proxies=proxies,
            )
        except (TimeIsUp, requests.Timeout):
            raise NoJson(f"no complete answer within {self._call_seconds:.0f} s.") from None
        except (requests.RequestException, OSError) as error:
            raise NoJson(f"the connection failed, {type(error).__name__}{self._why()}") from None
        if status == 429:
            raise NoJson("too many requests (HTTP status 429); it is asked again tomorrow.")
        try:
            return status, json.loads(body)
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
