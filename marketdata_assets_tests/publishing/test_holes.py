"""Days that are missing: publication passes them, tells of them and why, and takes them in later.

Also what is left of a repository that somebody has emptied.
"""

import datetime as dt
import json
from pathlib import Path

import pyarrow.compute as pc
import pytest

from marketdata_assets.publishing import layout
from marketdata_assets.publishing.beside_prices import NOT_PUBLISHED, NOT_STORED
from marketdata_assets.publishing.manifest import NOT_TOLD, from_json, spans
from marketdata_assets.tables import DAILY_PRICES, FINDINGS
from marketdata_assets.trading_calendar import previous_session, sessions_between
from marketdata_assets_tests.publishing.prices import SHARES, find, prices_of, store
from marketdata_assets_tests.publishing.test_build import DAYS, Desk

UNITS = ("daily_kline", "", "units", "refused")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def forget(desk: Desk, days: list[dt.date]) -> None:
    """The lake as if the days had been refused."""
    for day in days:
        desk.lake.path(DAILY_PRICES, day).unlink()


def because(desk: Desk) -> list[tuple[str, str, str]]:
    told = json.loads(desk.text(layout.MANIFEST))["missing_because"]
    return [(span["first"], span["last"], span["reason"]) for span in told]


def test_a_hole_in_the_middle_holds_nothing_up_and_is_filled_in_later(desk: Desk) -> None:
    desk.begin(*DAYS[:5])
    desk.publish(DAYS[6:])
    desk.is_right(DAYS[:5] + DAYS[6:])
    desk.publish(DAYS[5:6])
    desk.is_right(DAYS)
    assert because(desk) == []


def test_old_days_after_new_ones_never_move_the_marker_back(desk: Desk) -> None:
    desk.begin(*DAYS[-5:])
    first = sessions_between(dt.date(2005, 1, 4), dt.date(2005, 1, 7))
    store(desk.lake, first)
    desk.publish(first)
    desk.is_right(first + DAYS[-5:])
    assert desk.text(layout.MARKER) == f"{DAYS[-1]:%Y%m%d}"
    manifest = json.loads(desk.text(layout.MANIFEST))
    assert len(manifest["missing_sessions"]) > 4_000
    # Thousands of days, two reasons.
    (one, two) = because(desk)
    assert one == ("2005-01-10", str(previous_session(DAYS[0])), NOT_STORED)
    assert two == (str(DAYS[0]), str(DAYS[-6]), NOT_PUBLISHED)


def test_a_hole_is_told_with_the_checks_that_refused_it(desk: Desk) -> None:
    forget(desk, DAYS[2:5])
    find(desk.lake, DAYS[2], UNITS, ("price_limits", "600000.SH", "bounds", "flagged"))
    find(desk.lake, DAYS[3], UNITS, ("daily_basic", "", "repeated", "refused"))
    desk.publish([day for day in DAYS if day not in (*DAYS[2:5], DAYS[7])])
    assert because(desk) == [
        (str(DAYS[2]), str(DAYS[2]), "refused: daily_kline.units"),
        (str(DAYS[3]), str(DAYS[3]), "refused: daily_basic.repeated, daily_kline.units"),
        (str(DAYS[4]), str(DAYS[4]), NOT_STORED),
        (str(DAYS[7]), str(DAYS[7]), NOT_PUBLISHED),
    ]
    published = from_json(desk.published.read(layout.MANIFEST))
    assert published.missing_sessions == [*DAYS[2:5], DAYS[7]]
    assert published.missing[DAYS[2]] == "refused: daily_kline.units"


def test_the_same_reasons_are_no_new_commit_and_other_ones_are(desk: Desk) -> None:
    forget(desk, DAYS[2:3])
    find(desk.lake, DAYS[2], UNITS)
    there = DAYS[:2] + DAYS[3:]
    desk.publish(there)
    assert desk.publish(there) == []
    assert desk.publish(DAYS[-1:]) == []
    find(desk.lake, DAYS[2], UNITS, ("daily_kline", "", "bounds", "refused"))
    changed = desk.publish(DAYS[-1:])
    assert changed == ["manifest.json", "meta/findings-2023.parquet"]
    assert because(desk)[0][2] == "refused: daily_kline.bounds, daily_kline.units"


def test_findings_that_can_not_be_read_hold_nothing_up(desk: Desk) -> None:
    forget(desk, DAYS[2:3])
    find(desk.lake, DAYS[2], UNITS)
    desk.lake.path(FINDINGS, DAYS[2]).write_bytes(b"PAR1, and then no more")
    desk.publish(DAYS[:2] + DAYS[3:])
    assert because(desk) == [(str(DAYS[2]), str(DAYS[2]), NOT_STORED)]


def test_spans_end_where_a_day_is_published_and_where_the_reason_changes() -> None:
    reasons = ["a", "a", "b", None, "b", "b"]
    missing = {day: told for day, told in zip(DAYS, reasons, strict=False) if told}
    assert spans(missing) == [
        (DAYS[0], DAYS[1], "a"),
        (DAYS[2], DAYS[2], "b"),
        (DAYS[4], DAYS[5], "b"),
    ]


def test_a_dataset_of_format_1_is_read_and_goes_on(desk: Desk) -> None:
    desk.begin(*DAYS[:3])
    desk.publish(DAYS[5:8])
    new = json.loads(desk.text(layout.MANIFEST))
    del new["missing_because"]
    file = desk.published.folder / layout.MANIFEST
    file.write_text(json.dumps({**new, "format": 1}))
    (desk.published.folder / layout.MARKER).write_text(f"{DAYS[2]:%Y%m%d}")
    before = from_json(file.read_bytes())
    assert before.missing == dict.fromkeys(DAYS[3:5], NOT_TOLD)
    assert before.complete_to == DAYS[2]
    desk.publish(DAYS[8:])
    desk.is_right(DAYS[:3] + DAYS[5:])
    assert because(desk) == [(str(DAYS[3]), str(DAYS[4]), NOT_PUBLISHED)]


def test_a_repository_that_was_emptied_begins_with_what_is_published_now(desk: Desk) -> None:
    desk.begin(*DAYS)
    for path in desk.published.files:
        (desk.published.folder / path).unlink()
    desk.publish(DAYS[3:5])
    desk.is_right(DAYS[3:5])
    desk.publish(DAYS)
    desk.is_right(DAYS)


def test_days_of_a_file_that_somebody_removed_are_missing_until_they_come_again(
    desk: Desk,
) -> None:
    desk.begin(*DAYS)
    (desk.published.folder / "data/prices-2023.parquet").unlink()
    old = [day for day in DAYS if day.year == 2023]
    desk.publish(DAYS[-1:])
    manifest = from_json(desk.published.read(layout.MANIFEST))
    assert manifest.first == dt.date(2024, 1, 2)
    desk.publish(old[:1])
    assert because(desk) == [(str(old[1]), str(old[-1]), NOT_PUBLISHED)]
    desk.publish(old)
    desk.is_right(DAYS)


def test_the_marker_follows_what_is_there_when_the_last_year_is_gone(desk: Desk) -> None:
    desk.begin(*DAYS)
    (desk.published.folder / "data/prices-2024.parquet").unlink()
    old = [day for day in DAYS if day.year == 2023]
    desk.publish(old)
    assert desk.text(layout.MARKER) == f"{old[-1]:%Y%m%d}"


def test_a_row_that_is_held_back_afterwards_leaves_every_form(desk: Desk) -> None:
    desk.begin(*DAYS)
    rows = prices_of(DAYS[4])
    desk.lake.write(DAILY_PRICES, DAYS[4], rows.filter(pc.not_equal(rows["code"], "600000.SH")))
    assert desk.publish(DAYS[4:5]) == [
        "README.md",
        layout.CSV,
        "data/prices-2023.parquet",
        "manifest.json",
    ]
    desk.is_right(DAYS)
    published = desk.published.prices()
    codes = published.filter(pc.equal(published["date"], DAYS[4]))["code"].to_pylist()
    assert codes == [code for code in sorted(SHARES) if code != "600000.SH"]
    assert b"600000.SH," + str(DAYS[4]).encode() not in desk.published.read(layout.CSV)
