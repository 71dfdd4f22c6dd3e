"""The vendor's habits show as they are said to, and nothing but them is changed.

Here belongs what the habits do to the answers of the simulated exchange. That its own answers are
true is tested in `market`; what the platform makes of the habits is tested where it checks.
"""

import collections
import dataclasses
import datetime as dt
import functools
import types
from collections.abc import Sequence
from typing import Any

import pytest

from marketdata_assets.trading_calendar import previous_session, sessions_between
from marketdata_sandbox.habits.code_changes import CODE_CHANGES
from marketdata_sandbox.habits.draws import Draws
from marketdata_sandbox.habits.frequencies import Frequencies, Habit, always
from marketdata_sandbox.habits.vendor import NEGATIVE_FREE_SHARE, NO_WIDTH, VendorHabits
from marketdata_sandbox.market.exchange import SimulatedExchange

Row = tuple[Any, ...]

SHARE_CALLS = ("daily", "stk_limit", "daily_basic", "adj_factor", "suspend_d")
CALLS = (
    "stock_basic",
    "namechange",
    *SHARE_CALLS,
    "stock_st",
    "fund_basic",
    "fund_daily",
    "fund_nav",
)
DAYS = [
    dt.date(2005, 6, 20),
    dt.date(2008, 1, 2),
    dt.date(2013, 7, 15),
    dt.date(2018, 6, 14),
    dt.date(2022, 3, 1),
    dt.date(2025, 6, 17),
    dt.date(2026, 11, 24),
]
every_day = pytest.mark.parametrize("day", DAYS, ids=str)
CLEAN = Frequencies.clean()
CHANGE = {"pre_close", "change", "pct_chg"}


@pytest.fixture(scope="module")
def market(exchange: SimulatedExchange) -> Any:
    """The exchange, which is asked once for every answer: habits leave it as it was."""
    return types.SimpleNamespace(
        **{call: functools.cache(getattr(exchange, call)) for call in CALLS}
    )


def only(market: Any, habit: Habit, mean: float = 4) -> VendorHabits:
    """The vendor with one habit of single rows, which shows a lot."""
    return VendorHabits(market, dataclasses.replace(CLEAN, rows={habit: always(mean)}))


def with_trait(market: Any, **trait: Any) -> VendorHabits:
    return VendorHabits(market, dataclasses.replace(CLEAN, **trait))


def difference(truth: Any, told: Any) -> tuple[list[Row], list[Row]]:
    """The rows of one answer that the other does not have, and the reverse."""
    if truth == told:
        return [], []
    assert list(truth) == list(told)
    assert len({len(values) for values in told.values()}) == 1
    true, seen = (collections.Counter(zip(*table.values(), strict=True)) for table in (truth, told))
    return [*(true - seen).elements()], [*(seen - true).elements()]


def changes(
    market: Any, vendor: VendorHabits, day: dt.date, calls: Sequence[str] = CALLS
) -> dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    """By call, for those that differ: the true rows that are gone, and those told instead."""
    found = {}
    for call in calls:
        truth = getattr(market, call)(day)
        gone, new = difference(truth, getattr(vendor, call)(day))
        if gone or new:
            found[call] = tuple(
                [dict(zip(truth, row, strict=True)) for row in rows] for rows in (gone, new)
            )
    return found  # type: ignore[return-value]


def by_code(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    assert len({row["ts_code"] for row in rows}) == len(rows)
    return {row["ts_code"]: row for row in rows}


@every_day
def test_without_habits_every_answer_is_the_markets_own(market: Any, day: dt.date) -> None:
    assert changes(market, VendorHabits(market, CLEAN), day) == {}


def test_answers_depend_neither_on_the_order_nor_on_the_object(
    market: Any,
) -> None:
    one, other = (VendorHabits(market, Frequencies.real()) for _ in range(2))
    questions = [(call, day) for call in CALLS for day in DAYS]
    answers = {(call, day): getattr(one, call)(day) for call, day in questions}
    for call, day in reversed(questions):
        assert getattr(other, call)(day) == answers[call, day]
    seeded = VendorHabits(market, Frequencies.real(), seed=1)
    assert any(getattr(seeded, call)(day) != answers[call, day] for call, day in questions)


@pytest.mark.parametrize(
    ("habit", "call", "columns"),
    [
        (Habit.HALT_OF_NO_WIDTH, "suspend_d", {"suspend_timing"}),
        (Habit.ROUGH_AMOUNT, "daily", {"amount"}),
        (Habit.NEGATIVE_FREE_SHARE, "daily_basic", {"free_share"}),
        (Habit.CHANGE_NOT_TOLD, "daily", CHANGE),
        (Habit.AMOUNT_NOT_TOLD, "daily", {"amount"}),
        (Habit.ZERO_LIMITS, "stk_limit", {"up_limit", "down_limit"}),
        (Habit.OTHER_SENTINEL, "stk_limit", {"up_limit"}),
    ],
)
def test_a_habit_of_values_changes_them_alone(
    market: Any, habit: Habit, call: str, columns: set[str]
) -> None:
    shown = 0
    for day in DAYS:
        for edited, (gone, new) in changes(market, only(market, habit), day).items():
            assert edited == call
            true, told = by_code(gone), by_code(new)
            assert set(true) == set(told)
            for code, row in told.items():
                differing = {name for name in row if row[name] != true[code][name]}
                assert differing == columns - (CHANGE if row.get("change") == 0 else set())
                assert is_as_said(habit, row, true[code])
            shown += len(new)
    assert shown >= 3


def is_as_said(habit: Habit, row: dict[str, Any], true: dict[str, Any]) -> bool:
    match habit:
        case Habit.HALT_OF_NO_WIDTH:
            return true["suspend_timing"] is None and row["suspend_timing"] == NO_WIDTH
        case Habit.ROUGH_AMOUNT:
            is_near = abs(row["amount"] - true["amount"]) < 0.0051
            return (
                is_near and row["amount"] == round(row["amount"], 2) and row["low"] == row["high"]
            )
        case Habit.NEGATIVE_FREE_SHARE:
            return row["free_share"] == NEGATIVE_FREE_SHARE
        case Habit.CHANGE_NOT_TOLD:
            return row["ts_code"].endswith(".BJ") and {row[name] for name in CHANGE} == {None}
        case Habit.AMOUNT_NOT_TOLD:
            return row["amount"] is None
        case Habit.ZERO_LIMITS:
            return row["up_limit"] == row["down_limit"] == 0
        case _:
            is_other = row["up_limit"] in (10_000, 100_000, 1_000_000)
            return is_other and true["up_limit"] > 99_999


@pytest.mark.parametrize(
    ("habit", "calls"),
    [
        (Habit.BAR_MISSING, {"daily", "daily_basic"}),
        (Habit.FACTOR_MISSING, {"adj_factor"}),
        (Habit.FUND_BAR_MISSING, {"fund_daily"}),
    ],
)
@every_day
def test_what_is_missing_is_missing_alone(
    market: Any, habit: Habit, calls: set[str], day: dt.date
) -> None:
    found = changes(market, only(market, habit, mean=9), day)
    assert set(found) == calls
    codes = {call: {row["ts_code"] for row in gone} for call, (gone, _) in found.items()}
    assert not any(new for _, new in found.values())
    assert 1 <= len(codes[min(calls)]) <= 25
    if habit is Habit.BAR_MISSING:
        # Beijing shares have no indicators before 2024.
        without = {code for code in codes["daily"] if not code.endswith(".BJ")}
        assert without <= codes["daily_basic"] <= codes["daily"]
        assert all(row["close"] == row["pre_close"] for row in found["daily"][0])
        assert not codes["daily"] & set(market.suspend_d(day)["ts_code"])


@every_day
def test_notices_that_a_bar_contradicts(market: Any, day: dt.date) -> None:
    traded, noticed = set(market.daily(day)["ts_code"]), market.suspend_d(day)["ts_code"]
    for habit, kinds in (
        (Habit.SUSPENDED_YET_TRADED, ["S"]),
        (Habit.SUSPENDED_AND_RESUMED, ["R", "S"]),
    ):
        found = changes(market, only(market, habit, mean=9), day)
        assert set(found) == {"suspend_d"}
        gone, new = found["suspend_d"]
        assert gone == []
        told = collections.defaultdict(list)
        for row in new:
            assert row["suspend_timing"] is None
            told[row["ts_code"]].append(row["suspend_type"])
        assert {tuple(sorted(each)) for each in told.values()} == {tuple(kinds)}
        assert set(told) <= traded - set(noticed)
        assert 1 <= len(told) <= 25


@every_day
def test_a_notice_twice_is_the_same_row(market: Any, day: dt.date) -> None:
    found = changes(market, only(market, Habit.NOTICE_TWICE, mean=9), day)
    assert set(found) == {"suspend_d"}
    gone, new = found["suspend_d"]
    assert gone == []
    truth = market.suspend_d(day)
    rows = list(zip(*truth.values(), strict=True))
    assert all(tuple(row.values()) in rows for row in new)


@every_day
def test_indicators_of_yesterday_are_whole_rows_of_yesterday(market: Any, day: dt.date) -> None:
    yesterday = by_code(as_rows(market.daily_basic(previous_session(day))))
    traded = set(market.daily(day)["ts_code"])
    today = {"trade_date": f"{day:%Y%m%d}"}
    for habit, most in ((Habit.STALE_INDICATORS, 10), (Habit.INDICATORS_WITHOUT_BAR, 25)):
        rows = {habit: always(9)}
        frequencies = dataclasses.replace(CLEAN, rows=rows, most_stale_at_once=most)
        found = changes(market, VendorHabits(market, frequencies), day)
        assert set(found) <= {"daily_basic"}
        gone, new = map(by_code, found.get("daily_basic", ([], [])))
        assert all(row == yesterday[code] | today for code, row in new.items())
        assert len(new) <= most
        if habit is Habit.STALE_INDICATORS:
            assert set(gone) == set(new) <= traded
            assert new
            assert all(row["close"] != gone[code]["close"] for code, row in new.items())
        else:
            assert not gone
            assert not set(new) & traded


def as_rows(table: Any) -> list[dict[str, Any]]:
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


@pytest.mark.parametrize("day", DAYS[:1] + DAYS[2:3], ids=str)
def test_without_ex_price_the_last_close_stands_and_there_is_no_limit(
    market: Any, day: dt.date
) -> None:
    found = changes(market, only(market, Habit.WITHOUT_EX_PRICE), day)
    assert set(found) == {"daily", "stk_limit"}
    true, told = map(by_code, found["daily"])
    closes = by_code(as_rows(market.daily(previous_session(day))))
    factors, before = (
        dict(zip(table["ts_code"], table["adj_factor"], strict=True))
        for table in map(market.adj_factor, (day, previous_session(day)))
    )
    assert told
    for code, bar in told.items():
        assert factors[code] > before[code]
        assert bar["pre_close"] > true[code]["pre_close"]
        if code in closes:
            assert bar["pre_close"] == closes[code]["close"]
        assert bar["change"] == round(bar["close"] - bar["pre_close"], 2)
        percent = (bar["close"] / bar["pre_close"] - 1) * 100
        assert bar["pct_chg"] == pytest.approx(percent, abs=0.005001)
        assert {name for name in bar if bar[name] != true[code][name]} <= CHANGE
    limits = by_code(found["stk_limit"][1])
    assert set(limits) == set(told)
    for code, limit in limits.items():
        assert limit["pre_close"] == told[code]["pre_close"]
        assert limit["up_limit"] > 99_999


@pytest.mark.parametrize(
    ("day", "is_rounded_twice"),
    [
        (dt.date(2005, 6, 20), True),
        (dt.date(2013, 7, 15), True),
        (dt.date(2018, 7, 19), True),
        (dt.date(2018, 7, 20), False),
        (dt.date(2025, 6, 17), False),
    ],
    ids=str,
)
def test_changes_in_percent_are_rounded_twice_up_to_2018_07_19(
    market: Any, day: dt.date, is_rounded_twice: bool
) -> None:
    vendor = with_trait(market, rounded_twice=True)
    found = changes(market, vendor, day)
    if not is_rounded_twice:
        assert found == {}
        return
    assert set(found) == {"daily"}
    true, told = map(by_code, found["daily"])
    for code, bar in told.items():
        assert {name for name in bar if bar[name] != true[code][name]} == {"pct_chg"}
        exact = (bar["close"] - bar["pre_close"]) / bar["pre_close"] * 100
        assert bar["pct_chg"] == round(round(exact, 4), 2)
        assert 0.00499 < abs(bar["pct_chg"] - exact) < 0.00506
    assert 0.0005 < len(told) / len(market.daily(day)["ts_code"]) < 0.02


@every_day
def test_beijing_shares_have_no_limits_before_2023(market: Any, day: dt.date) -> None:
    found = changes(market, with_trait(market, beijing_limits_missing=True), day)
    if day.year != 2022:
        # Before, no share of theirs is listed.
        assert found == {}
        return
    assert set(found) == {"stk_limit"}
    gone, new = found["stk_limit"]
    assert new == []
    assert {row["ts_code"] for row in gone} == {
        code for code in market.daily(day)["ts_code"] if code.endswith(".BJ")
    } | {code for code in market.suspend_d(day)["ts_code"] if code.endswith(".BJ")}


@pytest.mark.parametrize("change", CODE_CHANGES, ids=lambda change: change.new)
def test_the_past_of_a_changed_code_is_served_under_one_that_no_list_has(
    market: Any, change: Any
) -> None:
    vendor = with_trait(market, changes_of_code=True)
    before, after = previous_session(change.since), change.since + dt.timedelta(30)
    while after not in sessions_between(after, after):
        after += dt.timedelta(1)
    listed = set(vendor.stock_basic(dt.date(2026, 11, 25))["ts_code"])
    assert change.new in listed
    assert change.old not in listed
    assert change.old in vendor.stock_basic(before)["ts_code"]
    codes = {
        (call, day): getattr(vendor, call)(day)["ts_code"]
        for call in SHARE_CALLS[:4]
        for day in (before, change.since, after)
    }
    bars = (codes["daily", day] for day in (before, change.since, after))
    assert [(change.old in code, change.new in code) for code in bars] == [
        (not change.past_is_moved, change.past_is_moved),
        (True, True),
        (False, True),
    ]
    assert change.old in codes["stk_limit", before]
    for call in ("stk_limit", "daily_basic", "adj_factor"):
        assert change.old not in codes[call, change.since]
        assert change.new in codes[call, after]
    both = by_code(as_rows(vendor.daily(change.since)))
    assert both[change.old] | {"ts_code": change.new} == both[change.new]


@every_day
def test_only_the_codes_of_changing_shares_change(market: Any, day: dt.date) -> None:
    changing = {change.share for change in CODE_CHANGES}
    for call, (gone, new) in changes(market, with_trait(market, changes_of_code=True), day).items():
        assert call in ("stock_basic", "namechange", "stock_st", *SHARE_CALLS)
        assert {row["ts_code"] for row in gone} <= changing
        names = ("ts_code", "symbol")
        rest = [
            [{name: row[name] for name in row if name not in names} for row in rows]
            for rows in (gone, new)
        ]
        assert rest[0] == rest[1]


def test_some_beijing_shares_have_bars_from_before_their_listing(
    market: Any,
) -> None:
    vendor = with_trait(market, bars_before_listing=0.5)
    counts = {}
    for day in DAYS:
        found = changes(market, vendor, day)
        counts[day.year] = len(found.get("daily", ([], []))[1])
        if not counts[day.year]:
            assert found == {}
            continue
        assert set(found) == {"daily", "adj_factor"}
        assert not any(gone for gone, _ in found.values())
        bars, factors = (by_code(found[call][1]) for call in ("daily", "adj_factor"))
        assert set(bars) == set(factors)
        assert {row["adj_factor"] for row in factors.values()} == {1.0}
        assert not set(bars) & set(market.stock_basic(day)["ts_code"])
        closes = by_code(as_rows(vendor.daily(previous_session(day))))
        for code, bar in bars.items():
            assert code.endswith(".BJ")
            assert bar["low"] <= min(bar["open"], bar["close"])
            assert bar["high"] >= max(bar["open"], bar["close"])
            mean = bar["amount"] * 10 / bar["vol"]
            assert bar["low"] - 1e-2 / bar["vol"] <= mean <= bar["high"] + 1e-9
            if code in closes:
                assert bar["pre_close"] == closes[code]["close"]
                assert bar["change"] == round(bar["close"] - bar["pre_close"], 2)
            else:
                assert {bar[name] for name in CHANGE} == {None}
    assert counts[2005] == counts[2008] == counts[2013] == counts[2025] == counts[2026] == 0
    assert 20 < counts[2018] < 100
    assert 5 < counts[2022] < 100


@pytest.mark.parametrize(("part", "longest", "least"), [(0.05, 3, 3), (0.01, 365, 1)])
def test_factors_of_some_new_beijing_shares_begin_late(
    market: Any, part: float, longest: int, least: int
) -> None:
    vendor = with_trait(market, late_factors=part, longest_factor_delay=longest)
    stocks = market.stock_basic(dt.date(2026, 12, 31))
    listed = dict(zip(stocks["ts_code"], stocks["list_date"], strict=True))
    late = set()
    days = {
        dt.datetime.strptime(str(day), "%Y%m%d").date()
        for code, day in listed.items()
        if code.endswith(".BJ")
    }
    for day in days:
        gone, new = difference(market.adj_factor(day), vendor.adj_factor(day))
        assert new == []
        for code, *_ in gone:
            listing = dt.datetime.strptime(str(listed[code]), "%Y%m%d").date()
            assert listing <= day < listing + dt.timedelta(longest + 1)
            late.add(code)
    assert all(code.endswith(".BJ") for code in late)
    assert least <= len(late) <= 3 * part * 330 + 3


def test_a_new_share_can_be_in_the_bars_a_day_before_the_list(
    market: Any,
) -> None:
    vendor = with_trait(market, listed_a_day_late=0.1)
    late = listings = 0
    days = sessions_between(dt.date(2026, 1, 5), dt.date(2026, 6, 30))
    stocks = market.stock_basic(days[-1])
    for day in days:
        codes = [
            code
            for code, listed in zip(stocks["ts_code"], stocks["list_date"], strict=True)
            if listed == f"{day:%Y%m%d}"
        ]
        if not codes:
            continue
        listings += len(codes)
        gone, new = difference(market.stock_basic(day), vendor.stock_basic(day))
        assert new == []
        assert {row[0] for row in gone} <= set(codes)
        late += len(gone)
        if gone:
            after = vendor.stock_basic(day + dt.timedelta(1))
            assert set(codes) <= set(after["ts_code"])
        tomorrow = day + dt.timedelta(1)
        told = set(vendor.stock_basic(tomorrow)["ts_code"])
        assert set(codes) <= told
    assert 1 <= late <= listings * 0.25


def test_single_rows_of_names_are_told_twice(market: Any) -> None:
    vendor = with_trait(market, names_told_twice=0.01)
    gone, new = difference(market.namechange(DAYS[-1]), vendor.namechange(DAYS[-1]))
    assert gone == []
    assert new
    assert len(new) <= 0.02 * len(market.namechange(DAYS[-1])["name"])


def test_the_list_of_funds_has_numbers_used_twice_and_ends_without_a_date(
    market: Any,
) -> None:
    real = Frequencies.real()
    vendor = with_trait(
        market,
        numbers_used_twice=real.numbers_used_twice,
        funds_ended_without_date=real.funds_ended_without_date,
    )
    day = dt.date(2026, 11, 25)
    truth = market.fund_basic(day)
    gone, new = difference(truth, vendor.fund_basic(day))
    assert gone == []
    rows = [dict(zip(truth, row, strict=True)) for row in new]
    ended = [row for row in rows if row["delist_date"] is None]
    twice = [row for row in rows if row["delist_date"] is not None]
    assert [(row["status"], len(row["ts_code"])) for row in ended] == [("D", 9)] * 3
    assert 10 <= len(twice) <= 35
    listed = dict(zip(truth["ts_code"], truth["list_date"], strict=True))
    for row in twice:
        code = row["ts_code"]
        assert len(code) == 10
        assert row["status"] == "D"
        assert row["list_date"] < row["delist_date"] < listed[code[:6] + code[7:]]


@pytest.mark.parametrize("frequencies", [Frequencies.sample(), Frequencies.real()])
def test_single_rows_are_struck_as_often_as_said(frequencies: Frequencies) -> None:
    draws = Draws(7, frequencies)
    for first in (2005, 2008, 2013, 2025):
        days = sessions_between(dt.date(first, 1, 1), dt.date(first, 12, 31))
        for habit in Habit:
            mean = frequencies.mean(habit, first)
            counts = [draws.count(habit, day) for day in days]
            if habit is Habit.STALE_INDICATORS:
                assert max(counts) <= frequencies.most_stale_at_once
                counts = [min(count, 1) for count in counts]
            expected = mean * len(days)
            assert abs(sum(counts) - expected) <= 4 * expected**0.5, (habit, first)


@pytest.mark.parametrize(
    ("first", "least", "most"),
    [(dt.date(2005, 1, 4), 9, 15), (dt.date(2008, 1, 2), 12, 18), (dt.date(2010, 1, 4), 0, 2.5)],
)
def test_suspensions_are_contradicted_as_often_as_in_reality(
    market: Any, first: dt.date, least: float, most: float
) -> None:
    vendor = VendorHabits(market, Frequencies.real())
    days = sessions_between(first, first + dt.timedelta(14))
    contradicted = 0
    for day in days:
        notices, traded = vendor.suspend_d(day), set(vendor.daily(day)["ts_code"])
        columns = (notices[name] for name in ("ts_code", "suspend_type", "suspend_timing"))
        contradicted += sum(
            kind == "S" and timing is None and code in traded
            for code, kind, timing in zip(*columns, strict=True)
        )
    assert least <= contradicted / len(days) <= most


def test_the_sample_shows_something_in_every_twenty_days_and_little_on_any(
    market: Any,
) -> None:
    vendor = VendorHabits(market)
    days = sessions_between(dt.date(2026, 10, 20), dt.date(2026, 12, 10))
    shown = []
    for day in days:
        told = {
            row["ts_code"]
            for found in changes(market, vendor, day, SHARE_CALLS).values()
            for rows in found
            for row in rows
            if row["ts_code"] not in CHANGED_CODES
        }
        assert len(told) <= 6
        shown.append(len(told))
    for at in range(len(days) - 19):
        assert 4 <= sum(shown[at : at + 20]) <= 20


CHANGED_CODES = {code for change in CODE_CHANGES for code in (change.share, change.old, change.new)}
