"""Where the UI listens, and who may ask.

Here belong `--host`, `--port` and UI_TOKEN; how they are kept is `guard`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from marketdata_assets.listening import is_loopback
from marketdata_assets.settings import SettingError


@dataclass(frozen=True)
class UiSettings:
    """Without a `token` only this machine may ask."""

    host: str
    port: int
    token: str = field(default="", repr=False)


def ui_settings(env: Mapping[str, str], host: str, port: int) -> UiSettings:
    """The settings of the UI. Raises `SettingError`, also for an open door without a token."""
    host, token = host.strip().strip("[]"), (env.get("UI_TOKEN") or "").strip()
    if not is_loopback(host) and not token:
        raise SettingError(
            "--host",
            host,
            "set UI_TOKEN too, for other machines reach it there, or leave it at 127.0.0.1",
        )
    if token and not re.fullmatch(r"[!-~]{16,}", token):
        raise SettingError("UI_TOKEN", "***", "write 16 or more ASCII characters, without spaces")
    return UiSettings(host, port, token)
