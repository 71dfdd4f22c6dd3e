"""Applying checks to the rows of one day or of many.

Here belongs how rows are counted and shown; what is checked is declared in the other modules.
"""

import datetime as dt
from collections.abc import Sequence

import duckdb

from marketdata_assets.checks.declaring import Check, Finding
from marketdata_assets.checks.known_defects import excused

SAMPLE_ROWS = 5


def judge(
    table: str,
    rows: duckdb.DuckDBPyRelation,
    checks: Sequence[Check],
    day_column: str = "trade_date",
) -> list[Finding]:
    """What breaks `checks` among `rows`, a finding for every day and check with wrong rows.

    `rows` is read once, and once more for the samples of what was found. Its codes are in
    `ts_code`. Findings within the tolerance are included; `Finding.fails` tells.
    """
    if not checks:
        return []
    counts = ", ".join(f"count(*) FILTER ({_wrong(check)})" for check in checks)
    findings = []
    for day, total, *wrong in rows.aggregate(f"{day_column}, count(*), {counts}").fetchall():
        for check, number in zip(checks, wrong, strict=True):
            if number:
                sample = _sample(rows, check, day_column, day)
                findings.append(Finding(check, table, day, number, total, sample))
    return sorted(findings, key=lambda finding: (finding.day, checks.index(finding.check)))


def _sample(
    rows: duckdb.DuckDBPyRelation, check: Check, day_column: str, day: dt.date
) -> tuple[str, ...]:
    wrong = rows.filter(f"{day_column} = DATE '{day}' AND {_wrong(check)}")
    shown = wrong.order("ts_code").limit(SAMPLE_ROWS).select(", ".join(("ts_code", *check.shown)))
    return tuple(
        " ".join(map(" ".join, [(code,), *zip(check.shown, map(_shown, values), strict=True)]))
        for code, *values in shown.fetchall()
    )


def _shown(value: object) -> str:
    if value is None:
        return "NULL"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _wrong(check: Check) -> str:
    return f"({check.wrong}) AND NOT ({excused(check.name)})"
