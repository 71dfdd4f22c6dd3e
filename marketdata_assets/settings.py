"""Settings: how one is read, or an error that says how to write it; and the file they come from.

    .env    read whole or refused with a sentence; where the shell has a setting, that one counts

Here belongs the reading. Which settings there are and what they do is `environment`, but for
DEFAULT_START_DATE, which `partitions` needs when it is imported.
"""

import datetime as dt
import io
import re
import stat
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from urllib.parse import urlsplit

from dotenv.main import DotEnv
from dotenv.parser import parse_stream

from marketdata_assets.command_texts import text
from marketdata_assets.errors import MarketdataError
from marketdata_assets.trading_calendar import day_written

# Programs that write another encoding than UTF-8 begin with one of these.
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# A setting inside the value of another one: the quote before it was never closed.
SWALLOWED = re.compile(r"\n\s*(?:export\s+)?[A-Z_][A-Z0-9_]*\s*=")


class SettingError(MarketdataError, is_final=True):
    """A setting can't be read, or an argument of a command, told in the user's language.

    `how` is a text of `command_texts`, with `values` in its places.
    """

    def __init__(self, name: str, written: str, how: str, **values: object) -> None:
        parts = {"name": text(name), "written": written, "how": text(how, **values)}
        super().__init__(text("{name} is {written!r}: {how}.", **parts))


class UnreadableFile(SettingError):
    """`.env` can't be read as it is. Never shows what is in it, for that may be a secret."""

    def __init__(self, path: Path, what: str, line: int = 0, **values: object) -> None:
        where = text("{file}, line {line}", file=path, line=line) if line else str(path)
        MarketdataError.__init__(
            self, text("{where}: {what}.", where=where, what=text(what, **values))
        )


def whole_number(env: Mapping[str, str], name: str, default: int) -> int:
    """A whole number above zero. Raises `SettingError`."""
    written = env.get(name) or str(default)
    if not (written.isascii() and written.isdigit() and int(written) > 0):
        raise SettingError(
            name, written, "write a whole number above 0, like {default}", default=default
        )
    return int(written)


def port(env: Mapping[str, str], name: str, default: int) -> int:
    """A port, or 0 where that is the default and means any. Raises `SettingError`."""
    written = env.get(name) or str(default)
    if not (
        written.isascii()
        and written.isdigit()
        and (0 < int(written) < 65_536 or int(written) == default)
    ):
        raise SettingError(name, written, "write a port, a number up to 65535")
    return int(written)


def path(name: str, written: str) -> Path:
    """A path, with the home folder for `~`. Raises `SettingError` where there is none."""
    try:
        return Path(written).expanduser()
    except RuntimeError:
        how = "there is no such home folder, write the whole path"
        raise SettingError(name, written, how) from None


def switch(env: Mapping[str, str], name: str) -> bool:
    """On or off, by default off. Raises `SettingError`."""
    written = (env.get(name) or "false").strip().lower()
    if written not in ("true", "false", "1", "0", "yes", "no", "on", "off"):
        raise SettingError(name, written, "write true or false")
    return written in ("true", "1", "yes", "on")


def log_level(env: Mapping[str, str], default: str) -> str:
    """How much is told in the shell: LOG_LEVEL. Raises `SettingError`."""
    written = (env.get("LOG_LEVEL") or default).strip().lower()
    if written not in ("debug", "info", "warning", "error"):
        raise SettingError("LOG_LEVEL", written, "write debug, info, warning or error")
    return written


def day(
    env: Mapping[str, str], name: str, default: dt.date, earliest: dt.date | None = None
) -> dt.date:
    """A day not before `earliest`, which is `default` where not given. Raises `SettingError`."""
    earliest = earliest or default
    written = env.get(name) or default.isoformat()
    try:
        value = day_written(written)
    except ValueError:
        raise SettingError(name, written, "write a day, like {default}", default=default) from None
    if value < earliest:
        raise SettingError(name, written, "{first} is the first day there is", first=earliest)
    return value


def web_address(env: Mapping[str, str], name: str, default: str) -> str:
    """An http or https URL without credentials. Raises `SettingError`, never showing any."""
    written = env.get(name) or default
    try:
        parts = urlsplit(written)
        is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_address = False
    if "@" in written:
        raise SettingError(name, "***", "write the address without user and password")
    if not is_address:
        raise SettingError(name, written, "write an address, like {default}", default=default)
    return written


def settle(env: MutableMapping[str, str], path: Path) -> list[str]:
    """Put the settings of the file at `path` into `env`, but for those that are there already.

    The shell wins, also with an empty value. Returns a line for each setting that both name, and
    one for a file with settings that everybody can read. Raises `UnreadableFile`, and then `env` is
    as it was.
    """
    written = settings_in(path)
    both = [name for name in written if name in env]
    for name, value in written.items():
        env.setdefault(name, value)
    twice = "{name} is set in the shell and in {file}: the shell's counts."
    notices = [text(twice, name=name, file=path) for name in both]
    if written and path.stat().st_mode & stat.S_IROTH:
        open_to_all = "Everybody on this machine can read {file}. Run chmod 600 on it."
        notices.append(text(open_to_all, file=path))
    return notices


def settings_in(path: Path) -> Mapping[str, str]:
    """The settings in the file at `path`; without a file, none. Raises `UnreadableFile`."""
    content = _content(path)
    for binding in parse_stream(io.StringIO(content)):
        written = binding.original.string
        blank = len(written) - len(written.lstrip())
        line = binding.original.line + written[:blank].count("\n")
        swallows = binding.value is not None and SWALLOWED.search(binding.value)
        if binding.error or swallows:
            raise UnreadableFile(path, "write NAME=value, and close a quote that is opened", line)
        if binding.key is not None and binding.value is None:
            raise UnreadableFile(path, "write NAME=value; there is no = in it", line)
    # References like ${HOME} are the library's to resolve, from the shell first.
    values = DotEnv(None, stream=io.StringIO(content), override=False).dict()
    return {name: value for name, value in values.items() if value is not None}


def _content(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise UnreadableFile(path, "it can't be read, {said}", said=error.strerror) from None
    if raw.startswith(UTF_16) or b"\0" in raw:
        raise UnreadableFile(path, "it is UTF-16, save it as UTF-8", 1)
    try:
        # Editors of Windows put a mark before UTF-8.
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        what = "it is not UTF-8 but perhaps GBK, save it as UTF-8"
        raise UnreadableFile(path, what, line) from None
