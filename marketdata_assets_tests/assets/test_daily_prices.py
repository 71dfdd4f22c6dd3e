"""What the columns that are reckoned while merging say of a share's bar and name."""

import datetime as dt
from collections.abc import Callable

import duckdb
import pyarrow as pa
import pytest

from marketdata_assets.assets.daily_prices import merge_prices
from marketdata_assets.storage.fitting import with_all_columns
from marketdata_assets.tables import (
    ADJ_FACTOR,
    DAILY_BASIC,
    DAILY_KLINE,
    PRICE_LIMITS,
    STOCK_LIST,
    Table,
)

DAY = dt.date(2024, 3, 6)
LATER = dt.date(2024, 3, 7)
KEY: dict[str, object] = {"ts_code": "600000.SH", "trade_date": DAY}
BAR: dict[str, object] = {"close": 10.2, "vol": 300.0, "amount": 303.0}
MARKED = [
    "ST华钰",
    "*ST宇顺",
    "SST中纺",
    "S ST华新",
    "S*ST前锋",
    "XDST华钰",
    "*STTCL",
    "ST TCL",
    "NST梅雁",
]
PLAIN = ["浦发银行", "S佳通", "STL科技", "退市海创", "海创退", "S仪化", "中国ST"]
Merge = Callable[[dict[str, object], dict[str, object]], dict[str, object]]


@pytest.fixture
def merge() -> Merge:
    """The merged row of a bar and of what is listed."""

    def merged(bar: dict[str, object], listed: dict[str, object]) -> dict[str, object]:
        with duckdb.connect() as connection:

            def rows(table: Table, *found: dict[str, object]) -> duckdb.DuckDBPyRelation:
                rows = pa.Table.from_pylist([KEY | row for row in found], table.schema)
                return connection.from_arrow(with_all_columns(table, rows))

            [row] = (
                merge_prices(
                    rows(DAILY_KLINE, BAR | bar),
                    rows(PRICE_LIMITS),
                    rows(DAILY_BASIC),
                    rows(STOCK_LIST, {"names_as_of": DAY} | listed),
                    rows(ADJ_FACTOR, {"adj_factor": 3.5}),
                )
                .to_arrow_table()
                .to_pylist()
            )
        return dict(row)

    return merged


@pytest.mark.parametrize("name", MARKED)
def test_a_mark_in_the_name_of_the_day_is_st(merge: Merge, name: str) -> None:
    assert merge({}, {"name": name})["is_st"] is True


@pytest.mark.parametrize("name", PLAIN)
def test_any_other_name_is_not_st(merge: Merge, name: str) -> None:
    assert merge({}, {"name": name})["is_st"] is False


@pytest.mark.parametrize("name", [*MARKED, *PLAIN])
def test_a_name_of_a_later_day_says_nothing_of_st(merge: Merge, name: str) -> None:
    row = merge({}, {"name": name, "names_as_of": LATER})
    assert (row["name"], row["is_st"]) == (name, None)


def test_a_name_whose_days_are_told_is_of_the_day_whenever_it_was_known(merge: Merge) -> None:
    told = {"name_since": dt.date(2020, 1, 2), "names_as_of": LATER}
    assert merge({}, {"name": "ST华钰", **told})["is_st"] is True
    assert merge({}, {"name": "浦发银行", **told})["is_st"] is False


def test_a_share_without_a_name_is_neither_st_nor_not(merge: Merge) -> None:
    assert merge({}, {"name": None})["is_st"] is None


def test_the_mean_price_is_in_yuan(merge: Merge) -> None:
    assert merge({}, {})["avg_price"] == 10.1


@pytest.mark.parametrize("bar", [{"vol": 0.0, "amount": 0.0}, {"vol": None}, {"amount": None}])
def test_without_trades_there_is_no_mean_price(merge: Merge, bar: dict[str, object]) -> None:
    assert merge(bar, {})["avg_price"] is None


def test_the_factor_is_that_of_the_day(merge: Merge) -> None:
    assert merge({}, {})["adj_factor"] == 3.5
