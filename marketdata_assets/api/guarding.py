"""Who may ask, and how much they may send: decided before anything of a request is read.

Here belongs what holds for every endpoint alike. Without a token the API is for this machine, so
a name that is not this machine's in the Host header is a page that had its own name pointed here,
and what a browser asks for the page of another site is refused.
"""

import hmac
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from marketdata_assets.api.api_settings import ApiSettings
from marketdata_assets.api.encoding import json_response
from marketdata_assets.api.middleware import path_within
from marketdata_assets.api.page_files import is_of_the_page
from marketdata_assets.listening import asks_this_machine

OPEN_TO_ALL = ("/health", "/ready")


class Guard:
    """ASGI middleware: 401 without the token, 403 for another host, 413 for a large body."""

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        self._app = app
        self._token = settings.token
        self._origins = settings.cors_origins
        self._most = settings.limits.body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if refusal := self._refusal(path_within(scope), headers):
            status, error = refusal
            asks_for = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
            await json_response({"error": error}, status, asks_for)(scope, receive, send)
            return
        await self._app(scope, self._counted(receive), send)

    def _refusal(self, path: str, headers: Headers) -> tuple[int, str] | None:
        # It holds no data: a link elsewhere may lead to it, and it asks for the token by itself.
        is_page = is_of_the_page(path, headers.get("accept", ""))
        if self._token:
            is_open = path in OPEN_TO_ALL or is_page
            if not is_open and not self._is_known(headers.get("authorization", "")):
                return 401, "Send the token of this server: Authorization: Bearer <API_TOKEN>"
        elif not asks_this_machine(headers.get("host", "")):
            return 403, (
                "Without API_TOKEN this server answers to 127.0.0.1 and localhost only. Set "
                "API_TOKEN to use it by another name."
            )
        elif not is_page and self._is_foreign_page(headers):
            return 403, "Pages of other sites may ask only if API_CORS_ORIGINS names their site."
        # Within blanks and zeros it is a number of 64 bits: the server refuses any other.
        length = headers.get("content-length", "0").strip().lstrip("0")
        if int(length or "0") > self._most:
            return 413, self._too_large()
        return None

    def _is_foreign_page(self, headers: Headers) -> bool:
        """A browser says so of what another site's page has it ask, even where it may not read."""
        is_foreign = headers.get("sec-fetch-site") == "cross-site"
        return is_foreign and headers.get("origin") not in self._origins

    def _is_known(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        matches = hmac.compare_digest(token.strip().encode(), self._token.encode())
        return matches and scheme.lower() == "bearer"

    def _too_large(self) -> str:
        return f"The body is too large: up to {self._most:,} bytes are read."

    def _counted(self, receive: Receive) -> Receive:
        """`receive`, until more has come than may."""
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._most:
                raise HTTPException(413, self._too_large())
            return message

        return counted
