"""Every version a partition ever had, and a table as it was known at a moment, bit for bit.

    with duckdb.connect() as connection, as_of(connection, lake, table, days, moment) as prices:
        prices.filter("code = '600000.SH'").fetchall()

Here belongs which versions there are and from when until when each was known, with their files
held still while somebody reads; which of them answers, and what is said when none can. How they
come about is `lake`.
"""

import contextlib
import datetime as dt
import filecmp
import itertools
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa

from marketdata_assets.errors import MarketdataError
from marketdata_assets.storage import damage_notes
from marketdata_assets.storage.durable_files import link_or_copy
from marketdata_assets.storage.fitting import misfits, stored_at_of
from marketdata_assets.storage.lake import Lake, Part, first_five
from marketdata_assets.storage.reading import rows_of
from marketdata_assets.storage.sealed_parquet import DamagedFile, open_sealed
from marketdata_assets.tables import Table

ABANDONED_AFTER_SECONDS = 24 * 3_600
ALWAYS = dt.datetime.min.replace(tzinfo=dt.UTC)


class Version(NamedTuple):
    """A version of a partition; `until` is None for the one that is true now.

    `schema` is None where the file is damaged: then `known_from` is the end of the one before.
    """

    path: Path
    known_from: dt.datetime
    until: dt.datetime | None
    schema: pa.Schema | None


class Versions:
    """The versions of a lake's partitions; their paths are good until `held_still` ends."""

    def __init__(self, lake: Lake, folder: Path) -> None:
        self._lake = lake
        self._folder = folder
        self._numbers = itertools.count()

    def of(self, table: Table, day: Part) -> list[Version]:
        """The versions of a partition, oldest first; None for a table without partitions.

        A writer that replaces the file meanwhile leaves the answer as it was before.
        """
        # First the file, then the superseded ones: a writer keeps the old file aside before it
        # publishes the new one, so what is held here or replaced since is among them.
        path = self._lake.path(table, day)
        current = self._hold(table, day)
        earlier_versions = list(self._earlier_versions(table, day))
        if current is None:
            return earlier_versions
        since = earlier_versions[-1].until if earlier_versions else None
        now = self._version(current, None, since or ALWAYS, path)
        # A writer about to publish, or killed before it could: the same version by two names.
        while earlier_versions and _same(earlier_versions[-1], now):
            earlier_versions.pop()
        return [*earlier_versions, now]

    def _hold(self, table: Table, day: Part) -> Path | None:
        """A second name for the file that is the partition now, whoever replaces it later."""
        held = self._folder / f"{next(self._numbers)}.parquet"
        try:
            link_or_copy(self._lake.file(table, day), held)
        except FileNotFoundError:
            return None
        return held

    def _earlier_versions(self, table: Table, day: Part) -> Iterator[Version]:
        since = ALWAYS
        for until, path in self._lake.earlier_versions(table, day):
            # A link that a killed writer left is renamed by the next one; then it is still current.
            with contextlib.suppress(FileNotFoundError):
                yield self._version(path, until, since, path)
                since = until

    def _version(
        self, path: Path, until: dt.datetime | None, since: dt.datetime, lasting: Path
    ) -> Version:
        """The version in a file, which has the name `lasting` as well; what is damaged is noted."""
        try:
            schema = open_sealed(path)[0].schema_arrow
        except DamagedFile:
            damage_notes.note(self._lake.root, lasting)
            return Version(path, since, until, None)
        damage_notes.forget(self._lake.root, lasting)
        if (stored_at := stored_at_of(schema)) is None:
            return Version(path, since, until, None)
        return Version(path, stored_at, until, schema)


@contextlib.contextmanager
def held_still(lake: Lake) -> Iterator[Versions]:
    """Versions whose files stay what they are until the end of the block, whoever writes.

    Current files get a second name below `<root>/reading` for as long.
    """
    folder = lake.root / "reading"
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if time.time() - leftover.stat().st_mtime > ABANDONED_AFTER_SECONDS:
                shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder) as own:
        yield Versions(lake, Path(own))


def _same(one: Version, other: Version) -> bool:
    if one.path.samefile(other.path):
        return True
    # Where the disk has no hard links the second name is a copy.
    stamps_agree = one.schema is not None and one.known_from == other.known_from
    return stamps_agree and filecmp.cmp(one.path, other.path, shallow=False)


class NotKnownThen(MarketdataError, status=404):
    """Nothing of what was asked for was stored at that moment."""

    def __init__(self, table: Table, days: Sequence[Part], moment: dt.datetime) -> None:
        where = _shown(days)
        super().__init__(
            f"{table.name}{where} was not known at {moment}: nothing was stored by then. "
            "Ask for a later moment or for other days."
        )


class NotReadableAsOf(MarketdataError, status=409):
    """What was known at that moment is there, or was, and can't be read as declared now."""


@contextlib.contextmanager
def as_of(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    table: Table,
    days: Iterable[Part],
    moment: dt.datetime,
) -> Iterator[duckdb.DuckDBPyRelation]:
    """The rows of `days` as they were known at `moment`, a relation with the declared columns.

    The relation can be read until the block ends. Days that were not known are absent. Raises
    what `files_as_of` raises.
    """
    with files_as_of(lake, table, days, moment) as files:
        yield rows_of(connection, table, files.values())


@contextlib.contextmanager
def files_as_of(
    lake: Lake, table: Table, days: Iterable[Part], moment: dt.datetime
) -> Iterator[dict[Part, Path]]:
    """The file of every day of `days` that was known at `moment`; good until the block ends.

    Days are codes for a table by code; `[None]` asks for a table without partitions. The answer is
    the same whenever it is asked for, whatever was written since or is being written.

    Raises `NotKnownThen` when none of the days was known, `NotReadableAsOf` naming the day when
    its version of that moment was removed, is damaged or has other columns than declared now, and
    `ValueError` for a moment without time zone or in the future.
    """
    refuse_unknowable(moment)
    # What a writer has begun by `moment` counts as known then, so it has to be there.
    lake.wait_for_writer(table)
    wanted = list(dict.fromkeys(days))
    with held_still(lake) as versions:
        of_days = lake.each(lambda day: known_at(versions.of(table, day), moment), wanted)
        found = dict(zip(wanted, of_days, strict=True))
        files = {day: version.path for day, version in found.items() if version}
        if not files:
            raise NotKnownThen(table, wanted, moment)
        for day, version in found.items():
            if version:
                _refuse_unreadable(table, day, version, moment)
        yield files


def known_at(versions: Sequence[Version], moment: dt.datetime) -> Version | None:
    """The version that was true at `moment`, of a partition's versions in their order.

    It is the last one stored by then: where a clock was set back, the moments that it passed twice
    belong to the later version.
    """
    return next((one for one in reversed(versions) if one.known_from <= moment), None)


def refuse_unknowable(moment: dt.datetime) -> None:
    """Raise `ValueError` for a moment that has no time zone or has not come."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone: write one, like {moment.isoformat()}+08:00.")
    if moment > dt.datetime.now(dt.UTC):
        raise ValueError(f"{moment} lies in the future: what will be known then is not known yet.")


def _refuse_unreadable(table: Table, day: Part, version: Version, moment: dt.datetime) -> None:
    where = f"{table.name}{_shown([day])} as known at {moment}"
    if version.until is not None and version.until <= moment:
        raise NotReadableAsOf(
            f"{where} was removed from the lake by hand; until {version.until} it is still known. "
            f"Materialize {table.name} for the day to have it from now on."
        )
    if version.schema is None:
        raise NotReadableAsOf(
            f"{where} is damaged ({_lasting_name(version)}). Restore the file from a backup, or "
            "ask for another moment."
        )
    if changes := misfits(table, version.schema):
        raise NotReadableAsOf(
            f"{where} has other columns than declared now: {', '.join(changes)}. Its file can be "
            f"read as it is: {_lasting_name(version)}."
        )


def _lasting_name(version: Version) -> str:
    return str(version.path) if version.until else "the current file, materialize it again"


def _shown(days: Sequence[Part]) -> str:
    return "" if list(days) == [None] else f" {first_five(days)}"
