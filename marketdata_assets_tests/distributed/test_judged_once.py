"""What a step of a run has judged, no other step judges again, on whichever host it is."""

import datetime as dt
from collections import OrderedDict
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

pytest.importorskip("obstore", reason="the extra `distributed` is not installed")

from marketdata_assets.assets import judged_days as judging
from marketdata_assets.assets.judged_days import Judgement, judged_days
from marketdata_assets.checks.days import CHECKED_TOGETHER, SideBySide, check_merged_days
from marketdata_assets.checks.excuses import NONE, Excuses
from marketdata_assets.checks.running import Finding
from marketdata_assets.hosts import Hosts
from marketdata_assets.storage.shared_lake import SharedLake
from marketdata_assets.tables import ADJ_FACTOR, DAILY_KLINE
from marketdata_assets_tests.checks.market_day import LATER, answers_of, typed
from marketdata_sandbox.market.exchange import SimulatedExchange

DAY = dt.date(2026, 1, 5)


def test_a_run_judges_once_until_a_file_is_another(
    shared: Hosts, tmp_path: Path, exchange: SimulatedExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = []

    def told(rows: SideBySide, excuses: Excuses) -> list[Finding]:
        judged.append(rows)
        return check_merged_days(rows, excuses)

    def by(host: str, run: str) -> Judgement:
        # Each in a process of its own.
        monkeypatch.setattr(judging, "_known", OrderedDict())
        lake = SharedLake(tmp_path / host / "sandbox", "test", shared, run)
        days = judged_days(lake, [DAY], NONE, LATER)
        assert days.facts().count("*").fetchall() == facts
        return days.judgement

    monkeypatch.setattr(judging, "check_merged_days", told)
    lake = SharedLake(tmp_path / "one" / "sandbox", "test", shared)
    market = typed(answers_of(exchange, DAY), DAY)
    [code, other] = market[DAILY_KLINE.name]["ts_code"].to_pylist()[:2]
    market[ADJ_FACTOR.name] = _without(market, ADJ_FACTOR.name, code)
    for table in CHECKED_TOGETHER:
        lake.write(table, DAY, market[table.name])
    facts = judged_days(lake, [DAY], NONE, LATER).facts().count("*").fetchall()
    judged.clear()
    first, second = by("one", "a run"), by("other", "a run")
    assert [one.check.name for one in first.findings] == ["factor_missing"]
    assert second.findings == first.findings
    assert second.listed.num_rows
    assert second.listed.equals(first.listed)
    assert second.twins.equals(first.twins)
    assert len(judged) == 1
    assert by("other", "another run").findings == first.findings
    assert len(judged) == 2
    lake.write(ADJ_FACTOR, DAY, _without(market, ADJ_FACTOR.name, other))
    assert by("other", "a run").findings[0].wrong == 2
    assert len(judged) == 3


def _without(market: dict[str, pa.Table], table: str, code: str) -> pa.Table:
    rows = market[table]
    return rows.filter(pc.not_equal(rows["ts_code"], code))
