"""What a run prints: little, and a failure that says itself what to do without a stack trace.

Here belongs how Dagster's console shows failures. What is stored of them, and shown in the UI,
stays whole; how failures are worded belongs to where they are raised.

Dagster prints through a logger that it makes anew for every run and that no definition replaces
unless each run's configuration names another. It is of the class that `logging` is told to make
loggers of, so that is where the trace is left out. Loggers live to the end of the process, and what
this module imports with them: it holds on to nothing of Dagster, whose runs hold on to databases.
"""

import logging
from collections.abc import Iterator

from marketdata_assets.errors import MarketdataError

# What Dagster puts between what happened and its trace.
BEFORE_TRACE = "\n\n"
# Dagster's own errors around the one of a step: which step it was, and that it is tried again.
AROUND = ("Dagster", "RetryRequested")
FAILURE = "Failure"
# How a run has ended is told at every level.
ENDS = ("PIPELINE_SUCCESS", "PIPELINE_FAILURE", "PIPELINE_CANCELED")


def leave_out_expected_traces(level: str = "debug") -> None:
    """From now on, in this process: consoles of runs show expected failures as their sentence, and
    nothing below `level` but how a run has ended."""
    _Sparing.least = logging.getLevelNamesMapping()[level.upper()]
    logging.setLoggerClass(_Sparing)


class _Sparing(logging.Logger):
    least = logging.DEBUG

    def handle(self, record: logging.LogRecord) -> None:
        meta = getattr(record, "dagster_meta", {})
        event = meta.get("dagster_event")
        is_end = getattr(event, "event_type_value", "") in ENDS
        if meta and record.levelno < self.least and not is_end:
            return
        sentence = _sentence_of(event)
        if sentence:
            # The record is this logger's own: what others are told of the event stays as it is.
            record.msg = f"{str(record.msg).partition(BEFORE_TRACE)[0]}{BEFORE_TRACE}{sentence}"
        super().handle(record)


def _sentence_of(event: object) -> str | None:
    """The text of the expected failure that an event of Dagster tells of; None without one."""
    error = getattr(getattr(event, "event_specific_data", None), "error", None)
    while error is not None and str(error.cls_name).startswith(AROUND):
        error = error.cause
    if error is None or error.cls_name not in set(_expected()):
        return None
    return str(error.message).partition(f"{error.cls_name}: ")[2].strip() or None


def _expected() -> Iterator[str]:
    """The names of the failures that are worded for people: Dagster's, and all of ours."""
    yield FAILURE
    kinds = [MarketdataError]
    for kind in kinds:
        yield kind.__name__
        kinds += kind.__subclasses__()
