"""Where the API listens, who may ask, and what one question may cost.

Here belong the API_… settings and the limits; how they are kept is `guarding` and the routes.
"""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from marketdata_assets.listening import address, is_loopback, token
from marketdata_assets.profile import HISTORY_BEGINS, history_start, origin
from marketdata_assets.settings import SettingError, port, switch, web_address, whole_number

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 5000
WORKERS = "API_WORKERS"
MOST_WORKERS = 64
ROOT_PATH = "API_ROOT_PATH"
PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
# A prefix that our own paths begin with could be ours or the proxy's.
OUR_OWN = ("api", "docs", "health", "metrics", "openapi.json")


@dataclass(frozen=True)
class Limits:
    """What one question may cost, how long it may wait, and how many may ask at once."""

    rows: int = 500_000
    body_bytes: int = 64_000
    default_wait: float = 25
    longest_wait: float = 60
    # Of a connection, before there is a question: see `connections`.
    connections: int = 500
    head_bytes: int = 32_768
    seconds_to_ask: float = 10
    seconds_to_read: float = 60
    # Each opens hundreds of day files and may take hundreds of MB.
    as_of_at_once: int = 2
    as_of_waiting: int = 8
    # Of a table by code: every day is a file that is read as a whole.
    table_days: int = 366
    table_ranges_at_once: int = 2
    table_ranges_waiting: int = 8


@dataclass(frozen=True)
class ApiSettings:
    """Without a `token` only this machine may ask; `cors_origins` are sites whose pages may.

    `root_path` is where a proxy has the API, `workers` how many processes answer: each has the
    limits to itself. `origin`, `ssh_enabled` and `history_start` are told
    to clients and change nothing.
    """

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    token: str = field(default="", repr=False)
    cors_origins: tuple[str, ...] = ()
    root_path: str = ""
    workers: int = 1
    origin: str = ""
    ssh_enabled: bool = False
    history_start: dt.date = HISTORY_BEGINS
    limits: Limits = Limits()


def api_settings(env: Mapping[str, str]) -> ApiSettings:
    """The API_… settings. Raises `SettingError`, also for an open door without a token."""
    host = _host(env)
    return ApiSettings(
        host=host,
        port=port(env, "API_PORT", DEFAULT_PORT),
        token=token(env, "API_TOKEN", host, "API_HOST"),
        cors_origins=_origins(env),
        root_path=_root_path(env),
        workers=_workers(env),
        origin=origin(env),
        ssh_enabled=switch(env, "SSH_ENABLED"),
        history_start=history_start(env),
    )


def page_address(env: Mapping[str, str]) -> str:
    """Where a browser on this machine finds the page.

    Empty where only others know: behind a proxy, or where it listens for other machines. Raises
    `SettingError`.
    """
    host = _host(env)
    if _root_path(env) or not is_loopback(host):
        return ""
    return address(host, port(env, "API_PORT", DEFAULT_PORT))


def _host(env: Mapping[str, str]) -> str:
    """A name or an address, of IPv6 without the brackets that it has in a URL."""
    return (env.get("API_HOST") or DEFAULT_HOST).strip().strip("[]")


def _root_path(env: Mapping[str, str]) -> str:
    """The prefix without a slash at its end; empty where there is none. Raises `SettingError`."""
    text = (env.get(ROOT_PATH) or "").strip().rstrip("/")
    if not text:
        return ""
    if not PREFIX.fullmatch(text):
        raise SettingError(ROOT_PATH, text, "write a path, like /marketdata")
    if text.split("/")[1] in OUR_OWN:
        raise SettingError(ROOT_PATH, text, "take another path: the API's own begin like that")
    return text


def _workers(env: Mapping[str, str]) -> int:
    workers = whole_number(env, WORKERS, 1)
    if not 1 <= workers <= MOST_WORKERS:
        how = "write a number from 1 to {most}"
        raise SettingError(WORKERS, str(workers), how, most=MOST_WORKERS)
    return workers


def _origins(env: Mapping[str, str]) -> tuple[str, ...]:
    origins = re.split(r"[,;\s]+", env.get("API_CORS_ORIGINS") or "")
    for site in filter(None, origins):
        written = web_address({"API_CORS_ORIGINS": site}, "API_CORS_ORIGINS", "http://localhost")
        if not re.fullmatch(r"https?://[^/?#*]+", written):
            raise SettingError("API_CORS_ORIGINS", site, "write sites, like https://example.com")
    return tuple(filter(None, origins))
