"""What readers have found damaged is known until it was mended, and while it lies aside."""

import datetime as dt
import os
import shutil
from pathlib import Path

import duckdb
import pytest

from marketdata_assets.storage import damage_notes
from marketdata_assets.storage.as_of import NotReadableAsOf, as_of
from marketdata_assets.storage.damage_notes import noted
from marketdata_assets.storage.lake import DamagedPartitions, Lake
from marketdata_assets.tables import PRICE_LIMITS
from marketdata_assets_tests.storage.tables_for_tests import DAY, flip, limits

CURRENT = Path("lake/price_limits/2024/2024-09-30.parquet")


@pytest.fixture
def path(lake: Lake) -> Path:
    """A stored day."""
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    return lake.path(PRICE_LIMITS, DAY)


def read(lake: Lake) -> None:
    with pytest.raises(DamagedPartitions):
        lake.load(PRICE_LIMITS, DAY)


def test_what_a_reader_finds_is_noted_and_what_nobody_has_read_is_not(
    lake: Lake, path: Path
) -> None:
    flip(path, 400)
    assert noted(lake.root) == []
    read(lake)
    assert noted(lake.root) == noted(lake.root) == [CURRENT]


def test_storing_the_day_again_mends_it_and_the_damaged_file_is_known_while_it_lies_there(
    lake: Lake, path: Path
) -> None:
    flip(path, 400)
    read(lake)
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    [aside] = noted(lake.root)
    assert aside.match("superseded/price_limits/2024/2024-09-30/*.damaged")
    (lake.root / aside).unlink()
    assert noted(lake.root) == []


def test_a_file_that_a_backup_brings_back_is_known_as_whole(lake: Lake, path: Path) -> None:
    backup = Path(shutil.copy2(path, lake.root / "backup"))
    flip(path, 400)
    read(lake)
    path.unlink()
    shutil.copy2(backup, path)
    assert noted(lake.root) == []
    # In place, with its old times, it looks as it did: who reads it next knows better.
    path.write_bytes(bytes(path.stat().st_size))
    read(lake)
    damaged = path.stat()
    path.write_bytes(backup.read_bytes())
    os.utime(path, ns=(damaged.st_atime_ns, damaged.st_mtime_ns))
    assert noted(lake.root) == [CURRENT]
    assert lake.read(PRICE_LIMITS, DAY) is not None
    assert noted(lake.root) == []


def test_an_earlier_version_that_is_damaged_is_noted_by_who_asks_for_it(
    lake: Lake, path: Path
) -> None:
    then = dt.datetime.now(dt.UTC)
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=2.0))
    [(_, version)] = lake.earlier_versions(PRICE_LIMITS, DAY)
    whole = version.read_bytes()
    flip(version, 400)
    with (
        duckdb.connect() as connection,
        pytest.raises(NotReadableAsOf, match="is damaged"),
        as_of(connection, lake, PRICE_LIMITS, [DAY], then),
    ):
        pass
    assert noted(lake.root) == [version.relative_to(lake.root)]
    version.write_bytes(whole)
    assert noted(lake.root) == []


def test_what_was_mended_between_reading_and_noting_is_not_noted(lake: Lake, path: Path) -> None:
    damage_notes.note(lake.root, path)
    assert noted(lake.root) == []
    path.unlink()
    damage_notes.note(lake.root, path)
    assert noted(lake.root) == []


def test_a_disk_that_takes_no_note_keeps_nobody_from_being_told(lake: Lake, path: Path) -> None:
    (lake.root / "state").write_text("no folder")
    flip(path, 400)
    read(lake)
    assert noted(lake.root) == []
