"""The command `dev`: Dagster's UI and daemon and the HTTP API, until the user ends them.

Here belongs which programs run, and that all of them have the same settings: the environment of
this process, and nothing else. Dagster's programs read the `.env` of their working folder over it,
so they work in a folder that has none.
"""

import fcntl
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from marketdata_assets.api.api_settings import api_settings
from marketdata_assets.listening import address, listen
from marketdata_assets.profile import Profile, profile, profile_root
from marketdata_assets.settings import SettingError, log_level
from marketdata_assets.storage.durable_files import remove_abandoned
from marketdata_assets.supervising import BESIDE, child_environment, run_all
from marketdata_assets.ui.ui_settings import ui_settings

WORKSPACE = str(Path(__file__).with_name("workspace.yaml"))
# What a killed dev has started ends sooner.
SECONDS_FOR_THE_LAST = 30


def run_dev(host: str, port: int, notices: Sequence[str]) -> int:
    """Run the programs. Raises `SettingError` before one of them starts."""
    root = profile_root()
    level = log_level(os.environ, "warning")
    ui, api = ui_settings(os.environ, host, port), api_settings(os.environ)
    with _alone(root), _nothing_left(root) as held:
        listen(ui.host, ui.port, "--host", "--port").close()
        listen(api.host, api.port, "API_HOST", "API_PORT").close()
        is_live = profile() is Profile.LIVE
        kind = "the live market" if is_live else "the sandbox (no TUSHARE_TOKEN is set)"
        for line in notices:
            print(line)
        print(f"Dagster on {kind}: {address(ui.host, ui.port)}    data: {root}", flush=True)
        mend(root)
        make_run_history()
        listens = ("--host", ui.host, "--port", str(ui.port))
        return run_all(
            {
                "The UI": (*BESIDE, "marketdata_assets.ui", *listens, WORKSPACE),
                "The daemon": (
                    *BESIDE,
                    "dagster._daemon",
                    "run",
                    *("--log-level", level),
                    "-w",
                    WORKSPACE,
                ),
                "The API": (*BESIDE, "marketdata_assets.serve"),
            },
            {**child_environment(), "LOG_LEVEL": level},
            root / "dagster",
            (held,),
        )


def mend(root: Path) -> None:
    """Set right what killed programs, a full disk or a move of the folder have left."""
    from marketdata_assets.storage.catalog import publish_catalog

    remove_abandoned(root)
    try:
        publish_catalog(root)
    except OSError as error:
        print(error, file=sys.stderr)


def make_run_history() -> None:
    """Create Dagster's databases: two processes that begin together would both try to."""
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        stored = (instance.run_storage, instance.event_log_storage, instance.schedule_storage)
        assert all(stored)


def _alone(root: Path) -> FileLock:
    """Two daemons on one run history would start everything twice."""
    lock = FileLock(root / "dagster" / "dev.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        how = "another dev runs on this folder, end it or name another folder"
        raise SettingError("MARKETDATA_HOME", str(root.parent), how) from None
    return lock


@contextmanager
def _nothing_left(root: Path) -> Iterator[int]:
    """A lock that the programs hold too, once those of a `dev` that was killed have ended.

    Raises `SettingError` when they don't.
    """
    end, is_told = time.monotonic() + SECONDS_FOR_THE_LAST, False
    held = os.open(root / "dagster" / "programs.lock", os.O_RDWR | os.O_CREAT, 0o640)
    try:
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    how = "programs of a dev that was killed still run on this folder, end them"
                    raise SettingError("MARKETDATA_HOME", str(root.parent), how) from None
            if not is_told:
                print("The programs of the last dev are still ending.", flush=True)
                is_told = True
            time.sleep(0.2)
        yield held
    finally:
        os.close(held)
