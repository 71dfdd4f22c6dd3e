"""What an operator decides on one host counts on all of them."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

pytest.importorskip("obstore", reason="the extra `distributed` is not installed")

from marketdata_assets.checks.excuses import FILE, excuses_in
from marketdata_assets.finding_commands import accept, excuse
from marketdata_assets.hosts import Hosts
from marketdata_assets.storage.shared_lake import SharedLake
from marketdata_assets.tables import FINDINGS
from marketdata_assets_tests.test_finding_commands import finding

DAY = dt.date(2024, 9, 26)


@pytest.fixture
def hosts(shared: Hosts, tmp_path: Path) -> list[SharedLake]:
    return [SharedLake(tmp_path / host / "sandbox", "test", shared) for host in ("a", "b")]


def test_what_is_excused_on_one_host_is_excused_on_the_other(
    hosts: list[SharedLake], shared: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = hosts
    rows = [
        finding(DAY, "600000.SH", "daily_kline.units", "held"),
        finding(DAY, "", "daily_basic.not_zero_filled", "refused"),
    ]
    one.write(FINDINGS, DAY, pa.Table.from_pylist(rows, schema=FINDINGS.schema))
    assert not excuses_in(other).covers("daily_kline", "units", DAY, "600000.SH")
    monkeypatch.setenv("MARKETDATA_DATABASE", shared.database)
    monkeypatch.setenv("MARKETDATA_LAKE", shared.lake)
    monkeypatch.setenv("MARKETDATA_BROKER", shared.broker)
    monkeypatch.setenv("TUSHARE_TOKEN", "")
    monkeypatch.setenv("MARKETDATA_HOME", str(tmp_path / "a"))
    assert excuse("600000.SH", "", None, None, "seen it") == 0
    monkeypatch.setenv("MARKETDATA_HOME", str(tmp_path / "c"))
    assert accept("daily_basic", DAY, "zeros, for once") == 0
    found = excuses_in(other)
    assert found.covers("daily_kline", "units", DAY, "600000.SH")
    assert found.covers("daily_basic", "not_zero_filled", DAY, "")
    assert not (tmp_path / "a" / "sandbox" / FILE).exists()


def test_what_hosts_decide_at_once_is_all_kept(hosts: list[SharedLake]) -> None:
    def decide(number: int) -> None:
        line = f"{number}\n".encode()
        hosts[number % 2].change_beside("decisions", lambda before: (before or b"") + line)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(decide, range(20)))
    kept = hosts[0].beside("decisions")
    assert kept is not None
    assert sorted(map(int, kept.split())) == list(range(20))
