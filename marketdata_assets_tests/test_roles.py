"""`web`, `daemon` and `serve`, each by itself over one folder."""

import os
import subprocess
from pathlib import Path

import pytest

from marketdata_assets.serving.status import programs_running
from marketdata_assets_tests.killed_dev import free_port, until
from marketdata_assets_tests.roles import PATIENCE, UI_TOKEN, ask, role, until_ready


def of_the_session(pid: int) -> set[int]:
    """Who is there of what a command has started, which has its settings."""
    home = next(line for line in environ(pid) if line.startswith(b"MARKETDATA_HOME="))
    return {int(one.name) for one in Path("/proc").glob("[0-9]*") if home in environ(int(one.name))}


def environ(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


@pytest.mark.slow
def test_each_role_says_whether_it_can_work_and_ends_with_all_it_started(tmp_path: Path) -> None:
    ui, api = free_port(), free_port()
    with (
        role(tmp_path, "daemon") as daemon,
        role(tmp_path, "web", "--port", str(ui), UI_TOKEN=UI_TOKEN) as web,
        role(tmp_path, "serve", API_PORT=str(api), API_TOKEN="a-token-of-the-api") as serve,
    ):
        roles = (daemon, web, serve)
        for port in (api, ui):
            until_ready(port, roles)
            assert ask(port, "/health").json()["status"] == "healthy"
        assert ask(api, "/ready").json() == {"status": "ready", "tables": {}}
        # The probes are open to anybody, what they stand before is not.
        assert ask(ui, "/server_info").status_code == 401
        until(lambda: programs_running(tmp_path / "sandbox"), "the daemon runs", PATIENCE)
        with role(tmp_path, "dev", "--port", str(free_port())) as second:
            assert second.process.wait(PATIENCE) == 2
        assert "another dev or daemon runs on this folder" in second.said()
        started = of_the_session(daemon.process.pid)
        assert {one.process.pid for one in roles} < started
        # The lake's disk is gone for a moment.
        (tmp_path / "sandbox" / "lake").write_text("no folder")
        for port in (api, ui):
            refused = ask(port, "/ready")
            assert refused.status_code == 503
            assert "can't be read" in refused.json()["error"]
            assert str(tmp_path) not in refused.text
        for one in roles:
            one.process.terminate()
        ends = [one.process.wait(PATIENCE) for one in roles]
    assert ends[:2] == [0, 0], daemon.said() + web.said()
    until(lambda: not any(map(is_there, started)), "all have ended", PATIENCE)
    assert "Traceback" not in daemon.said() + web.said() + serve.said()


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return not state.stdout.startswith("Z") and bool(state.stdout)
