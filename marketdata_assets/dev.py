"""The command `dev`: Dagster's UI and daemon and the HTTP API, until the user ends them; and `web`
and `daemon`, each of the first two by itself, for systemd and containers.

Here belongs which programs run, and that all of them have the same settings: the environment of
this process, and nothing else. Dagster's programs read the `.env` of their working folder over it,
so they work in a folder that has none.
"""

import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from marketdata_assets.api.api_settings import api_settings
from marketdata_assets.command_texts import text
from marketdata_assets.errors import MarketdataError
from marketdata_assets.hosts import hosts
from marketdata_assets.listening import address, listen
from marketdata_assets.profile import Profile, profile, profile_root
from marketdata_assets.settings import SettingError, log_level
from marketdata_assets.storage.durable_files import remove_abandoned
from marketdata_assets.supervising import BESIDE, child_environment, run_all
from marketdata_assets.ui.guard import UiSettings, ui_settings

if TYPE_CHECKING:
    from marketdata_assets.storage.long_turn import LongTurn

# What a killed dev has started ends sooner.
SECONDS_FOR_THE_LAST = 30
# Each thread that waits for the vendor would keep what it has freed in a heap of its own.
HEAPS = {"MALLOC_ARENA_MAX": "2"}
# A backfill waits while the code server is started again: else Dagster gives it up, and its runs.
BACKFILLS = {"DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR": "1"}
SECONDS_BETWEEN_TRIES = 2
WAITS = "Another host's daemon runs: this one waits, and takes over when that one ends."


def run_dev(host: str, port: int, notices: Sequence[str]) -> int:
    """Run the programs. Raises `SettingError` before one of them starts."""
    root, level = profile_root(), log_level(os.environ, "warning")
    ui, api = ui_settings(os.environ, host, port), api_settings(os.environ)
    with _alone(root), _nothing_left(root, "dev") as held:
        # Both at once: one port for the two of them is found here, too.
        with listen(ui.host, ui.port, "--host", "--port"):
            listen(api.host, api.port, "API_HOST", "API_PORT").close()
        where = {"market": _market(), "address": address(ui.host, ui.port)}
        _tell(text("Dagster on {market}: {address}", **where), root, notices)
        mend(root)
        make_run_history(root)
        with TemporaryDirectory() as folder:
            programs = {
                **_code_server(folder),
                text("The UI"): _ui(ui, folder),
                text("The daemon"): _daemon(level, folder),
                text("The API"): (*BESIDE, "marketdata_assets.serve"),
            }
            return _run(programs, root, level, (held,))


def run_web(host: str, port: int, notices: Sequence[str]) -> int:
    """Run the UI alone: what is launched there waits for the daemon.

    It ends runs by their processes, so it has to see the daemon's. Raises `SettingError`.
    """
    root, level = profile_root(), log_level(os.environ, "warning")
    ui = ui_settings(os.environ, host, port)
    listen(ui.host, ui.port, "--host", "--port").close()
    where = {"market": _market(), "address": address(ui.host, ui.port)}
    _tell(text("Dagster's UI on {market}: {address}", **where), root, notices)
    make_run_history(root)
    with TemporaryDirectory() as folder:
        return _run({**_code_server(folder), text("The UI"): _ui(ui, folder)}, root, level, ())


def run_daemon(notices: Sequence[str]) -> int:
    """Run what starts runs, alone. Raises `SettingError` where another does it for this folder.

    Of several hosts one does it, and the others wait until it ends, however it does.
    """
    root, level = profile_root(), log_level(os.environ, "warning")
    with (
        _alone(root),
        _nothing_left(root, "daemon") as held,
        TemporaryDirectory() as folder,
    ):
        _tell(text("Dagster's daemon on {market}", market=_market()), root, notices)
        mend(root)
        make_run_history(root)
        programs = {**_code_server(folder), text("The daemon"): _daemon(level, folder)}
        if (shared := hosts()) is None:
            return _run(programs, root, level, (held,))
        from marketdata_assets.storage.long_turn import LongTurn

        turn = LongTurn(shared.database, "Dagster's daemon")
        while True:
            _wait_for(turn)
            # What this process has started holds the turn too, should this one be killed.
            socket = turn.socket()
            try:
                code = _run(programs, root, level, (held, socket), turn.is_ours)
            finally:
                os.close(socket)
            if turn.is_ours():
                return code
            print(text("Another host's daemon has taken over: what ran here is ended."), flush=True)


def _wait_for(turn: "LongTurn") -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    told = ""
    while True:
        try:
            if turn.take():
                break
            why = text(WAITS)
        except MarketdataError as error:
            why = str(error)
        if why != told:
            print(why, flush=True)
            told = why
        time.sleep(SECONDS_BETWEEN_TRIES)
    if told:
        print(text("No other daemon runs: this one takes over."), flush=True)


def _run(
    programs: Mapping[str, Sequence[str]],
    root: Path,
    level: str,
    held: Sequence[int],
    is_wanted: Callable[[], bool] = lambda: True,
) -> int:
    env = {**HEAPS, **BACKFILLS, **child_environment(), "LOG_LEVEL": level}
    return run_all(programs, env, root / "dagster", held, is_wanted)


def _code_server(folder: str) -> dict[str, tuple[str, ...]]:
    return {text("The code server"): (*BESIDE, "marketdata_assets.code_server", _socket(folder))}


def _ui(ui: UiSettings, folder: str) -> tuple[str, ...]:
    listens = ("--host", ui.host, "--port", str(ui.port))
    return (*BESIDE, "marketdata_assets.ui", *listens, _socket(folder))


def _daemon(level: str, folder: str) -> tuple[str, ...]:
    return (*BESIDE, "marketdata_assets.daemon", _socket(folder), level)


def _socket(folder: str) -> str:
    """In a folder of this user alone: a path in that of the data may be too long for a socket."""
    return f"{folder}/code"


def _market() -> str:
    is_live = profile() is Profile.LIVE
    return text("the live market" if is_live else "the sandbox (no TUSHARE_TOKEN is set)")


def _tell(what: str, root: Path, notices: Sequence[str]) -> None:
    print(*notices, f"{what}    {text('data: {folder}', folder=root)}", sep="\n", flush=True)


def mend(root: Path) -> None:
    """Set right what killed programs, a full disk or a move of the folder have left."""
    from marketdata_assets.storage.catalog import publish_catalog

    remove_abandoned(root)
    if hosts():
        # Whoever serves writes that of this host.
        return
    try:
        publish_catalog(root)
    except OSError as error:
        print(error, file=sys.stderr)


def make_run_history(root: Path) -> None:
    """Create Dagster's databases: two processes that begin together would both try to.

    Raises `DatabaseRefuses` where several hosts share them.
    """
    import dagster as dg

    with _making(root), dg.DagsterInstance.get() as instance:
        stored = (instance.run_storage, instance.event_log_storage, instance.schedule_storage)
        assert all(stored)


def _making(root: Path) -> AbstractContextManager[object]:
    if (shared := hosts()) is None:
        return FileLock(root / "dagster" / "history.lock")
    from marketdata_assets.storage.database_turns import making_tables

    return making_tables(shared.database)


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
def _nothing_left(root: Path, name: str) -> Iterator[int]:
    """A lock that the programs hold too, once those of the one before that was killed have ended.
    Whoever asks whether they run reads its `name` there.

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
                print(text("The programs of the last dev are still ending."), flush=True)
                is_told = True
            time.sleep(0.2)
        os.ftruncate(held, 0)
        os.write(held, name.encode())
        yield held
    finally:
        os.close(held)
