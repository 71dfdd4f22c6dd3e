"""The quality gate: a day is checked before it is stored, and refused when it is wrong.

Here belongs how the checks of `checks` run inside an asset and how Dagster learns the outcome.
Good days of a range go on when others are refused. The run fails only when none of its days does.
"""

import datetime as dt
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import dagster as dg
import pyarrow as pa

from marketdata_assets.assets import refusals
from marketdata_assets.checks.running import LISTED, Finding, listed_whole
from marketdata_assets.partitions import TRADING_DAYS, days_of
from marketdata_assets.resources.tushare_errors import NotPublishedYet, TushareError
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import Table
from marketdata_assets.tables.declaration import ANSWER, Check

# Dagster calls checks of a partition a preview, and says so at every one of them.
warnings.filterwarnings("ignore", message="Specifying a partitions_def on an AssetCheckSpec")

Checked: TypeAlias = Iterator[dg.Output[Any] | dg.AssetCheckResult | dg.AssetCheckEvaluation]
FINDINGS_SHOWN = 10
DAYS_QUOTED = 3


class CheckedDay(NamedTuple):
    """A day before the gate: its data and what was found, or the error that came in their place.

    `codes` tell, for a finding that is not about rows of `data`, which codes it is about.
    """

    day: dt.date
    data: pa.Table | TushareError
    findings: Sequence[Finding] = ()
    codes: Mapping[str, str] = {}


def check_specs(table: Table, checks: Iterable[Check]) -> list[dg.AssetCheckSpec]:
    """A check of a day has a state for every day. What a wrong day stops is decided here."""
    return [
        dg.AssetCheckSpec(
            check.name,
            asset=table.name,
            description=check.description,
            partitions_def=TRADING_DAYS,
        )
        for check in checks
    ]


class QualityGate:
    """What the checks of one table found in one run.

    `passing` hands on the days that nothing speaks against as a whole, and those that are stored
    and stay when a new answer is refused (as None); `resumed` days have passed before. It ends with
    a `dg.Failure` if there was no other day, or if no further day could be had; `outcomes` tells
    Dagster of a run that went on.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        table: Table,
        checks: Sequence[Check],
        lake: Lake,
        resumed: Sequence[dt.date] = (),
    ) -> None:
        self._context = context
        self._table = table
        self._checks = checks
        self._lake = lake
        self._findings: list[Finding] = []
        self._late: list[NotPublishedYet] = []
        self._refused: list[dt.date] = []
        self._passed: list[dt.date] = list(resumed)
        self._rows = 0

    def passing(self, days: Iterable[CheckedDay]) -> Iterator[tuple[dt.date, pa.Table | None]]:
        try:
            for checked in days:
                yield from self._passing(checked)
        except Exception as error:
            if not self._refused:
                raise
            raise self._failure(error) from None
        if self._passed:
            self._tell_the_rest()
        elif self._refused:
            raise self._failure(None)
        elif self._late:
            raise self._late[0] from None

    def outcomes(self) -> Iterator[dg.AssetCheckResult | dg.AssetCheckEvaluation]:
        """One result a check for the run, which of a single day is the day's.

        Of a range it is every day's with a finding, told last, so that it is what one sees first.
        A result for every day and check of it would cost more than making the day.
        """
        days = days_of(self._context.partition_keys)
        for check in self._checks:
            found = self._of(check)
            # Dagster looks up what was made before for each, and once more where it has no key.
            yield dg.AssetCheckResult(
                asset_key=self._context.asset_key,
                check_name=check.name,
                **self._state(check, found),
            )
            if len(days) == 1 and not self._context.has_partition_key:
                yield self._evaluation(check, found, days[0])
        for check in self._checks:
            for finding in self._of(check) if len(days) > 1 else ():
                yield self._evaluation(check, [finding], finding.day)

    def _passing(self, checked: CheckedDay) -> Iterator[tuple[dt.date, pa.Table | None]]:
        day, data, table = checked.day, checked.data, self._table
        findings = list(checked.findings)
        if isinstance(data, NotPublishedYet):
            self._late.append(data)
            return
        if isinstance(data, TushareError):
            findings = [Finding(ANSWER, table.name, day, 1, 1, (str(data),))]
        else:
            self._rows += data.num_rows
        self._findings += findings
        refusing = [finding for finding in findings if finding.refuses]
        for finding in findings:
            if finding.fails:
                tell = self._context.log.error if finding.refuses else self._context.log.warning
                tell(finding.in_words())
        if not refusing:
            refusals.note(self._lake, table, day, LISTED.empty_table())
            self._passed.append(day)
            assert isinstance(data, pa.Table)
            yield day, data
            return
        rows = [listed_whole([one], checked.codes) for one in refusing]
        refusals.note(self._lake, table, day, pa.concat_tables(rows))
        self._refused.append(day)
        if refusals.is_own(self._lake.describe(table, day), self._lake):
            self._passed.append(day)
            yield day, None

    def _tell_the_rest(self) -> None:
        for late in self._late:
            self._context.log.warning(str(late))
        if self._refused:
            self._context.log.error(self._in_words(None))

    def _failure(self, ended_by: Exception | None) -> dg.Failure:
        """Tells Dagster's history of every check, since a run that fails can't, and says why.

        `ended_by` is what kept further days from being had; it decides whether a retry may help.
        """
        instance = self._context.instance
        for check in self._checks:
            for day in self._refused:
                found = [one for one in self._of(check) if one.day == day]
                instance.report_runless_asset_event(self._evaluation(check, found, day))
        for day in self._refused:
            instance.report_runless_asset_event(
                dg.AssetMaterialization("findings", partition=day.isoformat())
            )
        may_help = ended_by is not None and not getattr(ended_by, "is_final", False)
        return dg.Failure(self._in_words(ended_by), allow_retries=may_help or bool(self._late))

    def _in_words(self, ended_by: Exception | None) -> str:
        name = self._table.name
        refusing = [finding for finding in self._findings if finding.refuses]
        lines = [f"{name}: {len(self._refused)} day(s) refused, {len(self._passed)} stored."]
        if ended_by:
            lines.append(f"Further days were not reached: {ended_by}")
        lines += [finding.in_words() for finding in refusing[:FINDINGS_SHOWN]]
        if len(refusing) > FINDINGS_SHOWN:
            lines.append(f"… and {len(refusing) - FINDINGS_SHOWN} more")
        lines.append(
            "Nothing of a refused day was stored; what was stored before is as it was. It is "
            "asked for again by itself."
        )
        # What was no answer at all can't be accepted.
        acceptable = [finding.day for finding in refusing if finding.check is not ANSWER]
        if acceptable:
            accept = f"accept {name} {min(acceptable)} --reason '…'"
            lines += ["If the rows are right as they are:", f"marketdata {accept}"]
        return "\n".join(lines)

    def _of(self, check: Check) -> list[Finding]:
        return [one for one in self._findings if one.check is check]

    def _evaluation(
        self, check: Check, found: Sequence[Finding], day: dt.date
    ) -> dg.AssetCheckEvaluation:
        return dg.AssetCheckEvaluation(
            asset_key=self._context.asset_key,
            check_name=check.name,
            partition=day.isoformat(),
            **self._state(check, found),
        )

    def _state(self, check: Check, found: Sequence[Finding]) -> dict[str, Any]:
        failing = [finding for finding in found if finding.fails]
        is_refused = any(finding.refuses for finding in failing)
        facts: dict[str, dg.MetadataValue] = {
            "days": dg.MetadataValue.int(len(self._passed) + len(self._refused)),
            "rows": dg.MetadataValue.int(self._rows),
            "wrong rows": dg.MetadataValue.int(sum(finding.wrong for finding in found)),
            "excused rows": dg.MetadataValue.int(sum(finding.excused for finding in found)),
        }
        if failing:
            facts["found"] = dg.MetadataValue.md(_as_markdown(failing[:FINDINGS_SHOWN]))
        return {
            "passed": not failing,
            "severity": dg.AssetCheckSeverity.ERROR if is_refused else dg.AssetCheckSeverity.WARN,
            "description": _said(check, failing),
            "metadata": facts,
        }


def _said(check: Check, failing: Sequence[Finding]) -> str | None:
    """The check and its first failing days, short enough for an alert; None if it holds."""
    if not failing:
        return None
    lines = [f"{one.day}: {one.counted()}" for one in failing[:DAYS_QUOTED]]
    if len(failing) > DAYS_QUOTED:
        lines.append(f"… and on {len(failing) - DAYS_QUOTED} more day(s)")
    return "\n".join([check.doc, *lines])


def _as_markdown(findings: Sequence[Finding]) -> str:
    lines = ["| day | wrong | of rows | |", "|---|---:|---:|---|"]
    lines += [
        f"| {one.day} | {one.wrong:,} | {one.rows:,} | {'; '.join(one.sample)} |"
        for one in findings
    ]
    return "\n".join(lines)
