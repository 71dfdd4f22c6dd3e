"""The manifest: what each published file holds, so that a reader can prove what he has.

It is a function of the content alone, without times: the same data make the same bytes, and a
commit that changes nothing is never made.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from marketdata_assets.trading_calendar import previous_session, sessions_between

FORMAT = 1
CHUNK = 1 << 20


class UnreadableManifest(ValueError):
    """The manifest is of another format, or none at all."""


@dataclass(frozen=True)
class Facts:
    """A file: its hash and size, and what rows it has; `checks` counts the rows that break one."""

    sha256: str
    bytes: int
    rows: int | None = None
    first: dt.date | None = None
    last: dt.date | None = None
    checks: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """Everything published. `missing_sessions` lie between first and last and are not there."""

    origin: str
    universe: str
    files: Mapping[str, Facts]
    missing_sessions: tuple[dt.date, ...] = ()

    @property
    def shards(self) -> dict[str, Facts]:
        return {path: facts for path, facts in self.files.items() if path.startswith("data/")}

    @property
    def rows(self) -> int:
        return sum(facts.rows or 0 for facts in self.shards.values())

    @property
    def first(self) -> dt.date | None:
        return min((facts.first for facts in self.shards.values() if facts.first), default=None)

    @property
    def last(self) -> dt.date | None:
        return max((facts.last for facts in self.shards.values() if facts.last), default=None)

    @property
    def complete_to(self) -> dt.date | None:
        """The last day up to which no session since the first one is missing."""
        if not self.missing_sessions:
            return self.last
        return previous_session(min(self.missing_sessions))

    def days(self) -> set[dt.date]:
        """The sessions that are published."""
        if self.first is None or self.last is None:
            return set()
        return set(sessions_between(self.first, self.last)) - set(self.missing_sessions)

    def to_json(self) -> bytes:
        value = {
            "format": FORMAT,
            "origin": self.origin,
            "csv_universe": self.universe,
            "rows": self.rows,
            "first": self.first,
            "last": self.last,
            "complete_to": self.complete_to,
            "missing_sessions": self.missing_sessions,
            "files": {path: asdict(facts) for path, facts in sorted(self.files.items())},
        }
        text = json.dumps(value, ensure_ascii=False, indent=1, default=str)
        return f"{text}\n".encode()


def from_json(text: bytes) -> Manifest:
    """Raises `UnreadableManifest`."""
    try:
        value: dict[str, Any] = json.loads(text)
        if value["format"] != FORMAT:
            raise UnreadableManifest(
                f"the published manifest has format {value['format']}, this version writes "
                f"{FORMAT}: upgrade marketdata-assets"
            )
        if strange := [path for path in value["files"] if ".." in path or path.startswith("/")]:
            raise UnreadableManifest(f"the published manifest names a file {strange[0]!r}")
        return Manifest(
            origin=value["origin"],
            universe=value["csv_universe"],
            files={path: _facts(facts) for path, facts in value["files"].items()},
            missing_sessions=tuple(map(dt.date.fromisoformat, value["missing_sessions"])),
        )
    except UnreadableManifest:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableManifest(
            f"the published manifest can't be read ({type(error).__name__}): restore it from the "
            "dataset's history"
        ) from None


def _facts(value: dict[str, Any]) -> Facts:
    dates = {
        name: dt.date.fromisoformat(value[name]) if value[name] else None
        for name in ("first", "last")
    }
    return Facts(**{**value, **dates})


def hash_of(path: Path, size: int | None = None) -> "hashlib._Hash":
    """SHA-256 of a file, or of its first `size` bytes, that can go on."""
    digest, left = hashlib.sha256(), path.stat().st_size if size is None else size
    with path.open("rb") as file:
        while left and (chunk := file.read(min(CHUNK, left))):
            digest.update(chunk)
            left -= len(chunk)
    return digest
