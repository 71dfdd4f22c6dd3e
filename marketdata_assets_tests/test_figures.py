"""The figures of two runs of the benchmarks beside each other."""

import json
from pathlib import Path

import pytest

from benchmarks.figures import (
    FIRST_MARK,
    KEPT,
    LAST_MARK,
    PAGES,
    Figure,
    compared,
    figures,
    shown_in,
    write,
)
from benchmarks.measuring import Shown

HEADER = ["", "p50 / p95 in ms", "answers"]


def told(tmp_path: Path, row: list[str]) -> dict[Figure, list[float]]:
    path = tmp_path / "figures" / "a.json"
    write(path, {"api": [Shown("over HTTP, of 17,100,000 rows", HEADER, [row])]})
    return figures(json.loads(path.read_text("utf-8")))


def test_figures_are_read_as_they_were_shown(tmp_path: Path) -> None:
    assert told(tmp_path, ["one code", "3.0 / 3.4", "22,401"]) == {
        Figure("api", "one code", "p50 / p95 in ms"): [3.0, 3.4],
        Figure("api", "one code", "answers"): [22401.0],
    }


def test_each_figure_is_compared_with_the_one_in_its_place(tmp_path: Path) -> None:
    before = told(tmp_path, ["one code", "3.0 / 3.4", "1,000"])
    after = told(tmp_path, ["one code", "1.5 / 3.5", "1,300"])
    assert compared(before, after) == [
        ("api, one code, answers", "1,000", "1,300", "1.30", "!"),
        ("api, one code, p50 / p95 in ms", "3", "1.5", "0.50", "!"),
        ("api, one code, p50 / p95 in ms", "3.4", "3.5", "1.03", ""),
    ]


def test_what_one_of_both_lacks_is_not_compared(tmp_path: Path) -> None:
    assert compared(told(tmp_path, ["one code", "–", "5"]), told(tmp_path, ["another", "1"])) == []


def test_the_documentation_shows_what_the_kept_figures_give() -> None:
    house = Path(__file__).parents[1]
    told = json.loads((house / KEPT).read_text("utf-8"))
    for page in PAGES:
        text = (house / page).read_text("utf-8")
        assert shown_in(text, told) == text, "run python -m benchmarks.figures --docs"


def test_figures_stand_between_the_marks_alone(tmp_path: Path) -> None:
    path = tmp_path / "figures" / "a.json"
    write(path, {"growth": [Shown("what grows", ["", "1 year"], [["evening", "6"]])]})
    kept = json.loads(path.read_text("utf-8"))
    text = shown_in(f"before\n{FIRST_MARK}old\n{LAST_MARK}after\n", kept)
    assert "| what grows | 1 year |\n| --- | --- |\n| evening | 6 |\n" in text
    assert (text.startswith("before\n"), text.endswith("after\n"), "old" in text) == (
        True,
        True,
        False,
    )
    with pytest.raises(ValueError, match="marks"):
        shown_in("no marks", kept)
