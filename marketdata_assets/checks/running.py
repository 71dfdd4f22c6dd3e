"""Applying checks to the rows of one day or of many.

Here belongs what a finding is, and how rows are counted, shown and listed; what is checked is
declared in the other modules.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import duckdb
import pyarrow as pa

from marketdata_assets.checks.excuses import EVERY_CODE, NONE, Excuses, explained, quoted
from marketdata_assets.tables.declaration import Check, Outcome


class Finding(NamedTuple):
    """Rows of one day that break one check; `sample` holds a few of them as text.

    `wrong` counts what nobody has excused, `excused` the others.
    """

    check: Check
    table: str
    day: dt.date
    wrong: int
    rows: int
    sample: tuple[str, ...]
    excused: int = 0

    @property
    def is_mass(self) -> bool:
        """Whether it speaks against the day of the table as a whole."""
        return self.check.mass is not None and self.check.mass.is_reached(self.wrong, self.rows)

    @property
    def refuses(self) -> bool:
        return self.is_mass and self.check.of_mass is Outcome.REFUSED

    @property
    def fails(self) -> bool:
        return self.is_mass or (self.wrong > 0 and self.check.outcome is not Outcome.REFUSED)

    def in_words(self) -> str:
        return f"{self.table} {self.day}, {self.check.name}: {self.counted()}. {self.check.doc}"

    def counted(self) -> str:
        """How many rows, and some of them."""
        more = " …" if self.wrong > len(self.sample) else ""
        shown = f" ({'; '.join(self.sample)}{more})" if self.sample else ""
        return f"{self.wrong:,} of {self.rows:,} rows{shown}"


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
    counts = ", ".join(_counts(table, check, excuses) for check in checks)
    counted_by_day = rows.aggregate(f"trade_date, {counts}")
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
    a whole, is one row; and so are several wrong rows of one code.
    """
    lines: list[str] = []
    for check in checks:
        # A day of which many rows are wrong is told as one.
        days = [one.day for one in findings if one.check is check and not one.is_mass]
        if days and check.outcome is not Outcome.REFUSED:
            lines.append(_line(len(lines), table, check, excuses, days))
    whole = [one for one in findings if one.is_mass or _accepted(one, excuses) is not None]
    return pa.concat_tables([*_of_rows(rows, lines), listed_whole(whole, excuses=excuses)])


def run_and_list(
    table: str, rows: duckdb.DuckDBPyRelation, checks: Sequence[Check], excuses: Excuses
) -> pa.Table:
    """All that breaks `checks` among `rows`, row by row (LISTED)."""
    return listed(table, rows, checks, run_checks(table, rows, checks, excuses), excuses)


def _of_rows(rows: duckdb.DuckDBPyRelation, lines: Sequence[str]) -> Iterator[pa.Table]:
    if lines:
        told = rows.select(_each(lines)).select("unnest(line)")
        # A share can have several rows a day: trades, or members of as many indices.
        alike = ", ".join(name for name in LISTED.names if name != "seen")
        of_codes = told.aggregate(f"number, {alike}, string_agg(seen, '; ' ORDER BY seen) AS seen")
        in_order = of_codes.order("number, trade_date, ts_code")
        yield in_order.select(", ".join(LISTED.names)).to_arrow_table().cast(LISTED)


def read_once(
    rows: duckdb.DuckDBPyRelation, beside: duckdb.DuckDBPyRelation
) -> duckdb.DuckDBPyRelation:
    """`rows` in memory, for questions that join them again and again.

    `beside` is in memory, by the same connection. Not by `materialize`: it takes of DuckDB's
    bounded memory, and what it holds is joined as if nobody knew how many rows it has.
    """
    read = rows.to_arrow_table()
    in_memory = beside.limit(0).query("nothing", "SELECT * FROM read")
    assert in_memory is not None, read
    return in_memory


def _accepted(finding: Finding, excuses: Excuses) -> str | None:
    """Why what was found is excused for every code, None where it is not."""
    reasons = (
        one.reason
        for one in excuses.of(finding.table, finding.check.name)
        if one.code == EVERY_CODE and one.first <= finding.day <= one.last
    )
    return next(reasons, None) if finding.excused else None


def listed_whole(
    findings: Iterable[Finding], codes: Mapping[str, str] = {}, excuses: Excuses = NONE
) -> pa.Table:
    """Findings of whole answers as rows of LISTED: each one, or one for each of `codes` as seen."""
    rows = [
        {
            "trade_date": one.day,
            "table_name": one.table,
            "ts_code": code,
            "check_name": one.check.name,
            "outcome": str(one.check.of_mass if one.is_mass else Outcome.EXCUSED),
            "seen": seen,
            "expected": one.check.doc,
            "reason": None if one.is_mass else _accepted(one, excuses),
        }
        for one in findings
        for code, seen in (codes or {"": _seen_of_all(one)}).items()
    ]
    return pa.Table.from_pylist(rows, schema=LISTED)


def _seen_of_all(finding: Finding) -> str:
    if finding.is_mass:
        return finding.counted()
    return f"{finding.excused:,} of {finding.rows:,} rows"


def _line(
    number: int, table: str, check: Check, excuses: Excuses, days: Collection[dt.date]
) -> str:
    """The expression of a row of LISTED, NULL where the row is not wrong on one of `days`."""
    of_codes = Excuses(one for one in excuses.of(table, check.name) if one.code != EVERY_CODE)
    whole = Excuses(one for one in excuses.of(table, check.name) if one.code == EVERY_CODE)
    seen = ", ', ', ".join(f"'{name} ', {_as_text(name)}" for name in check.shown)
    reason = of_codes.reason(table, check.name)
    fields = {
        "number": str(number),
        "table_name": quoted(table),
        "outcome": f"if(({reason}) IS NULL, '{check.outcome}', '{Outcome.EXCUSED}')",
        "seen": f"concat({seen})",
        "expected": quoted(check.doc),
        "reason": reason,
    }
    return _told_of(table, check, days, whole.condition(table, check.name), fields)


def _told_of(
    table: str, check: Check, days: Collection[dt.date], but_not: str, fields: Mapping[str, str]
) -> str:
    """The expression of what is told of a row, NULL where it is not wrong on one of `days`."""
    of_days = ", ".join(f"DATE '{day}'" for day in days)
    told = ", ".join(f"'{name}': {value}" for name, value in fields.items())
    return f"""
        CASE WHEN trade_date IN ({of_days}) AND {_wrong(table, check)} AND NOT ({but_not})
        THEN {{
            'trade_date': trade_date, 'ts_code': ts_code, 'check_name': {quoted(check.name)}, {told}
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
            _told_of(
                table, check, among, _excused(table, check, excuses), {"seen": _seen(check, kinds)}
            )
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


def _seen(check: Check, kinds: Mapping[str, str]) -> str:
    """The expression of the code and of what is shown, with ten digits of a number."""
    seen = ["ts_code"]
    for name in check.shown:
        value = f"format('{{:.10g}}', {name})" if kinds[name] == "DOUBLE" else name
        seen += [f"'{name}'", _as_text(value)]
    return f"concat_ws(' ', {', '.join(seen)})"


def _counts(table: str, check: Check, excuses: Excuses) -> str:
    """The expressions of how many rows are wrong, excused, and those that a check is about."""
    wrong, excused, of_them = _wrong(table, check), "false", ""
    if excuses.of(table, check.name):
        excused = f"{wrong} AND {_excused(table, check, excuses)}"
        of_them = f" AND NOT {_excused(table, check, excuses)}"
    conditions = (f"{wrong}{of_them}", excused, f"coalesce({check.among}, false)")
    return ", ".join(f"count(*) FILTER ({condition})" for condition in conditions)


def _wrong(table: str, check: Check) -> str:
    known = explained().condition(table, check.name)
    return f"(coalesce(({check.wrong}) AND ({check.among}), false) AND NOT ({known}))"


def _excused(table: str, check: Check, excuses: Excuses) -> str:
    return f"({excuses.condition(table, check.name)})"
