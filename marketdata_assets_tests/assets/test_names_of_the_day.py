"""The list of a past day has the names of that day, and prices and checks go by them."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from marketdata_assets.tables import DAILY_PRICES, FINDINGS, NAME_CHANGES, STOCK_LIST
from marketdata_assets_tests.conftest import CHAIN, Platform, failure_text
from marketdata_assets_tests.edited_market import platform_over
from marketdata_assets_tests.small_funds import SmallFunds
from marketdata_sandbox.columns import Columns
from marketdata_sandbox.protocol import Refusal

DAY, NEXT = dt.date(2024, 9, 26), dt.date(2024, 9, 27)
SH, SZ, BJ = "600000.SH", "000001.SZ", "920001.BJ"
TOLD = [
    (SH, "ST甲", "20230504", "20240926", "20230502", "ST"),
    (SH, "甲", "20240927", None, "20240925", "撤销ST"),
    (SZ, "乙", "19991110", None, "19991110", "其他"),
]


class NamedMarket(SmallFunds):
    """The small market; today its shares are called 甲, 乙 and x."""

    def __init__(self, told: Sequence[Sequence[Any]] = TOLD, refusal: str = "") -> None:
        super().__init__()
        self.told = told
        self.refusal = refusal

    def stock_basic(self, today: dt.date) -> Columns:
        stocks = super().stock_basic(today)
        return stocks | {"name": ["甲", "乙", *stocks["name"][2:]]}

    def namechange(self, today: dt.date) -> Columns:
        if self.refusal:
            raise Refusal(50101, self.refusal)
        columns = map(list, zip(*self.told, strict=True))
        return dict(zip(NAME_CHANGES.column_names, columns, strict=True))


def listed(platform: Platform, day: dt.date) -> dict[str, tuple[str, dt.date | None]]:
    rows = platform.lake.read(STOCK_LIST, day).to_pylist()
    return {row["ts_code"]: (row["name"], row["name_since"]) for row in rows}


def test_names_and_st_are_those_of_the_day_out_of_one_call(tmp_path: Path, instance) -> None:
    with platform_over(NamedMarket(), tmp_path, instance) as platform:
        assert platform.run(DAY, NEXT, assets=CHAIN).success
        asked = [request.call for request in platform.requests]
        lake = platform.lake
    assert asked.count(NAME_CHANGES.tushare.call) == 1
    assert listed(platform, DAY)[SH] == ("ST甲", dt.date(2023, 5, 4))
    assert listed(platform, NEXT)[SH] == ("甲", NEXT)
    assert listed(platform, DAY)[BJ] == ("x", None)
    marks = {
        (row["date"], row["code"]): row["is_st"]
        for day in (DAY, NEXT)
        for row in lake.read(DAILY_PRICES, day).to_pylist()
    }
    assert [marks[DAY, code] for code in (SH, SZ, BJ)] == [True, False, None]
    assert [marks[NEXT, code] for code in (SH, SZ, BJ)] == [False, False, None]
    # The small market has limits of 10 % for all.
    found = [
        (row["trade_date"], row["ts_code"])
        for day in (DAY, NEXT)
        for row in lake.read(FINDINGS, day).to_pylist()
        if row["check_name"] == "limits_agree_with_name"
    ]
    assert found == [(DAY, SH)]


@pytest.mark.parametrize(
    "market",
    [SmallFunds(), NamedMarket(refusal="抱歉，您每天最多访问该接口5次")],
    ids=["not allowed", "used up"],
)
def test_an_account_that_may_not_ask_has_the_names_of_today(
    tmp_path: Path, instance: dg.DagsterInstance, market: SmallFunds
) -> None:
    with platform_over(market, tmp_path, instance) as platform:
        assert platform.run(DAY, assets=[STOCK_LIST.name]).success
    assert {since for _, since in listed(platform, DAY).values()} == {None}

    with platform_over(NamedMarket(), tmp_path, instance) as platform:
        assert platform.run(DAY, assets=[STOCK_LIST.name]).success
    assert listed(platform, DAY)[SH] == ("ST甲", dt.date(2023, 5, 4))

    with platform_over(market, tmp_path, instance) as platform:
        assert platform.run(DAY, assets=[STOCK_LIST.name]).success
    assert listed(platform, DAY)[SH] == ("ST甲", dt.date(2023, 5, 4))


def test_a_name_that_the_list_of_today_does_not_know_is_not_used(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    told = [*TOLD[:2], (SZ, "丙", "19991110", None, "19991110", "其他")]
    with platform_over(NamedMarket(told), tmp_path, instance) as platform:
        assert platform.run(DAY, assets=[STOCK_LIST.name]).success
    assert listed(platform, DAY)[SZ] == ("乙", None)
    assert listed(platform, DAY)[SH] == ("ST甲", dt.date(2023, 5, 4))


def test_names_that_fail_to_come_fail_the_list(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with platform_over(NamedMarket(refusal="必填参数"), tmp_path, instance) as platform:
        result = platform.run(DAY, assets=[STOCK_LIST.name])
        assert not result.success
        assert "Tushare namechange" in failure_text(result, STOCK_LIST.name)
        assert not platform.lake.has(STOCK_LIST, DAY)
