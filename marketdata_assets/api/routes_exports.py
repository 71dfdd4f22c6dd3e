"""Requests and exports: what is on its way, and files to download.

Here belongs looking at the queue. The file of an export is found by the request's record; nothing
that a caller writes becomes a path.
"""

import os
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path
from fastapi.responses import FileResponse, Response
from starlette.concurrency import run_in_threadpool

from marketdata_assets.api.answers import ExportAnswer, RequestAnswer
from marketdata_assets.api.app_state import AppState, may_answer
from marketdata_assets.api.asking import nothing_asked
from marketdata_assets.api.encoding import MEDIA_TYPES, json_response
from marketdata_assets.api.errors import ApiError
from marketdata_assets.api.price_answers import HEADERS, in_a_header
from marketdata_assets.api.questions import ExportQuestion
from marketdata_assets.api.waiting import from_queue
from marketdata_assets.serving.exports import RemoteFile
from marketdata_assets.serving.queries import Format
from marketdata_assets.serving.requests import Request, RequestKind, State, UnknownRequest

RequestId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="as it was answered")]
# A file has a footer, which the stream of an answer has not.
OF_FILES = {
    **{form: MEDIA_TYPES[form] for form in (Format.PARQUET, Format.CSV)},
    Format.ARROW: "application/vnd.apache.arrow.file",
}
OF_CODES = {
    "X-Missing-Sessions": HEADERS["X-Missing-Sessions"],
    "X-Renamed-From": "how many former codes were asked for, and the first of them by the present "
    "ones, like 1: 001872.SZ=000022.SZ; not there where none was",
    "X-Stale": "how many codes are stored by code and end early, and the first of them with their "
    "last days, like 1: 000902.SH=2023-06-13; not there where none does",
    "X-Unfinished": "how many codes have a last bar whose week or month has days to come, and the "
    "first of them with its date; not there where none has",
    "X-Missing-Codes": "how many codes have no rows, and the first of them; not there where all "
    "have some",
}


class RemoteFileResponse(FileResponse):
    """A file that lies elsewhere, passed on in pieces; ranges of it as of one that lies here."""

    chunk_size = 4 * 1024 * 1024

    def __init__(self, file: RemoteFile, **told: Any) -> None:
        self._file, self._at = file, 0
        status = (stat.S_IFREG, 0, 0, 0, 0, 0, file.size, *[int(file.modified)] * 3)
        super().__init__(file.name, stat_result=os.stat_result(status), **told)

    @asynccontextmanager
    async def _open_file(self) -> AsyncIterator[Any]:
        yield self

    async def seek(self, at: int) -> None:
        self._at = at

    async def read(self, size: int) -> bytes:
        size = min(size, self._file.size - self._at)
        piece = await self._file.part(self._at, size) if size else b""
        self._at += len(piece)
        return piece


def export_routes(state: AppState) -> APIRouter:
    router = APIRouter(dependencies=[Depends(nothing_asked)])

    @router.post(
        "/api/v1/exports",
        status_code=202,
        response_model=ExportAnswer,
        responses=may_answer(400, 429),
    )
    async def export(question: Annotated[ExportQuestion, Body()]) -> Response:
        """Have a range of any size written to a file, to be downloaded when it is done."""
        asked = await from_queue(partial(state.requests.request_export, question))
        export = _export(state, asked)
        headers = {"Location": str(export["status_url"]), "Retry-After": "5"}
        return json_response(export, 202, headers)

    @router.get(
        "/api/v1/exports/{request_id}",
        response_model=ExportAnswer,
        responses=may_answer(400, 404),
    )
    async def export_status(request_id: RequestId) -> Response:
        """How far an export is."""
        request = await _found(state, request_id)
        return json_response(await run_in_threadpool(_export, state, request))

    @router.get(
        "/api/v1/exports/{request_id}/file",
        response_class=FileResponse,
        responses={
            **may_answer(400, 404, 409, 502),
            200: {
                "content": {media.partition(";")[0]: {} for media in OF_FILES.values()},
                "headers": {
                    name: {"description": text, "schema": {"type": "string"}}
                    for name, text in OF_CODES.items()
                },
            },
        },
    )
    async def export_file(request_id: RequestId) -> Response:
        """The file of an export that is done."""
        request = await _found(state, request_id)
        export = await run_in_threadpool(_export, state, request)
        if request.state is State.FAILED:
            raise ApiError(
                502, str(export["error"] or "The export failed without a reason."), **export
            )
        if request.state.is_open:
            raise ApiError(409, f"The export is {request.state}, not done yet.", **export)
        file = await run_in_threadpool(state.requests.result, request)
        if file is None:
            raise ApiError(404, "The file is there no more. Ask for a new export.", **export)
        form = request.export_query.format
        told: dict[str, Any] = {
            "headers": _headers(export),
            "media_type": OF_FILES[Format(form)],
            "filename": f"marketdata-{request.id}.{form}",
        }
        if isinstance(file, RemoteFile):
            return RemoteFileResponse(file, **told)
        return FileResponse(file, **told)

    @router.get(
        "/api/v1/requests/{request_id}",
        response_model=RequestAnswer,
        responses=may_answer(400, 404),
    )
    async def request_status(request_id: RequestId) -> Response:
        """How far a request is, for the history of a code or for an export."""
        return json_response(
            _told(state, await from_queue(partial(state.requests.get, request_id)))
        )

    return router


async def _found(state: AppState, request_id: str) -> Request:
    request = await from_queue(partial(state.requests.get, request_id))
    if request.kind is not RequestKind.EXPORT:
        raise UnknownRequest(request_id)
    return request


def _headers(export: Mapping[str, Any]) -> dict[str, str]:
    """What an export says of its file."""
    absent = export["missing_sessions"]
    headers = {} if absent is None else {"X-Missing-Sessions": in_a_header(absent)}
    for name, of_codes in {
        "X-Renamed-From": export["renamed_from"],
        "X-Stale": export["stale"],
        "X-Unfinished": export["unfinished"],
    }.items():
        if of_codes:
            headers[name] = in_a_header([f"{code}={value}" for code, value in of_codes.items()])
    if export["missing_codes"]:
        headers["X-Missing-Codes"] = in_a_header(list(export["missing_codes"]))
    return headers


def _told(state: AppState, request: Request) -> dict[str, object]:
    return {
        "id": request.id,
        "kind": request.kind,
        "status": request.state,
        "code": request.code,
        "error": request.error and state.without_root(request.error),
        "created_at": request.created,
        "finished_at": request.finished,
    }


def _export(state: AppState, request: Request) -> dict[str, Any]:
    is_done = request.state is State.DONE
    written = state.requests.files.note(request.id) if is_done else None
    return {
        "id": request.id,
        "status": request.state,
        "error": request.error and state.without_root(request.error),
        "rows": request.rows,
        "missing_sessions": written.missing_sessions if written else None,
        "renamed_from": written.renamed_from if written else None,
        "stale": written.stale if written else None,
        "unfinished": written.unfinished if written else None,
        "missing_codes": {code: state.without_root(why) for code, why in written.missing.items()}
        if written
        else None,
        "created_at": request.created,
        "finished_at": request.finished,
        "expires_at": request.expires,
        "status_url": state.place(f"/api/v1/exports/{request.id}"),
        "file_url": state.place(f"/api/v1/exports/{request.id}/file") if is_done else None,
    }
