"""What every endpoint shares: the price reader, the queue, the settings, the counters.

Here belongs the bundle, and the forms that all endpoints declare alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from marketdata_assets.api.answers import ErrorAnswer
from marketdata_assets.api.api_settings import ApiSettings
from marketdata_assets.api.encoding import MEDIA_TYPES
from marketdata_assets.api.measuring import Metrics
from marketdata_assets.errors import MarketdataError
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.serving.queries import Format
from marketdata_assets.serving.requests import Requests


@dataclass(frozen=True)
class AppState:
    """What the endpoints of one profile's folder work with."""

    root: Path
    reader: PriceReader
    requests: Requests
    settings: ApiSettings
    # What the status is told of; without it that of the default folder.
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    metrics: Metrics = field(default_factory=Metrics)
    # Raises what keeps a host of many from what all share.
    prove_shared: Callable[[], None] = lambda: None

    def place(self, path: str) -> str:
        """Where a path of ours is for clients, behind a proxy too."""
        return f"{self.settings.root_path}{path}"

    def error_body(self, error: MarketdataError) -> dict[str, object]:
        """What an answer says of an error, without where on this machine things lie."""
        return {**error.details, "error": self.without_root(str(error))}

    def without_root(self, text: str) -> str:
        return text.replace(f"{self.root}/", "")


REASONS = {
    202: "requested, not there yet",
    400: "the question does not fit",
    404: "there are no such data",
    409: "the data that are stored can't answer it",
    413: "more than one question may ask for",
    429: "too much at once",
    502: "who has the data failed",
    503: "not at this moment",
}


Responses: TypeAlias = dict[int | str, dict[str, Any]]


def may_answer(*statuses: int) -> Responses:
    """The `responses` of an endpoint: errors of these statuses, and any other one."""
    responses: Responses = {
        status: {"model": ErrorAnswer, "description": REASONS[status]} for status in statuses
    }
    return {**responses, "default": {"model": ErrorAnswer, "description": "an error"}}


def in_any_format(headers: Mapping[str, str] | None = None) -> Responses:
    """The 200 of an endpoint that takes `format`; `headers` tell of files what JSON says inside."""
    responses = {
        name: {"description": doc, "schema": {"type": "string"}}
        for name, doc in (headers or {}).items()
    }
    files: dict[str, object] = {
        MEDIA_TYPES[form].partition(";")[0]: {} for form in Format if form is not Format.JSON
    }
    return {
        200: {"description": "the rows", "content": files, "headers": responses},
        206: {"description": "the range of the file that was asked for", "content": files},
        416: {"model": ErrorAnswer, "description": "the file has no byte in that range"},
    }
