"""`python -m marketdata_assets.ui --host --port WORKSPACE`: Dagster's UI behind the guard.

Here belongs the server around Dagster's own application. What Dagster exports runs it unguarded
only, so that its parts are taken from where they are.
"""

import argparse
import os
import signal
import sys
import threading
import time
from functools import partial

import dagster as dg
import uvicorn
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.remote_representation.code_location import GrpcServerCodeLocation
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.version import __version__
from starlette.types import ASGIApp

from marketdata_assets.listening import listen
from marketdata_assets.profile import profile_root
from marketdata_assets.settings import SettingError
from marketdata_assets.ui.guard import Guard
from marketdata_assets.ui.probing import Probed, in_the_way_of
from marketdata_assets.ui.ui_settings import UiSettings, ui_settings

SECONDS_TO_FINISH = 5
SECONDS_BETWEEN_PINGS = 5
# As Dagster's own command has it.
MILLISECONDS_BETWEEN_LOOKS = 2000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("workspace", help="the path of workspace.yaml")
    given = parser.parse_args()
    try:
        return serve_ui(ui_settings(os.environ, given.host, given.port), given.workspace)
    except SettingError as error:
        print(error, file=sys.stderr)
        return 2


def serve_ui(settings: UiSettings, workspace: str) -> int:
    """Serve until the user ends it. Raises `SettingError` before Dagster is started."""
    listening = listen(settings.host, settings.port, "--host", "--port")
    # As Ctrl-C does: the code server is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with (
        dg.DagsterInstance.get() as instance,
        _workspace(instance, workspace) as context,
    ):
        config = uvicorn.Config(
            Probed(Guard(_app(context), settings), partial(in_the_way_of, context, profile_root())),
            log_level="warning",
            access_log=False,
            server_header=False,
            # Who asked is told by the connection, never by a header that anybody can send.
            proxy_headers=False,
            timeout_graceful_shutdown=SECONDS_TO_FINISH,
        )
        threading.Thread(target=_keep_code_servers, args=(context,), daemon=True).start()
        try:
            uvicorn.Server(config).run([listening])
        except KeyboardInterrupt:
            print(file=sys.stderr)
    return 0


def _workspace(instance: dg.DagsterInstance, path: str) -> WorkspaceProcessContext:
    return WorkspaceProcessContext(instance, WorkspaceFileTarget([path]), version=__version__)


def _keep_code_servers(context: WorkspaceProcessContext) -> None:
    """Start a code server again that has ended: the daemon does so for its own, the UI does not."""
    while True:
        time.sleep(SECONDS_BETWEEN_PINGS)
        for name, entry in context.get_current_workspace().code_location_entries.items():
            if not isinstance(entry.code_location, GrpcServerCodeLocation):
                continue
            try:
                entry.code_location.client.ping("")
            except DagsterUserCodeUnreachableError:
                print("The UI's code server has ended and is started again.", file=sys.stderr)
                context.reload_code_location(name)


def _app(context: WorkspaceProcessContext) -> ASGIApp:
    return create_app_from_workspace_process_context(
        context, live_data_poll_rate=MILLISECONDS_BETWEEN_LOOKS
    )


if __name__ == "__main__":
    sys.exit(main())
