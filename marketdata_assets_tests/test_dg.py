"""Dagster's own command `dg`, in the checkout."""

import json
import os
import subprocess
import sys
from pathlib import Path

from marketdata_assets_tests import PROJECT

DG = (sys.executable, "-m", "dagster_dg_cli.cli")
OURS = ("TUSHARE", "HF_", "MARKETDATA", "DAGSTER")


def dg(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command on an empty sandbox with a run history of its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    history = home / "sandbox" / "dagster"
    history.mkdir(parents=True, exist_ok=True)
    settings = {"TUSHARE_TOKEN": "", "MARKETDATA_HOME": str(home), "DAGSTER_HOME": str(history)}
    done = subprocess.run(
        [*DG, *arguments],
        env={**clean, **settings},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_dg_finds_the_definitions_and_nothing_to_complain_of(tmp_path: Path) -> None:
    assert "All definitions loaded successfully" in dg(tmp_path, "check", "defs").stdout


def test_dg_lists_what_there_is(tmp_path: Path) -> None:
    listed = json.loads(dg(tmp_path, "list", "defs", "--json").stdout)
    assert {"daily_prices", "hf_dataset"} <= {asset["asset_key"] for asset in listed["assets"]}
    assert {"daily_chain", "etf_chain"} <= {job["name"] for job in listed["jobs"]}


def test_dg_launches_an_asset(tmp_path: Path) -> None:
    dg(tmp_path, "launch", "--assets", "trade_calendar")
    assert list((tmp_path / "sandbox" / "lake" / "trade_calendar").rglob("*.parquet"))
