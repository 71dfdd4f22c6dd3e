"""What surrounds every endpoint: a proxy's prefix, heads without a body, gzip, and the origin.

Here belong the ASGI middlewares that change nothing of an answer but its form; `app` says in which
order. Who may ask is `guarding`, what is counted `measuring`.
"""

from contextlib import suppress
from http import HTTPStatus

from isal import igzip
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# What is worth compressing: Arrow and Parquet are small by themselves.
LARGE = 100_000
# A quarter of the bytes, at a millisecond a megabyte; zlib takes five for no fewer.
LEVEL = 1
# Below, another thread would cost as much.
AT_ONCE = 1_000_000
TEXTS = ("application/json", "text/csv", "text/html")


def path_within(scope: Scope) -> str:
    """The path of a question without the prefix."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


class Prefixed:
    """ASGI middleware: every question has the prefix, whether or not the proxy took it off.

    Proxies differ in whether they do before they ask.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._prefix and scope["type"] == "http":
            path = scope["path"]
            if path == self._prefix:
                path = f"{path}/"
            elif not path.startswith(f"{self._prefix}/"):
                path = f"{self._prefix}{path}"
            scope = {**scope, "path": path, "root_path": self._prefix}
        await self._app(scope, receive, send)


class Compressed:
    """ASGI middleware: a whole answer that is large and a text is sent as gzip to who takes it.

    A range of bytes is one of the file as it is.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        takes_gzip = _takes_gzip(Headers(scope=scope))
        begun: Message | None = None

        async def compressing(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                is_worth_it = _is_worth_it(message)
                if is_worth_it or message["status"] == HTTPStatus.NOT_MODIFIED:
                    # Whoever keeps it keeps it apart from the other form.
                    MutableHeaders(scope=message).add_vary_header("Accept-Encoding")
                if is_worth_it and takes_gzip:
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
    codings = asked.get("accept-encoding", "").lower().replace(" ", "").split(",")
    # A weight of nothing but zeros refuses.
    is_taken = any(
        name == "gzip" and (not weight or weight.strip("0."))
        for name, _, weight in (one.partition(";q=") for one in codings)
    )
    return is_taken and "range" not in asked


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
    if "etag" in told:
        # The bytes are others, what they say is the same.
        told["ETag"] = f"W/{told['etag'].removeprefix('W/')}"
    start["headers"] = told.raw
    return {**message, "body": body}


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
            await send(message)
            if message["type"] == "http.response.start":
                await send({"type": "http.response.body", "body": b""})
                # Of a file of gigabytes nothing need be read for nobody.
                raise HeadIsEnough

        with suppress(HeadIsEnough):
            await self._app({**scope, "method": "GET", "headers": headers}, receive, without_body)


class Labelled:
    """ASGI middleware: every answer says where its data come from, whatever its form.

    It is the profile's origin where an answer names no other.
    """

    def __init__(self, app: ASGIApp, origin: str) -> None:
        self._app, self._origin = app, origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def labelled(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("X-Data-Origin", self._origin)
            await send(message)

        await self._app(scope, receive, labelled)
