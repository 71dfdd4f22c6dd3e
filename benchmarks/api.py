"""The HTTP API beside the original service's way, over the same HTTP on loopback.

The store of `benchmarks.series`: 17 M rows, smaller with BENCH_SERIES_YEARS. Every client and
every server is a process of its own, and asks and answers through one open connection. The
original's way: a code's history as records in a cache, made into a frame, sliced, made into records
and JSON again. Fetching is left out in its favour.

Then eight clients ask while the newest day is written anew and the series refreshed, for
BENCH_API_SECONDS.
"""

import functools
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import pandas as pd
import uvicorn
from fastapi import FastAPI
from fastapi.responses import Response
from starlette.types import ASGIApp

from benchmarks.api_clients import (
    CLIENTS,
    Ask,
    Connection,
    in_words,
    latency_of,
    read_on,
    requests_a_second,
)
from benchmarks.latency import Latency
from benchmarks.measuring import console, in_own_process, show
from benchmarks.series import (
    CODES,
    COLUMNS,
    DAYS,
    ONE_YEAR,
    TEN_YEARS,
    add_day,
    fill_lake,
    records_of,
    refresh_series,
    some_codes,
)
from benchmarks.series_readers import write
from marketdata_assets.api.api_settings import Limits
from marketdata_assets.api.connections import server_config
from marketdata_assets.profile import profile_root
from marketdata_assets.storage.series import Series
from marketdata_assets.tables import DAILY_PRICES

SECONDS = float(os.environ.get("BENCH_API_SECONDS", "60"))
LOAD_SECONDS = min(SECONDS, 10)
REPEATS, WORKERS = 200, 2
ONE, FIFTY = "one code × 10 years", "50 codes × 1 year"
SECTION, LOAD = "one day", f"answers a second, {CLIENTS} clients"
FIRST = "the first of a process"
FORMS = {"json": "as JSON", "arrow": "as Arrow"}
# Then a server has compared the files that it opened at its first answer, see `series.reader`.
SECONDS_TO_COMPARE = 10


def one(code: str, form: str = "json") -> Ask:
    start, end = TEN_YEARS
    return Ask(f"/api/v1/ohlcv?code={code}&start={start}&end={end}&format={form}")


def fifty(number: int) -> Ask:
    start, end = map(str, ONE_YEAR)
    codes = some_codes(REPEATS + 50)[number : number + 50]
    return Ask("/api/v1/ohlcv/batch", json.dumps(dict(codes=codes, start=start, end=end)).encode())


def section(number: int, form: str = "json") -> Ask:
    return Ask(f"/api/v1/cross-section?date={DAYS[-1 - number]}&format={form}")


def original_app(root: str) -> ASGIApp:
    """Two endpoints that answer as the original service does."""
    cached = functools.cache(functools.partial(records_of, Series.open(Path(root), DAILY_PRICES)))
    app = FastAPI()

    def sliced(code: str, start: str, end: str) -> dict[str, object]:
        frame = pd.DataFrame(cached(code))
        frame["date"] = pd.to_datetime(frame["date"])
        rows = frame.set_index("date").sort_index().loc[pd.Timestamp(start) : pd.Timestamp(end)]
        rows = rows.reset_index()
        rows["date"] = rows["date"].dt.strftime("%Y-%m-%d")
        return {"data": rows.to_dict(orient="records"), "count": len(rows), "code": code}

    @app.get("/api/v1/ohlcv")
    def ohlcv(code: str, start: str, end: str) -> Response:
        return Response(json.dumps(sliced(code, start, end)), media_type="application/json")

    @app.post("/api/v1/ohlcv/batch")
    def batch(question: dict[str, object]) -> Response:
        codes, start, end = question["codes"], str(question["start"]), str(question["end"])
        assert isinstance(codes, list)
        results = {code: sliced(code, start, end) for code in codes}
        return Response(json.dumps({"results": results}), media_type="application/json")

    return app


def serve_original(root: str, pipe: Pipe) -> None:
    # The server is the same for both: only the answers are compared.
    config = server_config(original_app(root), Limits(), log_level="error")
    config.port = 0
    listening = config.bind_socket()
    listening.listen()
    pipe.send(listening.getsockname()[1])
    uvicorn.Server(config).run([listening])


@contextmanager
def served_originally(root: str) -> Iterator[int]:
    """A server of its own; its port."""
    ours, theirs = multiprocessing.Pipe()
    process = get_context("spawn").Process(target=serve_original, args=(root, theirs))
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


@contextmanager
def served(root: str, workers: int = 1) -> Iterator[int]:
    """`marketdata serve` over the files, in as many processes; its port, where it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        clean = {name: value for name, value in os.environ.items() if name != "TUSHARE_TOKEN"}
        env = clean | {"MARKETDATA_HOME": home, "API_PORT": str(port), "API_WORKERS": f"{workers}"}
        profile_root(env).symlink_to(root)
        command = [sys.executable, "-m", "marketdata_assets.serve"]
        process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
        try:
            await_health(port)
            yield port
        finally:
            process.terminate()
            process.wait()


def await_health(port: int) -> None:
    for _ in range(600):
        try:
            Connection(port).ask(Ask("/health"))
        except ConnectionRefusedError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("The server does not answer.")


def asked(port: int, asks: list[Ask]) -> Latency:
    latency = in_own_process(latency_of, port, asks).result
    assert isinstance(latency, Latency)
    return latency


def ours(port: int, form: str) -> dict[str, str]:
    codes = some_codes(REPEATS)
    began = time.perf_counter()
    Connection(port).ask(one(codes[0], form))
    answers = {FIRST: f"{(time.perf_counter() - began) * 1e3:,.0f}"}
    time.sleep(SECONDS_TO_COMPARE)
    answers |= {
        ONE: asked(port, [one(code, form) for code in codes]).in_words(),
        SECTION: asked(port, [section(n, form) for n in range(REPEATS)]).in_words(),
        LOAD: load(port, form),
    }
    if form == "json":
        answers[FIFTY] = asked(port, [fifty(n) for n in range(50)]).in_words()
    return answers


def load(port: int, form: str) -> str:
    asks = [one(code, form) for code in some_codes(REPEATS)]
    return f"{requests_a_second(port, asks, LOAD_SECONDS):,.0f}"


def original(port: int) -> dict[str, str]:
    codes = some_codes(50)
    latency_of(port, [one(code) for code in codes])  # Fills its cache.
    return {
        ONE: asked(port, [one(code) for code in codes]).in_words(),
        FIFTY: asked(port, [fifty(0)] * 5).in_words(),
        LOAD: f"{requests_a_second(port, [one(code) for code in codes], LOAD_SECONDS):,.0f}",
    }


def readers_under_a_writer(root: str, port: int) -> tuple[str, ...]:
    days = [day for day in DAYS if day >= ONE_YEAR[0]]
    asks = [
        Ask(f"/api/v1/ohlcv?code={code}&start={days[0]}&end={days[-1]}&fields=close,volume")
        for code in some_codes(REPEATS)
    ]
    dates = [day.isoformat() for day in days]
    with ProcessPoolExecutor(CLIENTS + 1, mp_context=get_context("spawn")) as pool:
        writer = pool.submit(write, root, days[-1], CODES, SECONDS)
        clients = [
            pool.submit(read_on, port, asks[n:], dates, section(0), CODES, SECONDS)
            for n in range(CLIENTS)
        ]
        told = in_words([client.result() for client in clients])
        return (str(writer.result()), *told)


def main() -> None:
    with tempfile.TemporaryDirectory() as root:
        console.print(f"storing {len(DAYS)} days …")
        rows = fill_lake(root) + add_day(root, DAYS[-1])
        in_own_process(refresh_series, root)
        ways = {}
        for form, name in FORMS.items():
            with served(root) as port:
                ways[name] = ours(port, form)
        with served(root, WORKERS) as port:
            # Each of them opens the series.
            load(port, "json")
            time.sleep(SECONDS_TO_COMPARE)
            for form, name in FORMS.items():
                ways[f"{name}, API_WORKERS={WORKERS}"] = {LOAD: load(port, form)}
        with served_originally(root) as port:
            ways["the original's way, JSON"] = original(port)
        with served(root) as port:
            under_a_writer = readers_under_a_writer(root, port)
    questions = (FIRST, ONE, FIFTY, SECTION, LOAD)
    show(
        f"over HTTP, of {rows:,} rows, {len(COLUMNS)} columns; p50 / p95 in ms to the last byte",
        ("", *questions),
        [(name, *(way.get(one, "") for one in questions)) for name, way in ways.items()],
    )
    show(
        f"{CLIENTS} clients for {SECONDS:.0f} s while a day is written anew and refreshed",
        ("refreshes", "answers", "torn", "p50 / p95 in ms", "slowest"),
        [under_a_writer],
    )


if __name__ == "__main__":
    main()
