"""Large text as gzip, for who asks for it.

Here belongs what is worth it: JSON and CSV of a hundred kilobytes and more. Arrow and Parquet are
small by themselves, and a range of bytes is one of the file as it is.
"""

from isal import igzip
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGE = 100_000
# A quarter of the bytes, at a millisecond a megabyte; zlib takes five for no fewer.
LEVEL = 1
# Below, another thread would cost as much.
AT_ONCE = 1_000_000
TEXTS = ("application/json", "text/csv", "text/html")


class Compressed:
    """ASGI middleware: a whole answer that is large and a text is sent as gzip to who takes it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _takes_gzip(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        begun: Message | None = None

        async def compressing(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start" and _is_worth_it(message):
                begun = message
                return
            if begun is not None:
                start, begun = begun, None
                # What comes piece by piece is not in memory as a whole, and stays so.
                if not message.get("more_body"):
                    message = await _as_gzip(start, message)
                await send(start)
            await send(message)

        await self._app(scope, receive, compressing)


def _takes_gzip(asked: Headers) -> bool:
    codings = [one.replace(" ", "") for one in asked.get("accept-encoding", "").lower().split(",")]
    refused = {"gzip;q=0", "gzip;q=0.0"}
    is_named = any(one.partition(";")[0] == "gzip" and one not in refused for one in codings)
    return is_named and "range" not in asked


def _is_worth_it(start: Message) -> bool:
    told = Headers(raw=start["headers"])
    return (
        start["status"] == 200
        and int(told.get("content-length", "0")) >= LARGE
        and told.get("content-type", "").startswith(TEXTS)
        and "content-encoding" not in told
    )


async def _as_gzip(start: Message, message: Message) -> Message:
    body = message["body"]
    if len(body) < AT_ONCE:
        body = igzip.compress(body, LEVEL, mtime=0)
    else:
        body = await run_in_threadpool(igzip.compress, body, LEVEL, mtime=0)
    told = MutableHeaders(raw=start["headers"])
    told["Content-Encoding"] = "gzip"
    told["Content-Length"] = str(len(body))
    told.add_vary_header("Accept-Encoding")
    if "etag" in told:
        # The bytes are others, what they say is the same.
        told["ETag"] = f"W/{told['etag'].removeprefix('W/')}"
    start["headers"] = told.raw
    return {**message, "body": body}
