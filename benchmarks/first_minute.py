"""The first minute of a newcomer: clone, set-up, demo, and the first prices from the API.

What is cloned is the last commit of this checkout; packages come from pip's index, or its cache.
"""

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import requests

from benchmarks.measuring import show

PROJECT = Path(__file__).parents[1]
CODE = "600000.SH"
SECONDS_TO_START = 60


def main() -> None:
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in ("TUSHARE_TOKEN", "MARKETDATA_HOME", "PYTHONPATH", "VIRTUAL_ENV")
    }
    took: list[tuple[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        steps = (
            ("git clone", ["git", "clone", "--quiet", str(PROJECT), str(clone)], PROJECT),
            ("make setup", ["make", "--silent", "setup"], clone),
            ("make demo", ["make", "--silent", "demo"], clone),
        )
        for name, command, where in steps:
            began = time.perf_counter()
            subprocess.run(command, cwd=where, env=clean, check=True, stdout=subprocess.DEVNULL)
            took.append((name, time.perf_counter() - began))
        began = time.perf_counter()
        _first_prices(clone, clean)
        took.append(("make serve, to the first prices", time.perf_counter() - began))
    took.append(("all of it", sum(seconds for _, seconds in took)))
    show("the first minute", ("", "seconds"), [(name, f"{took:.1f}") for name, took in took])


def _first_prices(clone: Path, env: dict[str, str]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serve = subprocess.Popen(
        [clone / ".venv" / "bin" / "marketdata", "serve"],
        cwd=clone,
        env={**env, "API_PORT": str(port)},
        stdout=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < end:
            with contextlib.suppress(requests.ConnectionError):
                url = f"http://127.0.0.1:{port}/api/v1/ohlcv?code={CODE}&adjust=qfq"
                answer = requests.get(url, timeout=10)
                assert answer.json()["data"], answer.text
                return
            time.sleep(0.05)
        raise SystemExit("the API did not answer")
    finally:
        serve.terminate()
        serve.wait()


if __name__ == "__main__":
    main()
