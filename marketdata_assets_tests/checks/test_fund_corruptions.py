"""Every corruption of a good day of funds is caught by the check that is named for it."""

import copy
import datetime as dt
from collections.abc import Callable
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pytest

from marketdata_assets.assets.etf_premium import premiums
from marketdata_assets.assets.lists import listed_funds
from marketdata_assets.checks.days import fetched_checks
from marketdata_assets.checks.excuses import NONE
from marketdata_assets.checks.premium import PREMIUM_CHECKS, check_inputs
from marketdata_assets.checks.running import Finding, run_checks
from marketdata_assets.checks.sessions import calendar_around
from marketdata_assets.resources.tushare_answers import typed_table
from marketdata_assets.resources.tushare_navs import as_of_session
from marketdata_assets.storage.io_manager import conform
from marketdata_assets.tables import (
    ETF_KLINE,
    ETF_LIST,
    ETF_NAV,
    ETF_PREMIUM,
    FUND_BASIC,
    FUND_NAV,
    Table,
)
from marketdata_assets.tables.declaration import Outcome
from marketdata_assets.trading_calendar import previous_session
from marketdata_assets_tests.checks.judging import check_fetched_day
from marketdata_sandbox.market.exchange import SimulatedExchange

DAY = dt.date(2024, 9, 26)
CODE, MONEY = "510300.SH", "511990.SH"
TABLES = (ETF_KLINE, ETF_NAV, ETF_LIST)
CALLS = {"fund_basic": FUND_BASIC, "fund_daily": ETF_KLINE, "fund_nav": FUND_NAV}

Columns = dict[str, list[Any]]
Answers = dict[str, Columns]


def answers_of(exchange: SimulatedExchange, day: dt.date) -> Answers:
    return {call: getattr(exchange, call)(day) for call in CALLS}


def stored(answers: Answers, day: dt.date) -> dict[Table, pa.Table]:
    basic, kline, navs = (_typed(table, answers[call]) for call, table in CALLS.items())
    return {
        ETF_LIST: listed_funds(basic, day, day),
        ETF_KLINE: kline,
        ETF_NAV: as_of_session(day, [navs]),
    }


def _typed(table: Table, columns: Columns) -> pa.Table:
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    return typed_table(table, list(columns), rows, {})


def findings(
    tables: dict[Table, pa.Table], rows_before: dict[Table, int], before: pa.Table
) -> list[Finding]:
    """What is found on the way of a day to its premiums."""
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        found: list[Finding] = []
        for table, data in tables.items():
            found += check_fetched_day(connection, table, DAY, data, rows_before.get(table), NONE)
        return found + judged_premiums(connection, tables, DAY, before)


def judged_premiums(
    connection: duckdb.DuckDBPyConnection,
    tables: dict[Table, pa.Table],
    day: dt.date,
    before: pa.Table,
) -> list[Finding]:
    kline, navs, funds = (connection.from_arrow(tables[table]) for table in TABLES)
    rows = check_inputs(
        premiums(kline, navs, funds), kline, navs, funds, before, calendar_around([day])
    )
    return run_checks(ETF_PREMIUM.name, rows, PREMIUM_CHECKS, NONE)


def merged(
    connection: duckdb.DuckDBPyConnection, tables: dict[Table, pa.Table]
) -> duckdb.DuckDBPyRelation:
    kline, navs, funds = (connection.from_arrow(tables[table]) for table in TABLES)
    return premiums(kline, navs, funds)


class Good(NamedTuple):
    answers: Answers
    before: Answers
    rows_before: dict[Table, int]
    premiums_before: pa.Table

    def found(self, answers: Answers) -> list[Finding]:
        return findings(stored(answers, DAY), self.rows_before, self.premiums_before)


@pytest.fixture(scope="module")
def good(exchange: SimulatedExchange) -> Good:
    yesterday = previous_session(DAY)
    before = answers_of(exchange, yesterday)
    tables = stored(before, yesterday)
    with duckdb.connect() as connection:
        rows = conform(ETF_PREMIUM, merged(connection, tables).to_arrow_table())
    counts = {table: data.num_rows for table, data in tables.items()}
    return Good(answers_of(exchange, DAY), before, counts, rows)


class Corruption(NamedTuple):
    name: str
    edit: Callable[[Answers, Answers], None]
    caught_by: str
    outcome: Outcome


CORRUPTIONS: list[Corruption] = []


def corruption(caught_by: str, outcome: Outcome):
    def register(edit: Callable[[Answers, Answers], None]):
        CORRUPTIONS.append(Corruption(edit.__name__.replace("_", " "), edit, caught_by, outcome))
        return edit

    return register


def change(answers: Answers, call: str, name: str, to: Callable[[Any], Any], code: str = CODE):
    columns = answers[call]
    row = columns["ts_code"].index(code)
    columns[name][row] = to(columns[name][row])


def scale(columns: Columns, name: str, factor: float) -> None:
    columns[name] = [value * factor for value in columns[name]]


def keep(columns: Columns, part: float) -> None:
    count = int(len(columns["ts_code"]) * part)
    for values in columns.values():
        del values[count:]


@corruption("listing_facts", Outcome.FLAGGED)
def a_fund_without_a_name(day: Answers, before: Answers) -> None:
    change(day, "fund_basic", "name", lambda _: " ")


@corruption("listing_facts", Outcome.FLAGGED)
def a_code_of_a_fund_off_the_exchange(day: Answers, before: Answers) -> None:
    change(day, "fund_basic", "ts_code", lambda _: "510300.OF")


@corruption("row_count", Outcome.REFUSED)
def a_third_of_the_list_lost(day: Answers, before: Answers) -> None:
    keep(day["fund_basic"], 0.66)


@corruption("row_count", Outcome.REFUSED)
def a_third_of_the_bars_lost(day: Answers, before: Answers) -> None:
    keep(day["fund_daily"], 0.66)


@corruption("positive_prices", Outcome.HELD)
def a_row_of_zeros(day: Answers, before: Answers) -> None:
    for name in ("open", "high", "low", "close", "vol", "amount"):
        change(day, "fund_daily", name, lambda _: 0.0)


@corruption("positive_prices", Outcome.HELD)
def a_negative_volume(day: Answers, before: Answers) -> None:
    change(day, "fund_daily", "vol", lambda vol: -vol)


@corruption("positive_prices", Outcome.HELD)
def value_without_volume(day: Answers, before: Answers) -> None:
    change(day, "fund_daily", "vol", lambda _: 0.0)


@corruption("ohlc_order", Outcome.REFUSED)
def high_and_low_swapped(day: Answers, before: Answers) -> None:
    bars = day["fund_daily"]
    bars["high"], bars["low"] = bars["low"], bars["high"]


@corruption("ohlc_order", Outcome.HELD)
def a_traded_bar_without_an_open(day: Answers, before: Answers) -> None:
    change(day, "fund_daily", "open", lambda _: None)


@corruption("units", Outcome.REFUSED)
def volumes_in_shares(day: Answers, before: Answers) -> None:
    scale(day["fund_daily"], "vol", 100)


@corruption("units", Outcome.HELD)
def one_volume_in_shares(day: Answers, before: Answers) -> None:
    change(day, "fund_daily", "vol", lambda vol: vol * 100)


@corruption("units", Outcome.HELD)
def one_value_in_yuan(day: Answers, before: Answers) -> None:
    change(day, "fund_daily", "amount", lambda amount: amount * 1000)


@corruption("units", Outcome.HELD)
def a_decimal_of_all_prices_shifted(day: Answers, before: Answers) -> None:
    for name in ("open", "high", "low", "close", "pre_close", "change"):
        change(day, "fund_daily", name, lambda price: price * 10)


@corruption("change_recomputed", Outcome.FLAGGED)
def another_pre_close(day: Answers, before: Answers) -> None:
    change(day, "fund_daily", "pre_close", lambda price: price + 0.01)


@corruption("pct_chg_recomputed", Outcome.REFUSED)
def a_change_as_a_ratio(day: Answers, before: Answers) -> None:
    scale(day["fund_daily"], "pct_chg", 0.01)


@corruption("positive_nav", Outcome.HELD)
def a_value_of_zero(day: Answers, before: Answers) -> None:
    change(day, "fund_nav", "unit_nav", lambda _: 0.0)


@corruption("premium_within_bounds", Outcome.HELD)
def a_value_before_a_split_of_two(day: Answers, before: Answers) -> None:
    change(day, "fund_nav", "unit_nav", lambda nav: nav * 2)


@corruption("premium_within_bounds", Outcome.HELD)
def a_value_after_a_split_of_five(day: Answers, before: Answers) -> None:
    change(day, "fund_nav", "unit_nav", lambda nav: nav / 5)


@corruption("premium_within_bounds", Outcome.HELD)
def a_lof_worth_ten_times_as_much(day: Answers, before: Answers) -> None:
    change(day, "fund_nav", "unit_nav", lambda nav: nav * 10, code="161725.SZ")


@corruption("premium_within_bounds", Outcome.HELD)
def a_money_market_fund_that_is_not_told_to_be_one(day: Answers, before: Answers) -> None:
    for name in ("fund_type", "invest_type"):
        change(day, "fund_basic", name, lambda _: "股票型", code=MONEY)


@corruption("not_repeated", Outcome.REFUSED)
def the_bars_of_the_day_before(day: Answers, before: Answers) -> None:
    count = len(before["fund_daily"]["ts_code"])
    dates = {"trade_date": day["fund_daily"]["trade_date"][:1] * count}
    day["fund_daily"] = {**before["fund_daily"], **dates}


@corruption("navs_not_repeated", Outcome.REFUSED)
def the_values_of_the_day_before(day: Answers, before: Answers) -> None:
    count = len(before["fund_nav"]["ts_code"])
    dates = {"nav_date": day["fund_nav"]["nav_date"][:1] * count}
    day["fund_nav"] = {**before["fund_nav"], **dates}


@corruption("navs_published", Outcome.FLAGGED)
def most_values_not_there(day: Answers, before: Answers) -> None:
    keep(day["fund_nav"], 0.5)


@corruption("fund_is_listed", Outcome.FLAGGED)
def a_fund_lost_from_the_list(day: Answers, before: Answers) -> None:
    row = day["fund_basic"]["ts_code"].index(CODE)
    for values in day["fund_basic"].values():
        del values[row]


@corruption("bar_missing", Outcome.FLAGGED)
def the_bar_of_a_fund_gone(day: Answers, before: Answers) -> None:
    row = day["fund_daily"]["ts_code"].index(CODE)
    for values in day["fund_daily"].values():
        del values[row]


@corruption("bar_missing", Outcome.REFUSED)
def a_fifth_of_the_bars_gone(day: Answers, before: Answers) -> None:
    keep(day["fund_daily"], 0.8)


@corruption("close_present", Outcome.HELD)
def a_close_missing(day: Answers, before: Answers) -> None:
    change(day, "fund_daily", "close", lambda _: None)


@corruption("values_present", Outcome.FLAGGED)
def a_close_before_missing(day: Answers, before: Answers) -> None:
    change(day, "fund_daily", "pre_close", lambda _: None)


@pytest.mark.parametrize("one", CORRUPTIONS, ids=lambda one: one.name)
def test_a_corruption_of_funds_is_caught(good: Good, one: Corruption) -> None:
    answers = copy.deepcopy(good.answers)
    one.edit(answers, good.before)
    caught = {found.check.name: found for found in good.found(answers) if found.fails}
    found = caught[one.caught_by]
    assert (found.check.of_mass if found.is_mass else found.check.outcome) is one.outcome


@pytest.mark.parametrize(("vol", "is_told"), [(999.0, False), (1000.0, True)])
def test_a_thinly_traded_fund_may_repeat_its_bar(vol: float, is_told: bool) -> None:
    bar = {"open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "vol": vol, "amount": vol / 10}
    before, day = (
        pa.Table.from_pylist(
            [{"trade_date": date, "ts_code": "184688.SZ", **bar}], schema=ETF_PREMIUM.schema
        )
        for date in (previous_session(DAY), DAY)
    )
    empty = {table: table.schema.empty_table() for table in TABLES}
    with duckdb.connect() as connection:
        kline, navs, funds = (connection.from_arrow(empty[table]) for table in TABLES)
        premiums_of_day, sessions = connection.from_arrow(day), calendar_around([DAY])
        rows = check_inputs(premiums_of_day, kline, navs, funds, before, sessions)
        found = run_checks(ETF_PREMIUM.name, rows, PREMIUM_CHECKS, NONE)
    assert ("not_repeated" in {one.check.name for one in found if one.fails}) is is_told


def test_every_check_of_funds_has_a_corruption() -> None:
    checks = {check.name for table in stored_tables() for check in fetched_checks(table)}
    # What is stored of the day itself is not known here.
    checks -= {"rows_kept"}
    assert {one.caught_by for one in CORRUPTIONS} == checks | {c.name for c in PREMIUM_CHECKS}


def stored_tables() -> tuple[Table, ...]:
    return (ETF_LIST, ETF_KLINE, ETF_NAV)


def test_nothing_is_found_on_a_good_day(good: Good) -> None:
    assert [found.in_words() for found in good.found(good.answers) if found.fails] == []


@pytest.mark.parametrize(
    "day", ["2005-02-24", "2009-10-30", "2015-07-08", "2022-01-13", "2022-01-14", "2026-11-20"]
)
def test_nothing_is_found_on_days_of_all_times(exchange: SimulatedExchange, day: str) -> None:
    there = dt.date.fromisoformat(day)
    tables = stored(answers_of(exchange, there), there)
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        found = [
            finding
            for table, data in tables.items()
            for finding in check_fetched_day(connection, table, there, data, None, NONE)
        ]
        found += judged_premiums(connection, tables, there, ETF_PREMIUM.schema.empty_table())
    assert [one.in_words() for one in found if one.fails] == []
