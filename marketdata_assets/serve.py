"""The command `serve`: the HTTP API of this profile, until Ctrl-C.

Here belongs the server around the application, and the processes that share its port. It knows no
Dagster; what the API answers is `api`.
"""

import contextlib
import datetime as dt
import os
import socket
import sys
import tempfile
from pathlib import Path

import uvicorn

from marketdata_assets.api.api_settings import ApiSettings, api_settings
from marketdata_assets.api.app import create_app
from marketdata_assets.api.app_state import AppState
from marketdata_assets.api.connections import server_config
from marketdata_assets.api.measuring import COUNTED_IN
from marketdata_assets.listening import address, listen
from marketdata_assets.profile import profile_root
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.serving.request_records import QueueNotReady
from marketdata_assets.serving.requests import Requests
from marketdata_assets.settings import SettingError
from marketdata_assets.supervising import BESIDE, child_environment, run_all
from marketdata_assets.trading_calendar import last_published_session

SECONDS_TO_FINISH = 5


def serve_api() -> int:
    """Serve until the user ends it. Raises `SettingError` before anything listens."""
    settings, root = api_settings(os.environ), profile_root()
    listening = listen(settings.host, settings.port, "API_HOST", "API_PORT")
    # A damaged one is noticed now, not by the first caller; one that is held is looked at later.
    with contextlib.suppress(QueueNotReady):
        _queue(root).prove()
    if settings.workers > 1:
        _tell(settings)
        return _share(listening, settings.workers)
    _answer(listening, settings, root)
    return 0


def _answer(listening: socket.socket, settings: ApiSettings, root: Path) -> None:
    state = AppState(root, PriceReader(root), _queue(root), settings, os.environ)
    config = server_config(
        create_app(state), settings.limits, log_level="warning", finish=SECONDS_TO_FINISH
    )
    # The calendar takes a moment to be read, which is not for the first caller to wait.
    last_published_session()
    try:
        # From here on Ctrl-C is expected.
        if settings.workers == 1:
            _tell(settings)
        uvicorn.Server(config).run([listening])
    except KeyboardInterrupt:
        print(file=sys.stderr)


def _share(listening: socket.socket, workers: int) -> int:
    """Processes that take questions from one socket; one that ends is started again."""
    command = (*BESIDE, "marketdata_assets.serve", str(listening.fileno()))
    with tempfile.TemporaryDirectory() as counted:
        env = {**child_environment(), COUNTED_IN: counted}
        names = [f"API worker {number}" for number in range(1, workers + 1)]
        return run_all(dict.fromkeys(names, command), env, Path.cwd(), [listening.fileno()])


def _queue(root: Path) -> Requests:
    # Threads wait for nobody who holds the queue: callers do.
    return Requests(root, patience=dt.timedelta(0))


def _tell(settings: ApiSettings) -> None:
    url = address(settings.host, settings.port)
    print(f"The API: {url}    docs: {url}/docs    data: {settings.origin}", flush=True)


def main() -> int:
    """`python -m marketdata_assets.serve [FD]`: with the settings of the environment alone.

    With the number of a socket that listens already it is one of those who take from it.
    """
    try:
        if sys.argv[1:]:
            listening = socket.socket(fileno=int(sys.argv[1]))
            _answer(listening, api_settings(os.environ), profile_root())
            return 0
        return serve_api()
    except SettingError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
