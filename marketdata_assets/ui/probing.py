"""`/health` and `/ready` of Dagster's UI, for who looks after its process.

Here belongs what they answer, to anybody, since it tells of no data. Dagster's own pages of these
names stay: who loads a page gets the page.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from dagster._core.workspace.context import WorkspaceProcessContext
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HEALTH, READY = "/health", "/ready"


class Probed:
    """ASGI middleware; `in_the_way` says why the UI can't do its work, and nothing when it can."""

    def __init__(self, app: ASGIApp, in_the_way: Callable[[], str | None]) -> None:
        self._app, self._in_the_way = app, in_the_way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_asked = scope["type"] == "http" and scope["path"] in (HEALTH, READY)
        if not is_asked or "text/html" in Headers(scope=scope).get("accept", ""):
            await self._app(scope, receive, send)
            return
        why = await run_in_threadpool(self._in_the_way) if scope["path"] == READY else None
        if why:
            answer = JSONResponse({"error": why}, 503)
        else:
            answer = JSONResponse({"status": "ready" if scope["path"] == READY else "healthy"})
        await answer(scope, receive, send)


def in_the_way_of(context: WorkspaceProcessContext, root: Path) -> str | None:
    """What of the lake under `root`, the run history or the definitions can't be read."""
    try:
        with suppress(FileNotFoundError):
            next((root / "lake").iterdir(), None)
        context.instance.get_run_records(limit=1)
    except Exception as error:
        return f"The lake or the run history can't be read ({type(error).__name__})."
    for name, entry in context.get_current_workspace().code_location_entries.items():
        if entry.code_location is None:
            return f"The definitions of {name} are not loaded."
    return None
