"""Applying checks to the rows of one day or of many.

Here belongs how rows are counted, shown and listed; what is checked is declared in the other
modules.
"""

import datetime as dt
from collections.abc import Collection, Sequence

import duckdb
import pyarrow as pa

from marketdata_assets.checks.excuses import EVERY_CODE, Excuses, explained, quoted
from marketdata_assets.checks.finding import Finding
from marketdata_assets.tables.checking import Check, Outcome

SAMPLE_ROWS = 5

# A row of FINDINGS but for when it was seen first.
LISTED = pa.schema(
    [
        ("trade_date", pa.date32()),
        *(
            (name, pa.string())
            for name in ("table_name", "ts_code", "check_name", "outcome", "seen", "expected")
        ),
        ("reason", pa.string()),
    ]
)


def run_checks(
    table: str, rows: duckdb.DuckDBPyRelation, checks: Sequence[Check], excuses: Excuses
) -> list[Finding]:
    """What breaks `checks` among `rows`, a finding for every day and check with wrong rows.

    `rows` has `ts_code` and `trade_date`. It is read once, and once more for the samples of what
    was found. Explained rows are not counted; `Finding.fails` tells which findings matter.
    """
    if not checks:
        return []
    counts = ", ".join(
        f"count(*) FILTER ({_wrong(table, check)} AND NOT {_excused(table, check, excuses)}), "
        f"count(*) FILTER ({_wrong(table, check)} AND {_excused(table, check, excuses)}), "
        f"count(*) FILTER (coalesce({check.among}, false))"
        for check in checks
    )
    findings = []
    for day, *counted in rows.aggregate(f"trade_date, {counts}").fetchall():
        by_check = zip(checks, counted[::3], counted[1::3], counted[2::3], strict=True)
        for check, wrong, excused, total in by_check:
            if wrong or excused:
                sample = _sample(rows, table, check, excuses, day) if wrong else ()
                findings.append(Finding(check, table, day, wrong, total, sample, excused))
    return sorted(findings, key=lambda finding: (finding.day, checks.index(finding.check)))


def listed(
    table: str,
    rows: duckdb.DuckDBPyRelation,
    checks: Sequence[Check],
    findings: Collection[Finding],
    excuses: Excuses,
) -> pa.Table:
    """Every wrong row of `findings` as a row of LISTED; those of the whole answer with no code.

    What is excused for every code, and what speaks against the answer as a whole, is one row.
    """
    parts = []
    for check in checks:
        # A day of which many rows are wrong is told as one.
        days = [one.day for one in findings if one.check is check and not one.is_mass]
        if days and check.outcome is not Outcome.REFUSED:
            parts.append(_rows_of(table, of_days(rows, days), check, excuses))
    tables = [part.to_arrow_table().cast(LISTED) for part in parts]
    whole = [one for one in findings if one.is_mass or _is_whole(one, excuses)]
    return pa.concat_tables([LISTED.empty_table(), *tables, *map(_whole_row, whole)])


def of_days(rows: duckdb.DuckDBPyRelation, days: Collection[dt.date]) -> duckdb.DuckDBPyRelation:
    """The rows of `days` alone."""
    listed = ", ".join(f"DATE '{day}'" for day in days)
    return rows.filter(f"trade_date IN ({listed})")


def _is_whole(finding: Finding, excuses: Excuses) -> bool:
    return finding.excused > 0 and excuses.covers(
        finding.table, finding.check.name, finding.day, ""
    )


def _whole_row(finding: Finding) -> pa.Table:
    seen = finding.counted() if finding.is_mass else f"{finding.excused:,} of {finding.rows:,} rows"
    row = {
        "trade_date": finding.day,
        "table_name": finding.table,
        "ts_code": "",
        "check_name": finding.check.name,
        "outcome": str(finding.check.of_mass if finding.is_mass else Outcome.EXCUSED),
        "seen": seen,
        "expected": finding.check.doc,
        "reason": None,
    }
    return pa.Table.from_pylist([row], schema=LISTED)


def _rows_of(
    table: str, rows: duckdb.DuckDBPyRelation, check: Check, excuses: Excuses
) -> duckdb.DuckDBPyRelation:
    of_codes = Excuses(one for one in excuses.of(table, check.name) if one.code != EVERY_CODE)
    whole = Excuses(one for one in excuses.of(table, check.name) if one.code == EVERY_CODE)
    seen = ", ', ', ".join(f"'{name} ', {_as_text(name)}" for name in check.shown)
    reason = of_codes.reason(table, check.name)
    return rows.filter(
        f"{_wrong(table, check)} AND NOT ({whole.condition(table, check.name)})"
    ).select(
        f"""
        trade_date,
        {quoted(table)} AS table_name,
        ts_code,
        {quoted(check.name)} AS check_name,
        if(({reason}) IS NULL, '{check.outcome}', '{Outcome.EXCUSED}') AS outcome,
        concat({seen}) AS seen,
        {quoted(check.doc)} AS expected,
        {reason} AS reason
        """
    )


def _as_text(name: str) -> str:
    return f"coalesce(CAST({name} AS VARCHAR), 'NULL')"


def _sample(
    rows: duckdb.DuckDBPyRelation, table: str, check: Check, excuses: Excuses, day: dt.date
) -> tuple[str, ...]:
    wrong = rows.filter(
        f"trade_date = DATE '{day}' AND {_wrong(table, check)} "
        f"AND NOT {_excused(table, check, excuses)}"
    )
    shown = wrong.order("ts_code").limit(SAMPLE_ROWS).select(", ".join(("ts_code", *check.shown)))
    return tuple(
        " ".join(map(" ".join, [(code,), *zip(check.shown, map(_shown, values), strict=True)]))
        for code, *values in shown.fetchall()
    )


def _shown(value: object) -> str:
    if value is None:
        return "NULL"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _wrong(table: str, check: Check) -> str:
    known = explained().condition(table, check.name)
    return f"(coalesce(({check.wrong}) AND ({check.among}), false) AND NOT ({known}))"


def _excused(table: str, check: Check, excuses: Excuses) -> str:
    return f"({excuses.condition(table, check.name)})"
