"""The command `serve`: the HTTP API of this profile, until Ctrl-C.

Here belongs the server around the application. It knows no Dagster; what the API answers is `api`.
"""

import contextlib
import datetime as dt
import os
import sys

import uvicorn

from marketdata_assets.api.api_settings import api_settings
from marketdata_assets.api.app import create_app
from marketdata_assets.api.app_state import AppState
from marketdata_assets.api.connections import server_config
from marketdata_assets.listening import address, listen
from marketdata_assets.profile import profile_root
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.serving.request_records import QueueNotReady
from marketdata_assets.serving.requests import Requests
from marketdata_assets.settings import SettingError
from marketdata_assets.trading_calendar import last_published_session

SECONDS_TO_FINISH = 5


def serve_api() -> int:
    """Serve until the user ends it. Raises `SettingError` before anything listens."""
    settings, root = api_settings(os.environ), profile_root()
    listening = listen(settings.host, settings.port, "API_HOST", "API_PORT")
    # Threads wait for nobody who holds the queue: callers do.
    queue = Requests(root, patience=dt.timedelta(0))
    # A damaged one is noticed now, not by the first caller; one that is held is looked at later.
    with contextlib.suppress(QueueNotReady):
        queue.prove()
    state = AppState(root, PriceReader(root), queue, settings)
    config = server_config(
        create_app(state), settings.limits, log_level="warning", finish=SECONDS_TO_FINISH
    )
    # The calendar takes a moment to be read, which is not for the first caller to wait.
    last_published_session()
    url = address(settings.host, settings.port)
    print(f"The API: {url}    docs: {url}/docs    data: {settings.origin}", flush=True)
    try:
        uvicorn.Server(config).run([listening])
    except KeyboardInterrupt:
        print(file=sys.stderr)
    return 0


def main() -> int:
    """`python -m marketdata_assets.serve`: with the settings of the environment alone."""
    try:
        return serve_api()
    except SettingError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
