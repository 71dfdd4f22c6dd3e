"""The list of findings is stored whatever is wrong with the rows of a day."""

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from marketdata_assets.assets.findings import day_of, listed_days
from marketdata_assets.checks.excuses import NONE
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import BLOCK_TRADES, ETF_NAV, FINDINGS, Table

DAY = dt.date(2024, 1, 2)
TRADE = {"ts_code": "600000.SH", "trade_date": DAY, "price": 10.0, "vol": 1.0}
TRADES = [TRADE | {"number": 1, "amount": 50.0}, TRADE | {"number": 2, "amount": 60.0}]
NAV_DATES = (dt.date(2023, 12, 31), DAY)
NAVS = [{"ts_code": "510300.SH", "trade_date": DAY, "nav_date": day} for day in NAV_DATES]


@pytest.mark.parametrize(
    ("table", "rows", "seen"),
    [
        (
            BLOCK_TRADES,
            TRADES,
            "price 10.0, vol 1.0, amount 50.0; price 10.0, vol 1.0, amount 60.0",
        ),
        (
            ETF_NAV,
            NAVS,
            f"nav_date {NAV_DATES[0]}, unit_nav NULL; nav_date {DAY}, unit_nav NULL",
        ),
    ],
    ids=["block trades", "values of a year's end"],
)
def test_several_wrong_rows_of_one_code_are_one_finding(
    lake: Lake, table: Table, rows: list[dict[str, Any]], seen: str
) -> None:
    lake.write(table, DAY, pa.Table.from_pylist(rows, schema=table.schema))
    listed = listed_days(lake, [DAY], NONE, dt.datetime.now(dt.UTC))
    lake.write(FINDINGS, DAY, day_of(lake, DAY, listed))
    [found] = lake.read(FINDINGS, DAY).to_pylist()
    assert (found["ts_code"], found["seen"]) == (rows[0]["ts_code"], seen)
