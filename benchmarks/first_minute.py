"""The first minute of a newcomer: clone, set-up, demo, and the first prices from the API.

What is cloned is the last commit of this checkout; packages come from pip's index, or its cache.
Seconds of CPU are those of all processes, whatever else the machine does.
"""

import contextlib
import os
import resource
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
    took: list[tuple[str, float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        steps = (
            ("git clone", ["git", "clone", "--quiet", str(PROJECT), str(clone)], PROJECT),
            ("make setup", ["make", "--silent", "setup"], clone),
            ("make demo", ["make", "--silent", "demo"], clone),
        )
        for name, command, where in steps:
            began, cpu = time.perf_counter(), _cpu_of_ended()
            subprocess.run(command, cwd=where, env=clean, check=True, stdout=subprocess.DEVNULL)
            took.append((name, time.perf_counter() - began, _cpu_of_ended() - cpu))
        began, cpu = time.perf_counter(), _cpu_of_ended()
        answered = _first_prices(clone, clean)
        took.append(("make serve, to the first prices", answered - began, _cpu_of_ended() - cpu))
    took.append(("all of it", sum(one[1] for one in took), sum(one[2] for one in took)))
    show(
        "the first minute",
        ("", "seconds", "s CPU"),
        [(name, f"{seconds:.1f}", f"{cpu:.1f}") for name, seconds, cpu in took],
    )


def _cpu_of_ended() -> float:
    """Seconds of CPU of the processes that have ended, with those that they started."""
    of = resource.getrusage(resource.RUSAGE_CHILDREN)
    return of.ru_utime + of.ru_stime


def _first_prices(clone: Path, env: dict[str, str]) -> float:
    """When they were there."""
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
                return time.perf_counter()
            time.sleep(0.05)
        raise SystemExit("the API did not answer")
    finally:
        serve.terminate()
        serve.wait()


if __name__ == "__main__":
    main()
