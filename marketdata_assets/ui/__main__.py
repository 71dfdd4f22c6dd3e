"""`python -m marketdata_assets.ui --host --port SOCKET`: Dagster's UI behind the guard.

Here belongs the server around Dagster's own application, and `/health` and `/ready` for who looks
after its process: answered to anybody, since they tell of no data. What Dagster exports runs it
unguarded only, so that its parts are taken from where they are.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import dagster as dg
import uvicorn
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.version import __version__
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from marketdata_assets.code_server import target
from marketdata_assets.listening import listen
from marketdata_assets.profile import profile_root
from marketdata_assets.settings import SettingError
from marketdata_assets.ui.guard import Guard, UiSettings, ui_settings

SECONDS_TO_FINISH = 5
# As Dagster's own command has it.
MILLISECONDS_BETWEEN_LOOKS = 2000

HEALTH, READY = "/health", "/ready"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("socket", help="where the code server is")
    given = parser.parse_args()
    try:
        return serve_ui(ui_settings(os.environ, given.host, given.port), given.socket)
    except SettingError as error:
        print(error, file=sys.stderr)
        return 2


def serve_ui(settings: UiSettings, socket: str) -> int:
    """Serve until the user ends it. Raises `SettingError` before Dagster is started."""
    listening = listen(settings.host, settings.port, "--host", "--port")
    # As Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with (
        dg.DagsterInstance.get() as instance,
        WorkspaceProcessContext(instance, target(socket), version=__version__) as context,
    ):
        app = create_app_from_workspace_process_context(
            context, live_data_poll_rate=MILLISECONDS_BETWEEN_LOOKS
        )
        config = uvicorn.Config(
            Probed(Guard(app, settings), partial(in_the_way_of, context, profile_root())),
            log_level="warning",
            access_log=False,
            server_header=False,
            # Who asked is told by the connection, never by a header that anybody can send.
            proxy_headers=False,
            timeout_graceful_shutdown=SECONDS_TO_FINISH,
        )
        try:
            uvicorn.Server(config).run([listening])
        except KeyboardInterrupt:
            print(file=sys.stderr)
    return 0


class Probed:
    """ASGI middleware; `in_the_way` says why the UI can't do its work, and nothing when it can.

    Dagster's own pages of these names stay: who loads a page gets the page.
    """

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


if __name__ == "__main__":
    sys.exit(main())
