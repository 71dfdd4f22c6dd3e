"""Where the API listens, who may ask, and what one question may cost.

Here belong the API_… settings and the limits; how they are kept is `guarding` and the routes.
"""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from marketdata_assets.api.prefix import root_path
from marketdata_assets.listening import is_loopback
from marketdata_assets.profile import HISTORY_BEGINS, history_start, origin
from marketdata_assets.settings import SettingError, port, switch, web_address

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 5000


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

    `root_path` is where a proxy has the API. `origin`, `ssh_enabled` and `history_start` are told
    to clients and change nothing.
    """

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    token: str = field(default="", repr=False)
    cors_origins: tuple[str, ...] = ()
    root_path: str = ""
    origin: str = ""
    ssh_enabled: bool = False
    history_start: dt.date = HISTORY_BEGINS
    limits: Limits = Limits()


def api_settings(env: Mapping[str, str]) -> ApiSettings:
    """The API_… settings. Raises `SettingError`, also for an open door without a token."""
    host = (env.get("API_HOST") or DEFAULT_HOST).strip()
    token = (env.get("API_TOKEN") or "").strip()
    if not is_loopback(host) and not token:
        raise SettingError(
            "API_HOST",
            host,
            "set API_TOKEN too, for other machines reach it there, or leave it at 127.0.0.1",
        )
    if token and not re.fullmatch(r"[!-~]{16,}", token):
        raise SettingError("API_TOKEN", "***", "write 16 or more ASCII characters, without spaces")
    return ApiSettings(
        host=host,
        port=port(env, "API_PORT", DEFAULT_PORT),
        token=token,
        cors_origins=_origins(env),
        root_path=root_path(env),
        origin=origin(env),
        ssh_enabled=switch(env, "SSH_ENABLED"),
        history_start=history_start(env),
    )


def _origins(env: Mapping[str, str]) -> tuple[str, ...]:
    origins = re.split(r"[,;\s]+", env.get("API_CORS_ORIGINS") or "")
    for site in filter(None, origins):
        address = web_address({"API_CORS_ORIGINS": site}, "API_CORS_ORIGINS", "http://localhost")
        if not re.fullmatch(r"https?://[^/?#*]+", address):
            raise SettingError("API_CORS_ORIGINS", site, "write sites, like https://example.com")
    return tuple(filter(None, origins))
