"""What people are told of: failed runs, failed checks, a day that is not complete in time.

Here belongs what is worth an alert and what it says. How it reaches people is `resources.alerts`.
"""

import datetime as dt
from collections.abc import Iterator, Sequence

import dagster as dg
from dagster._core.storage.tags import WILL_RETRY_TAG

from marketdata_assets.assets.fetching import LATE
from marketdata_assets.assets.range_query import REQUEST_TAG
from marketdata_assets.automation.chains import FUNDS, STOCKS
from marketdata_assets.automation.day_runs import PUBLISHED, Span, days_of_run, missing_datasets
from marketdata_assets.automation.evenings import sessions_due
from marketdata_assets.automation.requests_sensor import first_lines, root_cause
from marketdata_assets.automation.series_sensor import TRY_TAG
from marketdata_assets.resources.alerts import AlertsResource
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import FINDINGS
from marketdata_assets.tables.declaration import Outcome
from marketdata_assets.timetable import EVENING_IS_OVER
from marketdata_assets.trading_calendar import (
    RENEW_IT,
    SHANGHAI,
    ends_soon,
    is_known,
    last_published_session,
)

LINES_TOLD = 20
# Of a series: after waits of 1, 2, 4 … 32 minutes, which are an hour.
TOLD_AT_TRY = 7
TOLD = (Outcome.HELD, Outcome.FLAGGED)


@dg.run_failure_sensor(
    name="run_failure_alert",
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Tells of every failed run that is not started again: its days, the failed steps and what "
        "they said, and what it found for the first time. Of a series it tells once it was tried "
        "for an hour. Who asked for something is told by the request, and of a day that is late on "
        "its own evening incomplete_day_alert tells, at the end of that."
    ),
)
def run_failure_alert(
    context: dg.RunFailureSensorContext, lake: LakeResource, alerts: AlertsResource
) -> None:
    run = context.dagster_run
    failed = context.get_step_failure_events()
    if REQUEST_TAG in run.tags or _is_tried_again(run) or _is_late_this_evening(run, failed):
        return
    lines = [f"{event.step_key}: {first_lines(root_cause(event))}" for event in failed]
    lines = lines or [first_lines(context.failure_event.message or "")]
    lines += _failed_checks(context.instance, run.run_id)
    lines += _found_by(run, context.instance, lake)[:LINES_TOLD]
    alerts.send(f"{run.job_name} failed{_days_of(run)}", _body(lines, run), context.log)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    name="failed_checks_alert",
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells of days that were refused in a run that went on, and of what it found for "
    "the first time.",
)
def failed_checks_alert(
    context: dg.RunStatusSensorContext, lake: LakeResource, alerts: AlertsResource
) -> None:
    run = context.dagster_run
    refused = list(_failed_checks(context.instance, run.run_id))
    found = _found_by(run, context.instance, lake)
    if refused or found:
        counts = [f"{len(refused)} check(s) failed"] if refused else []
        counts += [f"{len(found)} new finding(s)"] if found else []
        title = f"{', '.join(counts)} in {run.job_name}{_days_of(run)}"
        alerts.send(title, _body((refused + found)[:LINES_TOLD], run), context.log)


@dg.sensor(
    name="incomplete_day_alert",
    minimum_interval_seconds=15 * 60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells once of a trading day that is not complete at "
    f"{EVENING_IS_OVER:%H:%M} in Shanghai.",
)
def incomplete_day_alert(
    context: dg.SensorEvaluationContext, lake: LakeResource, alerts: AlertsResource
) -> dg.SkipReason | dg.SensorResult:
    due = sessions_due(dt.datetime.now(dt.UTC))
    if not due:
        return dg.SkipReason("no trading day is due")
    day = due[-1]
    # A clock that was set back asks for a day before the one that was told.
    if context.cursor and day.isoformat() <= context.cursor:
        return dg.SkipReason(f"{day}: told already")
    stored = lake.open()
    # An account that may not ask for funds has none of them: they are not missed then.
    chains = (STOCKS, FUNDS) if stored.days(FUNDS.result) else (STOCKS,)
    names = [name for chain in chains for name in chain.names]
    missing = missing_datasets(context.instance, stored, [day], names).get(day, frozenset())
    unstored = sorted(missing - {PUBLISHED})
    lines = [f"not stored: {', '.join(unstored)}"] if unstored else []
    if PUBLISHED in missing:
        lines.append(f"not published: {PUBLISHED}")
    if not lines:
        return dg.SkipReason(f"{day} is complete")
    cure = "The sensors for missing partitions ask for it every half hour; see their last runs."
    is_told = alerts.send(f"{day} is not complete", "\n".join([*lines, cure]), context.log)
    return dg.SensorResult(
        skip_reason=f"{day} is not complete: {'; '.join(lines)}",
        # Until a channel takes it, the next tick tries again.
        cursor=day.isoformat() if is_told else None,
    )


@dg.sensor(
    name="calendar_end_alert",
    minimum_interval_seconds=60 * 60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells once that the installed trading calendar ends within a month, and once that "
    "it has ended.",
)
def calendar_end_alert(
    context: dg.SensorEvaluationContext, alerts: AlertsResource
) -> dg.SkipReason | dg.SensorResult:
    now, last = dt.datetime.now(SHANGHAI), last_published_session()
    if not ends_soon(now):
        return dg.SkipReason(f"the trading calendar is known to {last}")
    title = f"The trading calendar ends at {last}"
    if not is_known(now.date()):
        title = f"The trading calendar has ended at {last}: no new day is made"
    if context.cursor == title:
        return dg.SkipReason(f"{title}: told already")
    is_told = alerts.send(title, RENEW_IT, context.log)
    # Until a channel takes it, the next tick tries again.
    return dg.SensorResult(skip_reason=title, cursor=title if is_told else None)


def new_findings(lake: Lake, span: Span | None, since: dt.datetime) -> list[str]:
    """A line for everything held or flagged on the days of `span` and not seen before `since`."""
    if span is None:
        return []
    return [
        f"{row['trade_date']} {row['ts_code'] or 'the answer'}, "
        f"{row['table_name']}.{row['check_name']} ({row['outcome']}): {row['seen']}"
        for day in lake.days(FINDINGS)
        if span.first <= day <= span.last
        for row in (lake.read(FINDINGS, day) or FINDINGS.schema.empty_table()).to_pylist()
        if row["outcome"] in TOLD and row["first_seen"] >= since
    ]


def _found_by(run: dg.DagsterRun, instance: dg.DagsterInstance, lake: LakeResource) -> list[str]:
    record = instance.get_run_record_by_id(run.run_id)
    if record is None or record.start_time is None:
        return []
    # Not since it was asked for: while it waited another may have found and told the same.
    began = dt.datetime.fromtimestamp(record.start_time, dt.UTC)
    return new_findings(lake.open(), days_of_run(run), began)


def _is_tried_again(run: dg.DagsterRun) -> bool:
    """Whether a run whose process was lost is started again, or a series tried once more.

    A series is tried for good: it is told of once, at the end of the time that others are tried.
    """
    if run.tags.get(WILL_RETRY_TAG) == "true":
        return True
    return int(run.tags.get(TRY_TAG, TOLD_AT_TRY)) != TOLD_AT_TRY


def _is_late_this_evening(run: dg.DagsterRun, failed: Sequence[dg.DagsterEvent]) -> bool:
    """Whether all that failed is that the vendor has not published today's day yet."""
    span = days_of_run(run)
    if span is None or span.last != dt.datetime.now(SHANGHAI).date():
        return False
    failures = [event.step_failure_data.user_failure_data for event in failed]
    return bool(failures) and all(one is not None and LATE in one.metadata for one in failures)


def _failed_checks(instance: dg.DagsterInstance, run_id: str) -> Iterator[str]:
    """The checks that refused something; single rows are findings."""
    entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    for entry in entries:
        assert entry.dagster_event is not None
        outcome = entry.dagster_event.asset_check_evaluation_data
        if not outcome.passed and outcome.severity is dg.AssetCheckSeverity.ERROR:
            text = first_lines(outcome.description or "")
            table = outcome.asset_key.to_user_string()
            yield f"{table}, check {outcome.check_name} ({outcome.severity.value}): {text}"


def _days_of(run: dg.DagsterRun) -> str:
    """The partitions of a run, as the end of a title."""
    span = days_of_run(run)
    if span is None:
        key = run.tags.get("dagster/partition")
        return f" for {key}" if key else ""
    first, last = span
    return f" for {first}" if first == last else f" for {first} … {last}"


def _body(lines: list[str], run: dg.DagsterRun) -> str:
    return "\n".join([*lines, f"run {run.run_id}"])
