"""The files of `deploy/` and the workflows: what they name is there, and means what they say."""

import itertools
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from marketdata_assets.__main__ import command_parser
from marketdata_assets.api.api_settings import page_address
from marketdata_assets.code_server import SECONDS_TO_LOAD
from marketdata_assets.hosts import FORMS
from marketdata_assets_tests import PROJECT

DEPLOY = PROJECT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
INSTALLED = "/opt/marketdata/bin/marketdata"
OF_THE_STORE = {"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"}
OF_THE_PROCESS = {"PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
OF_ITS_FOLDERS = {"XDG_STATE_HOME", "XDG_CACHE_HOME"}
KUBERNETES = DEPLOY / "kubernetes"
KNOWN_BY_COMPOSE = {"MARKETDATA_IMAGE", "UI_NAME", "API_NAME"}


def dockerfile() -> str:
    return (DEPLOY / "Dockerfile").read_text("utf-8")


def compose(name: str = "compose.yaml") -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / name).read_text("utf-8"))


def objects_of_kubernetes() -> list[dict[str, Any]]:
    """What the kustomization names, in its order."""
    named = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text("utf-8"))["resources"]
    texts = [(KUBERNETES / name).read_text("utf-8") for name in named]
    return [one for text in texts for one in yaml.safe_load_all(text)]


def unit(path: Path) -> dict[str, str]:
    lines = path.read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def settings() -> set[str]:
    """The settings that there are, as `.env.example` names them."""
    named = (PROJECT / ".env.example").read_text("utf-8")
    return set(re.findall(r"^#?([A-Z_]+)=", named, re.MULTILINE))


def test_what_the_image_copies_is_there_and_let_through() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile(), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    assert all((PROJECT / name).exists() for name in names)
    ignored = (PROJECT / ".dockerignore").read_text("utf-8").splitlines()
    assert {line[1:] for line in ignored if line.startswith("!")} == names


def test_the_image_is_what_the_lock_says_and_its_program_is_ours() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    assert 'ENTRYPOINT ["marketdata"]' in dockerfile()
    assert "marketdata" in project["scripts"]
    assert "--extra distributed" in dockerfile()
    assert "distributed" in project["optional-dependencies"]
    for command in re.findall(r"(?:uv|pip) (?:pip install|install|build) [^&]+", dockerfile()):
        is_ours = "/wheel/*.whl" in command
        by_hash = "--require-hashes" in command or "--constraints requirements.lock" in command
        assert by_hash or (is_ours and "--no-deps" in command)


def test_every_command_and_setting_that_the_files_give_exists() -> None:
    words = re.search(r"^CMD \[(.+)\]$", dockerfile(), re.MULTILINE).group(1)
    commands = [[word.strip(' "') for word in words.split(",")]]
    commands.append(compose()["services"]["marketdata"]["command"])
    commands += [unit(path)["ExecStart"].removeprefix(INSTALLED).split() for path in UNITS]
    assert len(commands) == 5
    for command in commands:
        assert command_parser().parse_args(command).command == command[0]
    given = set(compose()["services"]["marketdata"]["environment"])
    given |= set(re.findall(r"^(?:ENV|   ) (\w+)=", dockerfile().partition("USER")[0], re.M))
    for path in UNITS:
        lines = re.findall(r"^Environment=(.+)$", path.read_text("utf-8"), re.MULTILINE)
        given |= {pair.split("=")[0] for pair in itertools.chain(*map(str.split, lines))}
    ours = {name for name in given if not name.startswith("UV_")}
    assert ours - OF_THE_PROCESS - OF_ITS_FOLDERS <= settings()
    named = re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text("utf-8"))
    assert set(named) <= settings() | KNOWN_BY_COMPOSE


def test_the_ports_of_the_services_are_those_of_the_program() -> None:
    service, parser = compose()["services"]["marketdata"], command_parser()
    ui = parser.parse_args(service["command"]).port
    api = service["environment"]["API_PORT"]
    assert f"EXPOSE {ui} {api}" in dockerfile()
    assert service["ports"] == [f"127.0.0.1:{port}:{port}" for port in (ui, api)]
    assert f"for port in ({ui}, {api})" in service["healthcheck"]["test"][-1]
    caddy = (DEPLOY / "Caddyfile").read_text("utf-8")
    assert re.findall(r"reverse_proxy (\S+)", caddy) == [f"marketdata:{ui}", f"marketdata:{api}"]
    assert set(re.findall(r"\{\$(\w+)\}", caddy)) <= set(
        compose()["services"]["caddy"]["environment"]
    )


def test_the_services_of_several_hosts_are_its_roles_with_the_same_settings() -> None:
    services = compose("compose.hosts.yaml")["services"]
    roles = {name: one for name, one in services.items() if "environment" in one and "tmpfs" in one}
    proxy = roles.pop("caddy")
    assert {one["command"][0] for one in roles.values()} == {"daemon", "serve", "web", "worker"}
    for role in roles.values():
        assert command_parser().parse_args(role["command"]).command == role["command"][0]
        assert {one.partition(":")[2] or one for one in role["volumes"]} == {"/data"}
        assert (role["read_only"], role["cap_drop"]) == (True, ["ALL"])
        assert role["environment"] == roles["daemon"]["environment"]
        assert set(role["environment"]) - OF_THE_STORE - set(FORMS) <= settings()
    # Addresses of services that are there.
    where = [re.split("[@/]", roles["daemon"]["environment"][name]) for name in FORMS]
    assert [where[0][3], where[1][2], where[2][3]] == ["postgres", "lake", "rabbitmq"]
    assert {"postgres", "rabbitmq", "s3", "bucket"} <= services.keys()
    caddy = (DEPLOY / "Caddyfile.hosts").read_text("utf-8")
    asked = {tuple(one.split(":")) for one in re.findall(r"[\w-]+:\d+", caddy)}
    assert asked == {("web", "3000"), ("api-one", "5000"), ("api-other", "5000")}
    assert {name for name, _ in asked} <= services.keys()
    # Where none is ready, all are asked: prices are answered without the database too.
    ready, _, none_is_ready = caddy.partition("handle_errors 503")
    assert "health_uri /ready" in ready
    assert "reverse_proxy api-one:5000 api-other:5000" in none_is_ready
    assert "health_uri" not in none_is_ready
    assert set(re.findall(r"\{\$(\w+)\}", caddy)) == set(proxy["environment"])


def test_nothing_but_the_volume_is_written_to_and_no_more_is_allowed_than_needed() -> None:
    for service in compose()["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
    assert re.search(r"^USER [1-9]\d+$", dockerfile(), re.MULTILINE)
    data = compose()["services"]["marketdata"]["volumes"]
    assert data == [f"data:{re.search('MARKETDATA_HOME=(/data)', dockerfile()).group(1)}"]


def test_kubernetes_gets_what_it_understands_and_commands_that_there_are() -> None:
    of_kind: dict[str, list[dict[str, Any]]] = {}
    for one in objects_of_kubernetes():
        kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)
        of_kind.setdefault(one["kind"], []).append(one)
    pods = [one["spec"]["template"] for one in of_kind["Deployment"]]
    assert all(
        pod["metadata"]["labels"] == one["spec"]["selector"]["matchLabels"]
        for pod, one in zip(pods, of_kind["Deployment"], strict=True)
    )
    containers = [container for pod in pods for container in pod["spec"]["containers"]]
    started = [command_parser().parse_args(one["args"]) for one in containers]
    assert [one.command for one in started] == ["daemon", "web", "worker", "serve"]
    given = {env["name"] for one in containers for env in one.get("env", [])}
    assert given <= settings()
    # A name leads to a service, that to a pod, and its port is one that is listened on.
    ports = {
        (str(pod["metadata"]["labels"]), port["name"]): port["containerPort"]
        for pod in pods
        for container in pod["spec"]["containers"]
        for port in container.get("ports", [])
    }
    assert sorted(ports.values()) == [started[1].port, 5000]
    led_to = {
        one["metadata"]["name"]: [port["name"] for port in one["spec"]["ports"]]
        for one in of_kind["Service"]
        if all(
            (str(one["spec"]["selector"]), port["targetPort"]) in ports
            for port in one["spec"]["ports"]
        )
    }
    [ingress] = of_kind["Ingress"]
    for rule in ingress["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            service = path["backend"]["service"]
            assert service["port"]["name"] in led_to[service["name"]]


def test_kubernetes_runs_nothing_as_root_and_writes_to_volumes_alone() -> None:
    [user] = re.findall(r"^USER (\d+)$", dockerfile(), re.MULTILINE)
    for one in objects_of_kubernetes():
        if one["kind"] == "Deployment":
            pod = one["spec"]["template"]["spec"]
            assert pod["securityContext"]["runAsUser"] == int(user)
            assert {volume["name"] for volume in pod["volumes"]} == {"data", "tmp"}
            for container in pod["containers"]:
                assert container["securityContext"]["readOnlyRootFilesystem"] is True
                assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
                assert container["envFrom"] == [{"secretRef": {"name": "marketdata"}}]


def test_what_kubernetes_tells_a_pod_of_services_is_taken_for_no_setting() -> None:
    """By default it sets variables in every pod, of a service `api` API_PORT and more."""
    objects = objects_of_kubernetes()
    told = {
        f"{one['metadata']['name'].upper()}_PORT": "tcp://10.96.0.5:5000"
        for one in objects
        if one["kind"] == "Service"
    }
    assert "API_PORT" in told
    for one in objects:
        if one["kind"] == "Deployment":
            pod = one["spec"]["template"]["spec"]
            links = told if pod.get("enableServiceLinks", True) else {}
            for container in pod["containers"]:
                own = {each["name"]: each["value"] for each in container["env"]}
                # Nor does the UI link to a page on the machine of who looks at it.
                assert page_address({**links, **own}) == ""


def test_a_pod_ends_at_any_moment_and_is_not_killed_while_it_starts() -> None:
    """A program that is process 1 takes no notice of SIGTERM until it has a way to end; and none
    of them answers before it has what it serves."""
    pods = [
        one["spec"]["template"]["spec"]
        for one in objects_of_kubernetes()
        if one["kind"] == "Deployment"
    ]
    assert all(pod["shareProcessNamespace"] for pod in pods)
    for pod in pods:
        for container in pod["containers"]:
            if alive := container.get("livenessProbe"):
                start = container["startupProbe"]
                assert start["httpGet"] == alive["httpGet"]
                assert start["periodSeconds"] * start["failureThreshold"] >= SECONDS_TO_LOAD


def test_every_command_of_compose_that_is_told_has_the_settings_it_asks_for() -> None:
    """Compose reads no file of settings by itself where the project is not, for `exec` neither."""
    told = [*(PROJECT / "docs").glob("*.md"), *PROJECT.glob("*.md"), *DEPLOY.glob("*")]
    texts = [path.read_text("utf-8") for path in told if path.is_file()]
    commands = [line for text in texts for line in re.findall(r"docker compose -f.*", text)]
    assert len(commands) >= 8
    assert [line for line in commands if "--env-file .env " not in line] == []


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_the_units_are_what_systemd_understands(tmp_path: Path) -> None:
    for path in UNITS:
        text = path.read_text("utf-8").replace(INSTALLED, shutil.which("true"))
        (tmp_path / path.name).write_text(text)
    command = ["systemd-analyze", "verify", *map(str, tmp_path.glob("*.service"))]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")


def test_workflows_run_what_there_is() -> None:
    steps = [
        (path.name, step["run"])
        for path in WORKFLOWS
        for job in yaml.safe_load(path.read_text("utf-8"))["jobs"].values()
        for step in job.get("steps", [])
        if "run" in step
    ]
    said = "\n".join(text for _, text in steps)
    for file in re.findall(r"(?:^|\s)(\.ci/\w+|deploy/[\w-]+)", said):
        assert (PROJECT / file).is_file(), file
    for target in re.findall(r"make (\w+)", said):
        dry = ["make", "--dry-run", "--no-print-directory", target]
        subprocess.run(dry, cwd=PROJECT, capture_output=True, check=True)
    [used] = re.findall(r"marketdata-assets (demo .+)", said)
    assert command_parser().parse_args(used.split()).days == 2


def test_what_ci_lacks_is_installed_by_root_whoever_runs_it(tmp_path: Path) -> None:
    """The script as it is where no server is installed and only root may install."""
    (tmp_path / ".ci").mkdir()
    script = (PROJECT / ".ci" / "run").read_text("utf-8")
    (tmp_path / ".ci" / "run").write_text(script.replace("/usr/lib/", f"{tmp_path}/lib/"))
    programs = {
        "id": "echo 1001",
        "sudo": 'test "$1" = --non-interactive && shift && AS_ROOT=1 "$@"',
        "apt-get": f'test -n "$AS_ROOT" && echo "$RUNLEVEL $*" >> {tmp_path}/said',
        "make": f"echo make $* >> {tmp_path}/said",
    }
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in programs.items():
        (folder / name).write_text(f"#!{shutil.which('bash')}\n{text}\n")
        (folder / name).chmod(0o755)
    for name in ("dirname", "env"):
        (folder / name).symlink_to(shutil.which(name))
    command = [shutil.which("bash"), str(tmp_path / ".ci" / "run")]
    run = subprocess.run(
        command, env={"PATH": str(folder)}, capture_output=True, text=True, timeout=60
    )
    assert (run.returncode, run.stdout) == (0, ""), run.stderr
    update, install, tested = (tmp_path / "said").read_text().splitlines()
    assert "update" in update
    assert install.startswith("1 install ")
    assert install.endswith(" chromium postgresql rabbitmq-server")
    assert tested == "make test"


def test_a_host_takes_the_image_over_ssh_and_no_other_host_is_talked_to(tmp_path: Path) -> None:
    """The script as it is, with programs in the place of ssh and docker that tell of their call."""
    there = tmp_path / "there"
    there.mkdir()
    programs = {
        # What the host would run, in its own home.
        "ssh": f'echo "ssh $*" >> {tmp_path}/said\ncd {there} && eval "${{@: -1}}"',
        "docker": f'echo "docker $* of $MARKETDATA_IMAGE" >> {tmp_path}/said',
    }
    for name, text in programs.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/usr/bin/env bash\n{text}\n")
        program.chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "KEY": "a-secret-key",
        "KNOWN_HOSTS": "host ssh-ed25519 AAAA",
    }
    command = [str(DEPLOY / "by-ssh"), "user@host", "ghcr.io/Owner/market:v1.0.0"]
    run = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    said = (tmp_path / "said").read_text()
    assert "StrictHostKeyChecking=yes" in said
    assert "a-secret-key" not in said + run.stdout + run.stderr
    assert "pull --quiet marketdata of ghcr.io/owner/market:v1.0.0" in said
    assert "up --detach --no-build --wait of ghcr.io/owner/market:v1.0.0" in said
    sent = there / "marketdata" / "deploy" / "compose.yaml"
    assert sent.read_bytes() == (DEPLOY / "compose.yaml").read_bytes()
    refused = subprocess.run(command, env={**env, "KNOWN_HOSTS": ""}, capture_output=True)
    assert refused.returncode != 0
