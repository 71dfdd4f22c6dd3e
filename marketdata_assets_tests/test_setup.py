"""What `make setup` takes from outside: nothing without a hash."""

import re
import subprocess
import tomllib

from marketdata_assets_tests import PROJECT


def test_every_package_is_installed_by_its_hash_and_the_build_takes_none() -> None:
    dry = ["make", "--dry-run", "--always-make", "--no-print-directory", "setup"]
    told = subprocess.run(dry, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    locked, ours = [line.split() for line in told.splitlines() if "pip install" in line]
    assert {"--require-hashes", "requirements.lock"} <= set(locked)
    assert {"--no-deps", "--no-build-isolation", "."} <= set(ours)


def test_what_the_build_needs_is_locked() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
    [(needed, least)] = [one.split(">=") for one in project["build-system"]["requires"]]
    lock = (PROJECT / "requirements.lock").read_text("utf-8")
    [version] = re.findall(rf"^{needed}==(\d+)[\d.]* .*\n    --hash=sha256:", lock, re.MULTILINE)
    assert int(version) >= int(least)
