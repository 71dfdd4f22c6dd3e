"""The roles of one machine as processes of their own, as a container or systemd starts them."""

import contextlib
import datetime as dt
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import requests

from marketdata_assets.trading_calendar import SHANGHAI
from marketdata_assets_tests import PROJECT
from marketdata_assets_tests.killed_dev import OURS, until

PATIENCE = 120.0
UI_TOKEN = "password-of-the-ui"


class Role(NamedTuple):
    process: subprocess.Popen[str]
    out: Path

    def said(self) -> str:
        return self.out.read_text("utf-8")


def nothing_to_make() -> dict[str, str]:
    """Settings of a daemon that makes no day, until the evening of today, and no history."""
    today = dt.datetime.now(SHANGHAI).date()
    return {"DEFAULT_START_DATE": str(today), "TRACKED_CODES": ""}


@contextmanager
def role(home: Path, *command: str, **settings: str) -> Iterator[Role]:
    """A command of the console script with nothing to make, until the block ends."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    env = {**clean, "MARKETDATA_HOME": str(home), "TUSHARE_TOKEN": "", "PYTHONPATH": str(PROJECT)}
    out = home / f"{command[0]}.out"
    with out.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "marketdata_assets", *command],
            env={**env, **nothing_to_make(), **settings},
            cwd=home,
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    try:
        yield Role(process, out)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def ask(port: int, path: str) -> requests.Response | None:
    """The answer, or None while nobody listens."""
    with requests.Session() as session, contextlib.suppress(requests.ConnectionError):
        session.trust_env = False
        return session.get(f"http://127.0.0.1:{port}{path}", timeout=60)
    return None


def until_ready(port: int, roles: Sequence[Role]) -> None:
    def is_ready() -> bool:
        for one in roles:
            assert one.process.poll() is None, one.said()
        answer = ask(port, "/ready")
        return answer is not None and answer.status_code == 200

    until(is_ready, f"{port} is ready", PATIENCE)
