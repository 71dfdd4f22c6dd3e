"""Applying checks to the rows of one day or of many.

Here belongs how rows are counted, shown and listed; what is checked is declared in the other
modules.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

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
    marks = ", ".join(
        f"{_wrong(table, check)} AS wrong_{number}, "
        f"wrong_{number} AND {_excused(table, check, excuses)} AS excused_{number}, "
        f"coalesce({check.among}, false) AS among_{number}"
        for number, check in enumerate(checks)
    )
    counts = ", ".join(
        f"count(*) FILTER (wrong_{number} AND NOT excused_{number}), "
        f"count(*) FILTER (excused_{number}), "
        f"count(*) FILTER (among_{number})"
        for number in range(len(checks))
    )
    counted_by_day = rows.select(f"trade_date, {marks}").aggregate(f"trade_date, {counts}")
    findings = []
    for day, *counted in counted_by_day.fetchall():
        by_check = zip(checks, counted[::3], counted[1::3], counted[2::3], strict=True)
        for check, wrong, excused, total in by_check:
            if wrong or excused:
                findings.append(Finding(check, table, day, wrong, total, (), excused))
    findings.sort(key=lambda finding: (finding.day, checks.index(finding.check)))
    samples = _samples(table, rows, findings, excuses)
    return [one._replace(sample=tuple(samples[one.check.name, one.day])) for one in findings]


def listed(
    table: str,
    rows: duckdb.DuckDBPyRelation,
    checks: Sequence[Check],
    findings: Collection[Finding],
    excuses: Excuses,
) -> pa.Table:
    """Every wrong row of `findings` as a row of LISTED; those of the whole answer with no code.

    `rows` is read once more. What is excused for every code, and what speaks against the answer as
    a whole, is one row.
    """
    lines: list[str] = []
    for check in checks:
        # A day of which many rows are wrong is told as one.
        days = [one.day for one in findings if one.check is check and not one.is_mass]
        if days and check.outcome is not Outcome.REFUSED:
            lines.append(_line(len(lines), table, check, excuses, days))
    whole = [one for one in findings if one.is_mass or _is_whole(one, excuses)]
    return pa.concat_tables([LISTED.empty_table(), *_of_rows(rows, lines), *map(_whole_row, whole)])


def _of_rows(rows: duckdb.DuckDBPyRelation, lines: Sequence[str]) -> Iterator[pa.Table]:
    if lines:
        told = rows.select(_each(lines)).select("unnest(line)").order("number, trade_date, ts_code")
        yield told.select(", ".join(LISTED.names)).to_arrow_table().cast(LISTED)


def of_days(rows: duckdb.DuckDBPyRelation, days: Collection[dt.date]) -> duckdb.DuckDBPyRelation:
    """The rows of `days` alone."""
    return rows.filter(f"trade_date IN ({_dates(days)})")


def read_once(rows: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """`rows` in memory, for questions that join them again and again.

    Not by `materialize`: it takes of DuckDB's bounded memory, and what it holds is joined as if
    nobody knew how many rows it has.
    """
    read = rows.to_arrow_table()
    in_memory = rows.limit(0).query("nothing", "SELECT * FROM read")
    assert in_memory is not None, read
    return in_memory


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


def _line(
    number: int, table: str, check: Check, excuses: Excuses, days: Collection[dt.date]
) -> str:
    """The expression of a row of LISTED, NULL where the row is not wrong on one of `days`."""
    of_codes = Excuses(one for one in excuses.of(table, check.name) if one.code != EVERY_CODE)
    whole = Excuses(one for one in excuses.of(table, check.name) if one.code == EVERY_CODE)
    seen = ", ', ', ".join(f"'{name} ', {_as_text(name)}" for name in check.shown)
    reason = of_codes.reason(table, check.name)
    return f"""
        CASE WHEN trade_date IN ({_dates(days)}) AND {_wrong(table, check)}
            AND NOT ({whole.condition(table, check.name)})
        THEN {{
            'number': {number},
            'trade_date': trade_date,
            'table_name': {quoted(table)},
            'ts_code': ts_code,
            'check_name': {quoted(check.name)},
            'outcome': if(({reason}) IS NULL, '{check.outcome}', '{Outcome.EXCUSED}'),
            'seen': concat({seen}),
            'expected': {quoted(check.doc)},
            'reason': {reason}
        }} END
    """


def _as_text(name: str) -> str:
    return f"coalesce(CAST({name} AS VARCHAR), 'NULL')"


def _samples(
    table: str, rows: duckdb.DuckDBPyRelation, findings: Collection[Finding], excuses: Excuses
) -> Mapping[tuple[str, dt.date], list[str]]:
    """Some wrong rows as text, by check and day, in the order of their codes."""
    days: dict[Check, list[dt.date]] = defaultdict(list)
    for one in findings:
        if one.wrong:
            days[one.check].append(one.day)
    samples: dict[tuple[str, dt.date], list[str]] = defaultdict(list)
    if days:
        kinds = dict(zip(rows.columns, map(str, rows.types), strict=True))
        lines = [
            f"""
            CASE WHEN trade_date IN ({_dates(among)}) AND {_wrong(table, check)}
                AND NOT {_excused(table, check, excuses)}
            THEN {{
                'check_name': {quoted(check.name)},
                'trade_date': trade_date,
                'ts_code': ts_code,
                'seen': {_seen(check, kinds)}
            }} END
            """
            for check, among in days.items()
        ]
        found = rows.select(_each(lines)).select("unnest(line)")
        place = "row_number() OVER (PARTITION BY check_name, trade_date ORDER BY ts_code)"
        shown = found.select(f"*, {place} AS place").filter(f"place <= {SAMPLE_ROWS}")
        for name, day, seen in (
            shown.order("place").select("check_name, trade_date, seen").fetchall()
        ):
            samples[name, day].append(seen)
    return samples


def _each(lines: Sequence[str]) -> str:
    """A row for each of the expressions that is not NULL."""
    return f"unnest(list_filter([{', '.join(lines)}], lambda one: one IS NOT NULL)) AS line"


def _dates(days: Collection[dt.date]) -> str:
    return ", ".join(f"DATE '{day}'" for day in days)


def _seen(check: Check, kinds: Mapping[str, str]) -> str:
    """The expression of the code and of what is shown, with ten digits of a number."""
    seen = ["ts_code"]
    for name in check.shown:
        value = f"format('{{:.10g}}', {name})" if kinds[name] == "DOUBLE" else name
        seen += [f"'{name}'", _as_text(value)]
    return f"concat_ws(' ', {', '.join(seen)})"


def _wrong(table: str, check: Check) -> str:
    known = explained().condition(table, check.name)
    return f"(coalesce(({check.wrong}) AND ({check.among}), false) AND NOT ({known}))"


def _excused(table: str, check: Check, excuses: Excuses) -> str:
    return f"({excuses.condition(table, check.name)})"
