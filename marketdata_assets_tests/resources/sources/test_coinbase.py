import datetime as dt
from collections.abc import Iterator

import pytest

from marketdata_assets.instruments import identify
from marketdata_assets.resources.rate_limit import Allowance
from marketdata_assets.resources.sources.coinbase import CoinbaseSource
from marketdata_assets.resources.sources.history import SourceFailed
from marketdata_assets_tests.resources.sources.charts import BARS, candles
from marketdata_assets_tests.resources.web_server import Reply, WebServer

FIRST, LAST = dt.date(2023, 1, 1), dt.date(2025, 12, 31)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer(candles).running() as server:
        yield server


@pytest.fixture
def coinbase(server: WebServer, allowance: Allowance) -> Iterator[CoinbaseSource]:
    coinbase = CoinbaseSource(allowance, None, server.url)
    yield coinbase
    coinbase.close()


def test_years_of_candles_are_asked_for_in_stretches_and_put_in_order(
    coinbase: CoinbaseSource, server: WebServer
) -> None:
    bars = coinbase.history(identify("BTC"), FIRST, LAST).bars.to_pylist()
    assert [bar["date"] for bar in bars] == list(BARS)
    assert [bar["open"] for bar in bars] == [bar[0] for bar in BARS.values()]
    assert [bar["low"] for bar in bars] == [bar[2] for bar in BARS.values()]
    assert [bar["volume"] for bar in bars] == [bar[4] for bar in BARS.values()]
    assert {asked.path for asked in server.asked} == {"/products/BTC-USD/candles"}
    assert len(server.asked) == 4
    asked_days = [(asked.params["start"], asked.params["end"]) for asked in server.asked]
    assert asked_days[0] == ("2023-01-01", "2023-10-27")
    assert asked_days[1][0] == "2023-10-28"
    assert asked_days[-1][1] == "2025-12-31"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(b'{"message": "NotFound"}', 404), "404 «NotFound»"),
        (Reply(b"[[1743465600, 1, 2]]"), "other than six values"),
        (Reply(b'[["soon", 1, 2, 1, 2, 3]]'), "'soon' is no moment"),
        (Reply(b"[[-99999999999999999, 1, 2, 1, 2, 3]]"), "is no moment"),
        (Reply(b"[]"), "no bar from"),
    ],
)
def test_an_answer_that_holds_no_candles_is_told(
    coinbase: CoinbaseSource, server: WebServer, reply: Reply, said: str
) -> None:
    server.replies.append(reply)
    with pytest.raises(SourceFailed, match=said):
        coinbase.history(identify("ETH"), dt.date(2025, 1, 1), dt.date(2025, 1, 31))


def test_only_coins_are_served(coinbase: CoinbaseSource) -> None:
    assert coinbase.serves(identify("BTC"))
    assert not coinbase.serves(identify("NDX"))
