"""Who may ask Dagster's UI, decided before anything of a request is read.

Dagster answers anybody: a page of another site could launch runs through the browser of who has
the UI open. Here belong `--host`, `--port` and UI_TOKEN, and what tells such a page from the UI's
own: the name it was asked by, the page that asks, and forms of asking that a foreign page has and
the UI doesn't need.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from marketdata_assets.listening import token


@dataclass(frozen=True)
class UiSettings:
    """Without a `token` only this machine may ask."""

    host: str
    port: int
    token: str = field(default="", repr=False)


def ui_settings(env: Mapping[str, str], host: str, port: int) -> UiSettings:
    """The settings of the UI. Raises `SettingError`, also for an open door without a token."""
    host = host.strip().strip("[]")
    return UiSettings(host, port, token(env, "UI_TOKEN", host, "--host"))


THIS_MACHINE = ("127.0.0.1", "localhost", "[::1]")
READING = ("GET", "HEAD")
# A browser says of every request where it comes from; these are other places.
ELSEWHERE = ("cross-site", "same-site")
DEFAULT_PORTS = {"http": 80, "https": 443}

Refusal = tuple[HTTPStatus, str]


class Guard:
    """ASGI middleware: refuses in a sentence what the UI itself would never ask."""

    def __init__(self, app: ASGIApp, settings: UiSettings) -> None:
        self._app = app
        self._token = settings.token
        self._port = settings.port
        self._names = {f"{name}:{settings.port}" for name in THIS_MACHINE}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._of_who(headers) or self._of_what(scope, headers)
        if refusal is None:
            await self._app(scope, receive, _unframed(send))
        elif scope["type"] == "websocket":
            # Closed before it is accepted, the handshake is answered with 403.
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _refuse(*refusal)(scope, receive, send)

    def _of_who(self, headers: Headers) -> Refusal | None:
        """Why whoever asks may ask nothing at all."""
        hosts = headers.getlist("host")
        if len(hosts) != 1:
            return HTTPStatus.BAD_REQUEST, "Send one Host header."
        if self._token:
            if not self._is_known(headers.get("authorization", "")):
                return HTTPStatus.UNAUTHORIZED, (
                    "Give UI_TOKEN as the password, with any user, or send it: "
                    "Authorization: Bearer <UI_TOKEN>"
                )
        elif _place(f"http://{hosts[0]}") not in self._names:
            return HTTPStatus.FORBIDDEN, (
                f"Without UI_TOKEN the UI answers to http://127.0.0.1:{self._port} and "
                f"http://localhost:{self._port} only. Forward this port under the same number, "
                "or set UI_TOKEN."
            )
        return None

    def _of_what(self, scope: Scope, headers: Headers) -> Refusal | None:
        """Why this may not be asked."""
        if scope["type"] == "websocket":
            return None if _asks_itself(headers) else _foreign()
        method, graphql = scope["method"], scope["path"].rstrip("/") == "/graphql"
        accepts_page = "text/html" in headers.get("accept", "")
        if method in READING:
            if graphql and not accepts_page:
                return HTTPStatus.METHOD_NOT_ALLOWED, "Send GraphQL by POST, as application/json."
            is_fine = _asks_itself(headers) or _is_page_load(headers)
            return None if is_fine else _foreign()
        if method != "POST":
            return HTTPStatus.METHOD_NOT_ALLOWED, "The UI reads with GET and asks with POST."
        if not _asks_itself(headers):
            return _foreign()
        # Any page may send the other types without being asked whether it may.
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send application/json."
        return None

    def _is_known(self, authorization: str) -> bool:
        scheme, _, given = authorization.partition(" ")
        given = given.strip()
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return False
        elif scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(given.encode(), self._token.encode())


def _asks_itself(headers: Headers) -> bool:
    """Whether the page that asks is the UI's own, or nobody says that a page asks."""
    if headers.get("sec-fetch-site", "") in ELSEWHERE:
        return False
    pages = [*headers.getlist("origin"), *headers.getlist("referer")]
    return all(_is_at(page, headers["host"]) for page in pages)


def _is_page_load(headers: Headers) -> bool:
    """Whether somebody followed a link to here: it shows a page, and its site sees nothing."""
    if "origin" in headers:
        return False
    mode, shown = headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest", "document")
    if mode is None:
        return "text/html" in headers.get("accept", "")
    return mode == "navigate" and shown == "document"


def _is_at(page: str, host: str) -> bool:
    """Whether the address of a page is at a Host header's, by the scheme that a proxy may end."""
    place = _place(page)
    return place is not None and place == _place(f"{page.partition(':')[0]}://{host}")


def _place(page: str) -> str | None:
    """The name and port of a web address; None when it is none."""
    try:
        parts = urlsplit(page)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or parts.username is not None:
        return None
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{name}:{port}"


def _foreign() -> Refusal:
    return HTTPStatus.FORBIDDEN, (
        "A page of another site asks, and only the UI's own pages may. Behind a proxy, have it "
        "pass on the Host that was asked for."
    )


def _refuse(status: HTTPStatus, why: str) -> PlainTextResponse:
    headers = {}
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Basic realm="Dagster", charset="UTF-8"'
    return PlainTextResponse(f"{why}\n", status, headers)


def _unframed(send: Send) -> Send:
    """Within another site's page, clicks of the user would be that site's."""

    async def unframed(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["X-Frame-Options"] = "DENY"
        await send(message)

    return unframed
