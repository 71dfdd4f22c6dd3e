"""Parts of a file, and no body for who asks only for the head.

Here belongs what clients do that read a file over HTTP piece by piece: they ask how long it is,
then for ranges of it. A file that is made for every question is the same as long as what it is made
from is, which its ETag tells.
"""

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress

from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from marketdata_assets.api.encoding import json_response

# Several ranges at once may be answered with the whole: clients take either.
ONE_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.ASCII | re.IGNORECASE)


class FileAnswer(Response):
    """A whole file as bytes, or the range of it that was asked for: 206, or 416 for one outside.

    Without an `ETag` among the headers it has that of its bytes.
    """

    def __init__(self, body: bytes, media_type: str, headers: Mapping[str, str]) -> None:
        sent = {**headers, "Accept-Ranges": "bytes"}
        if "ETag" not in sent:
            sent["ETag"] = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
        super().__init__(body, headers=sent, media_type=media_type)

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
        if not first and not last:
            return self._like_this(200, body)
        start = int(first) if first else max(0, size - int(last))
        end = min(int(last) + 1 if first and last else size, size)
        if first and last and int(last) < int(first):
            # No range at all, which is to be answered as if there were none.
            return self._like_this(200, body)
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


class HeadIsEnough(Exception):
    """Ends an answer whose body nobody wants."""


class Heads:
    """ASGI middleware: HEAD is answered as GET, without the body.

    To everything inside it is a GET, so that nothing differs but the body.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        # A range is of a GET alone: the head tells the length of the whole.
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]

        async def without_body(message: Message) -> None:
            if message["type"] != "http.response.body":
                await send(message)
                return
            await send({"type": "http.response.body", "body": b""})
            if message.get("more_body"):
                # A file of gigabytes need not be read for nobody.
                raise HeadIsEnough

        with suppress(HeadIsEnough):
            await self._app({**scope, "method": "GET", "headers": headers}, receive, without_body)
