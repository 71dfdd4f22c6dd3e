"""Answers that the client has already, and parts of a file.

Here belong ETags, and what clients do that read a file over HTTP piece by piece: they ask how long
it is, then for ranges of it. A file that is made for every question is the same as long as what it
is made from is: the question with its days, the version of what is read, and what writes it.
"""

import hashlib
import re
from collections.abc import Mapping

import pyarrow as pa
from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from marketdata_assets import __version__
from marketdata_assets.api.app_state import Responses
from marketdata_assets.api.encoding import MEDIA_TYPES, json_response, table_bytes
from marketdata_assets.api.questions import Filed

# What is kept is asked about each time, so that nobody sees what was restated since.
ASK_AGAIN = {"Cache-Control": "no-cache"}
NOT_MODIFIED: Responses = {304: {"description": "what If-None-Match names is still the answer"}}
# Several ranges at once may be answered with the whole: clients take either.
ONE_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.ASCII | re.IGNORECASE)


def etag_of(question: BaseModel, *hangs_on: object) -> str:
    """The same for the same bytes; `hangs_on` is all that they hang on beside the question."""
    told = repr((__version__, pa.__version__, question.model_dump_json(), hangs_on))
    return f'"{hashlib.blake2b(told.encode(), digest_size=16).hexdigest()}"'


def not_modified(request: Request, etag: str) -> Response | None:
    """A 304 where the caller has what `etag` is of; an empty one is of nothing."""
    names = (
        one.strip().removeprefix("W/")
        for one in request.headers.get("if-none-match", "").split(",")
    )
    if etag and etag in names:
        return Response(status_code=304, headers={"ETag": etag, **ASK_AGAIN})
    return None


def unless_there(request: Request, answer: Response) -> Response:
    """The answer, or a 304 to who has asked for it only if it does not exist."""
    if request.headers.get("if-none-match") != "*" or answer.status_code != 200:
        return answer
    told = {name: answer.headers[name] for name in ("etag", *ASK_AGAIN) if name in answer.headers}
    return Response(status_code=304, headers=told)


class FileAnswer(Response):
    """Rows as the file that is `asked` for, or the range of it: 206, or 416 for one outside.

    Without an `ETag` among the headers it has that of its bytes.
    """

    def __init__(self, rows: pa.Table, asked: Filed, headers: Mapping[str, str]) -> None:
        body = table_bytes(rows, asked.format, asked.encoding)
        sent = {**headers, "Accept-Ranges": "bytes"}
        if "ETag" not in sent:
            sent["ETag"] = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
        super().__init__(body, headers=sent, media_type=MEDIA_TYPES[asked.format])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Headers(scope=scope)
        etag = self.headers["etag"]
        wanted = ONE_RANGE.fullmatch(asked.get("range", ""))
        # Pieces of two versions make no file: who has a piece of another one is sent the whole.
        if wanted is None or asked.get("if-range", etag) != etag:
            await super().__call__(scope, receive, send)
            return
        await self._part(*wanted.groups())(scope, receive, send)

    def _part(self, first: str, last: str) -> Response:
        body, size = bytes(self.body), len(self.body)
        is_reversed = first and last and int(last) < int(first)
        if not (first or last) or is_reversed:
            # No range at all, which is to be answered as if there were none.
            return self._like_this(200, body)
        start = int(first) if first else max(0, size - int(last))
        end = min(int(last) + 1 if first and last else size, size)
        if start >= end:
            error = f"The file has {size:,} bytes, none of them in the range. Ask for others."
            return json_response({"error": error}, 416, {"Content-Range": f"bytes */{size}"})
        where = {"Content-Range": f"bytes {start}-{end - 1}/{size}"}
        return self._like_this(206, body[start:end], where)

    def _like_this(
        self, status: int, body: bytes, more: Mapping[str, str] | None = None
    ) -> Response:
        headers = {**self.headers, **(more or {}), "content-length": str(len(body))}
        return Response(body, status, headers)
