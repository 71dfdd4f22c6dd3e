"""One switch: all that hosts share is named, or nothing; and one machine pays nothing for it."""

import subprocess
import sys

import pytest

from marketdata_assets.hosts import FORMS, Hosts, hosts
from marketdata_assets.settings import SettingError

ALL = {
    "MARKETDATA_DATABASE": "postgresql://market:secret@db/market",
    "MARKETDATA_LAKE": "s3://bucket/prefix",
    "MARKETDATA_BROKER": "amqp://market:secret@mq",
}
HEAVY = ("obstore", "psycopg", "psycopg2", "celery", "dagster_celery", "dagster_postgres", "boto3")


def test_one_machine_sets_nothing() -> None:
    assert hosts({}) is None
    assert hosts(dict.fromkeys(ALL, " ")) is None


@pytest.mark.parametrize("name", FORMS)
def test_what_is_missing_beside_the_others_is_named(name: str) -> None:
    with pytest.raises(SettingError, match=f"^{name} is '': set it together with"):
        hosts({**ALL, name: ""})


@pytest.mark.parametrize("name", FORMS)
def test_what_is_no_such_address_is_named_and_not_shown(name: str) -> None:
    with pytest.raises(SettingError, match=f"^{name} is ") as refused:
        hosts({**ALL, name: "ftp://market:secret@somewhere"})
    assert "secret" not in str(refused.value)


def test_all_three_make_many_hosts() -> None:
    pytest.importorskip("obstore", reason="the extra `distributed` is not installed")
    found = hosts(ALL)
    assert found == Hosts(*ALL.values())
    assert found.database_of_dagster == "postgresql+psycopg2://market:secret@db/market"


def test_one_machine_imports_nothing_of_it() -> None:
    asked = f"import sys, marketdata_assets.definitions; print(set({HEAVY}) & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout == "set()\n"
