"""Every error as JSON: `{"error": what happened and what to do, …}`, never a trace.

Here belongs how errors are written. What is wrong is said by whoever notices.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from marketdata_assets.api.app_state import AppState
from marketdata_assets.api.encoding import json_response
from marketdata_assets.api.middleware import path_within
from marketdata_assets.errors import MarketdataError

logger = logging.getLogger(__name__)

EXAMPLES = {
    "/api/v1/asset-type": "/api/v1/asset-type?code=000300.SH",
    "/api/v1/ohlcv": "/api/v1/ohlcv?code=000300.SH&start=2024-01-01&end=2024-03-31",
    "/api/v1/ohlcv/batch": {"codes": ["000300.SH", "NDX"], "start": "2024-01-01"},
    "/api/v1/etf/nav": "/api/v1/etf/nav?code=513100.SH",
    "/api/v1/cross-section": "/api/v1/cross-section?date=2024-09-30",
    "/api/v1/exports": {"codes": ["600000.SH"], "start": "2015-01-01", "format": "parquet"},
}
NO_JSON = "The body is no JSON in UTF-8"
BAD_DATE = "Invalid date format. Use YYYY-MM-DD"


class ApiError(MarketdataError):
    """An answer that is an error, of the status that an endpoint chooses."""

    def __init__(self, status: int, error: str, /, **details: object) -> None:
        super().__init__(error)
        self.status, self.details = status, details


def add_error_handlers(app: FastAPI, state: AppState) -> None:
    def answer(_: Request, error: Exception) -> Response:
        assert isinstance(error, MarketdataError)
        if error.status == 500:
            # As anything that nobody foresaw, see `Unexpected`.
            raise error
        headers = {"Retry-After": "5"} if error.status in (429, 503) else {}
        return json_response(state.error_body(error), error.status, headers)

    app.add_exception_handler(MarketdataError, answer)
    app.add_exception_handler(ValidationError, _unfit)
    app.add_exception_handler(RequestValidationError, _refused)
    app.add_exception_handler(HTTPException, _http)


def _unfit(_: Request, error: Exception) -> Response:
    """A question whose parts don't fit together."""
    assert isinstance(error, ValidationError)
    message = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
    return json_response({"error": message}, 400)


def _refused(request: Request, error: Exception) -> Response:
    """A question that does not fit its form; the first thing that is wrong with it."""
    assert isinstance(error, RequestValidationError)
    body: dict[str, object] = {"error": _first_of(error.errors()[0])}
    if body["error"] == BAD_DATE:
        body |= {name: request.query_params.get(name) for name in ("start", "end")}
    if example := EXAMPLES.get(path_within(request.scope)):
        is_path = isinstance(example, str)
        body["example"] = f"{_prefix(request)}{example}" if is_path else example
    return json_response(body, 400)


def _first_of(problem: Mapping[str, Any]) -> str:
    """What is wrong with a question, from pydantic's word of it."""
    where = [str(part) for part in problem["loc"][1:]]
    name, kind, is_query = where[0] if where else "", problem["type"], "query" in problem["loc"]
    if kind == "missing":
        return f"Missing required parameter: {name}" if name else "Missing request body"
    if kind == "json_invalid":
        return NO_JSON
    if kind == "model_attributes_type" and not where:
        return "The body is no JSON object: send one, as application/json"
    if kind == "bad_date" and is_query:
        return BAD_DATE
    message = problem["msg"].removeprefix("Value error, ")
    return f"{'.'.join(where)}: {message}" if where else message


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body: dict[str, object] = {"error": str(error.detail)}
    if error.status_code == 404:
        paths = [_prefix(request) + path for path in sorted(request.app.openapi()["paths"])]
        body = {"error": "Endpoint not found", "available_endpoints": paths}
    elif error.status_code == 400:
        # FastAPI says so of a body that can't be decoded, and nobody of anything else.
        body = {"error": NO_JSON}
    elif error.status_code == 405:
        body = {
            "error": f"{request.method} is not allowed here",
            "docs": f"{_prefix(request)}/docs",
        }
    return json_response(body, error.status_code, dict(error.headers or {}))


def _prefix(request: Request) -> str:
    """Where a proxy has the API for clients; empty without one."""
    return str(request.scope.get("root_path", ""))


class Unexpected:
    """ASGI middleware: what nobody foresaw is told to the log alone, and answered with a 500; what
    the server does not wait for when it ends, with a 503."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def noting(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            if not has_begun:
                body = {"error": "The server ends. Ask again in a moment."}
                await json_response(body, 503, {"Retry-After": "1"})(scope, receive, send)
        except Exception:
            if has_begun or scope["type"] != "http":
                raise
            logger.exception("%s %s failed", scope["method"], scope["path"])
            message = "It is not your question. The server's log says what happened."
            body = {"error": "Internal server error", "message": message}
            await json_response(body, 500)(scope, receive, send)
