"""The real market day 2025-04-03, end to end through the protocol."""

from pathlib import Path

import duckdb
import pyarrow.compute as pc
import pytest

from marketdata_assets.tables import DAILY_KLINE, DAILY_PRICES, PRICE_LIMITS
from marketdata_assets_tests.conftest import (
    Platform,
    metadata_of,
    unhurried_tushare,
)
from marketdata_assets_tests.instance_in_memory import instance_in_memory
from marketdata_assets_tests.replay import REAL_DAY, ReplayedDay, needs_real_data
from marketdata_sandbox.protocol import TushareProtocol
from marketdata_sandbox.server import TushareServer

pytestmark = needs_real_data

NULLS = {"pe": 1093, "pe_ttm": 1391, "pb": 30, "dv_ttm": 2051, "dv_ratio": 894, "volume_ratio": 2}


@pytest.fixture(scope="module")
def real_day(tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.mktemp("real")
    with (
        TushareServer(TushareProtocol(ReplayedDay())).running() as server,
        instance_in_memory() as instance,
    ):
        tushare = unhurried_tushare(server.url, root)
        platform = Platform(root, tushare, instance)
        result = platform.run(REAL_DAY)
        assert result.success
        yield platform, result


def test_every_real_bar_is_in_the_merged_prices(real_day) -> None:
    platform, _ = real_day
    prices = platform.lake.read(DAILY_PRICES, REAL_DAY)
    bars = platform.lake.read(DAILY_KLINE, REAL_DAY)
    assert prices.num_rows == 5393
    assert prices["code"].to_pylist() == sorted(bars["ts_code"].to_pylist())
    assert prices.column_names == DAILY_PRICES.column_names


def test_limits_names_and_indicators_are_joined_to_every_real_bar(real_day) -> None:
    platform, result = real_day
    prices = platform.lake.read(DAILY_PRICES, REAL_DAY)
    assert platform.lake.read(PRICE_LIMITS, REAL_DAY).num_rows == 7071
    joined = ("high_limit", "low_limit", "total_mv", "name", "exchange", "list_date", "adj_factor")
    for name in joined:
        assert prices[name].null_count == 0, name
    metadata = metadata_of(result, "daily_prices")
    assert metadata["rows without limits"] == 0
    assert metadata["rows without indicators"] == 0
    assert metadata["rows without name"] == 0
    at_limit = pc.sum(pc.equal(prices["close"], prices["high_limit"])).as_py()
    assert metadata["limit up 涨停"] == at_limit > 0
    assert metadata["up 上涨"] + metadata["down 下跌"] < prices.num_rows


@pytest.mark.parametrize(("column", "count"), NULLS.items())
def test_what_is_null_in_the_real_data_stays_null(real_day, column: str, count: int) -> None:
    platform, _ = real_day
    assert platform.lake.read(DAILY_PRICES, REAL_DAY)[column].null_count == count


def test_values_and_units_are_the_vendors(real_day) -> None:
    platform, _ = real_day
    prices = platform.lake.read(DAILY_PRICES, REAL_DAY)
    [row] = prices.filter(pc.equal(prices["code"], "000001.SZ")).to_pylist()
    assert (row["open"], row["high"], row["low"], row["close"]) == (11.31, 11.39, 11.3, 11.34)
    assert (row["prev_close"], row["quote_rate"]) == (11.37, -0.2639)
    assert (row["volume"], row["turnover"]) == (643913.91, 730375.808)
    assert (row["high_limit"], row["low_limit"]) == (12.51, 10.23)
    assert (row["name"], row["market"], row["exchange"]) == ("平安银行", "主板", "SZSE")
    assert row["avg_price"] == pytest.approx(730375.808 * 1_000 / (643913.91 * 100))


def test_the_catalog_shows_the_real_day_by_table_name(real_day) -> None:
    platform, _ = real_day
    catalog: Path = platform.lake.root / "catalog.duckdb"
    with duckdb.connect(str(catalog), read_only=True) as connection:
        counted = connection.execute("SELECT date, count(*) FROM daily_prices GROUP BY date")
        assert counted.fetchall() == [(REAL_DAY, 5393)]
