"""The wheel: what is in it, and that it works where no checkout is."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from marketdata_assets import __version__
from marketdata_assets_tests import PROJECT

PACKAGES = ("marketdata_assets", "marketdata_sandbox")
OURS = ("TUSHARE", "HF_", "API_", "UI_", "MARKETDATA", "DAGSTER", "PYTHON")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
PREPARED = "from marketdata_assets import __main__ as ours; ours.prepare(); print(ours.__file__)"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, for a build leaves files beside what it builds."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / name, folder / "source" / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, folder / "source")
    built = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder))
    subprocess.run([*PIP, "wheel", *built, str(folder / "source")], check=True)
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel alone; what it needs is where it is for the tests."""
    target = tmp_path_factory.mktemp("installed")
    into = ("--no-deps", "--no-index", "--target", str(target))
    subprocess.run([*PIP, "install", *into, str(wheel)], check=True)
    return target


def run(
    installed: Path, folder: Path, *command: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return subprocess.run(
        command,
        env={**clean, "PYTHONPATH": str(installed), **settings},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_wheel_holds_every_file_of_both_packages_and_no_other(wheel: Path) -> None:
    ours = {
        path.relative_to(PROJECT).as_posix()
        for name in PACKAGES
        for path in (PROJECT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    needed = {"dagster.yaml", "workspace.yaml", "py.typed", "checks/known/explained.csv"}
    assert {f"marketdata_assets/{name}" for name in needed} <= ours
    packed = zipfile.ZipFile(wheel).namelist()
    assert {name for name in packed if ".dist-info/" not in name} == ours
    assert wheel.name.startswith(f"marketdata_assets-{__version__}-py3-none-any")


@pytest.mark.parametrize("name", ["dagster.yaml", "workspace.yaml"])
def test_the_top_level_of_the_checkout_has_the_files_of_the_package(name: str) -> None:
    # Dagster's own commands look for them there.
    assert (PROJECT / name).read_bytes() == (PROJECT / "marketdata_assets" / name).read_bytes()


def test_the_program_tells_its_version_and_its_commands_and_writes_nothing(
    installed: Path, tmp_path: Path
) -> None:
    program = str(installed / "bin" / "marketdata")
    version = run(installed, tmp_path, program, "--version")
    assert (version.stdout, version.stderr) == (f"marketdata {__version__}\n", "")
    commands = run(installed, tmp_path, program, "--help")
    assert commands.stdout.startswith("usage: marketdata [-h] [--version]")
    for name in ("demo", "dev", "serve", "findings"):
        assert f"    {name} " in commands.stdout
    assert list(tmp_path.iterdir()) == []


def test_settings_and_data_are_those_of_the_working_folder(installed: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TUSHARE_TOKEN=x\n", "utf-8")
    done = run(installed, tmp_path, sys.executable, "-c", PREPARED)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(installed)
    settings = (tmp_path / "data" / "live" / "dagster" / "dagster.yaml").read_bytes()
    assert settings.startswith((PROJECT / "dagster.yaml").read_bytes())


def test_dagster_loads_the_definitions_of_an_installation(installed: Path, tmp_path: Path) -> None:
    assert run(installed, tmp_path, sys.executable, "-c", PREPARED).returncode == 0
    validate = ("-m", "dagster", "definitions", "validate", "-w")
    done = run(
        installed,
        tmp_path,
        *(sys.executable, *validate, str(installed / "marketdata_assets" / "workspace.yaml")),
        DAGSTER_HOME=str(tmp_path / "data" / "sandbox" / "dagster"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All code locations passed validation" in done.stdout + done.stderr
