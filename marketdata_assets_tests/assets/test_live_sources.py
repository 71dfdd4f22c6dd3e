"""The asset over the live market's sources, with servers on loopback in the sites' places."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from marketdata_assets.resources.sources.routing import LiveSources
from marketdata_assets.resources.ssh_endpoint import Endpoint
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.tables import INSTRUMENT_HISTORY
from marketdata_assets_tests.conftest import (
    Platform,
    check_outcomes,
    failure_text,
    metadata_of,
)
from marketdata_assets_tests.resources.sources.charts import BARS, Chart, candles
from marketdata_assets_tests.resources.ssh_server import FAR_NAME, FarEnd
from marketdata_assets_tests.resources.web_server import Reply, WebServer
from marketdata_sandbox.transport import sandbox_tushare

STEP = "instrument_history"


# What a coin's history must have to be whole; one that is a day older by then is still not stale.
UP_TO_NOW = [dt.datetime.now(dt.UTC).date() - dt.timedelta(n) for n in range(8, 0, -1)]
PRICES = (10.0, 10.6, 9.9, 10.5, 1000)


@pytest.fixture
def chart() -> Chart:
    return Chart()


@pytest.fixture
def yahoo(chart: Chart) -> Iterator[WebServer]:
    with WebServer(chart).running() as server:
        yield server


@pytest.fixture
def coinbase(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with WebServer(candles).running() as server:
        yield server


def platform(
    folder: Path,
    instance: dg.DagsterInstance,
    yahoo_url: str,
    coinbase_url: str,
    tunnel: Endpoint,
    first_day: dt.date = dt.date(2015, 1, 1),
) -> Platform:
    tushare: TushareResource = sandbox_tushare(folder / "state")
    live = LiveSources(
        first_day=first_day.isoformat(),
        tushare=tushare,
        tunnel=tunnel,
        yahoo_url=yahoo_url,
        coinbase_url=coinbase_url,
        state_folder=str(folder / "state"),
    )
    return Platform(folder, tushare, instance, sources=live)


def test_a_coin_comes_through_the_tunnel_into_its_file(
    tmp_path: Path, instance: dg.DagsterInstance, yahoo: WebServer, chart: Chart
) -> None:
    chart.bars = dict.fromkeys(UP_TO_NOW, PRICES)
    with FarEnd(tmp_path).running() as far_end:
        far_end.names = {FAR_NAME: yahoo.server_port}
        url = f"http://{FAR_NAME}"
        made = platform(tmp_path, instance, url, url, far_end.endpoint, UP_TO_NOW[0])
        result = made.run_code("BTC")
        assert result.success
        assert far_end.asked_for == [FAR_NAME]
    table = made.lake.read(INSTRUMENT_HISTORY, "BTC")
    assert table is not None
    assert table["date"].to_pylist() == UP_TO_NOW
    assert set(table["source_unit"].to_pylist()) == {"value traded in USD"}
    assert metadata_of(result, STEP)["source"] == "Yahoo"


def test_when_the_tunnel_is_down_its_sources_say_how_to_mend_it(
    tmp_path: Path,
    instance: dg.DagsterInstance,
    yahoo: WebServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with FarEnd(tmp_path).running() as far_end:
        far_end.known_hosts.write_text("", "utf-8")
        made = platform(tmp_path, instance, yahoo.url, yahoo.url, far_end.endpoint)
        said = failure_text(made.run_code("BTC"), STEP)
    assert "Yahoo for BTC: The SSH tunnel can't be built: the" in said
    assert "127.0.0.1" not in said
    assert far_end.host_key.get_fingerprint() not in said
    assert far_end.host_key.get_fingerprint() in caplog.text
    assert yahoo.asked == []


def test_a_failing_source_is_metadata_and_another_host_serves(
    tmp_path: Path, instance: dg.DagsterInstance, yahoo: WebServer, coinbase: WebServer
) -> None:
    yahoo.replies.append(Reply(b"Too Many Requests", 429))
    made = platform(tmp_path, instance, yahoo.url, coinbase.url, Endpoint())
    told = metadata_of(made.run_code("BTC"), STEP)
    assert told["source"] == "Coinbase"
    assert "Yahoo for BTC: too many requests" in str(told["failed sources"])
    assert coinbase.asked[0].params["start"] == "2015-01-01"
    assert made.lake.describe(INSTRUMENT_HISTORY, "BTC").rows == len(BARS)


def test_a_share_comes_from_tushare_whatever_the_tunnel_does(
    tmp_path: Path, instance: dg.DagsterInstance, yahoo: WebServer
) -> None:
    with FarEnd(tmp_path).running() as far_end:
        tushare = sandbox_tushare(tmp_path / "state")
        live = LiveSources(
            first_day="2026-01-05",
            tushare=tushare,
            tunnel=far_end.endpoint,
            state_folder=str(tmp_path / "state"),
        )
        made = Platform(tmp_path, tushare, instance, sources=live)
        result = made.run_code("000001.SZ")
        assert result.success, failure_text(result, STEP)
        assert far_end.connections == []
    assert metadata_of(result, STEP)["source"] == "Tushare"
    table = made.lake.read(INSTRUMENT_HISTORY, "000001.SZ")
    assert table is not None
    assert table["date"][0].as_py() == dt.date(2026, 1, 5)


def test_a_coin_that_lacks_days_at_one_host_comes_from_the_other(
    tmp_path: Path,
    instance: dg.DagsterInstance,
    yahoo: WebServer,
    coinbase: WebServer,
    chart: Chart,
) -> None:
    first = min(BARS)
    chart.bars = {day: prices for day, prices in BARS.items() if day != dt.date(2025, 4, 2)}
    made = platform(tmp_path, instance, yahoo.url, coinbase.url, Endpoint(), first)
    told = metadata_of(made.run_code("BTC"), STEP)
    assert told["source"] == "Coinbase"
    assert "Yahoo for BTC: 1 session(s) without a bar" in str(told["failed sources"])
    outcomes = check_outcomes(made, STEP)
    # Nobody has what came after: that is told, and the better history is stored.
    assert [name for name, passed in outcomes.items() if not passed] == ["ends_in_time"]
