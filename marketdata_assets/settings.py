"""Reading one setting: its text as a value, or an error that says how to write it.

Here belongs the reading. Which settings there are and what they do is `environment`, but for
DEFAULT_START_DATE, which `partitions` needs when it is imported.
"""

import datetime as dt
from collections.abc import Mapping
from urllib.parse import urlsplit

from marketdata_assets.errors import MarketdataError
from marketdata_assets.written_days import day_written


class SettingError(MarketdataError, is_final=True):
    """A setting can't be read."""

    def __init__(self, name: str, text: str, how: str) -> None:
        super().__init__(f"{name} is {text!r}: {how}.")


def whole_number(env: Mapping[str, str], name: str, default: int) -> int:
    """A whole number above zero. Raises `SettingError`."""
    text = env.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise SettingError(name, text, f"write a whole number, like {default}")
    return int(text)


def port(env: Mapping[str, str], name: str, default: int) -> int:
    """A port, or 0 where that is the default and means any. Raises `SettingError`."""
    text = env.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and (0 < int(text) < 65_536 or int(text) == default)):
        raise SettingError(name, text, "write a port, a number up to 65535")
    return int(text)


def switch(env: Mapping[str, str], name: str) -> bool:
    """On or off, by default off. Raises `SettingError`."""
    text = (env.get(name) or "false").strip().lower()
    if text not in ("true", "false", "1", "0", "yes", "no", "on", "off"):
        raise SettingError(name, text, "write true or false")
    return text in ("true", "1", "yes", "on")


def log_level(env: Mapping[str, str], default: str) -> str:
    """How much is told in the shell: LOG_LEVEL. Raises `SettingError`."""
    text = (env.get("LOG_LEVEL") or default).strip().lower()
    if text not in ("debug", "info", "warning", "error"):
        raise SettingError("LOG_LEVEL", text, "write debug, info, warning or error")
    return text


def day(
    env: Mapping[str, str], name: str, default: dt.date, earliest: dt.date | None = None
) -> dt.date:
    """A day not before `earliest`, which is `default` where not given. Raises `SettingError`."""
    earliest = earliest or default
    text = env.get(name) or default.isoformat()
    try:
        value = day_written(text)
    except ValueError:
        raise SettingError(name, text, f"write a day, like {default}") from None
    if value < earliest:
        raise SettingError(name, text, f"{earliest} is the first day there is")
    return value


def web_address(env: Mapping[str, str], name: str, default: str) -> str:
    """An http or https URL without credentials. Raises `SettingError`, never showing any."""
    text = env.get(name) or default
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_address = False
    if "@" in text:
        raise SettingError(name, "***", "write the address without user and password")
    if not is_address:
        raise SettingError(name, text, f"write an address, like {default}")
    return text
