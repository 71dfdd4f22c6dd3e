"""Good days pass without a false alarm, whatever the market does on them; and what is told of bad
ones. All sessions since 2005 are judged by `benchmarks.false_alarms`."""

import datetime as dt
from collections.abc import Sequence

import pyarrow as pa
import pytest

from marketdata_assets.checks.days import rows_lost
from marketdata_assets.checks.excuses import NONE
from marketdata_assets.checks.running import Finding
from marketdata_assets.checks.sessions import ledger_days
from marketdata_assets.tables import DAILY_BASIC, STORED_TABLES, Table
from marketdata_assets.tables.declaration import Chain
from marketdata_assets.trading_calendar import SHANGHAI, previous_session, sessions_between
from marketdata_assets_tests.checks.judging import before, check_days
from marketdata_assets_tests.checks.market_day import LATER, answers_of, typed
from marketdata_sandbox.market.exchange import SimulatedExchange

# What the market, its rules or the vendor's tables had for the first time, or to excess.
STRETCHES = {
    "the first sessions, before there were limits": ("2005-01-04", "2005-01-06"),
    "the first limits": ("2006-12-29", "2007-01-05"),
    "half the market suspended": ("2015-07-07", "2015-07-09"),
    "pct_chg gets four decimals": ("2018-07-19", "2018-07-20"),
    "ChiNext goes to 20 %": ("2020-08-21", "2020-08-25"),
    "indicators of Beijing begin": ("2023-12-29", "2024-01-02"),
    "the last year's end": ("2025-12-30", "2026-01-05"),
    "ST goes to 10 %": ("2026-07-03", "2026-07-07"),
}
GLITCH = (dt.date(2024, 6, 25), dt.date(2024, 6, 26))


def judged(exchange: SimulatedExchange, days: Sequence[dt.date]) -> list[Finding]:
    """What fails on successive days, after the session before them if there is one."""
    tables = {day: typed(answers_of(exchange, day), day) for day in days}
    known = [] if days[0] == dt.date(2005, 1, 4) else [previous_session(days[0])]
    earlier = before([typed(answers_of(exchange, day), day) for day in known])
    return [finding for finding in check_days(tables, earlier, LATER, NONE) if finding.fails]


@pytest.mark.parametrize("stretch", STRETCHES)
def test_good_sessions_raise_no_alarm(exchange: SimulatedExchange, stretch: str) -> None:
    first, last = map(dt.date.fromisoformat, STRETCHES[stretch])
    assert judged(exchange, sessions_between(first, last)) == []


def test_the_vendors_glitch_is_a_warning_on_both_days_and_stops_none(
    exchange: SimulatedExchange,
) -> None:
    found = judged(exchange, GLITCH)
    assert [(one.day, one.check.name, one.wrong) for one in found] == [
        (day, "factor_without_gap", 857) for day in GLITCH
    ]
    assert not any(finding.refuses for finding in found)


def test_a_wrong_day_in_a_range_is_found_and_its_neighbours_are_not(
    exchange: SimulatedExchange,
) -> None:
    days = sessions_between(dt.date(2024, 9, 24), dt.date(2024, 9, 26))
    tables = {day: typed(answers_of(exchange, day), day) for day in days}
    tables[days[1]][DAILY_BASIC.name] = tables[days[1]][DAILY_BASIC.name].slice(1)
    [found] = [one for one in check_days(tables, before([]), LATER, NONE) if one.fails]
    assert (found.day, found.check.name, found.wrong) == (days[1], "indicators_missing", 1)


# The extras lose what each of them says.
COUNTED = [
    table for table in STORED_TABLES.values() if table.row_count and table.chain is not Chain.EXTRAS
]


@pytest.mark.parametrize("table", COUNTED, ids=lambda table: table.name)
def test_a_drop_of_more_than_is_usual_fails_and_one_of_less_does_not(table: Table) -> None:
    day = dt.date(2024, 9, 26)
    least = 7_500 if table.name.startswith("etf") else 9_800
    for rows, fails in ((least - 1, True), (least, False), (10_001, False)):
        found = rows_lost(table, day, rows, 10_000, NONE)
        assert any(one.check is table.row_count and one.refuses for one in found) is fails
    assert rows_lost(table, day, 1, None, NONE) == []


def test_limits_are_counted_and_what_trades_is_left_to_the_ledger() -> None:
    counted = {"stock_list", "price_limits", "adj_factor", "etf_list", "etf_kline"}
    assert {table.name for table in COUNTED} == counted


def test_what_is_missing_may_be_late_until_the_next_session_opens() -> None:
    def may_be_late(day: dt.date, now: str) -> list[bool]:
        moment = dt.datetime.fromisoformat(now).replace(tzinfo=SHANGHAI)
        table: pa.Table = ledger_days([day], moment)
        return table["may_be_late"].to_pylist()

    before_the_holidays = dt.date(2024, 9, 30)
    assert may_be_late(before_the_holidays, "2024-10-08 09:29") == [True]
    assert may_be_late(before_the_holidays, "2024-10-08 09:30") == [False]
    # The session after it is not published yet.
    last = dt.date(2026, 12, 31)
    assert may_be_late(last, "2026-12-31 22:00") == [True]
    assert may_be_late(last, "2027-01-01 09:30") == [False]
