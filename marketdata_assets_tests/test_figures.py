"""The figures of runs of the benchmarks: beside each other, and in the documentation."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.figures import (
    FIRST_MARK,
    KEPT,
    LAST_MARK,
    PAGES,
    Figure,
    blocks,
    cell,
    compared,
    figures,
    kept_with,
    shown_in,
    write,
)
from benchmarks.headlines import HEADLINES, Headline
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
    kept = json.loads((house / KEPT).read_text("utf-8"))
    for page, language in PAGES.items():
        text = (house / page).read_text("utf-8")
        assert shown_in(text, blocks(kept, language)) == text, (
            "run python -m benchmarks.figures --docs"
        )


@pytest.mark.parametrize("line", HEADLINES, ids=lambda line: line.name)
def test_a_line_says_the_same_in_both_languages(line: Headline) -> None:
    def cells(texts: Sequence[str]) -> list[str]:
        return sorted(re.findall(r"{(\w+)}", " ".join(texts)))

    assert cells(line.en) == cells(line.zh) == sorted(line.cells)
    assert [bool(text) for text in line.en] == [bool(text) for text in line.zh]


def test_a_run_replaces_what_it_has_measured_and_leaves_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "figures" / "a.json"
    imports = Shown("import time", ["", "seconds"], [["import dagster", "0.8"]])
    rows = [["make demo", "31"], ["all of it", "49.5"]]
    minute = Shown("the first minute", ["", "seconds"], rows)
    write(path, {"imports": [imports], "first_minute": [minute]})
    before = {
        "headlines": {
            name: {"machine": "M", "at": "2026-11-25", "cells": cells}
            for name, cells in (
                ("first_minute", {"all": "53", "demo": "33"}),
                ("imports", {"ours": "1.7", "dagster": "0.85"}),
            )
        },
        "whole": {},
    }
    kept = kept_with(before, json.loads(path.read_text("utf-8")))
    # Half of a line is not beside another day's half.
    assert kept["headlines"]["imports"] == before["headlines"]["imports"]
    assert kept["headlines"]["first_minute"]["cells"] == {"all": "49.5", "demo": "31"}
    shown = blocks(kept, "en")["headlines"]
    assert "| importing the definitions | 1.7 s | importing Dagster: 0.85 s | 2 | 2026-11-25 |" in (
        shown
    )
    assert "49.5 s, of which the demo 31 s" in shown
    assert "\nM; 2026-11-25\n" in shown


def test_a_figure_may_stand_in_a_title() -> None:
    table = {"title": "a year: 2,892 partitions, 1,290,000 rows", "header": ["s"], "rows": [["9"]]}
    assert cell([table], ("a year", 1)) == "1,290,000"
    assert cell([table], ("", "s")) == "9"
    assert cell([table], ("", "ms")) is None


def test_figures_stand_between_the_marks_alone() -> None:
    text = shown_in(
        f"before\n{FIRST_MARK.format('growth')}old\n{LAST_MARK}after\n", {"growth": "new\n"}
    )
    assert text == f"before\n{FIRST_MARK.format('growth')}\nnew\n\n{LAST_MARK}after\n"
    with pytest.raises(ValueError, match="marks"):
        shown_in("no marks", {})
