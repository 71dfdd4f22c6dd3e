"""One switch: all that hosts share is named, or nothing; and one machine pays nothing for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from marketdata_assets.__main__ import instance_settings
from marketdata_assets.environment import publisher
from marketdata_assets.hosts import FORMS, Hosts, hosts
from marketdata_assets.settings import SettingError

ALL = {
    "MARKETDATA_DATABASE": "postgresql://market:secret@db/market",
    "MARKETDATA_LAKE": "s3://bucket/prefix",
    "MARKETDATA_BROKER": "amqp://market:secret@mq",
}
HUB = {"HF_TOKEN": "none", "HF_DATASET_REPO": "nobody/nothing", "HF_ENDPOINT": "http://127.0.0.1:9"}
HEAVY = ("obstore", "psycopg", "psycopg2", "celery", "dagster_celery", "dagster_postgres")


def test_one_machine_sets_nothing() -> None:
    assert hosts({}) is None
    assert hosts(dict.fromkeys(ALL, " ")) is None


@pytest.mark.parametrize("name", FORMS)
def test_what_is_missing_beside_the_others_is_named(name: str) -> None:
    with pytest.raises(SettingError, match=f"^{name} is '': set it together with"):
        hosts({**ALL, name: ""})


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(
    "how",
    [
        "ftp://market:secret@host",
        "{}://market:100%secret@host",
        "{}://market:a secret@host",
    ],
)
def test_what_is_no_such_address_is_named_and_not_shown(name: str, how: str) -> None:
    with pytest.raises(SettingError, match=f"^{name} is ") as refused:
        hosts({**ALL, name: how.format(FORMS[name][0])})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("name", FORMS)
def test_an_address_in_capitals_is_not_given_to_a_driver_that_would_show_it(name: str) -> None:
    with pytest.raises(SettingError, match=f"^{name} is ") as refused:
        hosts({**ALL, name: f"{FORMS[name][0].upper()}://market:secret@host"})
    assert "secret" not in str(refused.value)


def test_a_lake_has_no_password_in_its_address_which_is_shown() -> None:
    with pytest.raises(SettingError, match=r"^MARKETDATA_LAKE is .*s3://bucket/prefix") as refused:
        hosts({**ALL, "MARKETDATA_LAKE": "s3://key:secret@bucket/prefix"})
    assert "secret" not in str(refused.value)


def test_all_three_make_many_hosts() -> None:
    pytest.importorskip("obstore", reason="the extra `distributed` is not installed")
    found = hosts(ALL)
    assert found == Hosts(*ALL.values())
    assert found.database_of_dagster == "postgresql+psycopg2://market:secret@db/market"


def test_a_sandbox_of_many_hosts_without_a_hub_is_told_which_setting_it_lacks() -> None:
    pytest.importorskip("obstore", reason="the extra `distributed` is not installed")
    with pytest.raises(SettingError, match=r"^HF_ENDPOINT is '': .* or set TUSHARE_TOKEN"):
        publisher({**ALL, **HUB, "HF_ENDPOINT": ""})
    with pytest.raises(SettingError, match=r"^HF_DATASET_REPO is '': several hosts"):
        publisher({**ALL, "TUSHARE_TOKEN": "a-token"})


@pytest.mark.parametrize("command", ["dev", "doctor"])
def test_what_is_of_one_machine_does_not_start_on_several(command: str, tmp_path: Path) -> None:
    pytest.importorskip("obstore", reason="the extra `distributed` is not installed")
    told = subprocess.run(
        [sys.executable, "-m", "marketdata_assets", command],
        cwd=tmp_path,
        env={**os.environ, **ALL, **HUB},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 2
    assert f"{command} is of one machine" in told.stderr


def test_the_settings_of_dagster_name_what_is_shared_without_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("obstore", reason="the extra `distributed` is not installed")
    alone = yaml.safe_load(instance_settings(tmp_path))
    for name, value in ALL.items():
        monkeypatch.setenv(name, value)
    settings = instance_settings(tmp_path)
    assert b"secret" not in settings
    shared = yaml.safe_load(settings)
    assert shared["storage"]["custom"]["class"] == "SharedStorage"
    assert shared["compute_logs"]["class"] == "PrintedObjects"
    same = alone.keys() & shared.keys()
    assert {name: alone[name] for name in same} == {name: shared[name] for name in same}
    assert alone.keys() - same == {"run_storage", "event_log_storage"}


def test_a_worker_of_one_machine_says_what_to_set(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "marketdata_assets", "worker"],
        cwd=tmp_path,
        env={**os.environ, **dict.fromkeys(ALL, "")},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 2
    assert "MARKETDATA_DATABASE" in told.stderr


def test_one_machine_imports_nothing_of_it() -> None:
    asked = f"import sys, marketdata_assets.definitions; print(set({HEAVY}) & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout == "set()\n"
