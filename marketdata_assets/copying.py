"""The command `copy`: a profile's folder, or a copy of it, to another folder or to an S3 store.

So a platform moves, is backed up and is restored. Here belongs what is copied, in which order, and
what is left as it is; how places are read and written is `copy_places`.

What can be made again is not copied: series, exports, and the catalog, whose views hold the path of
their folder and would go on reading the one that was copied; it is made for the new one. Programs
may go on writing to the place that is copied from. So what tells of other parts goes before them,
and no copy claims what it lacks; and a partition is read before its earlier versions, which its own
file is among once it is replaced. The partitions of a day are read together, what is made of others
before them, and put in the order in which they were made.

A copy may end at any moment, and be all that is left. So what a partition was before is there when
it is replaced: by the source's name, or by one of its own where the source does not have it.
"""

import datetime as dt
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeAlias

import pyarrow as pa
from rich.console import Console
from rich.progress import Progress

from marketdata_assets.command_texts import text
from marketdata_assets.copy_places import Bucket, Content, Entry, Folder, Place, hash_of
from marketdata_assets.listening import is_simulated
from marketdata_assets.profile import Profile
from marketdata_assets.serving.status import programs_running
from marketdata_assets.settings import SettingError
from marketdata_assets.storage.catalog import publish_catalog
from marketdata_assets.storage.fitting import stored_at_of
from marketdata_assets.storage.lake import UNTIL, moment_of
from marketdata_assets.storage.sealed_parquet import DamagedFile, unsealed
from marketdata_assets.tables import (
    COVERAGE,
    DAILY_PRICES,
    ETF_COVERAGE,
    ETF_PREMIUM,
    FINDINGS,
    RESTATEMENTS,
    SUSPENDED,
)

AT_ONCE = 8
MOST_NAMED = 10
MANIFEST = "dataset/manifest.json"
# Their parquet files carry their own checksum.
SEALED = ("lake/", "superseded/")

SHARED = "hosts share this lake, which names earlier versions otherwise, name another place"


class Part(NamedTuple):
    """Files of a folder; one of another name is another program's, or unfinished."""

    name: str
    folder: str
    form: str


LAKE = Part("lake", "lake", r"lake/\w+/(\d{4}/)?[^/.][^/]*\.parquet")
# Tables that are made of others, each before those that it is made of.
MADE = (FINDINGS, RESTATEMENTS, DAILY_PRICES, SUSPENDED, COVERAGE, ETF_PREMIUM, ETF_COVERAGE)
PARTS = (
    Part("run history", "dagster", r"dagster/(history|schedules)/(.+/)?[^/.]+\.db"),
    Part("requests", "state", r"state/requests\.sqlite3"),
    Part("dataset", "dataset", r"dataset/((?!\.)(.+/)?[^/.][^/]*|\.last_update_date)"),
    LAKE,
    EARLIER := Part(
        "earlier versions",
        "superseded",
        r"superseded/.+/\d{8}T\d{6}\.\d{6}Z\.(parquet|damaged)",
    ),
    Part("excuses", "", r"excuses\.csv"),
)


class Outcome(StrEnum):
    """What became of a file."""

    COPIED = "copied"
    SAME = "there already"
    NEWER = "left, for the one that is there is newer"
    DAMAGED = "not copied, for it is damaged"
    GONE = "gone meanwhile"


# By the keys of files, what became of each and its size.
Done: TypeAlias = dict[str, tuple[Outcome, int]]


def copy(source: str, target: str) -> int:
    """Copy, or go on copying, and print what was done; 1 where a file could not be taken.

    Raises `SettingError` for places that can't be copied from or to.
    """
    here, there = place_at(source, "FROM"), place_at(target, "TO")
    refuse(here, source, there, target)
    console, left = Console(highlight=False, markup=False, soft_wrap=True), dict[str, Outcome]()
    early: Done = {}
    for part in PARTS:
        done = _copy_part(here, there, part, console, early)
        counts = Counter(outcome for outcome, _ in done.values())
        copied = sum(bytes_ for outcome, bytes_ in done.values() if outcome is Outcome.COPIED)
        if counts:
            told = ", ".join(f"{counts[one]:,} {text(one)}" for one in Outcome if counts[one])
            console.print(f"{text(part.name)}: {told}{text('; ')}{copied / 1e6:,.1f} MB")
        bad = (Outcome.NEWER, Outcome.DAMAGED)
        left |= {key: outcome for key, (outcome, _) in done.items() if outcome in bad}
    if isinstance(there, Folder):
        try:
            publish_catalog(there.root)
        except OSError as error:
            console.print(str(error))
    for key, outcome in list(left.items())[:MOST_NAMED]:
        console.print(f"{key}: {text(outcome)}")
    if len(left) > MOST_NAMED:
        console.print(text("… and {count:,} more", count=len(left) - MOST_NAMED))
    return int(bool(left))


def place_at(address: str, name: str) -> Place:
    """The place of an argument. Raises `SettingError`."""
    if address.startswith("s3://"):
        shared = (os.environ.get("MARKETDATA_LAKE") or "").rstrip("/")
        if shared and f"{address}/".startswith(f"{shared}/"):
            raise SettingError(name, address, SHARED)
        return Bucket(address, name)
    return Folder(Path(address).expanduser().absolute())


def refuse(here: Place, source: str, there: Place, target: str) -> None:
    """Raise `SettingError` where nothing would be copied, or something that must not be."""
    if next(_entries(here, LAKE), None) is None:
        raise SettingError("FROM", source, "no lake is there, name the folder of a profile")
    for place, name, address in ((here, "FROM", source), (there, "TO", target)):
        if _is_shared(place):
            raise SettingError(name, address, SHARED)
    if isinstance(there, Folder) and there.root.is_dir() and programs_running(there.root):
        raise SettingError("TO", target, "programs write to this folder, end them before")
    ours, theirs = _is_of_sandbox(here, source), _is_of_sandbox(there, target)
    if theirs is not None and ours is not theirs:
        what = "simulated" if ours else "real"
        how = "{source} holds {what} data, and this place other ones"
        raise SettingError("TO", target, how, source=source, what=text(what))


def _is_shared(place: Place) -> bool:
    """Whether hosts have a lake there: copies by code, which no copy has, without a run history."""
    is_there = [next(place.entries(name), None) is not None for name in ("series", "dagster")]
    return isinstance(place, Bucket) and is_there == [True, False]


def _is_of_sandbox(place: Place, address: str) -> bool | None:
    """Whether the data of a place are simulated: as a file says, or without any its name."""
    for entry in _entries(place, LAKE):
        with suppress(DamagedFile, FileNotFoundError):
            if origin := (_labels(place.read(entry.key).raw) or {}).get(b"origin"):
                return is_simulated(origin.decode())
    name = address.rstrip("/").rpartition("/")[2]
    if name == Profile.SANDBOX:
        return True
    return False if name.partition("-")[0] == Profile.LIVE else None


def _entries(place: Place, part: Part) -> Iterator[Entry]:
    return (one for one in place.entries(part.folder) if re.fullmatch(part.form, one.key))


def _copy_part(here: Place, there: Place, part: Part, console: Console, early: Done) -> Done:
    """The outcome and the size of every file of a part; `early` has what came before its part."""
    is_dataset = MANIFEST.startswith(f"{part.folder}/")
    before = _digest(here, MANIFEST) if is_dataset else None
    together = _together(here, part)
    known = {one.key: one for one in _entries(there, part)}
    # The manifest names the others.
    groups = (
        [one for one in together if one != [MANIFEST]],
        [one for one in together if one == [MANIFEST]],
    )
    done: Done = {}
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(text(part.name), total=sum(map(len, together)))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for some in groups:
                outcomes = pool.map(lambda keys: _copy_some(here, there, known, keys, early), some)
                for outcome in outcomes:
                    done |= outcome
                    progress.advance(task, len(outcome))
    if is_dataset and _digest(here, MANIFEST) != before:
        # It was published meanwhile: what was copied is of both.
        return _copy_part(here, there, part, console, early)
    return done


def _digest(place: Place, key: str) -> str | None:
    try:
        return hash_of(place.read(key).raw)
    except (FileNotFoundError, DamagedFile):
        return None


def _together(here: Place, part: Part) -> list[list[str]]:
    """The keys of a part, in order; those of a day together, as they are to be read."""
    if part is not LAKE:
        return [[one.key] for one in sorted(_entries(here, part))]
    folders = [f"lake/{table.name}" for table in MADE]
    # Listed before what they are made of, too.
    made = [one.key for folder in folders for one in _entries(here, part._replace(folder=folder))]
    others = sorted(one.key for one in _entries(here, part))
    others = [key for key in others if "/".join(key.split("/")[:2]) not in folders]
    days: defaultdict[str, list[str]] = defaultdict(list)
    for key in [*made, *others]:
        days[key.split("/", 2)[2]].append(key)
    return [days[day] for day in sorted(days)]


def _copy_some(
    here: Place, there: Place, known: dict[str, Entry], keys: Sequence[str], early: Done
) -> Done:
    """Read files in their order, and put them in the other one."""
    found = {key: early.get(key) or _read(here, key) for key in keys}
    return {
        key: _put(here, there, known.get(key), key, ours, early)
        if isinstance(ours, Content)
        else ours
        for key, ours in reversed(found.items())
    }


def _read(here: Place, key: str) -> Content | tuple[Outcome, int]:
    try:
        ours = here.read(key)
    except FileNotFoundError:
        # Pruned, or published anew: of the dataset another round tells.
        return Outcome.GONE, 0
    except DamagedFile:
        return Outcome.DAMAGED, 0
    return ours if _is_whole(key, ours) else (Outcome.DAMAGED, len(ours.raw))


def _put(
    here: Place, there: Place, theirs: Entry | None, key: str, ours: Content, early: Done
) -> tuple[Outcome, int]:
    size = len(ours.raw)
    # What is damaged there is worth nothing.
    with suppress(DamagedFile):
        if theirs is not None and there.holds(theirs, ours.raw):
            return Outcome.SAME, size
        if theirs is not None and _is_whole(key, other := there.read(key)):
            if _is_newer(key, other, ours):
                return Outcome.NEWER, size
            if key.startswith("lake/"):
                _bring_earlier(here, there, key, early)
                _keep_aside(there, key, other, ours)
    there.write(key, ours)
    return Outcome.COPIED, size


def _is_whole(key: str, content: Content) -> bool:
    is_sealed = key.startswith(SEALED) and key.endswith(".parquet")
    return not is_sealed or _labels(content.raw) is not None


def _bring_earlier(here: Place, there: Place, key: str, early: Done) -> None:
    """Have what a partition was before it was what has been read."""
    part = EARLIER._replace(folder=_earlier_folder(key))
    known = {one.key: one for one in _entries(there, part)}
    for one in _entries(here, part):
        early |= _copy_some(here, there, known, [one.key], early)


def _keep_aside(there: Place, key: str, theirs: Content, ours: Content) -> None:
    """Have a partition that is about to be replaced among its earlier versions, if it is not.

    So it is where what is copied never was the same, or has it damaged.
    """
    part = EARLIER._replace(folder=_earlier_folder(key))
    known = list(_entries(there, part))
    if any(there.holds(one, theirs.raw) for one in known):
        return
    moments = [moment for one in known if (moment := moment_of(Path(one.key)))]
    until = stored_at_of(unsealed(ours.raw).schema_arrow) or ours.modified
    until = max([until, *(moment + dt.timedelta(microseconds=1) for moment in moments)])
    there.write(f"{part.folder}/{until:{UNTIL}}.parquet", theirs)


def _earlier_folder(key: str) -> str:
    return str(PurePosixPath("superseded", *PurePosixPath(key).with_suffix("").parts[1:]))


def _is_newer(key: str, theirs: Content, ours: Content) -> bool:
    """Whether what is there was stored later, by what partitions say themselves."""
    if key.startswith("lake/"):
        stamps = [(_labels(one.raw) or {}).get(b"stored_at", b"") for one in (theirs, ours)]
        return stamps[0] > stamps[1]
    return theirs.modified > ours.modified


def _labels(raw: bytes) -> dict[bytes, bytes] | None:
    """What a parquet file says of itself; None of one that is not as it was written."""
    try:
        return dict(unsealed(raw).schema_arrow.metadata or {})
    except (DamagedFile, pa.ArrowException):
        return None
