"""The manifest: what each published file holds, so that a reader can prove what he has.

It is a function of the content alone, without times: the same data make the same bytes, and a
publication that changes nothing is never made. One thing depends on the lake it was published from:
why sessions are missing, since what is not there can't tell.
"""

import bisect
import datetime as dt
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from marketdata_assets.errors import MarketdataError
from marketdata_assets.publishing import layout
from marketdata_assets.trading_calendar import previous_session, sessions_between

FORMAT = 3
# Format 1 doesn't say why sessions are missing, and its marker stops before the first of them. Up
# to format 2 there were no suspended shares, and no word of which rows were taken over.
READABLE = (1, 2, FORMAT)
NOT_TOLD = "not told"
CHUNK = 1 << 20


class UnreadableManifest(MarketdataError, is_final=True):
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
class Adopted:
    """What was taken over of a CSV: rows in it, and how many were left out for which reason.

    Its rows are those of `days` until the lake replaces them, and of these `boards`. The `absent`
    columns are NULL.
    """

    rows_read: int
    left_out: Mapping[str, int]
    boards: tuple[str, ...]
    absent: tuple[str, ...]
    days: frozenset[dt.date]

    @property
    def rows_kept(self) -> int:
        return self.rows_read - sum(self.left_out.values())

    def without(self, days: Collection[dt.date]) -> "Adopted | None":
        """The same after `days` were replaced; None when none is left."""
        left = self.days.difference(days)
        return replace(self, days=left) if left else None

    def in_words(self) -> str:
        absent = f"; NULL, as it lacks them: {', '.join(self.absent)}" if self.absent else ""
        return f"adopted the CSV: {self.counted()}, sorted{absent}"

    def counted(self) -> str:
        """The numbers of rows, those left out by reason."""
        counts = [f"{count:,} {reason}" for reason, count in self.left_out.items() if count]
        left_out = f"left out {', '.join(counts)}, " if counts else ""
        return f"{self.rows_read:,} rows read, {left_out}{self.rows_kept:,} kept"


@dataclass(frozen=True)
class Manifest:
    """Everything published. `missing` sessions lie between first and last and are not there.

    Each has the reason why. Every shard has the `columns`, in their order; of former days they are
    not told. The CSV has the original ones, or with `csv_all_columns` all. Of the days that are
    `without_suspended` nobody has told the suspended shares; of the others all of them are there.
    """

    origin: str
    universe: str
    files: Mapping[str, Facts]
    missing: Mapping[dt.date, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    csv_all_columns: bool = False
    without_suspended: frozenset[dt.date] = frozenset()
    adopted: Adopted | None = None

    @property
    def missing_sessions(self) -> list[dt.date]:
        return sorted(self.missing)

    @property
    def shards(self) -> dict[str, Facts]:
        """The files of prices."""
        return {path: facts for path, facts in self.files.items() if layout.is_shard(path)}

    @property
    def suspended(self) -> dict[str, Facts]:
        """The files of suspended shares."""
        return {path: facts for path, facts in self.files.items() if layout.is_suspended(path)}

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
        if not self.missing:
            return self.last
        return previous_session(min(self.missing))

    def days(self) -> set[dt.date]:
        """The sessions that are published."""
        if self.first is None or self.last is None:
            return set()
        return set(sessions_between(self.first, self.last)) - set(self.missing)

    def to_json(self) -> bytes:
        value = {
            "format": FORMAT,
            "origin": self.origin,
            "columns": self.columns,
            "csv_universe": self.universe,
            "csv_all_columns": self.csv_all_columns,
            "rows": self.rows,
            "first": self.first,
            "last": self.last,
            "complete_to": self.complete_to,
            "missing_sessions": self.missing_sessions,
            "missing_because": [span._asdict() for span in spans(self.missing)],
            "days_without_suspended": _stretches(self.without_suspended),
            "adopted": {**asdict(self.adopted), "days": _stretches(self.adopted.days)}
            if self.adopted
            else None,
            "files": {path: asdict(facts) for path, facts in sorted(self.files.items())},
        }
        text = json.dumps(value, ensure_ascii=False, indent=1, default=str)
        return f"{text}\n".encode()


def from_json(text: bytes) -> Manifest:
    """Raises `UnreadableManifest`."""
    try:
        value: dict[str, Any] = json.loads(text)
        if value["format"] not in READABLE:
            raise UnreadableManifest(
                f"the published manifest has format {value['format']}, this version writes "
                f"{FORMAT}: upgrade marketdata-assets"
            )
        if strange := [path for path in value["files"] if ".." in path or path.startswith("/")]:
            raise UnreadableManifest(f"the published manifest names a file {strange[0]!r}")
        manifest = Manifest(
            origin=value["origin"],
            universe=value["csv_universe"],
            files={path: _facts(facts) for path, facts in value["files"].items()},
            missing=_missing(value),
            columns=tuple(value.get("columns", ())),
            csv_all_columns=bool(value.get("csv_all_columns")),
            adopted=_adopted(value.get("adopted")),
        )
        told = value.get("days_without_suspended")
        lacking = manifest.days() if told is None else _days_of(told)
        return replace(manifest, without_suspended=frozenset(lacking))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableManifest(
            f"the published manifest can't be read ({type(error).__name__}): restore it from the "
            "dataset's history"
        ) from None


class Span(NamedTuple):
    """Neighbouring sessions that are missing for the same reason."""

    first: dt.date
    last: dt.date
    reason: str


def spans(missing: Mapping[dt.date, str]) -> list[Span]:
    """Missing sessions as few spans: they may be thousands, of a handful of reasons."""
    found: list[Span] = []
    for day, reason in sorted(missing.items()):
        before = found[-1] if found else None
        if before and before.reason == reason and before.last == previous_session(day):
            found[-1] = before._replace(last=day)
        else:
            found.append(Span(day, day, reason))
    return found


def _stretches(days: Collection[dt.date]) -> list[dict[str, dt.date]]:
    stretches = spans(dict.fromkeys(days, ""))
    return [{"first": span.first, "last": span.last} for span in stretches]


def _days_of(stretches: list[dict[str, str]]) -> frozenset[dt.date]:
    ends = [[dt.date.fromisoformat(span[end]) for end in ("first", "last")] for span in stretches]
    return frozenset(day for first, last in ends for day in sessions_between(first, last))


def _adopted(value: dict[str, Any] | None) -> Adopted | None:
    if value is None:
        return None
    lists = {name: tuple(value[name]) for name in ("boards", "absent")}
    return Adopted(**{**value, **lists, "days": _days_of(value["days"])})


def _missing(value: dict[str, Any]) -> dict[dt.date, str]:
    days = sorted(map(dt.date.fromisoformat, value["missing_sessions"]))
    reasons = dict.fromkeys(days, NOT_TOLD)
    for span in value.get("missing_because", []):
        first, last = (dt.date.fromisoformat(span[end]) for end in ("first", "last"))
        ours = days[bisect.bisect_left(days, first) : bisect.bisect_right(days, last)]
        reasons |= dict.fromkeys(ours, str(span["reason"]))
    return reasons


def _facts(value: dict[str, Any]) -> Facts:
    dates = {
        name: dt.date.fromisoformat(value[name]) if value[name] else None
        for name in ("first", "last")
    }
    return Facts(**{**value, **dates})


def hash_of(path: Path, size: int | None = None) -> str:
    """SHA-256 of a file, or of its first `size` bytes, in hexadecimal digits."""
    digest, left = hashlib.sha256(), path.stat().st_size if size is None else size
    with path.open("rb") as file:
        while left and (chunk := file.read(min(CHUNK, left))):
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest()
