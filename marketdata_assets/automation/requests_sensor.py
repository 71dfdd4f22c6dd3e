"""What answers requests and keeps tracked codes fresh: a run for each, and its outcome told.

A request is claimed in the queue before its run is asked for, and the run carries its id: a sensor
that is killed in between leaves a claim that is over after a while, two sensors share the queue.
The run itself reports as soon as it ends; what one that was killed, canceled or deleted could not
report, the sensor does.

A code is tracked as long as it is a partition of `instrument_history` and has a history, or stands
in TRACKED_CODES. Each has a run of its own, so that one without a usable source fails alone.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
from dagster import RunsFilter
from pydantic import ValidationError

from marketdata_assets.assets.instrument_history import instrument_history
from marketdata_assets.assets.range_query import REQUEST_TAG, range_query
from marketdata_assets.automation.day_runs import ENDED
from marketdata_assets.partitions import INSTRUMENTS
from marketdata_assets.resources.sources.routing import InstrumentSources
from marketdata_assets.serving.requests import Request, RequestKind, Requests
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import INSTRUMENT_HISTORY
from marketdata_assets.timetable import INSTRUMENT_HISTORIES
from marketdata_assets.trading_calendar import SHANGHAI, is_session

LINES_OF_AN_ERROR = 5
CHARACTERS_OF_A_LINE = 500
# How the name of an error of the platform begins, which says what to do itself.
OWN = "marketdata_assets."


@dg.success_hook(required_resource_keys={"lake"})
def request_answered(context: dg.HookContext) -> None:
    """The step of a run has answered the run's request, if there is one."""
    _report_step(context, is_answered=True)


@dg.failure_hook(required_resource_keys={"lake"})
def request_failed(context: dg.HookContext) -> None:
    """The step of a run has failed, and its request with it."""
    _report_step(context, is_answered=False)


def _report_step(context: dg.HookContext, is_answered: bool) -> None:
    run = context.instance.get_run_by_id(context.run_id)
    request_id = run.tags.get(REQUEST_TAG) if run else None
    if request_id is None:
        return
    requests = Requests(Path(context.resources.lake.root))
    # Where another run was noted first, the outcome is that one's.
    if requests.started(request_id, context.run_id):
        _conclude(requests, requests.get(request_id), context.instance, is_answered)


def report_ended_runs(requests: Requests, instance: dg.DagsterInstance) -> None:
    """Note which runs answer the claimed requests, and the outcome of those that have ended."""
    if unnoted := [one.id for one in requests.running() if not one.run_id]:
        for run in instance.get_runs(RunsFilter(tags={REQUEST_TAG: unnoted})):
            requests.started(run.tags[REQUEST_TAG], run.run_id)
    running = {one.run_id: one for one in requests.running() if one.run_id}
    if not running:
        return
    run_ids = list(running)
    for run in instance.get_runs(RunsFilter(run_ids=run_ids, statuses=ENDED)):
        request = running[run.run_id]
        if run.status is dg.DagsterRunStatus.CANCELED:
            requests.fail(request.id, "The run was canceled. Ask again.")
        else:
            is_answered = run.status is dg.DagsterRunStatus.SUCCESS
            _conclude(requests, request, instance, is_answered)
    known = set(instance.get_run_ids(RunsFilter(run_ids=run_ids)))
    for run_id in running.keys() - known:
        requests.fail(running[run_id].id, "The run was deleted before it ended. Ask again.")


def _conclude(
    requests: Requests, request: Request, instance: dg.DagsterInstance, is_answered: bool
) -> None:
    if not is_answered:
        assert request.run_id is not None
        requests.fail(request.id, why_failed(instance, request.run_id))
    elif request.kind is RequestKind.HISTORY:
        requests.finish(request.id)
    elif export := requests.files.note(request.id):
        requests.finish(request.id, export.file, export.rows)
    else:
        requests.fail(request.id, "The run ended, and its file is not there. Ask again.")


def why_failed(instance: dg.DagsterInstance, run_id: str) -> str:
    """What the failed steps of a run said, or the run itself where none did."""
    for kind in (dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE):
        entries = instance.all_logs(run_id, of_type=kind)
        events = [entry.dagster_event for entry in entries if entry.dagster_event]
        if events and kind is dg.DagsterEventType.STEP_FAILURE:
            return "\n".join(first_lines(root_cause(event)) for event in events)
        if events:
            return first_lines(events[0].message or "")
    return "The run ended without a word."


def root_cause(event: dg.DagsterEvent) -> str:
    """What the platform says of a failure, with what to do; else what lies at its bottom."""
    error = event.step_failure_data.error
    while error and error.cause and not error.message.startswith(OWN):
        error = error.cause
    if error is None:
        return event.message or ""
    return error.message.split(f"{error.cls_name}: ", 1)[-1]


def first_lines(text: str) -> str:
    lines = [line[:CHARACTERS_OF_A_LINE] for line in text.strip().splitlines()]
    return "\n".join(lines[:LINES_OF_AN_ERROR])


instrument_histories = dg.define_asset_job(
    "instrument_histories",
    selection=dg.AssetSelection.assets(instrument_history),
    description="The full history of one code, brought up to date.",
    tags={"dagster/max_runtime": "1800"},
    hooks={request_answered, request_failed},
)


@dg.schedule(
    job=instrument_histories,
    cron_schedule=INSTRUMENT_HISTORIES.crons,
    execution_timezone=SHANGHAI.key,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every trading day at 19:00 in Shanghai: refreshes every tracked code.",
)
def instrument_histories_schedule(
    context: dg.ScheduleEvaluationContext,
    lake: LakeResource,
    instrument_sources: InstrumentSources,
) -> list[dg.RunRequest] | dg.SkipReason:
    day = context.scheduled_execution_time.astimezone(SHANGHAI).date()
    if not is_session(day):
        return dg.SkipReason(f"{day} is not a trading day")
    stored, wanted = lake.open(), set(instrument_sources.tracked_codes)
    codes = [
        code
        for code in context.instance.get_dynamic_partitions(str(INSTRUMENTS.name))
        # What somebody asked for once and no source has is not asked for every day.
        if code in wanted or stored.describe(INSTRUMENT_HISTORY, code)
    ]
    if not codes:
        return dg.SkipReason("no code is tracked: see TRACKED_CODES")
    return [dg.RunRequest(run_key=f"{day} {code}", partition_key=code) for code in sorted(codes)]


@dg.sensor(
    job=instrument_histories,
    minimum_interval_seconds=5 * 60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tracks the codes of TRACKED_CODES, and fetches each at once.",
)
def tracked_codes_sensor(
    context: dg.SensorEvaluationContext, instrument_sources: InstrumentSources
) -> dg.SensorResult | dg.SkipReason:
    tracked = context.instance.get_dynamic_partitions(str(INSTRUMENTS.name))
    new = sorted(set(instrument_sources.tracked_codes) - set(tracked))
    if not new:
        return dg.SkipReason(f"{len(tracked)} code(s) are tracked, none is new")
    return dg.SensorResult(
        dynamic_partitions_requests=[INSTRUMENTS.build_add_request(new)],
        run_requests=[dg.RunRequest(partition_key=code) for code in new],
    )


# As many as a tick starts within its minute, each a few dozen milliseconds.
MOST_AT_ONCE = 100
# Somebody waits; and who waited in vain asks again, so that a lost run is not started anew. Of
# several hosts the workers take its step, of 5 as any other, before all that wait: 10 is the most.
URGENT = {
    "dagster/priority": "8",
    "dagster-celery/run_priority": "5",
    "dagster/max_retries": "0",
}

range_queries = dg.define_asset_job(
    "range_queries",
    selection=dg.AssetSelection.assets(range_query),
    description="A range of codes as one file, for whoever asked for it.",
    tags={"dagster/max_runtime": "900"},
    hooks={request_answered, request_failed},
)


@dg.sensor(
    name="requests_sensor",
    jobs=[instrument_histories, range_queries],
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a run for every request of the API, and reports the outcomes.",
)
def requests_sensor(
    context: dg.SensorEvaluationContext, lake: LakeResource
) -> dg.SensorResult | dg.SkipReason:
    requests = Requests(Path(lake.root))
    report_ended_runs(requests, context.instance)
    requests.expire()
    claimed = requests.claim(MOST_AT_ONCE)
    wanted = [one for one in claimed if not _is_answered(requests, one, lake.open())]
    if not wanted:
        return dg.SkipReason("no request is waiting")
    codes = [one.code for one in wanted if one.code]
    return dg.SensorResult(
        run_requests=list(_runs_for(wanted, requests)),
        dynamic_partitions_requests=[INSTRUMENTS.build_add_request(codes)] if codes else None,
    )


def _is_answered(requests: Requests, request: Request, lake: Lake) -> bool:
    """Whether a history that was asked for has come meanwhile."""
    if request.kind is RequestKind.EXPORT or request.refresh:
        return False
    if lake.describe(INSTRUMENT_HISTORY, request.code) is None:
        return False
    # Somebody may have joined since, who wants a new one.
    return requests.finish_as_stored(request.id) or not requests.get(request.id).state.is_open


def _runs_for(wanted: Sequence[Request], requests: Requests) -> Iterator[dg.RunRequest]:
    for request in wanted:
        try:
            yield _run_for(request)
        except ValidationError:
            requests.fail(request.id, "This version does not understand the question. Ask again.")


def _run_for(request: Request) -> dg.RunRequest:
    tags = {**URGENT, REQUEST_TAG: request.id}
    if request.kind is RequestKind.HISTORY:
        return dg.RunRequest(
            run_key=request.id,
            job_name=instrument_histories.name,
            partition_key=request.code,
            tags=tags,
        )
    query = request.export_query.model_dump(mode="json", exclude_none=True)
    return dg.RunRequest(
        run_key=request.id,
        job_name=range_queries.name,
        run_config={"ops": {range_query.key.path[-1]: {"config": query}}},
        tags=tags,
    )
