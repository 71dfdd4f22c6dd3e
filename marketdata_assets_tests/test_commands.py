"""The commands a user types, as processes of their own."""

import inspect
import os
import stat
import subprocess
import sys
from collections import deque
from importlib import import_module
from pathlib import Path

import duckdb
import pytest
from dagster._core.instance.config import PoolGranularity
from dagster._core.workspace.load import location_origins_from_yaml_paths

from marketdata_assets.__main__ import (
    NOT_FOR_OTHERS,
    OF_ONE_MACHINE,
    OF_SEVERAL_HOSTS,
    TELL_NOTICES,
    command_parser,
)
from marketdata_assets_tests import PROJECT
from marketdata_assets_tests.dagster_home import shipped_instance
from marketdata_sandbox.faults import refusal
from marketdata_sandbox.market.exchange import SimulatedExchange
from marketdata_sandbox.protocol import TushareProtocol
from marketdata_sandbox.server import TushareServer

TOKEN = "secret-token-91c4"


def run(home: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if "TUSHARE" not in name}
    own = {"MARKETDATA_HOME": str(home), "HOME": str(home), "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, "-m", "marketdata_assets", *arguments],
        env={**clean, **own, **settings},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_what_a_command_runs_takes_its_arguments_by_their_names() -> None:
    lines = ["demo", "dev", "web", "daemon", "serve", "worker", "hub", "publish", "verify"]
    lines += ["restore", "copy a s3://b", "backfill 2024-01-02 2024-01-05", "query 600000.SH"]
    lines += ["doctor", "status", "findings", "excuse 600000.SH --reason so"]
    lines += ["accept daily_kline 2024-01-02 --reason so"]
    for line in lines:
        given = vars(command_parser().parse_args(line.split()))
        command, (module, _, name) = given.pop("command"), given.pop("runs").partition(".")
        given |= {"notices": []} if command in TELL_NOTICES else {}
        given |= {"shared": None} if command in OF_SEVERAL_HOSTS else {}
        function = getattr(import_module(f"marketdata_assets.{module}"), name)
        inspect.signature(function).bind(**given)
    assert {line.split()[0] for line in lines} >= OF_ONE_MACHINE | OF_SEVERAL_HOSTS | TELL_NOTICES


def test_a_terminal_that_knows_no_chinese_shows_the_rest(tmp_path: Path) -> None:
    told = run(tmp_path, "status", LC_ALL="zh_CN.UTF-8", PYTHONIOENCODING="ascii")
    assert told.stderr == ""
    assert "?" in told.stdout


@pytest.mark.slow
def test_the_demo_makes_the_last_days_and_shows_what_is_there(tmp_path: Path) -> None:
    demo = run(tmp_path, "demo", "--days", "2")
    assert demo.returncode == 0, demo.stdout + demo.stderr
    told = ("mean and sd of the last 2 days", "TUSHARE_TOKEN")
    for line in ("2 trading days", "daily_prices", "2 of 2 days are stored", *told):
        assert line in demo.stdout
    assert "NO" not in demo.stdout.split()
    [line] = [line for line in demo.stdout.splitlines() if line.split()[:1] == ["510300.SH"]]
    close, nav, premium = (float(text.rstrip("%")) for text in line.split()[2:5])
    assert premium == pytest.approx((close / nav - 1) * 100, abs=0.0051)
    assert demo.stderr == ""
    root = tmp_path / "sandbox"
    modes = {path: path.stat().st_mode for path in (root, *root.rglob("*"))}
    # The group reads everything, others nothing.
    assert [path for path, mode in modes.items() if mode & NOT_FOR_OTHERS] == []
    assert [path for path, mode in modes.items() if not mode & stat.S_IRGRP] == []
    with duckdb.connect(str(root / "catalog.duckdb"), read_only=True) as connection:
        [[days, rows]] = connection.execute(
            "SELECT count(DISTINCT date), count(*) FROM daily_prices"
        ).fetchall()
    assert days == 2
    assert rows > 10_000
    assert {path.name for path in tmp_path.iterdir()} == {"sandbox"}
    assert (root / "dagster" / "history").is_dir()


@pytest.mark.slow
def test_with_2000_points_the_demo_ends_well_on_any_server_that_speaks_the_protocol(
    tmp_path: Path,
) -> None:
    protocol = TushareProtocol(SimulatedExchange(), token=TOKEN, points=2_000)
    with TushareServer(protocol).running() as server:
        demo = run(
            tmp_path,
            *("demo", "--days", "1"),
            TUSHARE_URL=server.url,
            TUSHARE_TOKEN=TOKEN,
            TUSHARE_CALLS_PER_MINUTE="500",
        )
        assert {request.call for request in server.requests} >= {
            *("trade_cal", "stock_basic", "daily", "stk_limit", "daily_basic"),
            *("adj_factor", "suspend_d", "fund_basic", "fund_daily", "fund_nav"),
        }
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "live market" in demo.stdout
    assert "left out, for fund_daily takes 5,000 points" in demo.stdout
    lake = tmp_path / "live-127.0.0.1" / "lake"
    assert (lake / "daily_prices").is_dir()
    assert not (lake / "etf_kline").exists()
    assert (tmp_path / "live-127.0.0.1" / "series" / "daily_prices").is_dir()


def test_a_failing_demo_says_why_ends_at_once_and_shows_no_token(tmp_path: Path) -> None:
    with TushareServer(TushareProtocol(SimulatedExchange(), token="another")).running() as server:
        settings = {"TUSHARE_URL": server.url, "TUSHARE_TOKEN": TOKEN}
        demo = run(tmp_path, "demo", "--days", "1", **settings)
    assert demo.returncode == 1
    assert "trade_calendar: Tushare trade_cal(exchange=SSE" in demo.stdout
    assert "Set TUSHARE_TOKEN to the token shown at" in demo.stdout
    assert TOKEN not in demo.stdout + demo.stderr
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert TOKEN.encode() not in file.read_bytes(), file


def test_what_a_failure_says_in_brackets_is_shown(tmp_path: Path) -> None:
    said = "no field [close] of [/daily]"
    with TushareServer(TushareProtocol(SimulatedExchange())).running() as server:
        server.faults["trade_cal"] = deque([refusal(40101, said)])
        settings = {"TUSHARE_URL": server.url, "TUSHARE_TOKEN": TOKEN}
        demo = run(tmp_path, "demo", "--days", "1", **settings)
    assert demo.returncode == 1
    assert said in demo.stdout


def test_a_setting_that_cant_be_read_is_named_without_a_traceback(tmp_path: Path) -> None:
    future = {"DEFAULT_START_DATE": "2999-01-04"}
    for settings, complaint in (
        ({"DEFAULT_START_DATE": "soon"}, "DEFAULT_START_DATE is 'soon'"),
        (future, "write one up to 20"),
        ({"TUSHARE_URL": "nowhere"}, "TUSHARE_URL is 'nowhere'"),
    ):
        demo = run(tmp_path, "demo", **settings, TUSHARE_TOKEN=TOKEN)
        assert demo.returncode == 2
        assert complaint in demo.stderr
        assert "Traceback" not in demo.stderr


def test_what_stands_in_a_command_s_way_is_a_sentence(tmp_path: Path) -> None:
    verify = run(tmp_path, "verify", HF_DATASET_REPO="", HF_ENDPOINT="")
    assert verify.returncode == 1
    [said] = verify.stderr.splitlines()
    assert "nothing was published here yet. Materialize hf_dataset, or run the publish" in said


@pytest.mark.parametrize("days", ["0", "-3", "some", "²"])
def test_a_number_of_days_that_is_none_is_refused(
    days: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command_parser().parse_args(["demo", f"--days={days}"])
    assert ended.value.code == 2
    assert "write a whole number above 0, like 20" in capsys.readouterr().err


def test_the_instance_settings_are_what_dagster_understands(tmp_path: Path) -> None:
    with shipped_instance(tmp_path) as instance:
        assert instance.run_monitoring_enabled
        assert instance.run_retries_enabled
        assert not instance.telemetry_enabled
        pools = instance.get_concurrency_config().pool_config
        assert pools.pool_granularity is PoolGranularity.RUN
        assert pools.default_pool_limit == 1


def test_the_workspace_names_the_definitions() -> None:
    [origin] = location_origins_from_yaml_paths([str(PROJECT / "workspace.yaml")])
    assert origin.loadable_target_origin.module_name == "marketdata_assets.definitions"
    assert origin.loadable_target_origin.attribute == "defs"
