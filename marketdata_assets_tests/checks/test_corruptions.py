"""Every corruption of a good day is caught by the check that is named for it; good days pass."""

import copy
import datetime as dt
from collections.abc import Mapping
from typing import NamedTuple

import pyarrow as pa
import pytest

from marketdata_assets.checks.days import CHECKED_TOGETHER, MERGED_CHECKS, fetched_checks
from marketdata_assets.checks.running import Finding
from marketdata_assets.resources.tushare_errors import TushareError
from marketdata_assets.tables.declaration import Outcome
from marketdata_assets.trading_calendar import previous_session
from marketdata_assets_tests.checks.corruptions import CORRUPTIONS, Corruption
from marketdata_assets_tests.checks.market_day import Answers, answers_of, findings, typed
from marketdata_assets_tests.replay import REAL_DAY, ReplayedDay, needs_real_data
from marketdata_sandbox.market.exchange import SimulatedExchange

SIMULATED_DAY = dt.date(2024, 9, 26)


class GoodDay(NamedTuple):
    day: dt.date
    answers: Answers
    before: Answers
    tables: Mapping[str, pa.Table]
    tables_before: Mapping[str, pa.Table]

    def found_in(self, changed: Mapping[str, pa.Table]) -> list[Finding]:
        return findings({**self.tables, **changed}, self.tables_before, self.day, set(changed))


def good_day(day: dt.date, answers: Answers, before: Answers) -> GoodDay:
    tables_before = typed(before, previous_session(day))
    return GoodDay(day, answers, before, typed(answers, day), tables_before)


@pytest.fixture(scope="module")
def simulated(exchange: SimulatedExchange) -> GoodDay:
    day = SIMULATED_DAY
    before = answers_of(exchange, previous_session(day))
    return good_day(day, answers_of(exchange, day), before)


@pytest.fixture(scope="module")
def real() -> GoodDay:
    """The recorded day, after a session made up of its previous closes."""
    day = answers_of(ReplayedDay(), REAL_DAY)
    yesterday = previous_session(REAL_DAY)
    before = copy.deepcopy(day)
    for columns in before.values():
        if "trade_date" in columns:
            columns["trade_date"] = [f"{yesterday:%Y%m%d}"] * len(columns["trade_date"])
    bars = before["daily"]
    for name in ("open", "high", "low", "close"):
        bars[name] = list(bars["pre_close"])
    bars["pre_close"] = [round(close * 0.99, 2) for close in bars["close"]]
    bars["vol"] = [vol + 1 for vol in bars["vol"]]
    closes = dict(zip(bars["ts_code"], bars["close"], strict=True))
    basics = before["daily_basic"]
    basics["close"] = [closes[code] for code in basics["ts_code"]]
    return good_day(REAL_DAY, day, before)


def caught(good: GoodDay, corruption: Corruption) -> dict[str, Outcome]:
    """What follows by the names of the checks that fail, or of the error that refuses an answer."""
    answers = {
        call: {name: list(values) for name, values in columns.items()}
        for call, columns in good.answers.items()
    }
    corruption.edit(answers, good.before)
    changed = {call: answers[call] for call in answers if answers[call] != good.answers[call]}
    assert changed
    try:
        found = good.found_in(typed(changed, good.day))
    except TushareError as refusal:
        return {type(refusal).__name__: Outcome.REFUSED}
    return {one.check.name: outcome_of(one) for one in found if one.fails}


def outcome_of(finding: Finding) -> Outcome:
    return finding.check.of_mass if finding.is_mass else finding.check.outcome


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda one: one.name)
def test_a_corruption_of_a_simulated_day_is_caught(simulated, corruption: Corruption) -> None:
    assert caught(simulated, corruption).get(corruption.caught_by) is corruption.outcome


@needs_real_data
@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda one: one.name)
def test_a_corruption_of_the_real_day_is_caught(real, corruption: Corruption) -> None:
    assert caught(real, corruption).get(corruption.caught_by) is corruption.outcome


def test_nothing_is_found_on_the_simulated_day(simulated) -> None:
    assert [one for one in simulated.found_in({}) if one.fails] == []


@needs_real_data
def test_nothing_is_found_on_the_real_day(real) -> None:
    assert [one for one in real.found_in({}) if one.fails] == []


def test_every_check_of_the_tables_that_are_judged_has_a_corruption_that_it_catches() -> None:
    checks = [
        *MERGED_CHECKS,
        *(check for table in CHECKED_TOGETHER for check in fetched_checks(table)),
    ]
    # A day by itself, without the one before it or with what was stored of it, is elsewhere.
    elsewhere = {"bars_complete", "rows_kept"}
    assert {check.name for check in checks} - elsewhere <= {one.caught_by for one in CORRUPTIONS}
