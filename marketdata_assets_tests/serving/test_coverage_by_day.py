import datetime as dt
import os
import shutil
import time
from pathlib import Path

import pyarrow as pa
import pytest

from marketdata_assets.serving.caches import DaysInMemory
from marketdata_assets.serving.coverage_by_day import CoverageByDay, Lacking, State
from marketdata_assets.serving.table_rows import NoSuchTable
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import refresh
from marketdata_assets.tables import ADJ_FACTOR, COVERAGE, DAILY_KLINE, FINDINGS, STOCK_LIST
from marketdata_assets_tests.api.stored_world import rows_of

DAYS = [dt.date(2024, 9, day) for day in (23, 24, 25, 26, 27)]
NOW = dt.datetime(2024, 9, 29, tzinfo=dt.UTC)
SEEN = dt.datetime(2024, 9, 26, 13, 0, tzinfo=dt.UTC)
HALTED, LACKING = "600001.SH", "600002.SH"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Bars of three days of five: of the first one lacks, the second is flagged."""
    lake = Lake(tmp_path, "test")
    for day in DAYS[:3]:
        bars = rows_of(DAILY_KLINE, 1, ts_code=["600000.SH"], trade_date=[day])
        lake.write(DAILY_KLINE, day, bars)
    lake.write(STOCK_LIST, DAYS[4], rows_of(STOCK_LIST, 1, trade_date=[DAYS[4]], ts_code=["x"]))
    ledger = rows_of(
        COVERAGE,
        2,
        trade_date=[DAYS[0]] * 2,
        ts_code=[HALTED, LACKING],
        daily_kline=[False, False],
        missing=["", "daily_kline, daily_basic"],
        reason=["suspended", "unexplained"],
    )
    lake.write(COVERAGE, DAYS[0], ledger)
    store_finding(lake, DAYS[1], "flagged")
    store_finding(lake, DAYS[3], "refused")
    return lake


def store_finding(lake: Lake, day: dt.date, outcome: str) -> None:
    row = {"trade_date": day, "table_name": "daily_kline", "ts_code": "", "check_name": "rows"}
    row |= {"outcome": outcome, "seen": "x", "expected": "y", "reason": None, "first_seen": SEEN}
    lake.write(FINDINGS, day, pa.Table.from_pylist([row], schema=FINDINGS.schema))


def states(coverage: CoverageByDay, name: str = "daily_kline") -> list[str]:
    [found] = coverage.tables([name], DAYS[0], DAYS[4], NOW)
    return [day.state for day in found.days]


def test_every_session_has_the_worst_that_is_known_of_it(lake: Lake) -> None:
    expected = [State.UNEXPLAINED, State.FLAGGED, State.STORED, State.REFUSED, State.MISSING]
    assert states(CoverageByDay(lake)) == expected


def test_a_day_that_is_stored_afterwards_is_seen(lake: Lake) -> None:
    coverage = CoverageByDay(lake)
    assert states(coverage)[4] == State.MISSING
    bars = rows_of(DAILY_KLINE, 1, ts_code=["600000.SH"], trade_date=[DAYS[4]])
    lake.write(DAILY_KLINE, DAYS[4], bars)
    store_finding(lake, DAYS[1], "held")
    assert states(coverage)[4] == State.STORED
    assert states(coverage)[1] == State.HELD


def test_a_day_is_seen_whose_folder_tells_no_change(lake: Lake) -> None:
    folder, coverage = lake.path(DAILY_KLINE, DAYS[0]).parent, CoverageByDay(lake)
    # As where two files come within one tick of the file system's clock, just now.
    moment = time.time_ns() + 10**12
    os.utime(folder, ns=(moment, moment))
    assert states(coverage)[4] == State.MISSING
    bars = rows_of(DAILY_KLINE, 1, ts_code=["600000.SH"], trade_date=[DAYS[4]])
    lake.write(DAILY_KLINE, DAYS[4], bars)
    os.utime(folder, ns=(moment, moment))
    assert states(coverage)[4] == State.STORED


def test_a_day_that_is_written_over_where_it_lies_is_seen_within_the_hour(lake: Lake) -> None:
    seconds, read = iter([0.0, 3_599.0, 3_600.0]), iter(["before", "after"])
    days = DaysInMemory(lake, DAILY_KLINE, lambda _: next(read), lambda: next(seconds))
    file = lake.path(DAILY_KLINE, DAYS[0])
    for day in DAYS[1:3]:
        lake.path(DAILY_KLINE, day).unlink()
    # Of a folder that has just changed nobody believes that it has not.
    os.utime(file.parent, (0, 0))
    assert days.between(*DAYS[:2]) == {DAYS[0]: "before"}
    file.write_bytes(file.read_bytes())
    assert days.between(*DAYS[:2]) == {DAYS[0]: "before"}
    assert days.between(*DAYS[:2]) == {DAYS[0]: "after"}


def test_a_file_that_is_named_like_a_year_has_no_days(lake: Lake) -> None:
    before = states(CoverageByDay(lake))
    (lake.path(DAILY_KLINE, None).parent / "2023").write_text("another program's")
    coverage = CoverageByDay(lake)
    assert states(coverage) == before
    assert coverage.tables(["daily_kline"], dt.date(2023, 9, 25), DAYS[4], NOW)


def test_what_could_not_be_read_is_read_again_with_the_next_look_at_all(lake: Lake) -> None:
    # Where the disk or a store refuses for a moment, the file stays what it is.
    os.utime(lake.path(DAILY_KLINE, DAYS[0]).parent, (0, 0))
    read, seconds = iter([None, 1, 2, 3]), iter([0.0, 10.0, 3_700.0, 7_400.0])
    days = DaysInMemory(lake, DAILY_KLINE, lambda _: next(read), lambda: next(seconds))
    found = [list(days.between(DAYS[0], DAYS[4]).values()) for _ in range(4)]
    assert found[0] == found[1] == [None, 1, 2]
    assert found[2] == found[3] == [3, 1, 2]


def test_a_file_that_cant_be_read_is_damaged_and_has_no_rows(lake: Lake) -> None:
    lake.path(DAILY_KLINE, DAYS[2]).write_bytes(b"no parquet")
    [found] = CoverageByDay(lake).tables(["daily_kline"], DAYS[2], DAYS[2], NOW)
    assert (found.days[0].state, found.days[0].rows) == (State.DAMAGED, None)


def test_tables_without_any_day_are_left_out_unless_they_are_asked_for(lake: Lake) -> None:
    coverage = CoverageByDay(lake)
    named = [one.table.name for one in coverage.tables([], DAYS[0], DAYS[4], NOW)]
    assert named == ["stock_list", "daily_kline", "coverage", "findings"]
    assert set(states(coverage, "daily_basic")) == {State.MISSING}
    assert states(coverage, "moneyflow") == [State.MISSING] * 5
    with pytest.raises(NoSuchTable, match="no table kline"):
        states(coverage, "kline")


def test_a_table_with_a_series_is_told_of_when_all_its_days_have_vanished(lake: Lake) -> None:
    factors = rows_of(ADJ_FACTOR, 1, ts_code=["600000.SH"], trade_date=[DAYS[0]])
    lake.write(ADJ_FACTOR, DAYS[0], factors)
    refresh(lake, ADJ_FACTOR)
    shutil.rmtree(lake.path(ADJ_FACTOR, None).parent)
    found = {one.table: one.days for one in CoverageByDay(lake).tables([], DAYS[0], DAYS[4], NOW)}
    assert [day.state for day in found[ADJ_FACTOR]] == [State.MISSING] * len(DAYS)


def test_a_day_tells_who_lacks_and_why_the_unexplained_first(lake: Lake) -> None:
    found = CoverageByDay(lake).day("daily_kline", DAYS[0], NOW)
    assert found.ledger == [
        Lacking(LACKING, "unexplained"),
        Lacking(HALTED, "suspended"),
    ]
    assert (found.lacking, found.reasons) == (2, {"unexplained": 1, "suspended": 1})
    refused = CoverageByDay(lake).day("daily_kline", DAYS[3], NOW)
    assert [one.check for one in refused.findings] == ["rows"]


def test_a_day_that_does_not_trade_has_no_state(lake: Lake) -> None:
    assert CoverageByDay(lake).day("daily_kline", dt.date(2024, 9, 28), NOW) is None


def test_an_empty_lake_has_no_tables(tmp_path: Path) -> None:
    assert CoverageByDay(Lake(tmp_path, "test")).tables([], DAYS[0], DAYS[4], NOW) == []
