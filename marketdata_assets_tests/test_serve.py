"""The command `serve`, as a process of its own."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from marketdata_assets.serving.requests import Requests
from marketdata_assets_tests import PROJECT
from marketdata_assets_tests.killed_dev import free_port

TOKEN = "secret-token-of-the-api"
COMMAND = [sys.executable, "-m", "marketdata_assets", "serve"]


def environment(home: Path, **settings: str) -> dict[str, str]:
    clean = {n: v for n, v in os.environ.items() if not n.startswith(("TUSHARE", "API_"))}
    return {**clean, "MARKETDATA_HOME": str(home), "PYTHONUNBUFFERED": "1", **settings}


@contextmanager
def serving(home: Path, **settings: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        COMMAND,
        env=environment(home, **settings),
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ask(port: int, path: str, **headers: str) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(f"http://127.0.0.1:{port}{path}", headers=headers, timeout=30)


def test_it_says_where_it_listens_answers_and_ends_when_told(tmp_path: Path) -> None:
    port = free_port()
    with serving(tmp_path, API_PORT=str(port)) as process:
        assert process.stdout
        line = process.stdout.readline()
        assert f"http://127.0.0.1:{port}" in line
        assert "sandbox: simulated, not a real market" in line
        assert ask(port, "/health").json()["status"] == "healthy"
        assert "simulated" in ask(port, "/").json()["origin"]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert (out, err.strip()) == ("", "")
    assert {path.name for path in tmp_path.iterdir()} == {"sandbox"}


def test_with_a_token_it_listens_everywhere_and_shows_the_token_nowhere(tmp_path: Path) -> None:
    port = free_port()
    settings = {"API_HOST": "0.0.0.0", "API_PORT": str(port), "API_TOKEN": TOKEN}
    with serving(tmp_path, **settings) as process:
        assert process.stdout
        line = process.stdout.readline()
        assert ask(port, "/").status_code == 401
        assert ask(port, "/", Authorization=f"Bearer {TOKEN}").status_code == 200
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert TOKEN not in line + out + err


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"API_HOST": "0.0.0.0"}, "API_HOST is '0.0.0.0': set API_TOKEN too"),
        ({"API_PORT": "many"}, "API_PORT is 'many': write a port"),
        ({"API_TOKEN": "short"}, "API_TOKEN is '***'"),
        ({"API_HOST": "192.0.2.1", "API_TOKEN": TOKEN}, "this machine has no such address"),
    ],
)
def test_a_setting_that_can_not_be_used_ends_it_before_it_listens(
    tmp_path: Path, settings: dict[str, str], complaint: str
) -> None:
    done = subprocess.run(
        COMMAND,
        env=environment(tmp_path, **settings),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert settings.get("API_TOKEN", TOKEN) not in done.stderr


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            COMMAND,
            env=environment(tmp_path, API_PORT=port),
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 2
    assert f"API_PORT is '{port}': another program has this port" in done.stderr


UNPRIVILEGED_FROM = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


@pytest.mark.skipif(
    not UNPRIVILEGED_FROM.exists() or int(UNPRIVILEGED_FROM.read_text("ascii")) <= 1,
    reason="anybody may listen at port 1 here",
)
def test_a_port_that_the_user_may_not_have_is_none_of_another_program() -> None:
    code = (
        "import os; from marketdata_assets.listening import listen; "
        "os.getuid() or os.seteuid(65534); listen('127.0.0.1', 1, 'API_HOST', 'API_PORT')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "API_PORT is '1': your user may not listen at this port" in run.stderr


def test_a_damaged_queue_is_noticed_at_the_start(tmp_path: Path) -> None:
    Requests(tmp_path / "sandbox").request_history("HSI")
    database = tmp_path / "sandbox" / "state" / "requests.sqlite3"
    database.write_bytes(database.read_bytes()[:5_000])
    with serving(tmp_path, API_PORT=str(free_port())) as process:
        assert process.stdout
        assert "The API: " in process.stdout.readline()
        assert database.with_name("requests.damaged.sqlite3").exists()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert "requests.sqlite3 was damaged" in err
    assert "Traceback" not in err


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_workers_share_a_port_and_a_count_and_one_that_ends_is_missed_by_nobody(
    tmp_path: Path,
) -> None:
    port = free_port()
    with serving(tmp_path, API_PORT=str(port), API_WORKERS="2") as process:
        assert process.stdout
        assert f"http://127.0.0.1:{port}" in process.stdout.readline()
        for worker in (0, 1):
            for _ in range(10):
                assert ask(port, "/health").status_code == 200
            counted = {
                line.split()[-1]
                for line in ask(port, "/metrics").text.splitlines()
                if line.startswith('marketdata_api_requests_total{endpoint="/health"')
            }
            assert counted == {f"{10 * (worker + 1)}.0"}
            workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("ascii")
            if worker == 0:
                assert len(workers.split()) == 2
                os.kill(int(workers.split()[0]), signal.SIGKILL)
                assert process.stderr
                told = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "API worker 1 has ended with signal SIGKILL, and is started again" in told
    assert "Traceback" not in err


def test_the_command_needs_no_dagster() -> None:
    code = (
        "import sys, marketdata_assets.__main__, marketdata_assets.serve; print(list(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'marketdata_assets.serve'" in run.stdout
    assert "'dagster'" not in run.stdout
