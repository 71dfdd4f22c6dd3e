"""ETags by version: whether a client has the answer already, told without reading a row.

Here belongs what an answer hangs on: the question with its days, the version of what it is read
from, and what writes it. The ETag of a file that is told by its bytes is `ranges`.
"""

import hashlib

import pyarrow as pa
from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel

from marketdata_assets import __version__
from marketdata_assets.api.app_state import Responses

# What is kept is asked about each time, so that nobody sees what was restated since.
ASK_AGAIN = {"Cache-Control": "no-cache"}
NOT_MODIFIED: Responses = {304: {"description": "what If-None-Match names is still the answer"}}


def etag_of(question: BaseModel, *hangs_on: object) -> str:
    """The same for the same bytes; `hangs_on` is all that they hang on beside the question."""
    told = repr((__version__, pa.__version__, question, hangs_on))
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
