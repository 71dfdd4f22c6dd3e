"""Outcomes of runs, reported back on the requests that they answer.

Here belongs what is written on a request. The run itself reports as soon as it ends; what a run
that was killed, canceled or deleted could not report, the sensor does.
"""

from pathlib import Path

import dagster as dg
from dagster import RunsFilter

from marketdata_assets.assets.range_query import REQUEST_TAG
from marketdata_assets.automation.failures import why_failed
from marketdata_assets.serving.exports import read_export
from marketdata_assets.serving.request_records import Request, RequestKind
from marketdata_assets.serving.requests import Requests

ENDED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]


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
    _note_runs(requests, [one for one in requests.running() if not one.run_id], instance)
    running = {one.run_id: one for one in requests.running() if one.run_id}
    run_ids = list(running)
    ended = instance.get_runs(RunsFilter(run_ids=run_ids, statuses=ENDED)) if run_ids else []
    for run in ended:
        request = running[run.run_id]
        if run.status is dg.DagsterRunStatus.CANCELED:
            requests.fail(request.id, "The run was canceled. Ask again.")
        else:
            is_answered = run.status is dg.DagsterRunStatus.SUCCESS
            _conclude(requests, request, instance, is_answered)
    known = set(instance.get_run_ids(RunsFilter(run_ids=run_ids))) if run_ids else set()
    for run_id in running.keys() - known:
        requests.fail(running[run_id].id, "The run was deleted before it ended. Ask again.")


def _note_runs(requests: Requests, claimed: list[Request], instance: dg.DagsterInstance) -> None:
    if not claimed:
        return
    of_requests = RunsFilter(tags={REQUEST_TAG: [one.id for one in claimed]})
    for run in instance.get_runs(of_requests):
        requests.started(run.tags[REQUEST_TAG], run.run_id)


def _conclude(
    requests: Requests, request: Request, instance: dg.DagsterInstance, is_answered: bool
) -> None:
    if not is_answered:
        assert request.run_id is not None
        requests.fail(request.id, why_failed(instance, request.run_id))
    elif request.kind is RequestKind.HISTORY:
        requests.finish(request.id)
    elif export := read_export(requests.exports, request.id):
        requests.finish(request.id, export.file, export.rows)
    else:
        requests.fail(request.id, "The run ended, and its file is not there. Ask again.")
