"""Which of the two profiles this is: its folder, what its data are called, where they begin.

Here belongs the choice alone, without Dagster, so that the HTTP API starts without it. What a
profile consists of is `environment`.
"""

import datetime as dt
import os
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from marketdata_assets.settings import SettingError, day, path, web_address, whole_number

TUSHARE_URL = "https://api.tushare.pro/dataapi"
DEFAULT_CALLS_PER_MINUTE = 200
HISTORY_BEGINS = dt.date(2015, 1, 1)
# Dagster finds no settings where a path reads as a pattern, SQLite no file where it reads as an
# address, and DuckDB none whose name is not in UTF-8.
NOT_IN_A_PATH = re.compile(r"[\[*?]|%[0-9A-Fa-f]{2}|[\ud800-\udfff]")
OLDEST_DAY = dt.date(1990, 12, 19)


class Profile(StrEnum):
    """Two profiles that never share a folder: real data, and the simulated exchange's."""

    LIVE = "live"
    SANDBOX = "sandbox"


def profile(env: Mapping[str, str] = os.environ) -> Profile:
    """Live with a TUSHARE_TOKEN, else the sandbox."""
    return Profile.LIVE if env.get("TUSHARE_TOKEN", "").strip() else Profile.SANDBOX


def profile_root(env: Mapping[str, str] = os.environ) -> Path:
    """The folder that holds everything of this profile, run history included.

    Another server than Tushare's own has a folder of its own, `live-<host>`. Raises `SettingError`
    for a path that is none for a folder.
    """
    written = path("MARKETDATA_HOME", env.get("MARKETDATA_HOME") or "data")
    try:
        home = written.resolve()
        is_something_else = home.exists() and not home.is_dir()
    except (OSError, RuntimeError) as error:
        # Of links in a circle `resolve` makes a RuntimeError, up to Python 3.12.
        how = "it can't be opened ({said}), name another folder"
        said = error.strerror if isinstance(error, OSError) else error
        raise SettingError("MARKETDATA_HOME", str(written), how, said=said) from None
    if is_something_else:
        raise SettingError("MARKETDATA_HOME", str(home), "name a folder")
    if found := NOT_IN_A_PATH.search(str(home)):
        how = "not every program opens a path with {sign!r}, name another folder"
        raise SettingError("MARKETDATA_HOME", str(home), how, sign=found.group())
    host = _host(upstream(env))
    is_usual = profile(env) is Profile.SANDBOX or host == _host(TUSHARE_URL)
    return home / (profile(env) if is_usual else f"{Profile.LIVE}-{host}")


def refuse_other_history(env: Mapping[str, str] = os.environ) -> None:
    """Raise `SettingError` where DAGSTER_HOME is the run history of another profile.

    So it is when a program reads other settings than the one that started it.
    """
    root, given = profile_root(env), env.get("DAGSTER_HOME")
    history = path("DAGSTER_HOME", given).resolve() if given else root / "dagster"
    if history.parent.parent == root.parent and history.parent != root:
        how = "these settings are of another profile, whose run history is in {folder}"
        raise SettingError("DAGSTER_HOME", str(history), how, folder=root / "dagster")


def upstream(env: Mapping[str, str]) -> str:
    """The address of the server that speaks Tushare's protocol. Raises `SettingError`."""
    return web_address(env, "TUSHARE_URL", TUSHARE_URL)


def origin(env: Mapping[str, str] = os.environ) -> str:
    """Where the data of this profile come from, as every file and answer says it."""
    if profile(env) is Profile.SANDBOX:
        return "sandbox: simulated, not a real market"
    return f"Tushare, {_host(upstream(env))}"


def calls_per_minute(env: Mapping[str, str] = os.environ) -> int:
    """The account's allowance. Raises `SettingError`."""
    return whole_number(env, "TUSHARE_CALLS_PER_MINUTE", DEFAULT_CALLS_PER_MINUTE)


def history_start(env: Mapping[str, str] = os.environ) -> dt.date:
    """The first day of histories by code. Raises `SettingError`."""
    return day(env, "HISTORY_START_DATE", HISTORY_BEGINS, earliest=OLDEST_DAY)


def _host(url: str) -> str | None:
    return urlsplit(url).hostname
