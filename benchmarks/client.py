"""The client beside what it stands on: 50 codes × 1 year from a folder, and from a server.

In process it is compared with the series as pandas, over HTTP with the endpoint's answer read as
Arrow. The two take turns, in CPU seconds of this process, so that neither has the quieter machine;
the server is a process of its own.
"""

import datetime as dt
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa
import requests
import uvicorn

from benchmarks.measuring import console, in_own_process, show
from benchmarks.series import COLUMNS, await_check
from benchmarks.synthetic import code_of, synthetic_lake
from marketdata_assets.api.api_settings import ApiSettings
from marketdata_assets.api.app import create_app
from marketdata_assets.api.app_state import AppState
from marketdata_assets.client import connect
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.serving.requests import Requests
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import Series, refresh
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.trading_calendar import last_closed_sessions

DAYS = last_closed_sessions(500, dt.datetime.now(dt.UTC))
LISTED, ROUNDS = 800, 200
CODES = [code_of(number * 7 % LISTED) for number in range(50)]
YEAR = (DAYS[-244], DAYS[-1])


def store(root: str) -> None:
    synthetic_lake(root, DAYS, LISTED)
    refresh(Lake(Path(root), "benchmark"), DAILY_PRICES)


def in_turns(*ways: Callable[[], object]) -> list[float]:
    """The median of each in ms of CPU, taken in turns."""
    taken: list[list[float]] = [[] for _ in ways]
    for number in range(ROUNDS):
        for way, times in zip(ways, taken, strict=True):
            began = time.process_time()
            way()
            if number >= ROUNDS // 10:
                times.append((time.process_time() - began) * 1e3)
    return [statistics.median(times) for times in taken]


def from_a_folder(root: str) -> list[float]:
    series, md = Series.open(Path(root), DAILY_PRICES), connect(root)
    md.get_price(CODES, *YEAR)
    await_check()
    return in_turns(
        lambda: series.slices(CODES, *YEAR, ["code", *COLUMNS]).to_pandas(),
        lambda: md.get_price(CODES, *YEAR),
    )


def serve(root: str, port: Connection) -> None:
    state = AppState(Path(root), PriceReader(Path(root)), Requests(Path(root)), ApiSettings())
    config = uvicorn.Config(create_app(state), port=0, log_level="error")
    listening = config.bind_socket()
    # What is asked from now on waits until the server takes it.
    listening.listen()
    port.send(listening.getsockname()[1])
    uvicorn.Server(config).run([listening])


def from_a_server(root: str) -> list[float]:
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(root, theirs))
    server.start()
    try:
        url = f"http://127.0.0.1:{ours.recv()}"
        session, md = requests.Session(), connect(url)
        session.headers["Accept-Encoding"] = "identity"
        body = {"codes": CODES, "start": str(YEAR[0]), "end": str(YEAR[1]), "format": "arrow"}

        def endpoint() -> pa.Table:
            answer = session.post(f"{url}/api/v1/ohlcv/batch", json=body, timeout=60)
            return pa.ipc.open_stream(answer.content).read_all()

        return in_turns(endpoint, lambda: md.get_price(CODES, *YEAR, frame="arrow"))
    finally:
        server.terminate()
        server.join()


def main() -> None:
    with tempfile.TemporaryDirectory() as root:
        console.print(f"storing {len(DAYS)} days …")
        in_own_process(store, root)
        lines = []
        for name, ways in (
            ("from a folder, as pandas", from_a_folder(root)),
            ("from a server, as Arrow", from_a_server(root)),
        ):
            below, client = ways
            lines.append((name, f"{below:.1f}", f"{client:.1f}", f"{client / below:.2f}"))
    header = ("50 codes × 1 year", "without the client", "get_price", "ratio")
    show("ms of CPU, the median", header, lines)


if __name__ == "__main__":
    main()
