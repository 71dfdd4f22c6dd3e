"""The list of findings as people read it: a line a share and check, since when, and what was done.

Here belongs the question over the stored days; what the checks are is `checks`, how it looks on a
terminal or in an answer is up to whoever asks.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from marketdata_assets.instruments import UnknownCode, identify
from marketdata_assets.storage.bounded_duckdb import brief_duckdb
from marketdata_assets.storage.opening import open_lake
from marketdata_assets.storage.reading import literal_path, quoted, select
from marketdata_assets.tables import FINDINGS

# How far back a finding is followed to its first day.
SESSIONS_FOLLOWED = 250
# What needs somebody comes first.
URGENCY = "list_position(['refused', 'held', 'flagged', 'excused'], outcome)"


@dataclass(frozen=True)
class FindingLine:
    """A finding of `last`, the newest of `days` in a row with it; the first of them is `since`.

    `code` is empty where the whole answer of the vendor is meant.
    """

    table: str
    check: str
    code: str
    outcome: str
    since: dt.date
    last: dt.date
    days: int
    seen: str
    expected: str
    reason: str | None


def finding_list(
    root: Path,
    last: dt.date,
    first: dt.date | None = None,
    code: str = "",
    outcomes: Sequence[str] = (),
    rows: int | None = None,
    followed_for: int = SESSIONS_FOLLOWED,
) -> list[FindingLine]:
    """Findings that are there on a day from `first` to `last`, by default on `last` alone.

    `code` is one as people write it, or as it is stored; a former one is that of its days. Those
    that need somebody come first, and of these the newest. A finding of neighbouring stored
    days is one line; it is followed back for so many of them. Raises `UnknownCode` where nothing
    is found of what is no code.
    """
    lake = open_lake(root, "reader")
    days = [day for day in lake.days(FINDINGS) if day <= last]
    asked = [day for day in days if day >= (first or last)]
    followed = days[-followed_for - len(asked) :]
    if not asked:
        return []
    numbers = ", ".join(f"(DATE '{day}', {number})" for number, day in enumerate(followed))
    files = ", ".join(quoted(literal_path(path)) for path in lake.paths(FINDINGS, followed))
    conditions = ["true"]
    if code:
        conditions.append("ts_code IN ($code, $canonical)")
    if outcomes:
        conditions.append("list_contains($outcomes, outcome)")
    limit = f"LIMIT {rows}" if rows is not None else ""
    with brief_duckdb() as connection:
        found = connection.execute(
            f"""
            WITH numbered AS (
                SELECT *, number - row_number() OVER (
                    PARTITION BY table_name, check_name, ts_code, outcome ORDER BY trade_date
                ) AS stretch
                FROM ({select(FINDINGS, f"[{files}]")})
                JOIN (VALUES {numbers}) AS stored (trade_date, number) USING (trade_date)
            )
            SELECT table_name, check_name, ts_code, outcome,
                min(trade_date), max(trade_date), count(*),
                arg_max(seen, trade_date), any_value(expected), any_value(reason)
            FROM numbered
            WHERE {" AND ".join(conditions)}
            GROUP BY table_name, check_name, ts_code, outcome, stretch
            HAVING max(trade_date) >= $first
            ORDER BY {URGENCY}, max(trade_date) DESC, min(trade_date) DESC, 1, 2, 3
            {limit}
            """,
            {
                "first": asked[0],
                **({"code": code, "canonical": _canonical(code)} if code else {}),
                **({"outcomes": list(outcomes)} if outcomes else {}),
            },
        ).fetchall()
    if code and not found:
        # Nothing is found of a code that was mistyped either, which is no good news.
        identify(code)
    return [FindingLine(*row) for row in found]


def _canonical(code: str) -> str:
    """The code as it is stored; one that nobody understands may be stored all the same."""
    try:
        found = identify(code)
    except UnknownCode:
        return code
    return found.renamed_from or found.code


def as_markdown(lines: Sequence[FindingLine]) -> str:
    """A table for Dagster's UI."""
    if not lines:
        return "none"
    head = "| outcome | code | table.check | since | days | seen |\n|---|---|---|---|---:|---|"
    body = (
        f"| {one.outcome} | {one.code or 'the answer'} | {one.table}.{one.check} | {one.since} "
        f"| {one.days} | {one.seen.replace('|', '/')[:200]} |"
        for one in lines
    )
    return "\n".join([head, *body])
