"""The premiums of two real funds, 2020 to 2026, through the asset and through its pure function."""

import csv
import datetime as dt
import functools
import itertools
import statistics
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pyarrow as pa
import pytest

from marketdata_assets.assets.etf_premium import premiums
from marketdata_assets.checks.excuses import NONE
from marketdata_assets.checks.premium import PREMIUM_CHECKS
from marketdata_assets.checks.running import run_checks
from marketdata_assets.storage.io_manager import conform
from marketdata_assets.storage.premium_statistics import premium_statistics
from marketdata_assets.tables import ETF_KLINE, ETF_LIST, ETF_NAV, ETF_PREMIUM
from marketdata_assets.trading_calendar import is_session, sessions_between
from marketdata_assets_tests.conftest import ETF_CHAIN, Platform, unhurried_tushare
from marketdata_assets_tests.replay import REAL_DATA, needs_real_data
from marketdata_assets_tests.small_funds import SmallFunds
from marketdata_sandbox.columns import Columns
from marketdata_sandbox.protocol import TushareProtocol
from marketdata_sandbox.server import TushareServer

pytestmark = needs_real_data

CODES = ("510300.SH", "513100.SH")
SPLIT = dt.date(2022, 1, 13)


@functools.cache
def recorded(kind: str, code: str) -> dict[dt.date, float]:
    """The closes or values of a fund, as recorded."""
    path = REAL_DATA / "etf" / f"{kind}_{code[:6]}.csv"
    with path.open(encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return {dt.date.fromisoformat(row["date"]): float(row[kind]) for row in rows}


def closes(code: str) -> dict[dt.date, float]:
    return recorded("close", code)


def values(code: str) -> dict[dt.date, float]:
    return recorded("nav", code)


def common_days(code: str) -> list[dt.date]:
    return sorted(closes(code).keys() & values(code).keys())


class RealFunds(SmallFunds):
    """The two funds with their real closes and values, among others that are made up.

    Volumes were not recorded.
    """

    def __init__(self) -> None:
        super().__init__([*CODES, "159901.SZ", "159902.SZ", "159903.SZ"])

    def fund_daily(self, day: dt.date) -> Columns:
        made_up = super().fund_daily(day)
        rows = [dict(zip(made_up, row, strict=True)) for row in zip(*made_up.values(), strict=True)]
        for row in rows:
            if row["ts_code"] in CODES:
                close = closes(row["ts_code"]).get(day)
                row |= dict.fromkeys(("open", "high", "low", "close", "pre_close"), close)
                row |= {"amount": close and close * row["vol"] / 10}
        traded = [row for row in rows if row["close"] is not None]
        return {name: [row[name] for row in traded] for name in made_up}

    def fund_nav(self, nav_date: dt.date) -> Columns:
        self.late = {nav_date: set(CODES)}
        date = f"{nav_date:%Y%m%d}"
        self.more_navs = [
            (code, date, date, values(code)[nav_date], "0")
            for code in CODES
            if nav_date in values(code)
        ]
        return super().fund_nav(nav_date)


@pytest.fixture(scope="module")
def all_days() -> Iterator[pa.Table]:
    """ETF_PREMIUM of every day on which one of the funds has a bar."""
    bars = [
        {"ts_code": code, "trade_date": day, "vol": 1.0 + number, "amount": close}
        | dict.fromkeys(("open", "high", "low", "close", "pre_close"), close)
        for code in CODES
        for number, (day, close) in enumerate(closes(code).items())
    ]
    navs = [
        # Days that do not trade are stored with a later session.
        {"trade_date": day if is_session(day) else dt.date(2099, 1, 1), "ts_code": code}
        | {"nav_date": day, "ann_date": day, "unit_nav": value}
        for code in CODES
        for day, value in values(code).items()
    ]
    with duckdb.connect() as connection:
        kline = connection.from_arrow(pa.Table.from_pylist(bars, schema=ETF_KLINE.schema))
        nav = connection.from_arrow(pa.Table.from_pylist(navs, schema=ETF_NAV.schema))
        listed = connection.from_arrow(ETF_LIST.schema.empty_table())
        yield conform(ETF_PREMIUM, premiums(kline, nav, listed).to_arrow_table())


def of(table: pa.Table, code: str) -> dict[dt.date, float]:
    """The premiums of a fund, where there are any."""
    return {
        row["trade_date"]: row["premium"]
        for row in table.to_pylist()
        if row["ts_code"] == code and row["premium"] is not None
    }


@pytest.mark.parametrize("code", CODES)
def test_the_premium_is_close_over_value_on_every_common_day_and_on_no_other(
    all_days: pa.Table, code: str
) -> None:
    days = common_days(code)
    assert len(days) > 1_500
    assert of(all_days, code) == {day: closes(code)[day] / values(code)[day] - 1 for day in days}


def test_the_split_makes_no_premium(all_days: pa.Table) -> None:
    before, after = dt.date(2022, 1, 12), dt.date(2022, 1, 14)
    navs = values("513100.SH")
    assert SPLIT in navs
    assert navs[SPLIT] / navs[before] == pytest.approx(0.2, abs=0.01)
    found = of(all_days, "513100.SH")
    assert SPLIT not in found
    assert abs(found[before]) < 0.1
    assert abs(found[after]) < 0.1


def test_values_of_days_that_do_not_trade_are_there_and_make_no_premium(all_days) -> None:
    for code in CODES:
        odd = [day for day in values(code) if day.year >= 2020 and not is_session(day)]
        assert odd
        assert not set(odd) & set(of(all_days, code))


def test_the_statistics_are_those_that_are_known_of_the_two_funds(all_days: pa.Table) -> None:
    rows = {code: all_days.filter(pa.compute.equal(all_days["ts_code"], code)) for code in CODES}
    abroad, home = (premium_statistics(rows[code]) for code in ("513100.SH", "510300.SH"))
    assert abroad.mean == pytest.approx(0.0285, abs=0.0005)
    assert abroad.sd == pytest.approx(0.041, abs=0.0005)
    assert abroad.min == pytest.approx(-0.060, abs=0.0005)
    assert abroad.max == pytest.approx(0.280, abs=0.0005)
    assert 0.0015 <= home.sd <= 0.0022
    assert abroad.latest_date == common_days("513100.SH")[-1]
    series = [premium for _, premium in sorted(of(all_days, "513100.SH").items())]
    assert statistics.correlation(*zip(*itertools.pairwise(series), strict=True)) == pytest.approx(
        0.87, abs=0.01
    )


def test_no_check_speaks_against_a_real_premium(all_days: pa.Table) -> None:
    bounds = [check for check in PREMIUM_CHECKS if check.name == "premium_within_bounds"]
    with duckdb.connect() as connection:
        rows = connection.from_arrow(all_days)
        assert run_checks(ETF_PREMIUM.name, rows, bounds, NONE) == []


def test_the_asset_stores_the_same_through_the_vendors_protocol(
    all_days: pa.Table, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    days = sessions_between(dt.date(2021, 12, 29), dt.date(2022, 1, 20))
    with TushareServer(TushareProtocol(RealFunds())).running() as server:
        platform = Platform(tmp_path, unhurried_tushare(server.url, tmp_path), instance)
        assert platform.run(days[0], days[-1], ETF_CHAIN).success
    stored = pa.concat_tables(platform.lake.read(ETF_PREMIUM, day) for day in days)
    for code in CODES:
        wanted = {day: premium for day, premium in of(all_days, code).items() if day in days}
        assert of(stored, code) == wanted
    on_the_split = platform.lake.read(ETF_PREMIUM, SPLIT)
    assert "513100.SH" not in on_the_split["ts_code"].to_pylist()
    assert "513100.SH" in platform.lake.read(ETF_NAV, SPLIT)["ts_code"].to_pylist()
