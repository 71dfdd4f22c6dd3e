"""The folder that a profile lives in: its name, who may write there, and what is found there."""

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from marketdata_assets.__main__ import instance_settings
from marketdata_assets.dev import mend
from marketdata_assets.profile import profile_root
from marketdata_assets.settings import SettingError
from marketdata_assets.storage.catalog import publish_catalog
from marketdata_assets.storage.durable_files import ABANDONED_AFTER_SECONDS
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import PRICE_LIMITS
from marketdata_assets_tests import PROJECT
from marketdata_assets_tests.dagster_home import shipped_instance
from marketdata_assets_tests.disks import full_disk
from marketdata_assets_tests.storage.tables_for_tests import DAY, limits

# The superuser may write whatever the permissions say, unless he gives up that (CAP_DAC_OVERRIDE).
PERMITTED_ALONE = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)
os.execv(sys.executable, [sys.executable, "-m", "marketdata_assets", *sys.argv[1:]])
"""
COMMANDS = ("dev", "demo", "serve", "hub")
ODD_NAMES = ("[x]", "a*", "why?", "a%20b", os.fsdecode("数据".encode("gbk")))


def run(home: Path, command: str, *program: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if "TUSHARE" not in name}
    return subprocess.run(
        [sys.executable, *(program or ("-m", "marketdata_assets")), command],
        env={**clean, "MARKETDATA_HOME": str(home)},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(("name", "command"), [*zip(ODD_NAMES, itertools.cycle(COMMANDS))])
def test_a_path_that_not_every_program_opens_is_refused_with_its_character(
    tmp_path: Path, name: str, command: str
) -> None:
    home = tmp_path / name / "data"
    done = run(home, command)
    assert done.returncode == 2
    assert done.stderr.startswith("MARKETDATA_HOME is ")
    assert "not every program opens a path with" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not home.exists()


@pytest.mark.parametrize(
    "name", ["two words", "我的数据", "100% #1", "it's", "a]b{c}$d", "=&;,+@!~"]
)
def test_any_other_path_holds_run_history_settings_and_views(tmp_path: Path, name: str) -> None:
    root = profile_root({"MARKETDATA_HOME": str(tmp_path / name)})
    assert root == tmp_path / name / "sandbox"
    root.mkdir(parents=True)
    home = root / "dagster"
    with shipped_instance(home) as instance:
        assert instance.run_monitoring_enabled
        instance.add_dynamic_partitions("codes", ["HSI"])
        assert instance.get_runs_count() == 0
    assert (home / "history" / "runs" / "index.db").is_file()
    Lake(root, "test").write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    assert rows(root) == [("a",)]


def rows(root: Path) -> list[tuple[object, ...]]:
    with duckdb.connect(str(publish_catalog(root)), read_only=True) as connection:
        return connection.execute("SELECT ts_code FROM price_limits").fetchall()


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_that_may_not_be_written_is_told_in_a_sentence(
    tmp_path: Path, command: str, is_there: bool
) -> None:
    history = tmp_path / "sandbox" / "dagster"
    if is_there:
        history.mkdir(parents=True)
        (history / "dagster.yaml").write_bytes(instance_settings(history))
        history.chmod(0o555)
    tmp_path.chmod(0o555)
    done = run(tmp_path, command, "-c", PERMITTED_ALONE)
    assert done.returncode == 2, done.stderr
    assert done.stderr == (
        f"MARKETDATA_HOME is {str(tmp_path)!r}: {history} can't be written (Permission denied), "
        "make room or give write permission.\n"
    )


def test_a_full_disk_is_told_in_a_sentence_and_costs_no_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from marketdata_assets import __main__ as program

    home = tmp_path / "sandbox" / "dagster"
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    refused = pytest.raises(SettingError, match=r"can't be written \(File too large\), make room")
    with refused, full_disk():
        program._make_home(home)
    assert (home / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"
    program._make_home(home)
    assert (home / "dagster.yaml").read_bytes() == instance_settings(home)
    with full_disk():
        program._make_home(home)
    assert [path.name for path in home.iterdir()] == ["dagster.yaml"]


LEFT = (
    "lake/price_limits/2024/.2024-09-30.00000000.unfinished",
    "superseded/price_limits/2024/2024-09-30/.20241008T000000.000000Z.00000000.unfinished",
    "series/price_limits/.generation.json.00000000.unfinished",
    "exports/.0.parquet.unfinished",
    ".excuses.00000000.unfinished",
    ".catalog.00000000.unfinished",
    ".catalog.00000000.unfinished.wal",
)


def test_what_killed_programs_left_goes_at_the_start_of_dev_and_nothing_else(
    tmp_path: Path,
) -> None:
    others = ("notes.unfinished", "exports/.DS_Store", "series/price_limits/._x.parquet")
    long_ago = time.time() - ABANDONED_AFTER_SECONDS - 1
    for name in (*LEFT, *others):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half a file")
        os.utime(path, (long_ago, long_ago))
    living = tmp_path / "exports" / ".1.parquet.unfinished"
    living.write_bytes(b"somebody is at it")
    mend(tmp_path)
    assert [name for name in LEFT if (tmp_path / name).exists()] == []
    assert all((tmp_path / name).exists() for name in others)
    assert living.exists()


def test_a_folder_that_was_moved_is_right_again_at_the_start_of_dev(tmp_path: Path) -> None:
    root = tmp_path / "before"
    Lake(root, "test").write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    publish_catalog(root)
    moved = root.rename(tmp_path / "搬走了")
    mend(moved)
    with duckdb.connect(str(moved / "catalog.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT ts_code FROM price_limits").fetchall() == [("a",)]


def test_dev_starts_without_a_catalog_where_there_is_no_room_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with full_disk():
        mend(tmp_path)
    assert "catalog.duckdb could not be written" in capsys.readouterr().err
    assert rows(tmp_path) == []
