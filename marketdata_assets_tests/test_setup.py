"""What `make` runs: nothing is taken from outside without a hash, and commits are proved alike."""

import re
import subprocess
import tomllib

import yaml

from marketdata_assets_tests import PROJECT


def commands_of(target: str) -> list[str]:
    dry = ["make", "--dry-run", "--always-make", "--no-print-directory", target]
    told = subprocess.run(dry, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    return told.splitlines()


def test_every_package_is_installed_by_its_hash_and_the_build_takes_none() -> None:
    uv_itself, locked, ours = [line for line in commands_of("setup") if "pip install" in line]
    # By uv, and by pip where that is not to be had.
    for line, both in ((uv_itself, False), (locked, True), (ours, True)):
        ways = line.split("||") if both else [line.partition("||")[0]]
        wanted = (
            {"--no-deps", "--no-build-isolation", "."} if line is ours else {"--require-hashes"}
        )
        assert len(ways) == 1 + both
        assert all(wanted <= set(way.split()) for way in ways)


def test_uv_is_installed_as_it_is_locked() -> None:
    [command] = [line for line in commands_of("setup") if ".venv/uv.lock" in line and "sed" in line]
    shown = command.partition(">")[0]
    run = subprocess.run(shown, shell=True, cwd=PROJECT, capture_output=True, text=True, check=True)
    first, *hashes = run.stdout.splitlines()
    assert re.fullmatch(r"uv==[\d.]+ \\", first)
    assert len(hashes) > 2
    assert all(line.startswith("    --hash=sha256:") for line in hashes)
    assert not hashes[-1].endswith("\\")


def test_renewing_the_lock_installs_nothing_that_is_not_in_it() -> None:
    dry = ["make", "--dry-run", "--no-print-directory", "--old-file=.venv/.ready", "lock"]
    told = subprocess.run(dry, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert "uv pip compile" in told
    assert "pip install" not in told
    lock = (PROJECT / "requirements.lock").read_text("utf-8")
    assert re.search(r"^uv==[\d.]+ \\\n    --hash=sha256:", lock, re.MULTILINE)


def test_what_the_build_needs_is_locked() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
    [(needed, least)] = [one.split(">=") for one in project["build-system"]["requires"]]
    lock = (PROJECT / "requirements.lock").read_text("utf-8")
    [version] = re.findall(rf"^{needed}==(\d+)[\d.]* .*\n    --hash=sha256:", lock, re.MULTILINE)
    assert int(version) >= int(least)


def test_what_runs_before_a_commit_is_what_make_lint_runs() -> None:
    [repository] = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    hooks = [hook["entry"] for hook in repository["hooks"]]
    assert commands_of("lint")[-len(hooks) :] == hooks
    assert len(commands_of("lint")) == len(commands_of("setup")) + len(hooks)
