"""The list of ST shares and the names of the day: what is said where they disagree."""

import datetime as dt
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from marketdata_assets.assets.findings import listed_days
from marketdata_assets.assets.lists import Shares, name_intervals, shares_of_day
from marketdata_assets.checks.days import rows_lost
from marketdata_assets.checks.excuses import NONE
from marketdata_assets.checks.prices import ST_CHECKS, st_inputs
from marketdata_assets.checks.running import run_checks
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import STOCK_LIST
from marketdata_assets.tables.extras import STOCK_ST
from marketdata_sandbox.transport import sandbox_tushare

DAY, BEFORE_ALL = dt.date(2024, 9, 26), dt.date(2015, 12, 31)
CODE = "600001.SH"
KNOWN: dict[str, Any] = {"ts_code": CODE, "trade_date": DAY, "names_as_of": dt.date(2026, 1, 5)}
OF_THE_DAY = {"name_since": dt.date(2020, 1, 2)}


def rows(table: Any, *values: dict[str, Any]) -> pa.Table:
    empty = {column.name: None for column in table.columns} | {"list_date": dt.date(2010, 1, 4)}
    made = [{name: (empty | one)[name] for name in table.column_names} for one in values]
    return pa.Table.from_pylist(made, pa.schema([(f.name, f.type) for f in table.schema]))


def found(listed: pa.Table, st_shares: pa.Table) -> list[str]:
    with duckdb.connect() as connection:
        inputs = st_inputs(connection.from_arrow(listed), connection.from_arrow(st_shares))
        return [one.sample[0] for one in run_checks(STOCK_ST.name, inputs, ST_CHECKS, NONE)]


@pytest.mark.parametrize(
    ("name", "known", "in_the_list", "agree"),
    [
        ("ST甲", OF_THE_DAY, True, True),
        ("*ST甲", OF_THE_DAY, False, False),
        ("甲", OF_THE_DAY, True, False),
        ("甲", OF_THE_DAY, False, True),
        ("甲", {"names_as_of": DAY}, True, False),
        ("甲", {}, True, True),
        ("ST甲", {}, False, True),
        ("甲退", OF_THE_DAY, True, True),
        ("退市甲", OF_THE_DAY, False, True),
        ("甲", OF_THE_DAY | {"ts_code": "302132.SZ"}, True, True),
    ],
)
def test_a_share_is_in_the_list_exactly_when_its_name_of_the_day_says_so(
    name: str, known: dict[str, Any], in_the_list: bool, agree: bool
) -> None:
    share = KNOWN | {"name": name} | known
    st_shares = rows(STOCK_ST, *[share] * in_the_list)
    assert (found(rows(STOCK_LIST, share), st_shares) == []) is agree


def test_a_disagreement_is_a_finding_from_when_the_list_begins(lake: Lake, tushare: Any) -> None:
    shares = Shares(tushare.stock_basic(), name_intervals(tushare.name_changes()))
    st_shares = tushare.day(STOCK_ST, DAY)
    for day in (DAY, BEFORE_ALL):
        lake.write(STOCK_LIST, day, shares_of_day(shares, day, dt.date(2026, 1, 5), None))
    lake.write(STOCK_ST, DAY, st_shares.slice(1))
    lake.write(STOCK_ST, BEFORE_ALL, st_shares.slice(0, 0))
    listed = listed_days(lake, [BEFORE_ALL, DAY], NONE, dt.datetime.now(dt.UTC))
    [finding] = listed.to_pylist()
    assert (finding["table_name"], finding["check_name"]) == ("stock_st", "names_agree")
    assert (finding["trade_date"], finding["outcome"]) == (DAY, "flagged")
    assert finding["ts_code"] == st_shares["ts_code"][0].as_py()


@pytest.fixture
def tushare(tmp_path: Any) -> Any:
    resource: TushareResource = sandbox_tushare(tmp_path / "state")
    with resource.yield_for_execution(None) as ready:
        yield ready


def test_half_of_the_marks_may_go_on_a_day_and_no_more() -> None:
    lost = {rows: rows_lost(STOCK_ST, DAY, rows, 200, NONE) for rows in (100, 99)}
    assert [any(one.refuses for one in found) for found in lost.values()] == [False, True]
