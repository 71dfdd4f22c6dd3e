"""What a failed run said, in the few lines that people read.

Here belongs the way from Dagster's events to a text; who is told is `alerting`, `requests_sensor`.
"""

import dagster as dg

LINES_OF_AN_ERROR = 5
CHARACTERS_OF_A_LINE = 500


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
    error = event.step_failure_data.error
    while error and error.cause:
        error = error.cause
    if error is None:
        return event.message or ""
    return error.message.split(f"{error.cls_name}: ", 1)[-1]


def first_lines(text: str) -> str:
    lines = [line[:CHARACTERS_OF_A_LINE] for line in text.strip().splitlines()]
    return "\n".join(lines[:LINES_OF_AN_ERROR])
