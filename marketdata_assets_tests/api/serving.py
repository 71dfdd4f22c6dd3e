"""The API over real HTTP: uvicorn in a thread on loopback."""

import datetime as dt
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import requests
import uvicorn

from marketdata_assets.api.api_settings import ApiSettings, Limits
from marketdata_assets.api.app import create_app
from marketdata_assets.api.app_state import AppState
from marketdata_assets.api.connections import server_config
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.serving.requests import Requests


class Client:
    """Asks one server; `queue` is for whoever answers what it requests."""

    def __init__(self, url: str, state: AppState, queue: Requests) -> None:
        self.url, self.state, self.queue = url, state, queue
        self.session = requests.Session()
        self.session.trust_env = False

    def get(self, path: str, **parameters: Any) -> requests.Response:
        return self.session.get(self.url + path, params=parameters, timeout=60)

    def post(self, path: str, body: object = None, **more: Any) -> requests.Response:
        return self.session.post(self.url + path, json=body, timeout=60, **more)

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        return self.session.request(method, self.url + path, timeout=60, **more)


@contextmanager
def served(
    root: Path,
    settings: ApiSettings | None = None,
    queue: Requests | None = None,
    reader: PriceReader | None = None,
    **limits: Any,
) -> Iterator[Client]:
    """A server over the profile under `root`."""
    settings = replace(settings or ApiSettings(), limits=Limits(**limits))
    patient = queue or Requests(root)
    state = AppState(
        root,
        reader or PriceReader(root),
        queue or Requests(root, patience=dt.timedelta(0)),
        settings,
        {"MARKETDATA_HOME": str(root.parent)},
    )
    config = server_config(create_app(state), settings.limits)
    config.port = 0
    server = uvicorn.Server(config)
    listening = config.bind_socket()
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    client = Client(f"http://127.0.0.1:{listening.getsockname()[1]}", state, patient)
    try:
        # The socket listens already: the first question waits until the server takes it.
        listening.listen()
        client.get("/health")
        yield client
    finally:
        client.session.close()
        server.should_exit = True
        thread.join()
        listening.close()
