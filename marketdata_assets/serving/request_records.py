"""What a request is, and what may be refused.

Here belong forms and refusals. The life of a request is `requests`, the file that holds it
`request_database`.
"""

import datetime as dt
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from marketdata_assets.errors import MarketdataError
from marketdata_assets.serving.queries import ExportQuery

RESULT_LASTS = dt.timedelta(hours=24)


class RequestKind(StrEnum):
    """The history of a code, or a range as a file."""

    HISTORY = "history"
    EXPORT = "export"


class State(StrEnum):
    """Where a request is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"

    @property
    def is_open(self) -> bool:
        return self in (State.QUEUED, State.RUNNING)


class Request(BaseModel):
    """A request; `code` and `refresh` are of a history; `query`, `file`, `rows` of an export.

    `query` is an `ExportQuery` as JSON: it was well formed when it was asked.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    kind: RequestKind
    state: State
    created: dt.datetime
    code: str | None
    refresh: bool
    query: str | None
    run_id: str | None
    finished: dt.datetime | None
    error: str | None
    file: str | None
    rows: int | None

    @property
    def export_query(self) -> ExportQuery:
        """Raises `pydantic.ValidationError` where the question is not understood any more."""
        assert self.query is not None, f"request {self.id} is no export"
        return ExportQuery.model_validate_json(self.query)

    @property
    def expires(self) -> dt.datetime | None:
        """Until when the result can be had; None where there is none."""
        if self.kind is RequestKind.EXPORT and self.state is State.DONE and self.finished:
            return self.finished + RESULT_LASTS
        return None


class UnknownRequest(MarketdataError, status=404):
    """No request has that id, or it is long over."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"There is no request {request_id[:40]!r}; it may be long over.")


class TooManyOpen(MarketdataError, status=429):
    """As many requests are open as may be."""

    def __init__(self, kind: RequestKind, limit: int) -> None:
        self.kind, self.limit = kind, limit
        super().__init__(f"{limit} {kind} requests are open, which is the limit. Ask again later.")


class ExportsFull(MarketdataError, status=429):
    """The results that last are as large as they may be."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The files of the last {RESULT_LASTS.total_seconds() / 3600:.0f} hours take more than "
            f"{limit / 1e9:g} GB, which is the limit. Ask again when some have expired."
        )


class QueueNotReady(MarketdataError, status=503):
    """The database of the requests can't be used now; nothing is lost."""
