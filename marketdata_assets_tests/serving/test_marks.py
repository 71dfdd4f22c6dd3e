"""What a chart marks: ex-dates and limits out of prices, halts and doubts out of their tables."""

import datetime as dt
from pathlib import Path

import pytest

from marketdata_assets.serving.marks import Mark, MarkKind, Marks
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import Series, refresh
from marketdata_assets.tables import DAILY_PRICES, ETF_PREMIUM, SUSPENDED
from marketdata_assets_tests.api.stored_world import rows_of

DAYS = [dt.date(2024, 9, day) for day in (24, 25, 26)]
SHARE, FUND = "600000.SH", "513100.SH"
LIMITS = {"high_limit": 11.0, "low_limit": 9.0}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A share that rises to its limit, then falls to it with an ex-date; a fund that is split."""
    lake = Lake(tmp_path, "test")
    for number, day in enumerate(DAYS):
        share = {"close": (10.0, 11.0, 9.0)[number], "adj_factor": (1.0, 1.0, 1.25)[number]}
        prices = {name: [value] for name, value in {**share, **LIMITS}.items()}
        lake.write(DAILY_PRICES, day, rows_of(DAILY_PRICES, 1, code=[SHARE], date=[day], **prices))
        close, before = ((2.0, 2.0), (2.0, 2.0), (1.01, 1.0))[number]
        bar = {"close": [close], "pre_close": [before]}
        lake.write(
            ETF_PREMIUM, day, rows_of(ETF_PREMIUM, 1, ts_code=[FUND], trade_date=[day], **bar)
        )
    for table in (DAILY_PRICES, ETF_PREMIUM):
        refresh(lake, table)
    return lake


def test_limits_and_ex_dates_of_a_share_are_in_its_prices(lake: Lake) -> None:
    series = Series.open(lake.root, DAILY_PRICES)
    assert Marks(lake).of([SHARE], series, DAYS[0], DAYS[2]) == [
        Mark(DAYS[1], MarkKind.LIMIT_UP, ""),
        Mark(DAYS[2], MarkKind.EX_DATE, "1.25"),
        Mark(DAYS[2], MarkKind.LIMIT_DOWN, ""),
    ]


@pytest.mark.parametrize("first", DAYS)
def test_a_split_of_a_fund_is_in_its_close_before(lake: Lake, first: dt.date) -> None:
    series = Series.open(lake.root, ETF_PREMIUM)
    marks = Marks(lake).of([FUND], series, first, DAYS[2])
    assert marks == [Mark(DAYS[2], MarkKind.EX_DATE, "2")]


def test_an_ex_date_on_the_first_day_of_a_range_is_marked(lake: Lake) -> None:
    series = Series.open(lake.root, DAILY_PRICES)
    assert Marks(lake).of([SHARE], series, DAYS[2], DAYS[2]) == [
        Mark(DAYS[2], MarkKind.EX_DATE, "1.25"),
        Mark(DAYS[2], MarkKind.LIMIT_DOWN, ""),
    ]


def test_a_halt_that_becomes_known_is_marked_at_once(lake: Lake) -> None:
    marks = Marks(lake)
    assert marks.of([SHARE], None, DAYS[0], DAYS[2]) == []
    halted = rows_of(SUSPENDED, 1, trade_date=[DAYS[1]], ts_code=[SHARE], reason=["suspended"])
    lake.write(SUSPENDED, DAYS[1], halted)
    found = marks.of([SHARE], None, DAYS[0], DAYS[2])
    assert found == [Mark(DAYS[1], MarkKind.SUSPENDED, "suspended")]
    assert marks.of(["600001.SH"], None, DAYS[0], DAYS[2]) == []


def test_there_is_nothing_to_mark_on_the_first_day_there_is(lake: Lake) -> None:
    series = Series.open(lake.root, DAILY_PRICES)
    assert Marks(lake).of([SHARE], series, dt.date.min, dt.date.min) == []
