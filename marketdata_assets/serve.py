"""The command `serve`: the HTTP API of this world, until Ctrl-C.

Here belongs the server around the application. It knows no Dagster; what the API answers is `api`.
"""

import errno
import os
import socket
import sys

import uvicorn

from marketdata_assets.api.app import create_app
from marketdata_assets.api.connections import server_config
from marketdata_assets.api.door import Door
from marketdata_assets.api.settings import api_settings
from marketdata_assets.serving.requests import Requests
from marketdata_assets.serving.slices import Shelf
from marketdata_assets.settings import SettingError
from marketdata_assets.trading_calendar import last_published_session
from marketdata_assets.worlds import world_root

SECONDS_TO_FINISH = 5
BACKLOG = 512


def serve_api() -> int:
    """Serve until the user ends it. Raises `SettingError` before anything listens."""
    settings, root = api_settings(os.environ), world_root()
    listening = _listening(settings.host, settings.port)
    door = Door(root, Shelf(root), Requests(root), settings)
    config = server_config(
        create_app(door), settings.limits, log_level="warning", finish=SECONDS_TO_FINISH
    )
    # The calendar takes a moment to be read, which is not for the first caller to wait.
    last_published_session()
    place = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{place}:{settings.port}"
    print(f"The API: {url}    docs: {url}/docs    data: {settings.origin}", flush=True)
    try:
        uvicorn.Server(config).run([listening])
    except KeyboardInterrupt:
        print(file=sys.stderr)
    return 0


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        # From now on questions wait until the application takes them.
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise SettingError(
                "API_PORT", str(port), "another program has this port, set another one"
            ) from None
        raise SettingError("API_HOST", host, "this machine has no such address") from None
    return listening
