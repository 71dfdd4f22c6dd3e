"""What the vendor really serves and the market's rules really do costs one share one line at most.

A habit a case: rows made up in its shape, on a day on which it was seen. Every day is stored and
merged; the row is flagged, held or explained.
"""

import datetime as dt
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from marketdata_assets.assets.daily_prices import merge_prices
from marketdata_assets.checks.days import (
    CHECKED_TOGETHER,
    check_merged_days,
    list_merged,
    side_by_side,
)
from marketdata_assets.checks.excuses import NONE
from marketdata_assets.checks.ledger import coverage, held_rows
from marketdata_assets.checks.prices import left_out_rows
from marketdata_assets.checks.running import run_and_list
from marketdata_assets.storage.bounded_duckdb import bounded_duckdb
from marketdata_assets.tables import (
    ADJ_FACTOR,
    COVERAGE,
    DAILY_BASIC,
    DAILY_KLINE,
    DAILY_PRICES,
    FINDINGS,
    PRICE_LIMITS,
    STOCK_LIST,
)
from marketdata_assets_tests.checks.judging import before, check_answers
from marketdata_assets_tests.checks.market_day import LATER, answers_of, typed
from marketdata_assets_tests.conftest import CHAIN, ETF_CHAIN, Platform, failure_text
from marketdata_assets_tests.edited_market import (
    Edit,
    EditedMarket,
    also,
    both,
    changed,
    halted,
    platform_over,
    without,
)
from marketdata_assets_tests.small_funds import DOMESTIC

SH, SZ, BJ = "600000.SH", "000001.SZ", "920001.BJ"
PORT = ("000022.SZ", "001872.SZ")
LAST_CLOSE = 10.5
# Neither judges anything.
JUDGED = [name for name in CHAIN if name not in ("suspended", "restatements")]


class Habit(NamedTuple):
    """`edits` by call and number of the day; `found` are (table.check, code, outcome) of the last
    day, `reason` the ledger's of `code` there, `merged` whether it is in daily_prices."""

    name: str
    days: tuple[str, ...]
    edits: dict[tuple[str, int | None], Edit]
    code: str = SH
    found: tuple[tuple[str, str, str], ...] = ()
    reason: str | None = None
    merged: bool = True


def flagged(check: str, code: str = SH) -> tuple[tuple[str, str, str], ...]:
    return ((check, code, "flagged"),)


def held(check: str, code: str = SH) -> tuple[tuple[str, str, str], ...]:
    return ((check, code, "held"),)


def bar(close: float, pre_close: float, decimals: int = 2, **more: Any) -> dict[str, Any]:
    """A bar of one price that is consistent in itself."""
    change = round(close - pre_close, 2)
    prices = dict.fromkeys(("open", "high", "low", "close"), close)
    percent = round(round(change / pre_close * 100, 4), decimals)
    values = {"vol": 100.0, "amount": close * 10}
    return prices | {"pre_close": pre_close, "change": change, "pct_chg": percent} | values | more


def basic(close: float, vol: float = 100.0) -> dict[str, Any]:
    values = {"close": close, "total_mv": close * 1000, "circ_mv": close * 800}
    return values | {"turnover_rate": round(vol / 800, 4)}


def limits(pre_close: float, up: float, down: float) -> dict[str, Any]:
    return {"up_limit": up, "down_limit": down}


def ex_date(factor: float, pre_close: float) -> dict[tuple[str, int | None], Edit]:
    """The last of two days opens at pre_close, and the factor grows."""
    return {
        ("daily", 1): changed(SH, **bar(pre_close, pre_close)),
        ("daily_basic", 1): changed(SH, **basic(pre_close)),
        ("adj_factor", 1): changed(SH, adj_factor=factor),
    }


def resumption(factor: float, pre_close: float) -> dict[tuple[str, int | None], Edit]:
    """The last of three days is the first one after a halt; price falls by a quarter."""
    return {
        ("daily", 1): without(SH),
        ("daily_basic", 1): without(SH),
        ("suspend_d", 1): both(without(SH), halted(SH)),
        ("daily", 2): changed(SH, **bar(7.9, pre_close)),
        ("daily_basic", 2): changed(SH, **basic(7.9)),
        ("adj_factor", 2): changed(SH, adj_factor=factor),
    }


REFORM = ("2006-05-10", "2006-05-11", "2006-05-12")
NO_LIMITS, NO_INDICATORS = "no limits before 2023", "no indicators before 2024"
HABITS = (
    Habit(
        "Beijing bars without limits and indicators",
        ("2016-01-04",),
        {("stk_limit", 0): without(BJ), ("daily_basic", 0): without(BJ)},
        code=BJ,
        reason=f"{NO_INDICATORS}; {NO_LIMITS}",
    ),
    Habit(
        "Beijing limits, once there are some",
        ("2024-01-04",),
        {("stk_limit", 0): without(BJ)},
        code=BJ,
        found=flagged("daily_prices.limits_missing", BJ),
        reason="unexplained",
    ),
    Habit(
        "limits that single shares lack",
        ("2016-01-04",),
        {("stk_limit", 0): without(SZ)},
        code=SZ,
        found=flagged("daily_prices.limits_missing", SZ),
        reason="unexplained",
    ),
    Habit("no limits before 2007", ("2006-01-04",), {("stk_limit", 0): without()}, reason=None),
    Habit(
        "pct_chg rounded twice",
        ("2018-01-29",),
        {
            ("daily", 0): changed(SH, **bar(10.51, 10.79) | {"pct_chg": -2.60}),
            ("daily_basic", 0): changed(SH, **basic(10.51)),
            ("stk_limit", 0): changed(SH, up_limit=11.87, down_limit=9.71),
        },
    ),
    Habit(
        "amount with two decimals",
        ("2024-02-06",),
        {
            ("daily", 0): changed(SH, **bar(1.75, 1.75, 4, vol=15921.0, amount=2786.18)),
            ("daily_basic", 0): changed(SH, **basic(1.75, 15921.0)),
            ("stk_limit", 0): changed(SH, up_limit=1.93, down_limit=1.58),
        },
    ),
    Habit("a resumption after the share reform", REFORM, resumption(1.35, LAST_CLOSE)),
    Habit("a resumption after a restructuring", REFORM, resumption(4.0, 9.0)),
    Habit(
        "an ex-date on which factor and price differ a little", REFORM[:2], ex_date(1.1012, 9.54)
    ),
    Habit(
        "the listing day of an additional issue",
        ("2007-03-27", "2007-03-28"),
        {
            ("stock_basic", None): changed(SH, name="N航天"),
            ("daily", 1): changed(SH, **bar(9.3, LAST_CLOSE)),
            ("daily_basic", 1): changed(SH, **basic(9.3)),
        },
    ),
    Habit(
        "the first day of an IPO before 2014",
        ("2010-01-05",),
        {
            ("stock_basic", None): changed(SH, list_date="20100105"),
            ("daily", 0): changed(SH, **bar(19.9, LAST_CLOSE)),
            ("daily_basic", 0): changed(SH, **basic(19.9)),
        },
    ),
    Habit(
        "a limit of one tick",
        ("2024-06-04",),
        {
            ("daily", 0): changed(SH, **bar(0.04, 0.04, 4)),
            ("daily_basic", 0): changed(SH, **basic(0.04)),
            ("stk_limit", 0): changed(SH, up_limit=0.05, down_limit=0.03),
        },
    ),
    *(
        Habit(
            f"the sentinel {up:.0f} on a day whose names are not known",
            ("2007-01-04",),
            {("stk_limit", 0): changed(SH, up_limit=up, down_limit=0.01)},
        )
        for up in (10_000.0, 100_000.0, 1_000_000.0)
    ),
    Habit(
        "limits of 0 and 0 of a halted share",
        ("2014-01-08", "2014-01-09"),
        {
            ("daily", 1): without(SH),
            ("daily_basic", 1): without(SH),
            ("suspend_d", 1): both(without(SH), halted(SH)),
            ("stk_limit", 1): changed(SH, up_limit=0.0, down_limit=0.0),
        },
        reason="suspended",
        merged=False,
    ),
    Habit(
        "a suspension beside a bar",
        ("2009-02-23",),
        {("suspend_d", 0): halted(SZ)},
        code=SZ,
        found=flagged("daily_prices.suspension_contradicted", SZ),
        reason="suspension contradicted",
    ),
    Habit(
        "suspended and resumed on a day with a bar",
        ("2025-06-10",),
        {("suspend_d", 0): both(halted(SH), halted(SH, kind="R"))},
        found=flagged("daily_prices.suspension_contradicted"),
        reason="suspension contradicted",
    ),
    Habit(
        "a halt of no width",
        ("2025-11-25", "2025-11-26"),
        {
            ("daily", 1): without(SH),
            ("daily_basic", 1): without(SH),
            ("suspend_d", 1): both(without(SH), halted(SH, "09:30-09:30")),
        },
        reason="suspended",
        merged=False,
    ),
    Habit(
        "the same suspension twice",
        ("2024-06-04",),
        {("suspend_d", 0): lambda rows: [*rows, rows[0]]},
    ),
    Habit(
        "a share without a bar and without a notice",
        ("2024-06-03", "2024-06-04"),
        {("daily", 1): without(SH), ("daily_basic", 1): without(SH)},
        found=flagged("daily_prices.bar_missing"),
        reason="unexplained",
        merged=False,
    ),
    Habit(
        "a share that has not traded for longer, without a notice",
        ("2024-06-03", "2024-06-04", "2024-06-05"),
        {(call, day): without(SH) for call in ("daily", "daily_basic") for day in (1, 2)},
        reason="halted",
        merged=False,
    ),
    Habit(
        "the old code of a share, which no list has",
        ("2018-12-20",),
        {
            (call, 0): also("000022.SZ", SZ, **values)
            for call, values in {
                "daily": bar(11.9, 11.9, 4),
                "stk_limit": {"up_limit": 13.09, "down_limit": 10.71},
                "daily_basic": basic(11.9),
                "adj_factor": {},
            }.items()
        },
        code="000022.SZ",
        reason="other code",
    ),
    Habit(
        "the same past under both codes",
        ("2018-12-20",),
        {
            (call, 0): also("000022.SZ", SZ)
            for call in ("daily", "stk_limit", "daily_basic", "adj_factor")
        },
        code="000022.SZ",
        found=held("daily_prices.published_once", "000022.SZ"),
        reason="other code",
        merged=False,
    ),
    Habit(
        "the same past under both codes, and a list that has them both",
        ("2018-12-20",),
        {("stock_basic", None): both(*(also(code, SZ, symbol=code[:6]) for code in PORT))}
        | {
            (call, 0): both(*(also(code, SZ, **values) for code in PORT))
            for call, values in {
                "daily": bar(11.9, 11.9, 4),
                "stk_limit": {"up_limit": 13.09, "down_limit": 10.71},
                "daily_basic": basic(11.9),
                "adj_factor": {},
            }.items()
        },
        code="001872.SZ",
        found=held("daily_prices.published_once", "001872.SZ"),
        reason="other code",
        merged=False,
    ),
    Habit(
        "two listed shares with the same bar",
        ("2018-12-20",),
        {
            (call, number): also("000023.SZ", SZ, **more)
            for call, number, more in (
                ("stock_basic", None, {"symbol": "000023"}),
                ("daily", 0, {}),
                ("stk_limit", 0, {}),
                ("daily_basic", 0, {}),
                ("adj_factor", 0, {}),
            )
        },
        code="000023.SZ",
        found=flagged("daily_prices.one_code_a_company", "000023.SZ")
        + flagged("daily_prices.one_code_a_company", SZ),
    ),
    Habit(
        "the new code before there were limits for it",
        ("2019-12-12",),
        {
            ("stock_basic", None): also("001914.SZ", SZ, symbol="001914"),
            ("daily", 0): also("001914.SZ", SZ, **bar(11.9, 11.9, 4)),
            ("daily_basic", 0): also("001914.SZ", SZ, **basic(11.9)),
            ("adj_factor", 0): also("001914.SZ", SZ),
        },
        code="001914.SZ",
        reason="other code",
    ),
    Habit(
        "a Beijing share before its listing, on the NEEQ",
        ("2016-01-04",),
        {("stock_basic", None): changed(BJ, list_date="20211115")},
        code=BJ,
        reason="before listing",
    ),
    Habit(
        "a share listed again after a merger, before that",
        ("2006-09-22",),
        {
            ("stock_basic", None): also("600018.SH", SH, symbol="600018", list_date="20061026"),
            ("daily", 0): also("600018.SH", SH, **bar(11.9, 11.9)),
            ("daily_basic", 0): also("600018.SH", SH, **basic(11.9)),
        },
        code="600018.SH",
        reason="before listing; no limits before 2007",
    ),
    Habit(
        "a new share that is not in the list yet",
        ("2024-06-04",),
        {
            (call, 0): also("603999.SH", SH, **values)
            for call, values in {
                "daily": bar(11.9, 11.9, 4),
                "stk_limit": {"up_limit": 13.09, "down_limit": 10.71},
                "daily_basic": basic(11.9),
                "adj_factor": {},
            }.items()
        },
        code="603999.SH",
        found=flagged("daily_prices.code_listed", "603999.SH"),
        reason="unexplained",
    ),
    Habit(
        "a bar without the close before",
        ("2014-01-24",),
        {("daily", 0): changed(BJ, pre_close=None, change=None, pct_chg=None)},
        code=BJ,
        found=flagged("daily_kline.values_present", BJ),
        reason=None,
    ),
    Habit(
        "a bar without an amount",
        ("2024-06-04",),
        {("daily", 0): changed(SH, amount=None)},
        found=flagged("daily_kline.values_present"),
    ),
    Habit(
        "a bar without a close",
        ("2024-06-04",),
        {("daily", 0): changed(SH, close=None)},
        found=held("daily_kline.close_present"),
        reason="held",
        merged=False,
    ),
    Habit(
        "a low above the close",
        ("2024-06-04",),
        {("daily", 0): changed(SH, low=10.6, high=10.6)},
        found=held("daily_kline.ohlc_order") + held("daily_kline.units"),
        reason="held",
        merged=False,
    ),
    Habit(
        "indicators of the day before",
        ("2020-10-23",),
        {("daily_basic", 0): changed(SH, **basic(10.4))},
        found=flagged("daily_prices.indicators_agree"),
    ),
    Habit(
        "indicators without a bar",
        ("2020-09-18",),
        {("daily_basic", 0): also("200002.SZ", SZ)},
        code="200002.SZ",
        found=flagged("daily_prices.indicators_without_bar", "200002.SZ"),
        reason="no bar",
        merged=False,
    ),
    Habit(
        "a negative free float",
        ("2020-09-18",),
        {("daily_basic", 0): changed(SH, free_share=-5719.78)},
        found=flagged("daily_basic.share_counts_ordered"),
    ),
    Habit(
        "no factor",
        ("2025-09-09", "2025-09-10"),
        {("adj_factor", None): without(BJ)},
        code=BJ,
        found=flagged("daily_prices.factor_missing", BJ),
        reason="unexplained",
    ),
    Habit(
        "a factor set back to 1",
        ("2015-05-27", "2015-05-28"),
        {("adj_factor", 0): changed(SH, adj_factor=7.5)},
        found=flagged("daily_prices.pre_close_continues"),
    ),
    Habit(
        "a jitter of a factor",
        ("2024-06-24", "2024-06-25"),
        {("adj_factor", 1): changed(SH, adj_factor=1.0004)},
        found=flagged("daily_prices.factor_without_gap"),
    ),
    Habit(
        "a factor of zero",
        ("2024-06-25",),
        {("adj_factor", 0): changed(SH, adj_factor=0.0)},
        found=flagged("adj_factor.positive_factor"),
    ),
)


# These go through the whole chain as well: a row that is held, one of two that is left out, and
# one that is not there after a day with it.
STORED = (
    "a low above the close",
    "the same past under both codes",
    "a share without a bar and without a notice",
)


class Seen(NamedTuple):
    """Findings and the ledger's reasons of the last day, and the codes that are merged on each."""

    found: set[tuple[str, str, str]]
    reasons: dict[str, str | None]
    merged: dict[dt.date, list[str]]

    def is_no_more_than(self, habit: Habit) -> None:
        assert self.found == set(habit.found)
        *_, last = self.merged
        expected = habit.reason or ("no limits before 2007" if last.year < 2007 else None)
        assert self.reasons[habit.code] == expected
        assert all(len(codes) >= 2 for codes in self.merged.values())
        assert (habit.code in self.merged[last]) is habit.merged


def days_of(habit: Habit) -> list[dt.date]:
    return [dt.date.fromisoformat(day) for day in habit.days]


def market_with(habit: Habit) -> EditedMarket:
    days = days_of(habit)
    return EditedMarket(
        {
            (call, None if number is None else days[number]): edit
            for (call, number), edit in habit.edits.items()
        }
    )


def judged(market: EditedMarket, days: list[dt.date]) -> Seen:
    """Successive days as the assets judge, explain and merge them. None of them is refused."""
    tables = {day: typed(answers_of(market, day), day, LATER.date()) for day in days}
    with bounded_duckdb() as connection:
        answers = check_answers(connection, tables, before([]), NONE)
        together = {
            table: connection.from_arrow(pa.concat_tables(tables[day][table.name] for day in days))
            for table in CHECKED_TOGETHER
        }
        by_name = {table.name: rows for table, rows in together.items()}
        rows = side_by_side(days, by_name, before([]).lookback, LATER, NONE)
        lists = [
            run_and_list(table.name, rows, table.checks, NONE) for table, rows in together.items()
        ]
        of_merged = check_merged_days(rows, NONE)
        assert [one.in_words() for one in [*answers, *of_merged] if one.refuses] == []
        merged_list = list_merged(rows, of_merged, NONE)
        found = pa.concat_tables([*lists, merged_list]).to_pylist()
        ledger_rows = coverage(rows.facts, NONE).to_arrow_table().to_pylist()
        merged = merge_prices(
            together[DAILY_KLINE].filter(f"NOT ({held_rows(NONE)} OR {left_out_rows(rows.twins)})"),
            *(together[table] for table in (PRICE_LIMITS, DAILY_BASIC, STOCK_LIST, ADJ_FACTOR)),
        )
        codes = merged.select("date, code").order("date, code").fetchall()
    return Seen(
        {told_of(row) for row in found if row["trade_date"] == days[-1]},
        {row["ts_code"]: row["reason"] for row in ledger_rows if row["trade_date"] == days[-1]},
        {day: [code for on, code in codes if on == day] for day in days},
    )


@pytest.mark.parametrize("habit", HABITS, ids=lambda habit: habit.name)
def test_a_habit_costs_one_share_one_line_at_most(habit: Habit) -> None:
    judged(market_with(habit), days_of(habit)).is_no_more_than(habit)


@pytest.mark.parametrize("name", STORED)
def test_a_day_with_a_habit_is_stored_and_merged(name: str, tmp_path: Path) -> None:
    [habit] = [one for one in HABITS if one.name == name]
    days = days_of(habit)
    with platform_over(market_with(habit), tmp_path) as platform:
        result = platform.run(days[0], days[-1], assets=JUDGED)
        assert result.success, failure_text(result, "daily_prices")
        lake = platform.lake
        ledger_rows = lake.read(COVERAGE, days[-1]).to_pylist()
        seen = Seen(
            found_on(platform, days[-1]),
            {row["ts_code"]: row["reason"] for row in ledger_rows},
            {day: lake.read(DAILY_PRICES, day)["code"].to_pylist() for day in days},
        )
        seen.is_no_more_than(habit)
        if habit.found[0][2] == "held":
            assert habit.code in lake.read(DAILY_KLINE, days[-1])["ts_code"].to_pylist()


FUND_HABITS = (
    Habit(
        "a fund code of seven digits",
        ("2024-01-15",),
        {
            ("fund_basic", None): both(
                also("1500011.SZ", DOMESTIC), also("5020561.SH", DOMESTIC, status="D")
            )
        },
    ),
    Habit(
        "a fund that has left, nobody says when",
        ("2024-01-15",),
        {("fund_basic", None): changed("150018.SZ", delist_date=None)},
    ),
    Habit(
        "a bar of one fund missing",
        ("2018-12-21", "2018-12-24"),
        {("fund_daily", 1): without(DOMESTIC)},
        found=flagged("etf_premium.bar_missing", DOMESTIC),
    ),
    Habit(
        "a fund halted for its split",
        ("2022-01-12", "2022-01-13"),
        {
            ("fund_daily", 1): without(DOMESTIC),
            ("fund_nav", 1): lambda rows: [
                row | ({"unit_nav": row["unit_nav"] / 5} if row["ts_code"] == DOMESTIC else {})
                for row in rows
            ],
        },
    ),
)


@pytest.mark.parametrize("habit", FUND_HABITS, ids=lambda habit: habit.name)
def test_a_habit_of_funds_costs_one_fund_one_line_at_most(habit: Habit, tmp_path: Path) -> None:
    days = days_of(habit)
    with platform_over(market_with(habit), tmp_path) as platform:
        result = platform.run(days[0], days[-1], assets=[*ETF_CHAIN, "findings"])
        assert result.success
        assert found_on(platform, days[-1]) == set(habit.found)


def found_on(platform: Platform, day: dt.date) -> set[tuple[str, str, str]]:
    return {told_of(row) for row in platform.lake.read(FINDINGS, day).to_pylist()}


def told_of(row: dict[str, Any]) -> tuple[str, str, str]:
    return f"{row['table_name']}.{row['check_name']}", row["ts_code"], row["outcome"]
