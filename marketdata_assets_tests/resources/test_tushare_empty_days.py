"""A day without rows: a fact where a table may be empty, not published yet everywhere else."""

from pathlib import Path
from typing import Any

import pytest

from marketdata_assets.resources.tushare_errors import (
    BadValue,
    NotPublishedYet,
)
from marketdata_assets.tables import ADJ_FACTOR, SUSPENSIONS
from marketdata_assets_tests.resources.serving import (
    DAY,
    DAY_BEFORE,
    WakefulTushare,
    serving,
    tushare_at,
)
from marketdata_assets_tests.resources.spoiling import column_set, data_of, spoil
from marketdata_assets_tests.small_market import CODES, SmallMarket
from marketdata_sandbox import faults
from marketdata_sandbox.server import TushareServer


def test_a_day_on_which_nobody_was_suspended_is_an_empty_typed_table(state: Path) -> None:
    with serving(SmallMarket(quiet=[DAY])) as server, tushare_at(server, state) as tushare:
        assert tushare.day(SUSPENSIONS, DAY).equals(SUSPENSIONS.schema.empty_table())
        for days, rows in (([DAY, DAY_BEFORE], ()), ([DAY_BEFORE, DAY], [len(CODES)])):
            outcomes = {one.day: one.outcome for one in tushare.days(SUSPENSIONS, days, rows)}
            assert {day: data.num_rows for day, data in outcomes.items()} == {
                DAY: 0,
                DAY_BEFORE: len(CODES),
            }
        with pytest.raises(NotPublishedYet):
            tushare.day(ADJ_FACTOR, DAY)


def test_suspensions_of_the_day_before_are_not_the_day(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    spoil(server, "suspend_d", column_set("trade_date", *[f"{DAY_BEFORE:%Y%m%d}"] * 3))
    with pytest.raises(NotPublishedYet, match=str(DAY_BEFORE)):
        tushare.day(SUSPENSIONS, DAY)


def test_whole_days_without_any_timing_are_as_they_should_be(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    spoil(server, "suspend_d", column_set("suspend_timing", None, None, None))
    assert tushare.day(SUSPENSIONS, DAY)["suspend_timing"].null_count == len(CODES)


def test_two_halts_of_a_share_are_two_rows_and_the_same_halt_twice_is_one(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    def one_share(answer: dict[str, Any]) -> None:
        fields, items = data_of(answer)
        timings = ["09:30-10:00", "13:00-13:30", "09:30-10:00"]
        for row, timing in zip(items, timings, strict=True):
            row[fields.index("ts_code")] = CODES[0]
            row[fields.index("suspend_timing")] = timing

    spoil(server, "suspend_d", faults.edited(one_share))
    halts = tushare.day(SUSPENSIONS, DAY)
    assert halts["suspend_timing"].to_pylist() == ["09:30-10:00", "13:00-13:30"]


def test_the_same_halt_without_a_timing_twice_is_one(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    def untimed(answer: dict[str, Any]) -> None:
        fields, items = data_of(answer)
        items[0][fields.index("suspend_timing")] = None
        items.append(list(items[0]))

    spoil(server, "suspend_d", faults.edited(untimed))
    assert tushare.day(SUSPENSIONS, DAY)["ts_code"].to_pylist() == list(CODES)


@pytest.mark.parametrize(("name", "value"), [("suspend_type", None), ("suspend_timing", 930)])
def test_a_row_that_says_nothing_is_refused(
    server: TushareServer, tushare: WakefulTushare, name: str, value: object
) -> None:
    spoil(server, "suspend_d", column_set(name, *[value] * 3))
    with pytest.raises(BadValue, match=name):
        tushare.day(SUSPENSIONS, DAY)
