"""The web page: its files, and what a browser may do with them.

Here belongs how they are served. They hold no data, so that they are open without a token, which
the page asks for. What they show is `page`, what they ask the endpoints that everybody has.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from marketdata_assets.api.app_state import AppState
from marketdata_assets.api.errors import ApiError
from marketdata_assets.api.ranges import not_modified

FOLDER = Path(__file__).parent.parent / "page"
PLACE = "/page/"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
HEADERS = {
    # Nothing from elsewhere, nothing inline, and no other page around it.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'self'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class PageFile(NamedTuple):
    body: bytes
    media_type: str
    etag: str


def page_file_routes(state: AppState) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get(PLACE.rstrip("/"))
    @router.get(PLACE)
    def page() -> Response:
        return RedirectResponse(state.place("/"))

    @router.get(PLACE + "{name:path}")
    def file(name: str, request: Request) -> Response:
        found = page_files().get(name)
        if found is None:
            raise ApiError(404, f"The page has no file {name}")
        headers = {**HEADERS, "ETag": found.etag}
        if not_modified(request, found.etag):
            return Response(status_code=304, headers=headers)
        return Response(found.body, headers=headers, media_type=found.media_type)

    return router


def front_page(state: AppState) -> Response:
    """The page itself; its addresses are relative to where the API is for the browser."""
    base = f'<base href="{state.place("/")}">'.encode()
    html = page_files()["index.html"].body.replace(b'<base href="/">', base)
    headers = {**HEADERS, "Vary": "Accept"}
    return Response(html, headers=headers, media_type=MEDIA_TYPES[".html"])


def prefers_html(accept: str) -> bool:
    """Whether an Accept header puts HTML before JSON, as browsers do and programs don't."""
    weights = dict(map(_weighed, accept.lower().split(",")))
    return weights.get("text/html", 0) > weights.get("application/json", 0)


def is_of_the_page(path: str, accept: str) -> bool:
    """Whether a question is for the page's own files."""
    is_file = f"{path}/".startswith(PLACE)
    return is_file or (path == "/" and prefers_html(accept))


@cache
def page_files() -> dict[str, PageFile]:
    """By their names below the page's folder."""
    return {
        path.relative_to(FOLDER).as_posix(): _read(path)
        for path in sorted(FOLDER.rglob("*"))
        if path.suffix in MEDIA_TYPES
    }


def _read(path: Path) -> PageFile:
    body = path.read_bytes()
    return PageFile(body, MEDIA_TYPES[path.suffix], f'"{hashlib.sha256(body).hexdigest()[:16]}"')


def _weighed(part: str) -> tuple[str, float]:
    kind, *parameters = (one.strip() for one in part.split(";"))
    for one in parameters:
        if one.startswith("q="):
            try:
                return kind, float(one[2:])
            except ValueError:
                return kind, 0
    return kind, 1
