"""The command `dev` and the programs it starts, as processes of their own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from marketdata_assets_tests import PROJECT
from marketdata_assets_tests.killed_dev import OURS, free_port, until
from marketdata_assets_tests.roles import nothing_to_make

TOKEN = "secret-token-91c4"
LIVE_FILE = f"""TUSHARE_TOKEN={TOKEN}
HF_TOKEN=hf_{TOKEN}
MARKETDATA_HOME=elsewhere
DAGSTER_HOME=/nowhere
"""
PATIENCE = 120.0
MUTATION = "mutation { setAutoMaterializePaused(paused: false) }"
JSON = {"Content-Type": "application/json"}
LAUNCH = """mutation($config: RunConfigData) { launchPipelineExecution(executionParams: {
  selector: {repositoryLocationName: "marketdata_assets", repositoryName: "__repository__",
             pipelineName: "calendar_check"}, runConfigData: $config})
  { __typename ... on RunConfigValidationInvalid { errors { message } } } }"""


class Dev(NamedTuple):
    process: subprocess.Popen[str]
    port: int
    out: Path

    def ask(self, method: str, path: str, **how: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            return session.request(method, f"http://127.0.0.1:{self.port}{path}", timeout=60, **how)

    def graphql(self, query: str, **variables: object) -> Any:
        answer = self.ask("POST", "/graphql", json={"query": query, "variables": variables})
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder of its own, so that its `.env` is nobody's."""
    return tmp_path_factory.mktemp("project")


def environment(**settings: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    own = {"PYTHONPATH": str(PROJECT), "COLUMNS": "120"}
    return {**clean, **own, **nothing_to_make(), **settings}


def run(project: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "marketdata_assets", *arguments],
        env=environment(**settings),
        cwd=project,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


@contextmanager
def starting(project: Path, out: Path, *arguments: str, **settings: str) -> Iterator[Dev]:
    port = free_port()
    with out.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "marketdata_assets", "dev", "--port", str(port), *arguments],
            env=environment(API_PORT=str(free_port()), **settings),
            cwd=project,
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        yield Dev(process, port, out)
    finally:
        process.terminate()
        process.wait(PATIENCE)


@contextmanager
def running(project: Path, out: Path, *arguments: str, **settings: str) -> Iterator[Dev]:
    """A dev whose UI answers."""
    with starting(project, out, *arguments, **settings) as dev:
        until(lambda: dev.process.poll() is not None or is_up(dev), "the UI answers")
        assert dev.process.poll() is None, dev.out.read_text("utf-8")
        yield dev


def is_up(dev: Dev) -> bool:
    try:
        return dev.ask("GET", "/server_info").status_code in (200, 401)
    except requests.ConnectionError:
        return False


@pytest.fixture(scope="module")
def dev(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """The sandbox, as the shell has it, beside the `.env` of the live market."""
    (project / ".env").write_text(LIVE_FILE, "utf-8")
    home = tmp_path_factory.mktemp("home")
    settings = {"TUSHARE_TOKEN": "", "MARKETDATA_HOME": str(home), "HF_TOKEN": "hf_other"}
    with running(project, home / "out", **settings) as dev:
        yield dev


def descendants(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-Ao", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = (line.split() for line in listed.stdout.splitlines())
    parents = {int(child): int(parent) for child, parent in pairs}
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def settings_of(pid: int) -> dict[str, str]:
    """The environment a process was started with."""
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def any_running(pids: Sequence[int]) -> bool:
    """Whether one still runs; who has ended but was not waited for by its new parent does not."""
    listed = subprocess.run(["ps", "-Ao", "pid=,stat="], capture_output=True, text=True, check=True)
    states = dict(line.split()[:2] for line in listed.stdout.splitlines())
    return any(not states.get(str(pid), "Z").startswith("Z") for pid in pids)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_every_program_has_the_settings_of_the_page_and_no_other(dev: Dev) -> None:
    locations = "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError "
    locations += "{ __typename } } } } }"
    [entry] = dev.graphql(locations)["workspaceOrError"]["locationEntries"]
    assert entry["locationOrLoadError"]["__typename"] == "RepositoryLocation"
    started = descendants(dev.process.pid)
    assert len(started) >= 4
    root = dev.out.parent / "sandbox"
    for pid in started:
        settings = settings_of(pid)
        assert settings["TUSHARE_TOKEN"] == ""
        assert settings["HF_TOKEN"] == "hf_other"
        assert settings["MARKETDATA_HOME"] == str(root.parent)
        assert settings["DAGSTER_HOME"] == str(root / "dagster")
        assert not (Path(f"/proc/{pid}/cwd").resolve() / ".env").exists()


def test_dev_tells_what_both_name_and_no_secret(dev: Dev, project: Path) -> None:
    said = dev.out.read_text("utf-8")
    for name in ("TUSHARE_TOKEN", "HF_TOKEN", "MARKETDATA_HOME"):
        assert f"{name} is set in the shell and in {project / '.env'}: the shell's counts." in said
    root = dev.out.parent / "sandbox"
    assert f"DAGSTER_HOME is not taken: the run history of this profile is in {root}" in said
    assert "Dagster on the sandbox" in said
    assert "Loaded environment variables from .env" not in said
    assert TOKEN not in said


def test_two_on_one_folder_and_taken_ports_end_with_a_sentence(
    dev: Dev, project: Path, tmp_path: Path
) -> None:
    home = str(dev.out.parent)
    own = {"TUSHARE_TOKEN": "", "API_PORT": str(free_port())}
    for settings, port, said in (
        (
            {**own, "MARKETDATA_HOME": home},
            free_port(),
            f"MARKETDATA_HOME is '{home}': another dev",
        ),
        ({**own, "MARKETDATA_HOME": str(tmp_path)}, dev.port, f"--port is '{dev.port}': another"),
        ({**own, "MARKETDATA_HOME": str(tmp_path)}, int(own["API_PORT"]), "API_PORT is"),
    ):
        second = run(project, "dev", "--port", str(port), **settings)
        assert second.returncode == 2
        assert second.stderr.startswith(said)
        assert second.stderr.count("\n") == 1


def test_the_ui_answers_itself(dev: Dev) -> None:
    own = {"Origin": f"http://127.0.0.1:{dev.port}", "Sec-Fetch-Site": "same-origin"}
    answer = dev.ask("POST", "/graphql", json={"query": "{ version }"}, headers=own)
    assert answer.json()["data"]["version"]
    page = dev.ask("GET", "/", headers={"Accept": "text/html"})
    assert page.headers["X-Frame-Options"] == "DENY"
    assert "<html" in page.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({**JSON, "Host": "evil.example"}, 403),
        ({**JSON, "Host": "evil.example:3000"}, 403),
        ({**JSON, "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, 403),
        ({**JSON, "Origin": "null"}, 403),
        ({"Content-Type": "text/plain; application/json"}, 415),
        ({"Content-Type": "application/graphql"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_what_only_a_foreign_page_asks_is_refused(
    dev: Dev, headers: dict[str, str], status: int
) -> None:
    body, query = json.dumps({"query": MUTATION}), {"query": MUTATION}
    for path, params in (("/graphql", query), ("/graphql", {}), ("/report_asset_check/x", {})):
        answer = dev.ask("POST", path, data=body, params=params, headers=headers)
        assert answer.status_code == status
        assert "setAutoMaterializePaused" not in answer.text


def test_graphql_by_get_is_refused(dev: Dev) -> None:
    for path in ("/graphql", "/graphql/"):
        answer = dev.ask("GET", path, params={"query": MUTATION}, allow_redirects=False)
        assert answer.status_code == 405


def test_subscriptions_are_for_the_uis_own_page(dev: Dev) -> None:
    url = f"ws://127.0.0.1:{dev.port}/graphql"
    own_page, foreign = Origin(f"http://127.0.0.1:{dev.port}"), Origin("https://evil.example")
    protocols: Sequence[Any] = ["graphql-ws"]
    with connect(url, origin=own_page, subprotocols=protocols, proxy=None) as own:
        own.send(json.dumps({"type": "connection_init"}))
        assert json.loads(own.recv(PATIENCE)) == {"type": "connection_ack"}
    with (
        pytest.raises(InvalidStatus, match="403"),
        connect(url, origin=foreign, subprotocols=protocols, proxy=None),
    ):
        pass


def test_no_run_is_launched_that_names_where_the_token_is_sent(dev: Dev) -> None:
    config = {"resources": {"tushare": {"config": {"url": "http://127.0.0.1:9", "token": "x"}}}}
    launched = dev.graphql(LAUNCH, config=config)["launchPipelineExecution"]
    assert launched["__typename"] == "RunConfigValidationInvalid"
    assert "unexpected config entr" in launched["errors"][0]["message"]


def test_a_door_for_others_needs_a_token(project: Path, tmp_path: Path) -> None:
    home = {"MARKETDATA_HOME": str(tmp_path), "TUSHARE_TOKEN": ""}
    for settings, said in (
        ({}, "--host is '0.0.0.0': set UI_TOKEN too"),
        ({"UI_TOKEN": "short"}, "UI_TOKEN is '***': write 16 or more"),
    ):
        refused = run(project, "dev", "--host", "0.0.0.0", **home, **settings)
        assert refused.returncode == 2
        assert said in refused.stderr
        assert "short" not in refused.stderr


def named(dev: Dev, what: str) -> list[int]:
    """The programs whose command line has `what` in it."""
    lines = {pid: Path(f"/proc/{pid}/cmdline") for pid in descendants(dev.process.pid)}
    told = {pid: line.read_bytes().decode() for pid, line in lines.items() if line.exists()}
    return [pid for pid, line in told.items() if what in line]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_a_reload_in_the_ui_loads_the_code_again(dev: Dev) -> None:
    before = named(dev, "grpc")
    reload = 'mutation { reloadRepositoryLocation(repositoryLocationName: "marketdata_assets") '
    answer = dev.graphql(reload + "{ ... on WorkspaceLocationEntry { loadStatus } } }")
    assert answer == {"reloadRepositoryLocation": {"loadStatus": "LOADED"}}
    until(lambda: len(named(dev, "grpc")) == 1, "one code server is left")
    assert named(dev, "grpc") != before


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_a_program_or_code_server_that_is_killed_is_started_again_with_a_line(dev: Dev) -> None:
    def is_there_again() -> bool:
        asked = "{ repositoriesOrError { __typename } }"
        return (
            is_up(dev)
            and dev.graphql(asked)["repositoriesOrError"]["__typename"] == "RepositoryConnection"
        )

    for what, said in (
        ("grpc", "The code server has ended and is started again."),
        ("code_server", "The code server has ended with signal SIGKILL, and is started again in"),
        ("assets.ui", "The UI has ended with signal SIGKILL, and is started again in 1 s."),
    ):
        [killed] = named(dev, what)
        os.kill(killed, signal.SIGKILL)
        until(lambda said=said: said in dev.out.read_text("utf-8"), said)
        until(is_there_again, f"the {what} is there again")
        until(lambda what=what, killed=killed: named(dev, what) not in ([], [killed]), what)


def test_an_unreadable_file_of_settings_ends_every_command_before_it_makes_a_folder(
    dev: Dev, project: Path
) -> None:
    (project / ".env").write_bytes("# 数据\nTUSHARE_TOKEN=x\n".encode("gbk"))
    for command in ("demo", "dev", "serve"):
        refused = run(project, command)
        assert refused.returncode == 2
        assert refused.stderr == (
            f"{project / '.env'}, line 1: it is not UTF-8 but perhaps GBK, save it as UTF-8.\n"
        )
        assert refused.stdout == ""
    assert not (project / "data").exists()


@pytest.mark.slow
def test_a_door_for_others_opens_with_the_token_and_a_killed_dev_is_over_when_the_next_begins(
    project: Path, tmp_path: Path
) -> None:
    (project / ".env").write_text(f"UI_TOKEN={TOKEN}\n", "utf-8")
    settings = {"MARKETDATA_HOME": str(tmp_path)}
    with running(project, tmp_path / "out", "--host", "0.0.0.0", **settings) as dev:
        name = {**JSON, "Host": "ui.example"}
        question = json.dumps({"query": "{ version }"})
        assert dev.ask("POST", "/graphql", data=question, headers=name).status_code == 401
        known = {**name, "Authorization": f"Bearer {TOKEN}", "Origin": "https://ui.example"}
        assert dev.ask("POST", "/graphql", data=question, headers=known).json()["data"]["version"]
        programs = descendants(dev.process.pid)
        assert len(programs) >= 3
        dev.process.send_signal(signal.SIGKILL)
        with starting(project, tmp_path / "again", **settings) as following:
            until(lambda: "Dagster on" in following.out.read_text("utf-8"), "the next one begins")
            assert not any_running(programs)
        assert TOKEN not in dev.out.read_text("utf-8")
