"""Suspended shares, as they are published: a file a year beside the prices', of published days."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from marketdata_assets.publishing import layout
from marketdata_assets.publishing.manifest import from_json
from marketdata_assets.publishing.verifying import differences, restore
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import SUSPENDED
from marketdata_assets_tests.publishing.prices import suspend
from marketdata_assets_tests.publishing.test_build import DAYS, Desk
from marketdata_assets_tests.storage.tables_for_tests import flip

HALTED = ("600009.SH", True, "suspended", None)
PARTLY = ("600000.SH", False, "part of the day", "09:30-10:00")
MISSING = ("600010.SH", None, "unexplained", None)
OLD = [day for day in DAYS if day.year == 2023]
NEW = [day for day in DAYS if day.year == 2024]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def rows(desk: Desk, year: int) -> list[tuple[dt.date, str]]:
    found = pq.read_table(desk.published.folder / layout.suspended(year), partitioning=None)
    assert found.schema.equals(SUSPENDED.schema)
    return [(row["trade_date"], row["ts_code"]) for row in found.to_pylist()]


def lacking(desk: Desk) -> frozenset[dt.date]:
    return from_json(desk.published.read(layout.MANIFEST)).without_suspended


def found(desk: Desk) -> list[str]:
    with desk.workspace.locked(5):
        return list(differences(desk.published, desk.lake, desk.workspace))


def as_before_there_were_any(desk: Desk) -> None:
    """The dataset as a version published it that knew no suspended shares."""
    manifest: dict[str, Any] = json.loads(desk.text(layout.MANIFEST))
    for path in [path for path in manifest["files"] if layout.is_suspended(path)]:
        del manifest["files"][path]
        (desk.published.folder / path).unlink()
    for name in ("days_without_suspended", "adopted"):
        del manifest[name]
    text = json.dumps(manifest | {"format": 2})
    (desk.published.folder / layout.MANIFEST).write_text(text)


def test_they_are_published_a_file_a_year_and_the_prices_stay_as_they_are(desk: Desk) -> None:
    desk.begin(*DAYS)
    before = {path: desk.published.read(path) for path in (layout.shard(2024), layout.CSV)}
    for day in DAYS:
        suspend(desk.lake, day)
    suspend(desk.lake, OLD[0], HALTED)
    suspend(desk.lake, NEW[1], PARTLY, HALTED)
    changed = desk.publish(DAYS)
    files = [layout.suspended(2023), layout.suspended(2024)]
    assert changed == sorted(["README.md", "manifest.json", *files])
    assert rows(desk, 2023) == [(OLD[0], "600009.SH")]
    assert rows(desk, 2024) == [(NEW[1], "600000.SH"), (NEW[1], "600009.SH")]
    assert {path: desk.published.read(path) for path in before} == before
    desk.is_right(DAYS)
    assert lacking(desk) == frozenset()
    assert desk.publish(DAYS) == []
    assert found(desk) == []


def test_without_any_in_the_lake_publishing_goes_on_and_says_for_which_days(desk: Desk) -> None:
    suspend(desk.lake, NEW[0], HALTED)
    with desk.workspace.locked(5):
        content = desk.build(DAYS)
    assert content.manifest.without_suspended == set(DAYS) - {NEW[0]}
    assert content.caught_up == frozenset()


def test_a_dataset_from_before_gets_those_of_all_days_that_the_lake_has(desk: Desk) -> None:
    desk.begin(*DAYS[:-1])
    as_before_there_were_any(desk)
    known = {OLD[1], NEW[2], DAYS[-1]}
    for day in known:
        suspend(desk.lake, day, HALTED)
    prices = {path: desk.published.read(path) for path in (layout.shard(2023),)}
    with desk.workspace.locked(5):
        content = desk.build(DAYS[-1:])
    assert content.caught_up == known - {DAYS[-1]}
    desk.publish(DAYS[-1:])
    assert rows(desk, 2023) == [(OLD[1], "600009.SH")]
    assert lacking(desk) == set(DAYS) - known
    assert {path: desk.published.read(path) for path in prices} == prices
    # What the lake gets later is added with the next day that is published, whichever it is.
    for day in DAYS:
        suspend(desk.lake, day, HALTED)
    desk.publish(DAYS[-1:])
    assert lacking(desk) == frozenset()
    assert len(rows(desk, 2023)) == len(OLD)


def test_days_of_the_run_are_replaced_and_the_others_stay(desk: Desk) -> None:
    for day in NEW[:3]:
        suspend(desk.lake, day, HALTED)
    desk.publish(DAYS)
    suspend(desk.lake, NEW[0])
    suspend(desk.lake, NEW[1], HALTED, PARTLY)
    desk.lake.path(SUSPENDED, NEW[2]).unlink()
    desk.publish([NEW[0], NEW[2]])
    # Of the last the lake knows nothing any more, and the one before is not of the run.
    assert rows(desk, 2024) == [(NEW[1], "600009.SH"), (NEW[2], "600009.SH")]
    assert found(desk) == [f"{NEW[1]}: suspended 1 rows published, 2 others in the lake"]


def test_a_day_that_is_damaged_is_lacking_and_holds_nothing_up(desk: Desk) -> None:
    suspend(desk.lake, NEW[0], HALTED)
    suspend(desk.lake, NEW[1], HALTED)
    flip(desk.lake.path(SUSPENDED, NEW[1]), 100)
    desk.publish(DAYS)
    assert rows(desk, 2024) == [(NEW[0], "600009.SH")]
    assert NEW[1] in lacking(desk)


def test_a_file_that_somebody_removed_comes_again(desk: Desk) -> None:
    for day in DAYS:
        suspend(desk.lake, day, HALTED)
    desk.publish(DAYS)
    (desk.published.folder / layout.suspended(2023)).unlink()
    assert layout.suspended(2023) in desk.publish(DAYS[-1:])
    assert len(rows(desk, 2023)) == len(OLD)
    assert lacking(desk) == frozenset()


def test_what_is_changed_by_hand_or_unpublished_differs(desk: Desk) -> None:
    suspend(desk.lake, NEW[0], HALTED)
    desk.publish(DAYS)
    suspend(desk.lake, NEW[1], HALTED)
    assert found(desk) == [f"{NEW[1]}: suspended shares in the lake and not published"]
    path = layout.suspended(2024)
    (desk.published.folder / path).write_bytes(b"?")
    desk.workspace.base(path).unlink()
    assert [line for line in found(desk) if line.startswith(f"{path} is not what")]


def test_a_year_that_is_published_without_any_row_differs_when_the_lake_has_one(
    desk: Desk,
) -> None:
    suspend(desk.lake, NEW[0])
    desk.publish(DAYS)
    suspend(desk.lake, NEW[0], HALTED)
    assert found(desk) == [f"{NEW[0]}: suspended 0 rows published, 1 others in the lake"]


def test_a_lake_is_restored_with_them_and_with_days_that_have_none(
    desk: Desk, tmp_path: Path
) -> None:
    suspend(desk.lake, NEW[0], HALTED, MISSING)
    suspend(desk.lake, NEW[1])
    desk.publish(DAYS)
    other = Lake(tmp_path / "other", desk.lake.origin)
    with desk.workspace.locked(5):
        restored = [day for day, _ in restore(desk.published, other, desk.workspace)]
    assert restored == DAYS
    assert other.days(SUSPENDED) == NEW[:2]
    for day in NEW[:2]:
        assert other.read(SUSPENDED, day).equals(desk.lake.read(SUSPENDED, day))


def test_the_card_has_a_config_of_theirs_as_soon_as_there_is_a_row(desk: Desk) -> None:
    def configs() -> dict[str, str]:
        told = yaml.safe_load(desk.text(layout.CARD).split("---\n")[1])["configs"]
        return {one["config_name"]: one["data_files"][0]["path"] for one in told}

    suspend(desk.lake, NEW[0])
    desk.publish(DAYS)
    assert configs() == {"default": "data/prices-*.parquet"}
    suspend(desk.lake, NEW[0], HALTED)
    desk.publish(NEW[:1])
    assert configs()["suspended"] == "data/suspended-*.parquet"
    card = desk.text(layout.CARD)
    assert "is_paused" in card
    assert f"For {len(DAYS) - 1} of the published days nobody has told them" in card


def test_the_manifest_reads_back_as_it_was_written(desk: Desk) -> None:
    suspend(desk.lake, NEW[0], HALTED)
    with desk.workspace.locked(5):
        manifest = desk.build(DAYS).manifest
    assert from_json(manifest.to_json()) == manifest
