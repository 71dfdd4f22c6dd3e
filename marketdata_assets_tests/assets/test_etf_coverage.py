"""The ledger of funds: a bar that is missing, and whatever else a fund has none for."""

import datetime as dt
from typing import Any

import pytest

from marketdata_assets.checks.excuses import FILE, Excuse, as_csv
from marketdata_assets.tables import ETF_COVERAGE, FINDINGS
from marketdata_assets_tests.conftest import ETF_CHAIN, Platform, metadata_of
from marketdata_assets_tests.edited_market import EditedMarket, changed, without
from marketdata_assets_tests.small_funds import ABROAD, DOMESTIC, FUNDS, LOF, MONEY

FIRST, DAY, NEXT = (dt.date(2018, 12, day) for day in (21, 24, 25))


@pytest.fixture
def market() -> EditedMarket:
    return EditedMarket({})


def ledger(platform: Platform, day: dt.date) -> dict[str, dict[str, Any]]:
    return {row["ts_code"]: row for row in platform.lake.read(ETF_COVERAGE, day).to_pylist()}


def test_a_day_on_which_every_fund_traded_is_complete(platform: Platform) -> None:
    assert platform.run(FIRST, DAY, ETF_CHAIN).success
    rows = ledger(platform, DAY)
    traded = {"listed": True, "etf_kline": True, "traded": True, "halted": False}
    for code in FUNDS:
        told = {name: rows[code][name] for name in (*traded, "missing", "reason")}
        assert told == {**traded, "missing": "", "reason": None}


def test_each_fund_without_a_bar_is_told_why(platform: Platform, market: EditedMarket) -> None:
    market.edits["fund_daily", DAY] = without(DOMESTIC, ABROAD, LOF)
    market.edits["fund_nav", DAY] = lambda rows: [
        row | ({"unit_nav": row["unit_nav"] / 5} if row["ts_code"] == LOF else {})
        for row in without(ABROAD)(rows)
    ]
    # The ledger stands whatever becomes of the premiums, of which most are missing.
    result = platform.run(FIRST, DAY, [name for name in ETF_CHAIN if name != "etf_premium"])
    assert result.success
    rows = ledger(platform, DAY)
    assert (rows[DOMESTIC]["missing"], rows[DOMESTIC]["reason"]) == ("etf_kline", "unexplained")
    assert (rows[ABROAD]["missing"], rows[ABROAD]["reason"]) == ("", "value not known")
    assert (rows[LOF]["missing"], rows[LOF]["reason"], rows[LOF]["halted"]) == ("", "halted", True)
    assert (rows[MONEY]["missing"], rows[MONEY]["reason"]) == ("", None)
    assert metadata_of(result, "etf_coverage", DAY)["unexplained"] == 1


def test_what_is_not_known_of_the_session_before_is_no_missing_bar(
    platform: Platform, market: EditedMarket
) -> None:
    market.edits["fund_daily", DAY] = without(DOMESTIC)
    assert platform.run(DAY, assets=ETF_CHAIN).success
    row = ledger(platform, DAY)[DOMESTIC]
    assert (row["missing"], row["reason"]) == ("", "session before not stored")


def test_the_session_before_counts_when_it_is_of_a_former_run(
    platform: Platform, market: EditedMarket
) -> None:
    market.edits["fund_daily", DAY] = without(DOMESTIC)
    market.edits["fund_basic", None] = without(LOF)
    for day in (FIRST, DAY):
        assert platform.run(day, assets=ETF_CHAIN).success
    rows = ledger(platform, DAY)
    assert (rows[DOMESTIC]["missing"], rows[DOMESTIC]["reason"]) == ("etf_kline", "unexplained")
    assert (rows[LOF]["listed"], rows[LOF]["reason"]) == (False, "not in the list")


def test_a_bar_that_is_held_and_one_without_a_trade_are_bars(
    platform: Platform, market: EditedMarket
) -> None:
    nothing = dict.fromkeys(("open", "high", "low"))
    market.edits["fund_daily", DAY] = lambda rows: changed(LOF, low=9.0)(
        changed(DOMESTIC, vol=0.0, amount=0.0, **nothing)(rows)
    )
    assert platform.run(FIRST, DAY, [*ETF_CHAIN, "findings"]).success
    rows = ledger(platform, DAY)
    assert (rows[LOF]["etf_kline"], rows[LOF]["reason"]) == (True, "held")
    found = platform.lake.read(FINDINGS, DAY).to_pylist()
    assert {(one["table_name"], one["outcome"]) for one in found} == {("etf_kline", "held")}
    assert rows[DOMESTIC]["reason"] == "did not trade"
    assert (rows[DOMESTIC]["etf_kline"], rows[DOMESTIC]["traded"]) == (True, False)
    assert {row["missing"] for row in rows.values()} == {""}


def test_a_range_and_single_days_say_the_same_of_who_was_held_on_the_session_before(
    platform: Platform, market: EditedMarket
) -> None:
    market.edits["fund_daily", DAY] = changed(LOF, low=9.0)
    market.edits["fund_daily", NEXT] = without(LOF)
    assert platform.run(FIRST, NEXT, ETF_CHAIN).success
    of_range = ledger(platform, NEXT)
    assert platform.run(NEXT, assets=ETF_CHAIN).success
    assert ledger(platform, NEXT) == of_range
    assert of_range[LOF]["missing"] == ""


def test_an_excused_bar_is_not_missing(platform: Platform, market: EditedMarket) -> None:
    market.edits["fund_daily", DAY] = without(DOMESTIC)
    excuse = Excuse("etf_premium.bar_missing", DOMESTIC, DAY, DAY, "the vendor lost it", "us")
    (platform.lake.root / FILE).write_text(as_csv([excuse]), "utf-8")
    assert platform.run(FIRST, DAY, ETF_CHAIN).success
    row = ledger(platform, DAY)[DOMESTIC]
    assert (row["missing"], row["reason"]) == ("", "excused")
