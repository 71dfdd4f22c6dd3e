"""The figures of a run of the benchmarks as a JSON file, and two such files beside each other.

    python -m benchmarks.figures before.json after.json
    python -m benchmarks.figures --keep run.json    # into KEPT what it has measured, then --docs
    python -m benchmarks.figures --docs             # KEPT, between the marks of PAGES

Here belongs how figures are kept, compared and shown; the lines are `headlines`. A cell may hold
several, like `3.0 / 3.4`; each is compared with the one in its place. What was measured on another
machine is told as that.
"""

import datetime as dt
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.headlines import HEADLINES, Headline, Place, Texts
from benchmarks.measuring import Shown, console, machine, show

FOLDER = Path("figures")
# What the documentation shows; part of the repository.
KEPT = FOLDER / "kept.json"
PAGES = {
    Path("docs/performance.md"): "en",
    Path("docs/performance.zh.md"): "zh",
    Path("README.md"): "en",
    Path("README.zh-CN.md"): "zh",
}
HEADERS = {
    "en": ("what", "this platform", "beside it", "ratio", "measured"),
    "zh": ("项目", "本平台", "对照", "比值", "测于"),
}
# Benchmarks of which every figure is shown.
WHOLE = ("growth", "distributed")
FIRST_MARK = "<!-- by python -m benchmarks.figures --docs: {} -->\n"
LAST_MARK = "<!-- until here -->\n"
MARKED = re.compile(FIRST_MARK.format(r"(\w+)") + ".*?" + LAST_MARK, re.DOTALL)
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
# What the machine may do to a figure without anybody having changed the code.
NOISE = 1.2


class Figure(NamedTuple):
    """What stands in a table of a benchmark, in the row and the column of that name."""

    benchmark: str
    row: str
    column: str


def write(path: Path, tables: Mapping[str, Sequence[Shown]]) -> None:
    """The tables of each benchmark by its name, and where they were measured."""
    path.parent.mkdir(exist_ok=True)
    told = {
        "machine": machine(),
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "tables": {name: [one._asdict() for one in shown] for name, shown in tables.items()},
    }
    _write(path, told)


def _write(path: Path, told: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", "utf-8")


def figures(
    told: Mapping[str, Mapping[str, Sequence[Mapping[str, Sequence[Sequence[str]]]]]],
) -> dict[Figure, list[float]]:
    """The numbers of a file that was written, in the order in which they stand in their cell."""
    return {
        figure: [float(number.replace(",", "")) for number in NUMBER.findall(cell)]
        for benchmark, tables in told["tables"].items()
        for table in tables
        for figure, cell in _cells(benchmark, table)
    }


def _cells(
    benchmark: str, table: Mapping[str, Sequence[Sequence[str]]]
) -> Iterator[tuple[Figure, str]]:
    for label, *cells in table["rows"]:
        for column, cell in zip(table["header"][1:], cells, strict=False):
            yield Figure(benchmark, str(label), str(column)), cell


def compared(
    before: Mapping[Figure, Sequence[float]], after: Mapping[Figure, Sequence[float]]
) -> list[tuple[str, ...]]:
    """A line a figure that both have: before, after, the ratio, and a mark beyond NOISE."""
    lines = []
    for figure in before.keys() & after.keys():
        for old, new in zip(before[figure], after[figure], strict=False):
            if old and new:
                ratio = new / old
                mark = "" if 1 / NOISE < ratio < NOISE else "!"
                name = ", ".join(filter(None, figure))
                lines.append((name, f"{old:,g}", f"{new:,g}", f"{ratio:.2f}", mark))
    return sorted(lines)


def cell(tables: Sequence[Mapping[str, Any]], place: Place) -> str | None:
    """What stands at a place of the tables of a benchmark; None where there is no such."""
    row, column = place
    for table in tables:
        if isinstance(column, int):
            if table["title"].startswith(row):
                return str(NUMBER.findall(table["title"])[column])
        elif column in table["header"]:
            for one in table["rows"]:
                if one[0].startswith(row):
                    return str(one[table["header"].index(column)])
    return None


def kept_with(kept: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """`kept` with what a run has measured; whatever it has not stays, with its machine and day."""
    of = {"machine": told["machine"], "at": told["at"]}
    headlines = dict(kept["headlines"])
    for one in HEADLINES:
        tables = told["tables"].get(one.benchmark, [])
        cells = {name: cell(tables, place) for name, place in one.cells.items()}
        if all(cells.values()):
            headlines[one.name] = {**of, "cells": cells}
    whole = {
        name: {**of, "tables": told["tables"][name]} for name in WHOLE if name in told["tables"]
    }
    return {"headlines": headlines, "whole": {**kept["whole"], **whole}}


def blocks(kept: Mapping[str, Any], language: str) -> dict[str, str]:
    """What stands between the marks of a page, by their name."""
    known = [
        (one, kept["headlines"][one.name]) for one in HEADLINES if one.name in kept["headlines"]
    ]
    lines = [(one, *_line(one, told["cells"], language), told) for one, told in known]
    headlines = [(*texts, ratio, told["at"][:10]) for _, texts, ratio, told in lines]
    readme = [texts for one, texts, _, _ in lines if one.is_in_readme]
    return {
        "headlines": _as_markdown([HEADERS[language], *headlines])
        + _measured(told for _, told in known),
        "readme": _as_markdown([HEADERS[language][:3], *readme]),
        **{name: _whole(told) for name, told in kept["whole"].items()},
    }


def _line(one: Headline, cells: Mapping[str, str], language: str) -> tuple[Texts, str]:
    what, ours, beside = (text.format(**cells) for text in getattr(one, language))
    if one.ratio is None:
        return (what, ours, beside), ""
    over, under = (float(NUMBER.findall(cells[name])[0].replace(",", "")) for name in one.ratio)
    return (what, ours, beside), f"{float(f'{over / under:.2g}'):,g}"


def _whole(told: Mapping[str, Any]) -> str:
    tables = []
    for table in told["tables"]:
        title, *header = table["header"]
        tables.append(_as_markdown([[title or table["title"], *header], *table["rows"]]))
    return "\n".join([*tables, _measured([told])])


def _measured(all_told: Iterable[Mapping[str, Any]]) -> str:
    """The machines, each with its days."""
    days: dict[str, set[str]] = {}
    for told in all_told:
        days.setdefault(told["machine"], set()).add(told["at"][:10])
    return "".join(f"\n{machine}; {', '.join(sorted(on))}\n" for machine, on in days.items())


def _as_markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def shown_in(text: str, shown: Mapping[str, str]) -> str:
    """`text` with every block of `shown` that it has marks for. Raises `ValueError` without any."""
    if not MARKED.search(text):
        raise ValueError(f"There are no marks like {FIRST_MARK.format('growth')}{LAST_MARK}")
    return MARKED.sub(
        lambda found: f"{FIRST_MARK.format(found[1])}\n{shown[found[1]]}\n{LAST_MARK}", text
    )


def main() -> int:
    if sys.argv[1:2] == ["--keep"] and len(sys.argv) == 3:
        told = json.loads(Path(sys.argv[2]).read_text("utf-8"))
        _write(KEPT, kept_with(json.loads(KEPT.read_text("utf-8")), told))
    if sys.argv[1:2] == ["--keep"] or sys.argv[1:] == ["--docs"]:
        kept = json.loads(KEPT.read_text("utf-8"))
        for page, language in PAGES.items():
            text = shown_in(page.read_text("utf-8"), blocks(kept, language))
            page.write_text(text, "utf-8")
        return 0
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    before, after = (json.loads(Path(name).read_text("utf-8")) for name in sys.argv[1:])
    if before["machine"] != after["machine"]:
        console.print(f"Not of one machine: {before['machine']}; {after['machine']}.\n")
    title = f"{before['at']} and {after['at']}; ! is a change of more than {NOISE - 1:.0%}"
    lines = compared(figures(before), figures(after))
    show(title, ("", "before", "after", "ratio", ""), lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
