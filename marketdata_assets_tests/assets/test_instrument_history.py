import datetime as dt
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from marketdata_assets.instruments import Instrument, Kind, identify
from marketdata_assets.resources.sources.history import History
from marketdata_assets.tables import DAILY_KLINE, INSTRUMENT_HISTORY
from marketdata_assets_tests.assets.scripted_source import (
    ScriptedSource,
    ScriptedSources,
    asking,
    days,
)
from marketdata_assets_tests.conftest import Platform, failure_text, metadata_of
from marketdata_sandbox.instruments import SandboxSources, SimulatedSource
from marketdata_sandbox.transport import sandbox_tushare

STEP = "instrument_history"


@pytest.fixture
def source() -> ScriptedSource:
    return ScriptedSource("A", 30)


@pytest.fixture
def sources(source: ScriptedSource) -> ScriptedSources:
    return asking(source)


@pytest.fixture
def platform(tmp_path: Path, instance: dg.DagsterInstance, sources: ScriptedSources) -> Platform:
    tushare = sandbox_tushare(tmp_path / "state")
    return Platform(tmp_path, tushare, instance, sources=sources)


def stored(platform: Platform, code: str) -> list[dict[str, Any]]:
    table = platform.lake.read(INSTRUMENT_HISTORY, code)
    assert table is not None
    return table.to_pylist()


def test_a_code_is_one_file_and_one_partition_with_its_source_as_metadata(
    platform: Platform, source: ScriptedSource
) -> None:
    result = platform.run_code("AU.SHF")
    assert result.success
    assert (platform.lake.root / "lake" / STEP / "AU.SHF.parquet").exists()
    assert [row["close"] for row in stored(platform, "AU.SHF")] == list(source.closes.values())
    told = metadata_of(result, STEP)
    assert (told["source"], told["host"]) == ("A", "nowhere")
    assert (told["first day"], told["last day"]) == ("2025-01-02", "2025-02-20")
    assert (told["new days"], told["dagster/row_count"], told["file"]) == (30, 30, "new")


class Untelling(ScriptedSource):
    """A source that can't say which contract was the main one."""

    def history(self, instrument: Instrument, first: dt.date, last: dt.date) -> History:
        return super().history(instrument, first, last)._replace(untold="Nobody tells.")


def test_what_is_not_known_of_a_main_contract_is_told_and_costs_no_price(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    tushare = sandbox_tushare(tmp_path / "state")
    platform = Platform(tmp_path, tushare, instance, sources=asking(Untelling("A", 30)))
    told = metadata_of(platform.run_code("AU.SHF"), STEP)
    assert told["main contract not known"] == "Nobody tells."
    rows = stored(platform, "AU.SHF")
    assert len(rows) == 30
    assert {(row["main_contract"], row["roll_factor"]) for row in rows} == {(None, None)}


def test_the_next_run_fetches_what_is_new_and_tells_the_same_as_a_whole_one(
    platform: Platform, source: ScriptedSource
) -> None:
    assert platform.run_code("HSI").success
    source.closes = ScriptedSource("A", 33).closes
    told = metadata_of(platform.run_code("HSI"), STEP)
    assert told["fetched"] == "what is new, with an overlap"
    assert told["new days"] == 3
    assert source.asked[-1][0] == days(30)[-10]
    assert len(stored(platform, "HSI")) == 33


def test_a_restated_past_is_metadata_and_the_file_before_is_kept(
    platform: Platform, source: ScriptedSource
) -> None:
    assert platform.run_code("HSI").success
    source.closes[days(30)[-2]] = 99.0
    told = metadata_of(platform.run_code("HSI"), STEP)
    assert told["restated days"] == 1
    assert "2025-02-19 open 38.0 → 99.0" in str(told["restatement"])
    assert told["file"] == "replaced"
    assert len(list((platform.lake.root / "superseded" / STEP / "HSI").iterdir())) == 1


def test_when_every_source_fails_the_run_says_why_and_what_is_stored_stays(
    platform: Platform, source: ScriptedSource
) -> None:
    assert platform.run_code("HSI").success
    source.fault = "out of order."
    result = platform.run_code("HSI")
    assert not result.success
    said = failure_text(result, STEP)
    assert "instrument_history HSI: no usable history. A for HSI: out of order." in said
    assert "up to 2025-02-20, stays" in said
    assert len(stored(platform, "HSI")) == 30


def test_a_code_that_fails_leaves_the_others_alone(
    platform: Platform, source: ScriptedSource
) -> None:
    assert not platform.run_code("NONSENSE").success
    assert platform.run_code("HSI").success


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("NONSENSE", "is no code that is understood"),
        ("000001", "000001.SH (index of mainland China) or 000001.SZ (A-share)"),
        ("HSTECH", "the code of this instrument is HSTECH.HK"),
    ],
)
def test_a_partition_that_is_no_canonical_code_is_refused(
    platform: Platform, key: str, said: str
) -> None:
    assert said in failure_text(platform.run_code(key), STEP)


def test_an_earlier_beginning_fetches_the_whole_history(
    platform: Platform, source: ScriptedSource, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    assert platform.run_code("HSI").success
    earlier = asking(source, first_day=dt.date(2024, 12, 1))
    tushare = sandbox_tushare(tmp_path / "state")
    told = metadata_of(Platform(tmp_path, tushare, instance, sources=earlier).run_code("HSI"), STEP)
    assert told["fetched"] == "the whole history"
    assert source.asked[-1][0] == dt.date(2024, 12, 1)


def test_the_catalog_shows_every_code_and_no_stray_copy(platform: Platform) -> None:
    assert platform.run_code("HSI").success
    assert platform.run_code("AU.SHF").success
    folder = platform.lake.root / "lake" / STEP
    (folder / "HSI (1).parquet").write_bytes((folder / "HSI.parquet").read_bytes())
    with duckdb.connect(str(platform.lake.root / "catalog.duckdb"), read_only=True) as catalog:
        counted = catalog.sql(
            "SELECT code, count(*) FROM instrument_history GROUP BY code ORDER BY code"
        ).fetchall()
    assert counted == [("AU.SHF", 30), ("HSI", 30)]


@pytest.mark.parametrize(
    "code", ["000300.SH", "H30269.CSI", "900901.SH", "513100.SH", "HSI", "NDX", "CL.NYM", "BTC"]
)
def test_the_sandbox_has_a_history_of_every_kind(sandbox: Platform, code: str) -> None:
    result = sandbox.run_code(code)
    assert result.success
    rows = stored(sandbox, code)
    assert rows[0]["date"] >= dt.date(2015, 1, 1)
    last = identify(code).market.last_final_day(dt.datetime.now(dt.UTC))
    assert last - dt.timedelta(10) <= rows[-1]["date"] <= last
    assert metadata_of(result, STEP)["source"] == "sandbox"


def test_the_sandboxs_share_is_the_simulated_exchanges(sandbox: Platform, tmp_path: Path) -> None:
    day = dt.date(2024, 5, 8)
    assert sandbox.run(day, assets=["daily_kline"]).success
    kline = sandbox.lake.read(DAILY_KLINE, day)
    assert kline is not None
    row = kline.slice(0, 1).to_pylist()[0]
    code = identify(row["ts_code"])
    sources = SandboxSources(tushare=sandbox_tushare(tmp_path / "state"))
    with sources.yield_for_execution(dg.build_init_resource_context()) as ready:
        [source] = ready.for_instrument(code)
        [bar] = source.history(code, day, day).bars.to_pylist()
    assert bar["close"] == row["close"]
    assert bar["volume"] == pytest.approx(row["vol"] * 100, abs=0.01)


@pytest.mark.parametrize("code", ["AU.SHF", "IF.CFX", "T.CFX"])
def test_a_simulated_main_contract_is_told_for_every_day(tmp_path: Path, code: str) -> None:
    sources = SandboxSources(tushare=sandbox_tushare(tmp_path / "state"))
    with sources.yield_for_execution(dg.build_init_resource_context()) as ready:
        [source] = ready.for_instrument(identify(code))
        history = source.history(identify(code), dt.date(2024, 1, 2), dt.date(2024, 12, 31))
    assert history.untold == ""
    assert history.rolls is not None
    assert history.rolls["main_contract"].null_count == 0
    assert history.rolls["roll_factor"].null_count == 1
    # Its prices are those that the walk has without a contract.
    walked = SimulatedSource().history(identify(code), dt.date(2024, 1, 2), dt.date(2024, 12, 31))
    assert history.bars.equals(walked.bars)


def test_a_simulated_day_is_the_same_whatever_range_is_asked_for() -> None:
    source = SimulatedSource()
    for code in ("513100.SH", "NDX", "BTC"):
        instrument = identify(code)
        assert instrument.kind is not Kind.A_SHARE
        whole = source.history(instrument, dt.date(2015, 1, 1), dt.date(2024, 12, 31)).bars
        part = source.history(instrument, dt.date(2020, 1, 1), dt.date(2020, 12, 31)).bars
        start = whole["date"].to_pylist().index(part["date"][0].as_py())
        assert whole.slice(start, len(part)).equals(part)
