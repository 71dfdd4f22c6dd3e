"""The chain of funds over a small market on a real server: values that come late, and faults."""

import datetime as dt
from collections import deque
from typing import Any

import pytest

from marketdata_assets.automation.refetching import waited_for
from marketdata_assets.tables import (
    ETF_COVERAGE,
    ETF_KLINE,
    ETF_LIST,
    ETF_NAV,
    ETF_PREMIUM,
    FINDINGS,
)
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.conftest import (
    ETF_CHAIN,
    QUIET,
    Platform,
    check_outcomes,
    failure_text,
    metadata_of,
    unhurried_tushare,
)
from marketdata_assets_tests.instance_in_memory import instance_in_memory
from marketdata_assets_tests.resources.spoiling import column_set
from marketdata_assets_tests.small_funds import (
    ABROAD,
    DOMESTIC,
    FUNDS,
    LOF,
    MONEY,
    SmallFunds,
    price,
    value,
)
from marketdata_sandbox import faults
from marketdata_sandbox.server import TushareServer

DAYS = sessions_between(dt.date(2024, 9, 26), dt.date(2024, 10, 10))
FIRST, SECOND, LAST = DAYS[0], DAYS[1], DAYS[-1]
LATE = ["etf_nav", "etf_premium"]


@pytest.fixture
def market() -> SmallFunds:
    return SmallFunds()


def premiums(platform: Platform, day: dt.date) -> dict[str, dict[str, Any]]:
    return {row["ts_code"]: row for row in platform.lake.read(ETF_PREMIUM, day).to_pylist()}


def test_two_days_of_the_sandbox_go_through_the_job(sandbox: Platform) -> None:
    job = sandbox.definitions.resolve_job_def("etf_chain")
    for day in (FIRST, SECOND):
        result = job.execute_in_process(
            run_config=QUIET, instance=sandbox.instance, partition_key=str(day)
        )
        assert result.success
        rows = list(premiums(sandbox, day).values())
        assert len(rows) > 1_400
        for row in rows:
            if row["premium"] is None:
                assert row["no_premium"]
            else:
                assert row["premium"] == row["close"] / row["unit_nav"] - 1
        told = metadata_of(result, "etf_premium", day)
        assert told["funds"] == len(rows)
        assert told["nav not published"] == sum(r["unit_nav"] is None for r in rows)
        assert -0.4 < told["premium, min"] <= told["premium, median"] <= told["premium, max"] < 0.8


def test_a_range_and_single_days_store_the_same_premiums(
    platform: Platform, server: TushareServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    days = DAYS[:2]
    assert platform.run(days[0], days[-1], ETF_CHAIN).success
    for table in (ETF_LIST, ETF_KLINE, ETF_NAV, ETF_PREMIUM):
        assert platform.lake.days(table) == days
    root = tmp_path_factory.mktemp("one by one")
    with instance_in_memory() as instance:
        one_by_one = Platform(root, unhurried_tushare(server.url, root), instance)
        for day in days:
            assert one_by_one.run(day, assets=ETF_CHAIN).success
            for table in (ETF_LIST, ETF_KLINE, ETF_NAV, ETF_PREMIUM):
                assert one_by_one.lake.read(table, day).equals(platform.lake.read(table, day))


def test_a_premium_is_close_over_the_value_of_the_same_day(platform: Platform) -> None:
    assert platform.run(FIRST, assets=ETF_CHAIN).success
    rows = premiums(platform, FIRST)
    assert set(rows) == set(FUNDS)
    for code in (DOMESTIC, ABROAD, LOF):
        assert rows[code]["premium"] == price(code, FIRST) / value(code, FIRST) - 1
        assert rows[code]["no_premium"] is None
        assert rows[code]["nav_ann_date"] == FIRST
        assert rows[code]["name"] == f"基金{code[:6]}"


def test_a_money_market_fund_told_on_another_scale_has_no_premium_and_says_why(
    platform: Platform,
) -> None:
    result = platform.run(FIRST, assets=ETF_CHAIN)
    row = premiums(platform, FIRST)[MONEY]
    assert (row["unit_nav"], row["premium"]) == (1.0, None)
    assert row["no_premium"] == "nav on another scale"
    assert metadata_of(result, "etf_premium", FIRST)["nav on another scale"] == 1


def test_a_bar_without_a_close_is_held_and_has_no_premium(
    platform: Platform, server: TushareServer
) -> None:
    server.faults["fund_daily"] = deque([column_set("close", None)])
    assert platform.run(FIRST, assets=[*ETF_CHAIN, "findings"]).success
    assert platform.lake.read(ETF_KLINE, FIRST)["close"].null_count == 1
    assert len(premiums(platform, FIRST)) == len(FUNDS) - 1
    [found] = platform.lake.read(FINDINGS, FIRST).to_pylist()
    assert (found["check_name"], found["outcome"]) == ("close_present", "held")


def test_a_value_that_comes_a_day_later_is_null_until_then_and_never_filled(
    platform: Platform, market: SmallFunds
) -> None:
    market.late = {SECOND: {ABROAD}}
    assert platform.run(FIRST, SECOND, ETF_CHAIN).success
    row = premiums(platform, SECOND)[ABROAD]
    assert (row["unit_nav"], row["premium"]) == (None, None)
    assert row["no_premium"] == "nav not published"
    assert row["close"] == price(ABROAD, SECOND)
    assert waited_for(platform.lake, [FIRST, SECOND]) == {SECOND: [ABROAD]}
    market.late = {}
    assert platform.run(SECOND, assets=LATE).success
    row = premiums(platform, SECOND)[ABROAD]
    assert row["premium"] == price(ABROAD, SECOND) / value(ABROAD, SECOND) - 1
    assert waited_for(platform.lake, [FIRST, SECOND]) == {}


def test_values_of_a_day_that_does_not_trade_are_kept_and_make_no_premium(
    platform: Platform, market: SmallFunds
) -> None:
    year_end, first_session = dt.date(2023, 12, 31), dt.date(2024, 1, 2)
    market.reports = {year_end}
    market.late = {first_session: {LOF}}
    assert platform.run(first_session, assets=ETF_CHAIN).success
    navs = platform.lake.read(ETF_NAV, first_session).to_pylist()
    told = {(row["ts_code"], row["nav_date"]): row["unit_nav"] for row in navs}
    assert told == {
        **{(code, year_end): value(code, year_end) for code in FUNDS},
        **{(code, first_session): value(code, first_session) for code in FUNDS if code != LOF},
    }
    assert {row["trade_date"] for row in navs} == {first_session}
    assert premiums(platform, first_session)[LOF]["premium"] is None
    assert premiums(platform, first_session)[DOMESTIC]["unit_nav"] == value(DOMESTIC, first_session)


def test_every_calendar_day_is_asked_for_once_in_a_range(
    platform: Platform, server: TushareServer
) -> None:
    assert platform.run(FIRST, LAST, ["etf_nav"]).success
    asked = [str(r.params["nav_date"]) for r in server.requests if r.call == "fund_nav"]
    days = [FIRST + dt.timedelta(n) for n in range((LAST - FIRST).days + 1)]
    assert sorted(asked) == [f"{day:%Y%m%d}" for day in days]
    assert all(r.params["market"] == "E" for r in server.requests if r.call == "fund_nav")


def test_a_value_without_a_bar_makes_no_premium(platform: Platform, server: TushareServer) -> None:
    def without_bar(fields, items):
        items[:] = [row for row in items if row[fields.index("ts_code")] != ABROAD]

    server.faults["fund_daily"] = deque([spoil(without_bar)])
    assert platform.run(FIRST, assets=ETF_CHAIN).success
    assert ABROAD not in premiums(platform, FIRST)
    assert ABROAD in platform.lake.read(ETF_NAV, FIRST)["ts_code"].to_pylist()


def test_a_split_told_in_the_value_but_not_in_the_price_makes_no_premium(
    platform: Platform, market: SmallFunds
) -> None:
    market.more_navs = [(ABROAD, "20240927", "20240927", 0.4, "1")]
    assert platform.run(FIRST, SECOND, ETF_CHAIN).success
    row = premiums(platform, SECOND)[ABROAD]
    assert (row["unit_nav"], row["premium"]) == (0.4, None)
    assert row["no_premium"] == "price and nav do not fit"
    assert premiums(platform, SECOND)[DOMESTIC]["premium"] is not None
    assert check_outcomes(platform, "etf_premium")["premium_within_bounds"] is False


def test_a_day_that_comes_again_with_fewer_values_is_refused_and_stays_as_it_was(
    platform: Platform, market: SmallFunds
) -> None:
    assert platform.run(FIRST, SECOND, ETF_CHAIN).success
    good = platform.lake.read(ETF_NAV, SECOND)
    market.late = {SECOND: {ABROAD}}
    assert platform.run(FIRST, SECOND, LATE).success
    assert check_outcomes(platform, "etf_nav")["rows_kept"] is False
    assert platform.lake.read(ETF_NAV, SECOND).equals(good)
    assert premiums(platform, SECOND)[ABROAD]["premium"] is not None


def test_a_refused_day_is_told_and_one_that_can_not_be_had_holds_no_other_up(
    platform: Platform, market: SmallFunds
) -> None:
    market.more_navs = [(code, "20240927", "20240927", -1.0, "1") for code in FUNDS]
    market.late = {LAST: set(FUNDS)}
    assert platform.run(FIRST, LAST, ["etf_nav"]).success
    assert platform.lake.days(ETF_NAV) == [day for day in DAYS if day not in (SECOND, LAST)]
    outcomes = check_outcomes(platform, "etf_nav")
    assert outcomes == {"positive_nav": False, "rows_kept": True, "answer": True}


def test_days_that_can_not_be_had_are_told_as_they_are(
    platform: Platform, market: SmallFunds
) -> None:
    market.late = {day: set(FUNDS) for day in DAYS}
    text = failure_text(platform.run(FIRST, LAST, ["etf_nav"]), "etf_nav")
    assert f"no value of {FIRST}" in text
    assert "refused" not in text


def spoil(edit):
    """A fault that changes the data of an answer in place: `edit(fields, items)`."""
    return faults.edited(lambda answer: edit(answer["data"]["fields"], answer["data"]["items"]))


def previous_day(name):
    def edit(fields, items):
        for row in items:
            row[fields.index(name)] = "20240925"

    return edit


def one_of_the_previous_day(name):
    def edit(fields, items):
        items[0][fields.index(name)] = "20240925"

    return edit


def nothing(fields, items):
    items.clear()


def a_row_twice(fields, items):
    items.append(list(items[0]))


def no_values(fields, items):
    for row in items:
        row[fields.index("unit_nav")] = None


def not_listed(fields, items):
    for row in items:
        row[fields.index("status")] = "D"


def open_end_funds(fields, items):
    items[0][fields.index("market")] = "O"


@pytest.mark.parametrize(
    ("call", "edit", "asset", "complaint"),
    [
        ("fund_daily", nothing, "etf_kline", "no row for etf_kline on 2024-09-26"),
        ("fund_daily", previous_day("trade_date"), "etf_kline", "got rows of 2024-09-25"),
        ("fund_daily", one_of_the_previous_day("trade_date"), "etf_kline", "got rows of 2024-09"),
        ("fund_daily", a_row_twice, "etf_kline", "1 keys occur more than once in etf_kline"),
        ("fund_nav", nothing, "etf_nav", "no value of 2024-09-26"),
        ("fund_nav", previous_day("nav_date"), "etf_nav", "got rows of 2024-09-25"),
        ("fund_nav", one_of_the_previous_day("nav_date"), "etf_nav", "got rows of 2024-09-25"),
        ("fund_nav", no_values, "etf_nav", "unit_nav is NULL on all 4 rows"),
        ("fund_basic", nothing, "etf_list", "no listed fund"),
        ("fund_basic", not_listed, "etf_list", "asked for status L, got D"),
        ("fund_basic", open_end_funds, "etf_list", "asked for market E, got O"),
        ("fund_basic", a_row_twice, "etf_list", "1 keys occur more than once in fund_basic"),
    ],
)
def test_a_spoilt_answer_is_told_and_nothing_of_it_is_stored(
    platform: Platform, server: TushareServer, call: str, edit, asset: str, complaint: str
) -> None:
    server.faults[call] = deque([spoil(edit)])
    text = failure_text(platform.run(FIRST, assets=[asset, "etf_premium"]), asset)
    assert f"Tushare {call}(" in text
    assert complaint in text
    assert "Nothing was stored" in text or "not published it yet" in text
    assert list((platform.lake.root / "lake" / asset).rglob("*.parquet")) == []
    assert platform.lake.days(ETF_PREMIUM) == []


def test_the_days_before_the_first_fund_are_empty_by_definition(platform: Platform) -> None:
    day = dt.date(2005, 2, 22)
    assert platform.run(day, assets=ETF_CHAIN).success
    for table in (ETF_LIST, ETF_KLINE, ETF_NAV, ETF_COVERAGE, ETF_PREMIUM):
        assert platform.lake.read(table, day).num_rows == 0


def test_a_fund_on_another_scale_that_is_not_in_the_list_refuses_no_day(
    platform: Platform, server: TushareServer
) -> None:
    def forget(fields, items):
        items[:] = [row for row in items if row[fields.index("ts_code")] != MONEY]

    server.faults["fund_basic"] = deque([spoil(forget)])
    assert platform.run(FIRST, assets=ETF_CHAIN).success
    row = premiums(platform, FIRST)[MONEY]
    assert (row["name"], row["unit_nav"], row["premium"]) == (None, 1.0, None)
    assert row["no_premium"] == "nav on another scale"


def test_a_fund_that_is_not_in_the_list_keeps_its_premium_and_is_told(
    platform: Platform, server: TushareServer
) -> None:
    def forget(fields, items):
        items[:] = [row for row in items if row[fields.index("ts_code")] != LOF]

    server.faults["fund_basic"] = deque([spoil(forget)])
    result = platform.run(FIRST, assets=ETF_CHAIN)
    assert result.success
    row = premiums(platform, FIRST)[LOF]
    assert row["name"] is None
    assert row["premium"] == price(LOF, FIRST) / value(LOF, FIRST) - 1
    assert check_outcomes(platform, "etf_premium")["fund_is_listed"] is False
    assert platform.run(FIRST, assets=["findings"]).success
    [told] = platform.lake.read(FINDINGS, FIRST).to_pylist()
    assert (told["check_name"], told["ts_code"]) == ("fund_is_listed", LOF)
