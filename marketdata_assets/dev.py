"""The command `dev`: Dagster's UI and daemon and the HTTP API, until the user ends them; and `web`
and `daemon`, each of the first two by itself, for systemd and containers.

Here belongs which programs run, and that all of them have the same settings: the environment of
this process, and nothing else. Dagster's programs read the `.env` of their working folder over it,
so they work in a folder that has none.
"""

import fcntl
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from marketdata_assets.api.api_settings import api_settings
from marketdata_assets.listening import address, listen
from marketdata_assets.profile import Profile, profile, profile_root
from marketdata_assets.settings import SettingError, log_level
from marketdata_assets.storage.durable_files import remove_abandoned
from marketdata_assets.supervising import BESIDE, child_environment, run_all
from marketdata_assets.ui.ui_settings import UiSettings, ui_settings

WORKSPACE = str(Path(__file__).with_name("workspace.yaml"))
# What a killed dev has started ends sooner.
SECONDS_FOR_THE_LAST = 30


def run_dev(host: str, port: int, notices: Sequence[str]) -> int:
    """Run the programs. Raises `SettingError` before one of them starts."""
    root, level = profile_root(), log_level(os.environ, "warning")
    ui, api = ui_settings(os.environ, host, port), api_settings(os.environ)
    with _alone(root), _nothing_left(root) as held:
        listen(ui.host, ui.port, "--host", "--port").close()
        listen(api.host, api.port, "API_HOST", "API_PORT").close()
        _tell(f"Dagster on {_market()}: {address(ui.host, ui.port)}    data: {root}", notices)
        mend(root)
        programs = {
            "The UI": _ui(ui),
            "The daemon": _daemon(level),
            "The API": (*BESIDE, "marketdata_assets.serve"),
        }
        return _run(programs, root, level, (held,))


def run_web(host: str, port: int, notices: Sequence[str]) -> int:
    """Run the UI alone: what is launched there waits for the daemon.

    It ends runs by their processes, so it has to see the daemon's. Raises `SettingError`.
    """
    root, level = profile_root(), log_level(os.environ, "warning")
    ui = ui_settings(os.environ, host, port)
    listen(ui.host, ui.port, "--host", "--port").close()
    _tell(f"Dagster's UI on {_market()}: {address(ui.host, ui.port)}    data: {root}", notices)
    return _run({"The UI": _ui(ui)}, root, level, ())


def run_daemon(notices: Sequence[str]) -> int:
    """Run what starts runs, alone. Raises `SettingError` where another does it for this folder."""
    root, level = profile_root(), log_level(os.environ, "warning")
    with _alone(root), _nothing_left(root) as held:
        _tell(f"Dagster's daemon on {_market()}    data: {root}", notices)
        mend(root)
        return _run({"The daemon": _daemon(level)}, root, level, (held,))


def _run(programs: Mapping[str, Sequence[str]], root: Path, level: str, held: Sequence[int]) -> int:
    make_run_history(root)
    return run_all(programs, {**child_environment(), "LOG_LEVEL": level}, root / "dagster", held)


def _ui(ui: UiSettings) -> tuple[str, ...]:
    listens = ("--host", ui.host, "--port", str(ui.port))
    return (*BESIDE, "marketdata_assets.ui", *listens, WORKSPACE)


def _daemon(level: str) -> tuple[str, ...]:
    return (*BESIDE, "dagster._daemon", "run", "--log-level", level, "-w", WORKSPACE)


def _market() -> str:
    is_live = profile() is Profile.LIVE
    return "the live market" if is_live else "the sandbox (no TUSHARE_TOKEN is set)"


def _tell(line: str, notices: Sequence[str]) -> None:
    print(*notices, line, sep="\n", flush=True)


def mend(root: Path) -> None:
    """Set right what killed programs, a full disk or a move of the folder have left."""
    from marketdata_assets.storage.catalog import publish_catalog

    remove_abandoned(root)
    try:
        publish_catalog(root)
    except OSError as error:
        print(error, file=sys.stderr)


def make_run_history(root: Path) -> None:
    """Create Dagster's databases: two processes that begin together would both try to."""
    import dagster as dg

    with FileLock(root / "dagster" / "history.lock"), dg.DagsterInstance.get() as instance:
        stored = (instance.run_storage, instance.event_log_storage, instance.schedule_storage)
        assert all(stored)


def _alone(root: Path) -> FileLock:
    """Two daemons on one run history would start everything twice."""
    lock = FileLock(root / "dagster" / "dev.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        how = "another dev or daemon runs on this folder, end it or name another folder"
        raise SettingError("MARKETDATA_HOME", str(root.parent), how) from None
    return lock


@contextmanager
def _nothing_left(root: Path) -> Iterator[int]:
    """A lock that the programs hold too, once those of the one before that was killed have ended.

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
                    how = "programs of a killed dev or daemon still run on this folder, end them"
                    raise SettingError("MARKETDATA_HOME", str(root.parent), how) from None
            if not is_told:
                print("The programs of the last dev are still ending.", flush=True)
                is_told = True
            time.sleep(0.2)
        yield held
    finally:
        os.close(held)
