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
from collections.abc import Callable
from pathlib import Path

import uvicorn

from marketdata_assets.api.api_settings import ApiSettings, api_settings
from marketdata_assets.api.app import create_app
from marketdata_assets.api.app_state import AppState
from marketdata_assets.api.connections import server_config
from marketdata_assets.api.measuring import COUNTED_IN
from marketdata_assets.command_texts import text
from marketdata_assets.errors import MarketdataError
from marketdata_assets.hosts import hosts
from marketdata_assets.listening import address, listen
from marketdata_assets.profile import profile_root
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.serving.requests import Requests
from marketdata_assets.settings import SettingError
from marketdata_assets.storage.opening import open_lake
from marketdata_assets.storage.series import SERIES_ASSETS
from marketdata_assets.supervising import BESIDE, child_environment, run_all
from marketdata_assets.tables import STORED_TABLES
from marketdata_assets.trading_calendar import last_published_session

SECONDS_TO_FINISH = 5


def serve_api() -> int:
    """Serve until the user ends it. Raises `SettingError` before anything listens."""
    settings, root = api_settings(os.environ), profile_root()
    _answer_soon()
    listening = listen(settings.host, settings.port, "API_HOST", "API_PORT")
    # A damaged one is noticed now, not by the first caller; one that is held is looked at later.
    with contextlib.suppress(MarketdataError):
        _queue(root).prove()
    if settings.workers > 1:
        _tell(settings)
        return _share(listening, settings.workers)
    _answer(listening, settings, root)
    return 0


def _answer(listening: socket.socket, settings: ApiSettings, root: Path) -> None:
    queue = _queue(root)
    state = AppState(
        root, PriceReader(root), queue, settings, os.environ, prove_shared=_following(root, queue)
    )
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
        names = [text("API worker {number}", number=one) for one in range(1, workers + 1)]
        return run_all(dict.fromkeys(names, command), env, Path.cwd(), [listening.fileno()])


def _answer_soon() -> None:
    """Of several hosts: a store that is gone holds up who asks for what is there for seconds."""
    if hosts():
        from marketdata_assets.storage.objects import refuse_soon

        refuse_soon()


def _following(root: Path, queue: Requests) -> Callable[[], None]:
    """Have on a host of many the newest series, from now on.

    What proves that it goes on, and that requests are taken.
    """
    if hosts() is None:
        return lambda: None
    from marketdata_assets.storage.series.following import Following

    following = Following(
        open_lake(root, "reader"), [STORED_TABLES[name] for name in SERIES_ASSETS]
    )
    following.begin()

    def prove() -> None:
        queue.prove()
        following.prove()

    return prove


def _queue(root: Path) -> Requests:
    # Threads wait for nobody who holds the queue: callers do.
    return Requests(root, patience=dt.timedelta(0))


def _tell(settings: ApiSettings) -> None:
    url = address(settings.host, settings.port)
    told = "The API: {address}    docs: {address}/docs    data: {origin}"
    print(text(told, address=url, origin=text(settings.origin)), flush=True)


def main() -> int:
    """`python -m marketdata_assets.serve [FD]`: with the settings of the environment alone.

    With the number of a socket that listens already it is one of those who take from it.
    """
    try:
        if sys.argv[1:]:
            listening = socket.socket(fileno=int(sys.argv[1]))
            _answer_soon()
            _answer(listening, api_settings(os.environ), profile_root())
            return 0
        return serve_api()
    except SettingError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
