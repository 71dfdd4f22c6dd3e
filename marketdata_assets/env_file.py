"""The `.env` file: read whole or refused with a sentence, and where it gives way to the shell.

Here belongs the file and who wins. What the settings in it mean is `profile` and `environment`.
"""

import io
import re
import stat
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from dotenv.main import DotEnv
from dotenv.parser import parse_stream

from marketdata_assets.errors import MarketdataError
from marketdata_assets.settings import SettingError

# Programs that write another encoding than UTF-8 begin with one of these.
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# A setting inside the value of another one: the quote before it was never closed.
SWALLOWED = re.compile(r"\n\s*(?:export\s+)?[A-Z_][A-Z0-9_]*\s*=")


class UnreadableFile(SettingError):
    """`.env` can't be read as it is. Never shows what is in it, for that may be a secret."""

    def __init__(self, path: Path, what: str, line: int = 0) -> None:
        where = f"{path}, line {line}" if line else str(path)
        MarketdataError.__init__(self, f"{where}: {what}.")


def settle(env: MutableMapping[str, str], path: Path) -> list[str]:
    """Put the settings of the file at `path` into `env`, but for those that are there already.

    The shell wins, also with an empty value. Returns a line for each setting that both name, and
    one for a file with settings that everybody can read. Raises `UnreadableFile`, and then `env` is
    as it was.
    """
    written = read(path)
    both = [name for name in written if name in env]
    for name, value in written.items():
        env.setdefault(name, value)
    notices = [f"{name} is set in the shell and in {path}: the shell's counts." for name in both]
    if written and path.stat().st_mode & stat.S_IROTH:
        notices.append(f"Everybody on this machine can read {path}. Run chmod 600 on it.")
    return notices


def read(path: Path) -> Mapping[str, str]:
    """The settings in the file at `path`; without a file, none. Raises `UnreadableFile`."""
    text = _text(path)
    for binding in parse_stream(io.StringIO(text)):
        written = binding.original.string
        blank = len(written) - len(written.lstrip())
        line = binding.original.line + written[:blank].count("\n")
        swallows = binding.value is not None and SWALLOWED.search(binding.value)
        if binding.error or swallows:
            raise UnreadableFile(path, "write NAME=value, and close a quote that is opened", line)
        if binding.key is not None and binding.value is None:
            raise UnreadableFile(path, "write NAME=value; there is no = in it", line)
    # References like ${HOME} are the library's to resolve, from the shell first.
    values = DotEnv(None, stream=io.StringIO(text), override=False).dict()
    return {name: value for name, value in values.items() if value is not None}


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise UnreadableFile(path, f"it can't be read, {error.strerror}") from None
    if raw.startswith(UTF_16) or b"\0" in raw:
        raise UnreadableFile(path, "it is UTF-16, save it as UTF-8", 1)
    try:
        # Editors of Windows put a mark before UTF-8.
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        what = "it is not UTF-8 but perhaps GBK, save it as UTF-8"
        raise UnreadableFile(path, what, line) from None
