"""Reading a table as it was known at a moment: yesterday's answer, bit for bit.

    with duckdb.connect() as connection, as_of(connection, lake, table, days, moment) as prices:
        prices.filter("code = '600000.SH'").fetchall()

Here belongs which version of a partition answers, and what is said when none can. Which versions
there are is `versions`.
"""

import contextlib
import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import duckdb

from marketdata_assets.errors import MarketdataError
from marketdata_assets.storage.fitting import misfits
from marketdata_assets.storage.lake import Lake, Part
from marketdata_assets.storage.reading import rows_of
from marketdata_assets.storage.versions import Version, held_still
from marketdata_assets.tables import Table


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
        found = {day: known_at(versions.of(table, day), moment) for day in wanted}
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
    if list(days) == [None]:
        return ""
    return " " + ", ".join(map(str, days[:5])) + (" …" if len(days) > 5 else "")
