"""The figures of a run of the benchmarks as a JSON file, and two such files beside each other.

    python -m benchmarks.figures before.json after.json
    python -m benchmarks.figures --docs      # KEPT, between the marks of docs/performance

Here belongs how figures are kept, compared and shown. A cell may hold several, like `3.0 / 3.4`;
each is compared with the one in its place. What was measured on another machine is told as that.
"""

import datetime as dt
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measuring import Shown, console, machine, show

FOLDER = Path("figures")
# A run that was copied there, and is part of the repository.
KEPT = FOLDER / "kept.json"
PAGES = (Path("docs/performance.md"), Path("docs/performance.zh.md"))
FIRST_MARK = "<!-- by python -m benchmarks.figures --docs -->\n"
LAST_MARK = "<!-- until here -->\n"
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


def shown_in(text: str, told: Mapping[str, Any]) -> str:
    """`text` with the tables of a file that was written between its marks."""
    before, _, rest = text.partition(FIRST_MARK)
    _, mark, after = rest.partition(LAST_MARK)
    if not mark:
        raise ValueError(f"The marks are not there, or not in order: {FIRST_MARK}{LAST_MARK}")
    where = f"{told['machine']}; {told['at'][:10]}"
    tables = [_as_markdown(table) for tables in told["tables"].values() for table in tables]
    return "".join(
        (before, FIRST_MARK, "\n", "\n".join([*tables, f"{where}\n"]), "\n", mark, after)
    )


def _as_markdown(table: Mapping[str, Any]) -> str:
    title, *header = table["header"]
    rows = [[title or table["title"], *header], ["---"] * len(table["header"]), *table["rows"]]
    return "".join(f"| {' | '.join(map(str, row))} |\n" for row in rows)


def main() -> int:
    if sys.argv[1:] == ["--docs"]:
        told = json.loads(KEPT.read_text("utf-8"))
        for page in PAGES:
            page.write_text(shown_in(page.read_text("utf-8"), told), "utf-8")
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
