"""A CSV that is taken over: what of it is left out and counted, whose rows which days then hold."""

import datetime as dt
import json
from csv import QUOTE_NONNUMERIC
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from marketdata_assets.publishing import layout
from marketdata_assets.publishing.adoption import LeftOut, NotAdoptable
from marketdata_assets.publishing.build import Content, OtherOrigin
from marketdata_assets.publishing.manifest import Adopted, from_json
from marketdata_assets.publishing.verifying import restore
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.tables.daily_prices import ORIGINAL_COLUMNS
from marketdata_assets.trading_calendar import last_closed_session, next_session
from marketdata_assets_tests.publishing.test_build import DAYS, Desk, original_csv

BEFORE, AFTER = DAYS[:5], DAYS[5:]
SIMULATED = "sandbox: simulated, not a real market"
SATURDAY = dt.date(2023, 12, 30)
HOLIDAY = dt.date(2024, 1, 1)
# Code and day of a row that is left out, and why.
ODD: list[tuple[str, object, LeftOut]] = [
    ("1.SZ", DAYS[0], LeftOut.NO_ZEROS),
    ("1", DAYS[0], LeftOut.NO_ZEROS),
    ("1.0", SATURDAY, LeftOut.NO_ZEROS),
    ("600000", DAYS[0], LeftOut.NO_SUFFIX),
    ("600000.0", DAYS[0], LeftOut.NO_SUFFIX),
    ("600000.XSHG", DAYS[0], LeftOut.OTHER_FORM),
    ("sh600000", DAYS[0], LeftOut.OTHER_FORM),
    ("600000.SH", SATURDAY, LeftOut.NO_TRADING),
    ("600000.SH", HOLIDAY, LeftOut.NO_TRADING),
    ("600000.SH", dt.date(1999, 12, 30), LeftOut.OUTSIDE),
    ("600000.SH", dt.date(2099, 1, 5), LeftOut.OUTSIDE),
    ("", DAYS[0], LeftOut.INCOMPLETE),
    ("600000.SH", "", LeftOut.INCOMPLETE),
]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def row(code: str, day: object) -> str:
    values: dict[str, object] = {"code": code, "date": day, "close": 10.5, "market": "主板"}
    return ",".join(str(values.get(name, "")) for name in ORIGINAL_COLUMNS) + "\n"


def append(desk: Desk, *rows: str) -> None:
    with (desk.published.folder / layout.CSV).open("a") as csv:
        csv.writelines(rows)


def adopt(desk: Desk, days: list[dt.date]) -> Content:
    with desk.workspace.locked(5):
        content = desk.build(days)
        desk.published.take(content)
    return content


def held(desk: Desk) -> Adopted | None:
    return from_json(desk.published.read(layout.MANIFEST)).adopted


def test_rows_of_no_code_or_day_are_left_out_and_counted_by_kind(desk: Desk) -> None:
    original_csv(desk.published, BEFORE, [])
    append(desk, *(row(code, day) for code, day, _ in ODD), row("T00018.SH", DAYS[0]))
    content = adopt(desk, AFTER)
    expected = {reason: sum(why is reason for _, _, why in ODD) for reason in LeftOut}
    assert content.adopted is not None
    assert content.adopted.left_out == expected
    assert content.adopted.rows_kept == 3 * len(BEFORE) + 1
    assert content.adopted.days == set(BEFORE)
    told = content.adopted.in_words()
    assert "3 of a code without its zeros, 2 of a code without its suffix" in told
    codes = set(desk.published.prices()["code"].to_pylist())
    assert "T00018.SH" in codes
    assert not codes & {code for code, *_ in ODD if code != "600000.SH"}
    manifest = json.loads(desk.text(layout.MANIFEST))
    assert manifest["missing_sessions"] == []
    assert manifest["first"] == str(DAYS[0])
    assert manifest["adopted"]["left_out"] == {str(why): n for why, n in expected.items()}
    card = desk.text(layout.CARD)
    assert "| left out: of a day without trading | 略去：非交易日 | 2 |" in card


def test_days_that_are_not_over_are_left_out_and_no_day_before_them_is_missing(desk: Desk) -> None:
    original_csv(desk.published, BEFORE, [])
    append(desk, row("600000.SH", next_session(last_closed_session(dt.datetime.now(dt.UTC)))))
    content = adopt(desk, AFTER)
    assert content.adopted is not None
    assert content.adopted.days == set(BEFORE)
    manifest = json.loads(desk.text(layout.MANIFEST))
    assert (manifest["last"], manifest["missing_sessions"]) == (str(DAYS[-1]), [])


def test_a_row_that_comes_twice_is_counted_once_whatever_else_is_wrong_with_it(desk: Desk) -> None:
    original_csv(desk.published, BEFORE, BEFORE[:1])
    append(desk, row("1", BEFORE[0]), row("1", BEFORE[0]))
    left_out = adopt(desk, AFTER).adopted.left_out
    assert {why: n for why, n in left_out.items() if n} == {
        LeftOut.REPEATED: 3,
        LeftOut.NO_ZEROS: 2,
    }


def test_manifest_and_card_say_which_days_hold_which_rows_until_the_lake_has_replaced_them(
    desk: Desk,
) -> None:
    original_csv(desk.published, BEFORE, [])
    desk.publish(AFTER)
    [stretch] = json.loads(desk.text(layout.MANIFEST))["adopted"]["days"]
    assert stretch == {"first": str(BEFORE[0]), "last": str(BEFORE[-1])}
    card = desk.text(layout.CARD)
    assert f"| {BEFORE[0]} … {BEFORE[-1]} | the CSV: 主板 |" in card
    assert f"| {AFTER[0]} … {AFTER[-1]} | the whole market" in card
    desk.publish(BEFORE[1:3])
    assert held(desk).days == {BEFORE[0], *BEFORE[3:]}
    card = desk.text(layout.CARD)
    assert f"| {BEFORE[1]} … {BEFORE[2]} | the whole market" in card
    desk.publish(BEFORE)
    assert held(desk) is None
    assert "the CSV:" not in desk.text(layout.CARD)
    desk.is_right(DAYS)


def test_days_of_the_run_are_the_lake_s_at_once(desk: Desk) -> None:
    original_csv(desk.published, BEFORE, [])
    content = adopt(desk, [*BEFORE[:2], *AFTER])
    assert content.adopted.days == set(BEFORE)
    assert held(desk).days == set(BEFORE[2:])


def test_a_year_that_somebody_removed_holds_no_adopted_days_any_more(desk: Desk) -> None:
    original_csv(desk.published, DAYS[:-2], [])
    desk.publish(DAYS[-2:])
    (desk.published.folder / layout.shard(2023)).unlink()
    desk.publish(DAYS[-1:])
    assert {day.year for day in held(desk).days} == {2024}


def test_rows_of_the_csv_are_not_restored_into_a_lake(desk: Desk, tmp_path: Path) -> None:
    original_csv(desk.published, BEFORE, [])
    desk.publish(AFTER)
    other = Lake(tmp_path / "other", desk.lake.origin)
    with desk.workspace.locked(5):
        restored = [day for day, _ in restore(desk.published, other, desk.workspace)]
    assert restored == other.days(DAILY_PRICES) == AFTER


def test_a_csv_with_a_header_alone_leaves_nothing_to_take_over(desk: Desk) -> None:
    (desk.published.folder / layout.CSV).write_text(",".join(ORIGINAL_COLUMNS) + "\n")
    content = adopt(desk, DAYS)
    assert content.adopted.rows_read == 0
    assert held(desk) is None
    desk.is_right(DAYS)


def test_a_csv_of_which_no_row_can_be_kept_is_not_replaced(desk: Desk) -> None:
    text = ",".join(ORIGINAL_COLUMNS) + "\n" + row("1", DAYS[0])
    (desk.published.folder / layout.CSV).write_text(text)
    with pytest.raises(NotAdoptable, match="left out 1 of a code without its zeros, 0 kept"):
        desk.publish(DAYS)
    assert desk.text(layout.CSV) == text


@pytest.mark.parametrize("name", ["", "year", "left_out", "it's"])
def test_other_columns_may_have_any_name(desk: Desk, name: str) -> None:
    original_csv(desk.published, BEFORE, [])
    csv = desk.published.folder / layout.CSV
    header, *rows = csv.read_text().splitlines()
    lines = [f"{name},{header}", *(f"{number},{row}" for number, row in enumerate(rows))]
    csv.write_text("".join(f"{line}\n" for line in lines))
    adopted = adopt(desk, AFTER).adopted
    assert adopted is not None
    assert (adopted.rows_read, adopted.rows_kept) == (len(rows), len(rows))
    assert adopted.days == set(BEFORE)


def test_names_of_columns_may_stand_in_quotes(desk: Desk) -> None:
    original_csv(desk.published, BEFORE, [])
    csv = desk.published.folder / layout.CSV
    pd.read_csv(csv).to_csv(csv, index=False, quoting=QUOTE_NONNUMERIC)
    assert csv.read_text().startswith('"code","date"')
    adopted = adopt(desk, AFTER).adopted
    assert adopted is not None
    assert adopted.days == set(BEFORE)


@pytest.mark.parametrize("word", ["NaN", "nan"])
def test_what_is_missing_may_be_written_as_pandas_shows_it(desk: Desk, word: str) -> None:
    original_csv(desk.published, BEFORE, [])
    csv = desk.published.folder / layout.CSV
    pd.read_csv(csv).to_csv(csv, index=False, na_rep=word)
    append(desk, row("600009.SH", DAYS[0]).replace("10.5", word))
    adopted = adopt(desk, AFTER).adopted
    assert adopted is not None
    assert adopted.left_out[LeftOut.INCOMPLETE] == 1
    prices = desk.published.prices()
    for name in ("pe", "area"):
        assert not {"nan", "NaN"} & set(map(str, prices[name].to_pylist()))


def test_a_header_that_is_no_utf_8_is_told(desk: Desk) -> None:
    (desk.published.folder / layout.CSV).write_bytes(
        "代码,日期\n600000.SH,2024-01-02\n".encode("gbk")
    )
    with pytest.raises(NotAdoptable, match="lacks close, code, date"):
        adopt(desk, AFTER)


def test_a_day_that_is_none_is_refused_by_name(desk: Desk) -> None:
    original_csv(desk.published, BEFORE, [])
    append(desk, row("600000.SH", "not a day"))
    with pytest.raises(
        NotAdoptable, match=r"can't be read: .*Line: \d+; .*\"date\".*\"not a day\""
    ):
        desk.publish(AFTER)


@pytest.mark.parametrize("path", [layout.CSV, layout.shard(2006)])
def test_simulated_rows_join_no_rows_without_a_manifest(desk: Desk, path: str) -> None:
    desk.lake.origin = SIMULATED
    target = desk.published.folder / path
    target.parent.mkdir(exist_ok=True)
    target.write_text("code,date\n")
    (desk.published.folder / layout.CARD).write_text("# Mine\n")
    with pytest.raises(OtherOrigin, match=r"no manifest tells .* come from 'sandbox: simulated"):
        desk.publish(DAYS)
    assert target.read_text() == "code,date\n"


@pytest.mark.parametrize(
    ("published", "ours"), [(SIMULATED, "Tushare, api.tushare.pro"), ("Tushare, a", SIMULATED)]
)
def test_rows_whose_card_tells_another_origin_are_not_joined_without_a_manifest(
    desk: Desk, published: str, ours: str
) -> None:
    desk.lake.origin = published
    desk.publish(BEFORE)
    (desk.published.folder / layout.MANIFEST).unlink()
    desk.lake.origin = ours
    with pytest.raises(OtherOrigin, match=f"come from '{published}'"):
        desk.publish(AFTER)


def test_a_simulated_dataset_that_lost_its_manifest_is_adopted_into_its_own_kind(
    desk: Desk,
) -> None:
    desk.lake.origin = SIMULATED
    desk.publish(BEFORE)
    (desk.published.folder / layout.MANIFEST).unlink()
    desk.publish(AFTER)
    assert held(desk).days == set(BEFORE)


def test_what_people_wrote_into_the_card_stays_when_it_is_adopted_and_after(desk: Desk) -> None:
    theirs = "---\nlicense: mit\n---\n# My prices\n\nWritten by hand.\n"
    (desk.published.folder / layout.CARD).write_text(theirs)
    original_csv(desk.published, BEFORE, [])
    desk.publish(AFTER[:-1])
    card = desk.text(layout.CARD)
    assert "license: mit" in card
    assert "# My prices\n\nWritten by hand.\n" in card
    assert f"| {AFTER[-2]} |" in card
    (desk.published.folder / layout.CARD).write_text(f"{card}\nAdded later.\n")
    desk.publish(AFTER[-1:])
    again = desk.text(layout.CARD)
    assert "Written by hand." in again
    assert again.endswith("\nAdded later.\n")
    assert f"| {AFTER[-1]} |" in again
    assert desk.publish(AFTER[-1:]) == []


def test_the_manifest_of_an_adopted_dataset_reads_back(desk: Desk) -> None:
    original_csv(desk.published, BEFORE, BEFORE[:1])
    manifest: Any = adopt(desk, AFTER).manifest
    assert from_json(manifest.to_json()) == manifest
