"""What a host of many does: `web`, `daemon` or `worker`.

Here belongs which program each is; one ends the other programs of its host when it ends. SIGTERM
ends it: a worker finishes the steps that it has in hand. On one machine `dev` runs all of them.
"""

import os
from pathlib import Path

from marketdata_assets.hosts import FORMS, Hosts, hosts
from marketdata_assets.profile import profile_root
from marketdata_assets.settings import SettingError
from marketdata_assets.supervising import BESIDE, child_environment, run_all
from marketdata_assets.ui.ui_settings import ui_settings

WORKSPACE = str(Path(__file__).with_name("workspace.yaml"))


def web(host: str, port: int) -> int:
    """Dagster's UI behind its guard. Raises `SettingError`."""
    _shared()
    ui = ui_settings(os.environ, host, port)
    listens = ("--host", ui.host, "--port", str(ui.port))
    return _run("The UI", "marketdata_assets.ui", *listens, WORKSPACE)


def daemon() -> int:
    """Dagster's daemon, of which there is one. Raises `SettingError`."""
    _shared()
    return _run("The daemon", "dagster._daemon", "run", "-w", WORKSPACE)


def worker() -> int:
    """Takes steps, until it is told to end. Raises `SettingError`."""
    shared = _shared()
    from marketdata_assets.celery_steps import work

    return work(shared)


def _run(name: str, *arguments: str) -> int:
    """The program, until Ctrl-C or SIGTERM, with all that it has started."""
    return run_all({name: (*BESIDE, *arguments)}, child_environment(), profile_root() / "dagster")


def _shared() -> Hosts:
    if shared := hosts():
        return shared
    how = "roles are of several hosts, set what they share; one machine runs marketdata dev"
    raise SettingError(next(iter(FORMS)), "", how)
