"""One token's calls, counted for all hosts together."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("obstore", reason="the extra `distributed` is not installed")

from marketdata_assets.hosts import Hosts
from marketdata_assets_tests.distributed.caller import CALLS

SECONDS = 8


def test_no_window_has_more_calls_than_allowed_whoever_makes_them(shared: Hosts, tmp_path) -> None:
    """Four hosts of three threads begin together: the first window is full, and not exceeded."""
    settings = {
        "MARKETDATA_DATABASE": shared.database,
        "MARKETDATA_LAKE": shared.lake,
        "MARKETDATA_BROKER": shared.broker,
    }
    command = (sys.executable, "-m", "marketdata_assets_tests.distributed.caller")
    callers = [
        subprocess.Popen(
            [*command, tmp_path / str(host) / "allowance-test.sqlite", str(SECONDS)],
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for host in range(4)
    ]
    had = [int(caller.communicate()[0]) for caller in callers]
    assert sum(had) == CALLS
