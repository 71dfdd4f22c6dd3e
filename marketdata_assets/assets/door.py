"""The door: every day of a dataset is judged before it is stored, and refused when it is wrong.

Here belongs how the checks of `checks` run inside an asset and how Dagster learns the outcome.
Good days of a range are stored also when others are refused; the run then fails, naming them.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import dagster as dg
import pyarrow as pa

from marketdata_assets.checks.declaring import Check, Finding
from marketdata_assets.tables import Table

Checked: TypeAlias = Iterator[dg.Output[Any] | dg.AssetCheckResult]
FINDINGS_SHOWN = 20
DAYS_QUOTED = 3
CURE = (
    "Nothing of a refused day was stored; what was stored before is as it was. Materialize it "
    "again when the vendor has mended it. If the rows are right as they are, add them with the "
    "reason to marketdata_assets/checks/known_defects.py."
)


def check_specs(table: Table, checks: Iterable[Check]) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            check.name, asset=table.name, description=check.description, blocking=check.blocking
        )
        for check in checks
    ]


class Door:
    """What the checks of one table found in one run.

    `let_in` passes on the days that nothing speaks against and ends with a `dg.Failure` if there
    were others, also where no further day could be had; `outcomes` tells Dagster of
    a run that stored every day.
    """

    def __init__(
        self, context: dg.AssetExecutionContext, table: Table, checks: Sequence[Check]
    ) -> None:
        self._context = context
        self._table = table
        self._checks = checks
        self._findings: list[Finding] = []
        self._rows = 0
        self._days = 0

    def let_in(
        self, judged_days: Iterable[tuple[dt.date, pa.Table, Sequence[Finding]]]
    ) -> Iterator[tuple[dt.date, pa.Table]]:
        refused: list[dt.date] = []
        try:
            for day, data, findings in judged_days:
                self._note(data, findings)
                if any(finding.blocks for finding in findings):
                    refused.append(day)
                else:
                    yield day, data
        except Exception as error:
            if not refused:
                raise
            raise self._failure(refused, error) from None
        if refused:
            raise self._failure(refused)

    def outcomes(self) -> Iterator[dg.AssetCheckResult]:
        """One result a check, over all days of the run."""
        for check in self._checks:
            yield dg.AssetCheckResult(
                check_name=check.name,
                passed=not self._failing(check),
                severity=_severity(check),
                description=self._said(check),
                metadata=self._metadata(check),
            )

    def _note(self, data: pa.Table, findings: Sequence[Finding]) -> None:
        self._days += 1
        self._rows += data.num_rows
        self._findings += findings
        for finding in findings:
            if finding.fails:
                self._context.log.warning(finding.in_words())

    def _failure(self, refused: list[dt.date], ended_by: Exception | None = None) -> dg.Failure:
        """Tells Dagster's history of every check, since a run that fails can't, and says why.

        `ended_by` is what kept further days from being had; it decides whether a retry may help.
        """
        for check in self._checks:
            self._context.instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(
                    asset_key=self._context.asset_key,
                    check_name=check.name,
                    passed=not self._failing(check),
                    severity=_severity(check),
                    description=self._said(check),
                    metadata=self._metadata(check),
                    blocking=check.blocking,
                )
            )
        said = [finding.in_words() for finding in self._findings if finding.blocks]
        more = [f"… and {len(said) - FINDINGS_SHOWN} more"] if len(said) > FINDINGS_SHOWN else []
        stored = self._days - len(refused)
        return dg.Failure(
            "\n".join(
                [
                    f"{self._table.name}: {len(refused)} day(s) refused, {stored} stored.",
                    *([f"Further days were not reached: {ended_by}"] if ended_by else []),
                    *said[:FINDINGS_SHOWN],
                    *more,
                    CURE,
                ]
            ),
            allow_retries=ended_by is not None and getattr(ended_by, "allow_retries", True),
        )

    def _failing(self, check: Check) -> list[Finding]:
        return [one for one in self._findings if one.check is check and one.fails]

    def _said(self, check: Check) -> str | None:
        """The check and its first failing days, short enough for an alert; None if it holds."""
        failing = self._failing(check)
        if not failing:
            return None
        lines = [f"{one.day}: {one.counted()}" for one in failing[:DAYS_QUOTED]]
        if len(failing) > DAYS_QUOTED:
            lines.append(f"… and on {len(failing) - DAYS_QUOTED} more day(s)")
        return "\n".join([check.doc, *lines])

    def _metadata(self, check: Check) -> dict[str, dg.MetadataValue]:
        found = [finding for finding in self._findings if finding.check is check]
        facts: dict[str, dg.MetadataValue] = {
            "days": dg.MetadataValue.int(self._days),
            "rows": dg.MetadataValue.int(self._rows),
            "wrong rows": dg.MetadataValue.int(sum(finding.wrong for finding in found)),
        }
        if found:
            facts["found"] = dg.MetadataValue.md(_as_markdown(found[:FINDINGS_SHOWN]))
        return facts


def _as_markdown(findings: Sequence[Finding]) -> str:
    lines = ["| day | wrong | of rows | |", "|---|---:|---:|---|"]
    lines += [
        f"| {one.day} | {one.wrong:,} | {one.rows:,} | {'; '.join(one.sample)} |"
        for one in findings
    ]
    return "\n".join(lines)


def _severity(check: Check) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN
