"""The published dataset against the lake, and a lake out of the published dataset."""

import datetime as dt
from pathlib import Path

import pytest

from marketdata_assets.publishing import layout
from marketdata_assets.publishing.build import OtherOrigin
from marketdata_assets.publishing.verifying import NothingPublished, differences, restore
from marketdata_assets.publishing.workspace import NotAsInManifest
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.publishing.prices import store
from marketdata_assets_tests.publishing.test_build import DAYS, Desk

MARCH = dt.date(2024, 3, 15)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.begin(*DAYS)
    return desk


def found(desk: Desk) -> list[str]:
    with desk.workspace.locked(5):
        return list(differences(desk.published, desk.lake, desk.workspace))


def test_what_was_just_published_does_not_differ(desk: Desk) -> None:
    assert found(desk) == []


def test_a_restated_or_unpublished_day_differs(desk: Desk) -> None:
    store(desk.lake, DAYS[3:4], version=1)
    [line] = found(desk)
    assert line.startswith(f"{DAYS[3]}: 6 rows published, 6 others in the lake")


@pytest.mark.parametrize("path", ["data/prices-2024.parquet", layout.CSV, layout.CALENDAR_CSV])
def test_a_file_that_was_changed_or_removed_by_hand_differs(desk: Desk, path: str) -> None:
    file, copy = desk.published.folder / path, desk.workspace.base(path)
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert found(desk) == [f"{path} is not what the manifest says"]
    copy.unlink(missing_ok=True)
    assert [line for line in found(desk) if line.startswith(f"{path} is not what")]
    file.unlink()
    assert found(desk) == [f"{path} is in the manifest and not in the dataset"]


@pytest.mark.parametrize(
    ("marker", "says"), [(b"20990101\n", "20990101"), (b"\xff", "\N{REPLACEMENT CHARACTER}")]
)
def test_a_marker_that_lies_differs(desk: Desk, marker: bytes, says: str) -> None:
    (desk.published.folder / layout.MARKER).write_bytes(marker)
    last = f"{DAYS[-1]:%Y%m%d}"
    said = f".last_update_date says {says}, the last day that is published is {last}"
    assert found(desk) == [said]


def test_a_hole_that_is_known_is_no_difference(desk: Desk) -> None:
    beyond = [dt.date(2024, 2, 7)]
    store(desk.lake, beyond)
    desk.publish(beyond)
    assert found(desk) == []


def test_days_that_are_not_published_differ_in_a_line_a_stretch(desk: Desk) -> None:
    store(desk.lake, [day := dt.date(2024, 2, 7), *sessions_between(dt.date(2024, 3, 1), MARCH)])
    assert found(desk) == [
        f"{day}: in the lake and not published",
        f"2024-03-01 … {MARCH}: in the lake and not published",
    ]


def test_a_year_that_the_manifest_does_not_know_differs(desk: Desk) -> None:
    shard = desk.published.folder / "data/prices-2024.parquet"
    (shard.parent / "prices-2006.parquet").write_bytes(shard.read_bytes())
    assert found(desk) == ["data/prices-2006.parquet is in the dataset and not in the manifest"]


def test_a_marker_that_is_missing_differs(desk: Desk) -> None:
    (desk.published.folder / layout.MARKER).unlink()
    assert found(desk) == [".last_update_date is missing"]


def test_a_lake_is_restored_as_it_was(desk: Desk, tmp_path: Path) -> None:
    other = Lake(tmp_path / "other", desk.lake.origin)
    with desk.workspace.locked(5):
        restored = [day for day, _ in restore(desk.published, other, desk.workspace)]
    assert restored == DAYS
    for day in DAYS:
        assert other.read(DAILY_PRICES, day).equals(desk.lake.read(DAILY_PRICES, day))


def test_a_lake_is_not_restored_without_a_file_that_somebody_removed(
    desk: Desk, tmp_path: Path
) -> None:
    (desk.published.folder / "data/prices-2024.parquet").unlink()
    desk.workspace.base("data/prices-2024.parquet").unlink()
    other = Lake(tmp_path / "other", desk.lake.origin)
    with desk.workspace.locked(5), pytest.raises(NotAsInManifest, match="somebody removed it"):
        list(restore(desk.published, other, desk.workspace))


def test_a_lake_of_another_world_is_not_restored_into(desk: Desk, tmp_path: Path) -> None:
    other = Lake(tmp_path / "other", "sandbox: simulated, not a real market")
    with pytest.raises(OtherOrigin, match="a lake of the same origin"):
        list(restore(desk.published, other, desk.workspace))


def test_an_empty_repository_says_that_nothing_is_published(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with pytest.raises(NothingPublished, match="nothing was published"):
        found(desk)
