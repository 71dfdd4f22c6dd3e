import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from marketdata_assets.instruments import identify
from marketdata_assets.resources.rate_limit import Allowance
from marketdata_assets.resources.sources.history import SourceFailed
from marketdata_assets.resources.sources.yahoo import YahooSource
from marketdata_assets.resources.ssh_tunnel import SshTunnel
from marketdata_assets_tests.resources.sources.charts import BARS, Chart
from marketdata_assets_tests.resources.ssh_server import FAR_NAME, FarEnd
from marketdata_assets_tests.resources.web_server import Reply, WebServer

FIRST, LAST = dt.date(2015, 1, 1), dt.date(2025, 12, 31)


@pytest.fixture
def chart() -> Chart:
    return Chart()


@pytest.fixture
def server(chart: Chart) -> Iterator[WebServer]:
    with WebServer(chart).running() as server:
        yield server


@pytest.fixture
def yahoo(server: WebServer, allowance: Allowance) -> Iterator[YahooSource]:
    yahoo = YahooSource(allowance, None, server.url)
    yield yahoo
    yahoo.close()


def refused(yahoo: YahooSource, code: str = "NDX") -> str:
    with pytest.raises(SourceFailed) as failure:
        yahoo.history(identify(code), FIRST, LAST)
    return str(failure.value)


@pytest.mark.parametrize(
    ("code", "volume", "turnover"),
    [
        ("NDX", [1000, 2000, 3000], None),
        ("SPX", [1000, 2000, 3000], None),
        ("CL.NYM", [1000, 2000, 3000], None),
        ("600000.SH", [1000, 2000, 3000], None),
        ("900901.SH", [1000, 2000, 3000], None),
        ("200002.SZ", [1000, 2000, 3000], None),
        ("00700.HK", [1000, 2000, 3000], None),
        ("80700.HK", [1000, 2000, 3000], None),
        ("AAPL", [1000, 2000, 3000], None),
        ("BRK.B", [1000, 2000, 3000], None),
        ("C.US", [1000, 2000, 3000], None),
        ("HSI", None, None),
        ("HSTECH.HK", None, None),
        ("N225", None, None),
        ("GDAXI", None, None),
        ("BTC", None, [1000, 2000, 3000]),
        ("ETH", None, [1000, 2000, 3000]),
    ],
)
def test_raw_prices_on_the_exchanges_own_days_and_volume_where_its_unit_is_known(
    yahoo: YahooSource, code: str, volume: list[int] | None, turnover: list[int] | None
) -> None:
    bars = yahoo.history(identify(code), FIRST, LAST).bars
    assert bars["date"].to_pylist() == list(BARS)
    assert bars["close"].to_pylist() == [bar[3] for bar in BARS.values()]
    assert bars["volume"].to_pylist() == (volume or [None] * 3)
    assert bars["turnover"].to_pylist() == (turnover or [None] * 3)


def test_the_day_that_is_still_running_is_left_out(yahoo: YahooSource) -> None:
    bars = yahoo.history(identify("NDX"), FIRST, dt.date(2025, 4, 2)).bars
    assert bars["date"].to_pylist() == list(BARS)[:2]


def test_a_holiday_that_comes_as_a_row_of_nulls_is_no_bar(yahoo: YahooSource, chart: Chart) -> None:
    chart.bars[dt.date(2025, 4, 4)] = (None,) * 5
    assert yahoo.history(identify("N225"), FIRST, LAST).bars["date"].to_pylist() == list(BARS)


def test_the_last_day_twice_is_once_and_the_later_row_counts(
    yahoo: YahooSource, chart: Chart
) -> None:
    chart.last_again = (10.2, 11.5, 10.2, 11.4, 3500)
    bars = yahoo.history(identify("NDX"), FIRST, LAST).bars
    assert bars["date"].to_pylist() == list(BARS)
    assert bars["close"].to_pylist() == [10.5, 10.2, 11.4]


def test_a_bar_without_a_close_is_refused(yahoo: YahooSource, chart: Chart) -> None:
    chart.bars[dt.date(2025, 4, 4)] = (1.0, 1.0, 1.0, None, 5)
    assert "2025-04-04 has prices but no close" in refused(yahoo)


def test_a_history_divided_by_splits_is_refused(yahoo: YahooSource, chart: Chart) -> None:
    chart.splits[dt.date(2025, 4, 2)] = "5:1"
    said = refused(yahoo, "600000.SH")
    assert "divided by 1 split(s), the last 5:1 on 2025-04-02" in said


def test_splits_after_the_last_day_are_seen_too(
    yahoo: YahooSource, chart: Chart, server: WebServer
) -> None:
    yahoo.history(identify("600000.SH"), FIRST, dt.date(2025, 4, 1))
    [asked] = server.asked
    assert int(asked.params["period2"]) > dt.datetime.now(dt.UTC).timestamp()
    assert asked.params["events"] == "div,split"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("symbol", "^IXIC", "asked for symbol ^NDX, got ^IXIC"),
        ("currency", "EUR", "asked for currency USD, got EUR"),
        ("dataGranularity", "1mo", "asked for dataGranularity 1d, got 1mo"),
        ("exchangeTimezoneName", "Mars/Olympus", "time zone Mars/Olympus is unknown"),
        ("exchangeTimezoneName", "America", "time zone America is unknown"),
    ],
)
def test_an_answer_about_something_else_is_refused(
    yahoo: YahooSource, chart: Chart, name: str, value: str, said: str
) -> None:
    chart.meta[name] = value
    assert said in refused(yahoo)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(b"Too Many Requests", 429), "too many requests"),
        (Reply(b"<html>sorry</html>", 502), "HTTP status 502 and no JSON: «<html>sorry</html>»"),
        (Reply(b"[]"), "the answer has no chart"),
        (Reply(b'{"chart": {"result": [], "error": null}}'), "no result"),
        (Reply(b'{"chart": {"error": "busy"}}'), "the answer can't be read (AttributeError"),
    ],
)
def test_every_other_answer_is_told(
    yahoo: YahooSource, server: WebServer, reply: Reply, said: str
) -> None:
    server.replies.append(reply)
    assert said in refused(yahoo)


def test_a_symbol_yahoo_does_not_know_is_told(yahoo: YahooSource) -> None:
    assert "404 «No data found" in refused(yahoo, "IXIC")


def test_an_answer_that_drips_is_given_up(server: WebServer, allowance: Allowance) -> None:
    yahoo = YahooSource(allowance, None, server.url, call_seconds=1)
    server.replies.append(Reply(b" " * 1000, drip_seconds=0.05))
    assert "no complete answer within 1 s" in refused(yahoo)
    yahoo.close()


def test_with_a_tunnel_yahoo_is_reached_from_the_far_end(
    server: WebServer, allowance: Allowance, tmp_path: Path
) -> None:
    with FarEnd(tmp_path).running() as far_end:
        far_end.names = {FAR_NAME: server.server_port}
        tunnel = SshTunnel(far_end.endpoint)
        yahoo = YahooSource(allowance, tunnel, f"http://{FAR_NAME}")
        assert yahoo.history(identify("NDX"), FIRST, LAST).bars.num_rows == 3
        assert far_end.asked_for == [FAR_NAME]
        far_end.known_hosts.write_text("", "utf-8")
        far_end.kill_connections()
        assert "is not in SSH_KNOWN_HOSTS" in refused(yahoo)
        tunnel.close()
        yahoo.close()
