"""What the checks found, as it is published: a file a year, of the days that were published."""

import datetime as dt
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from marketdata_assets.publishing import layout
from marketdata_assets.publishing.build import build
from marketdata_assets.publishing.layout import Choices
from marketdata_assets.tables import DAILY_PRICES, FINDINGS
from marketdata_assets_tests.publishing.prices import REPO, find
from marketdata_assets_tests.publishing.test_build import DAYS, Desk

HELD = ("daily_kline", "600000.SH", "bounds", "held")
FLAGGED = ("daily_basic", "000001.SZ", "turnover", "flagged")
REFUSED = ("daily_kline", "", "units", "refused")
OLD = [day for day in DAYS if day.year == 2023]
NEW = [day for day in DAYS if day.year == 2024]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def published(desk: Desk, year: int) -> pa.Table:
    return pq.read_table(desk.published.folder / layout.findings(year), partitioning=None)


def rows(desk: Desk, year: int) -> list[tuple[dt.date, str, str, str, str]]:
    names = ("trade_date", "table_name", "ts_code", "check_name", "outcome")
    return [tuple(row[name] for name in names) for row in published(desk, year).to_pylist()]


def test_findings_are_published_a_file_a_year_by_their_key(desk: Desk) -> None:
    find(desk.lake, OLD[0], HELD, FLAGGED)
    find(desk.lake, NEW[0])
    find(desk.lake, NEW[1], REFUSED)
    find(desk.lake, dt.date(2024, 2, 1), FLAGGED)
    desk.publish(DAYS)
    assert rows(desk, 2023) == [(OLD[0], *FLAGGED), (OLD[0], *HELD)]
    assert rows(desk, 2024) == [(NEW[1], *REFUSED), (dt.date(2024, 2, 1), *FLAGGED)]
    assert published(desk, 2024).schema.equals(FINDINGS.schema)
    facts = json.loads(desk.text(layout.MANIFEST))["files"][layout.findings(2024)]
    assert (facts["rows"], facts["first"], facts["last"]) == (2, str(NEW[1]), "2024-02-01")
    # Hash and size are proved with those of all other files.
    desk.is_right(DAYS)


def test_a_year_without_any_finding_has_no_file(desk: Desk) -> None:
    find(desk.lake, OLD[0], HELD)
    find(desk.lake, NEW[0])
    desk.publish(DAYS)
    assert layout.findings(2024) not in desk.published.files
    assert desk.publish(DAYS) == []


def test_days_of_the_run_are_replaced_and_the_others_stay(desk: Desk) -> None:
    for day in NEW[:4]:
        find(desk.lake, day, HELD)
    desk.publish(DAYS)
    find(desk.lake, NEW[0], HELD, FLAGGED)
    find(desk.lake, NEW[1])
    # Not of the run; and one that the lake has no findings of any more.
    find(desk.lake, NEW[2], FLAGGED)
    desk.lake.path(FINDINGS, NEW[3]).unlink()
    assert desk.publish([*NEW[:2], NEW[3]]) == ["manifest.json", layout.findings(2024)]
    assert rows(desk, 2024) == [
        (NEW[0], *FLAGGED),
        (NEW[0], *HELD),
        (NEW[2], *HELD),
        (NEW[3], *HELD),
    ]


def test_a_file_whose_findings_are_all_mended_stays_and_is_empty(desk: Desk) -> None:
    find(desk.lake, NEW[0], HELD)
    desk.publish(DAYS)
    find(desk.lake, NEW[0])
    desk.publish(NEW[:1])
    assert rows(desk, 2024) == []
    facts = json.loads(desk.text(layout.MANIFEST))["files"][layout.findings(2024)]
    assert (facts["rows"], facts["first"]) == (0, None)
    assert desk.publish(NEW[:1]) == []
    find(desk.lake, NEW[1], HELD)
    desk.publish(NEW[1:2])
    assert rows(desk, 2024) == [(NEW[1], *HELD)]


def test_days_in_any_order_end_in_the_same_findings(desk: Desk, tmp_path: Path) -> None:
    other = Desk(tmp_path / "other")
    for one in (desk, other):
        for day in DAYS[::3]:
            find(one.lake, day, HELD, FLAGGED)
    other.publish(DAYS)
    desk.publish(DAYS[10:])
    desk.publish(DAYS[:10])
    for path in other.published.files:
        assert desk.published.read(path) == other.published.read(path), path


def test_what_refused_a_day_is_published_when_it_is_passed(desk: Desk) -> None:
    desk.publish(NEW[:1])
    desk.lake.path(DAILY_PRICES, NEW[1]).unlink()
    find(desk.lake, NEW[1], REFUSED, HELD)
    desk.publish(NEW[2:3])
    assert rows(desk, 2024) == [(NEW[1], *REFUSED), (NEW[1], *HELD)]


def test_findings_of_a_day_that_is_left_out_of_the_run_are_published(desk: Desk) -> None:
    find(desk.lake, NEW[1], HELD)
    with desk.workspace.locked(5):
        content = build(
            desk.published, desk.lake, NEW[:1], Choices(), desk.workspace, REPO, NEW[1:2]
        )
        desk.published.take(content)
    assert rows(desk, 2024) == [(NEW[1], *HELD)]
    desk.is_right(NEW[:1])


def test_the_card_says_how_findings_are_read_where_there_are_some(desk: Desk) -> None:
    desk.publish(OLD)
    assert "findings" not in desk.text(layout.CARD)
    find(desk.lake, NEW[0], HELD)
    desk.publish(NEW)
    card = desk.text(layout.CARD)
    assert f"| `{layout.FINDINGS}` |" in card
    assert f'read_parquet("hf://datasets/{REPO}/{layout.findings(2024)}")' in card
    for outcome in ("refused", "held", "flagged", "excused"):
        assert card.count(f"- `{outcome}`") == 2
    assert "最后一个交易日" in card
