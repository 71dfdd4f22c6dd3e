"""What answers requests: a run for each, started once, and its outcome reported back.

A request is claimed in the queue before its run is asked for, and the run carries its id: a sensor
that is killed in between leaves a claim that is over after a while, two sensors share the queue.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
from pydantic import ValidationError

from marketdata_assets.assets.range_query import REQUEST_TAG, range_query
from marketdata_assets.automation.reporting import (
    report_ended_runs,
    request_answered,
    request_failed,
)
from marketdata_assets.automation.tracked_instruments import instrument_histories, track
from marketdata_assets.serving.request_records import Request, RequestKind
from marketdata_assets.serving.requests import Requests
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import INSTRUMENT_HISTORY

# As many as a tick starts within its minute, each a few dozen milliseconds.
MOST_AT_ONCE = 100
# Somebody waits; and who waited in vain asks again, so that a lost run is not started anew.
URGENT = {"dagster/priority": "8", "dagster/max_retries": "0"}

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
        dynamic_partitions_requests=track(codes).dynamic_partitions_requests if codes else None,
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
