import datetime as dt
import os
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets.storage.as_of import (
    ABANDONED_AFTER_SECONDS,
    NotKnownThen,
    NotReadableAsOf,
    as_of,
    files_as_of,
    held_still,
)
from marketdata_assets.storage.lake import UNTIL, Lake
from marketdata_assets.tables import PRICE_LIMITS, TRADE_CALENDAR, Table
from marketdata_assets_tests.conftest import costly
from marketdata_assets_tests.storage.tables_for_tests import DAY, NEXT_DAY, contents, flip, limits

DAYS = (DAY, NEXT_DAY, dt.date(2024, 10, 9))
TABLES = (PRICE_LIMITS, replace(PRICE_LIMITS, name="other_limits"))
SECOND = dt.timedelta(seconds=1)


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def read(lake: Lake, moment: dt.datetime, table: Table = PRICE_LIMITS, *days) -> dict:
    """Every day that was known, as it was; empty where none was."""
    try:
        with files_as_of(lake, table, days or DAYS, moment) as files:
            return {day: pq.read_table(path, partitioning=None) for day, path in files.items()}
    except NotKnownThen:
        return {}


def value_at(lake: Lake, moment: dt.datetime) -> float | None:
    known = read(lake, moment, PRICE_LIMITS, DAY)
    return known[DAY]["up_limit"][0].as_py() if known else None


def written(lake: Lake, *values: float) -> list[dt.datetime]:
    """Store the values one after the other; the moments after each."""
    moments = []
    for value in values:
        lake.write(PRICE_LIMITS, DAY, limits(DAY, a=value))
        moments.append(now())
    return moments


class Write(NamedTuple):
    table: Table
    day: dt.date
    up_by_code: dict[str, float]


writes = st.builds(Write, st.sampled_from(TABLES), st.sampled_from(DAYS), contents)


@costly()
@given(history=st.lists(writes, min_size=1, max_size=12))
def test_every_past_state_is_read_back_exactly(
    history: list[Write], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"), "test")
    state: dict[str, dict[dt.date, pa.Table]] = {table.name: {} for table in TABLES}
    past = [(now(), {name: dict(days) for name, days in state.items()})]
    for table, day, up_by_code in history:
        lake.write(table, day, limits(day, **up_by_code))
        state[table.name][day] = limits(day, **dict(sorted(up_by_code.items())))
        past.append((now(), {name: dict(days) for name, days in state.items()}))
    for moment, known in past:
        for table in TABLES:
            found = read(lake, moment, table)
            assert list(found) == [day for day in DAYS if day in known[table.name]]
            for day, data in found.items():
                assert data.equals(known[table.name][day])


def test_yesterdays_answer_is_the_same_file_after_a_restatement(lake: Lake) -> None:
    [moment] = written(lake, 1.0)
    before = lake.path(PRICE_LIMITS, DAY).read_bytes()
    written(lake, 2.0, 3.0)
    with files_as_of(lake, PRICE_LIMITS, [DAY], moment) as files:
        assert files[DAY].read_bytes() == before


def test_a_range_mixes_no_versions_and_is_a_relation_of_the_callers_connection(lake: Lake) -> None:
    for day in DAYS:
        lake.write(PRICE_LIMITS, day, limits(day, a=1.0, b=1.0))
    moment = now()
    lake.write(PRICE_LIMITS, NEXT_DAY, limits(NEXT_DAY, a=2.0))
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        counted = "trade_date, count(*), max(up_limit)"
        for asked, expected in (
            (moment, [(day, 2, 1.0) for day in DAYS]),
            (now(), [(DAYS[0], 2, 1.0), (DAYS[1], 1, 2.0), (DAYS[2], 2, 1.0)]),
        ):
            with as_of(connection, lake, PRICE_LIMITS, DAYS, asked) as known:
                assert known.columns == PRICE_LIMITS.column_names
                assert known.aggregate(counted).order("trade_date").fetchall() == expected


def test_a_table_without_partitions_has_a_past_too(lake: Lake) -> None:
    def calendar(is_open: int) -> pa.Table:
        row = {"exchange": "SSE", "cal_date": DAY, "is_open": is_open, "pretrade_date": None}
        return pa.Table.from_pylist([row], schema=TRADE_CALENDAR.schema)

    lake.write(TRADE_CALENDAR, None, calendar(1))
    moment = now()
    lake.write(TRADE_CALENDAR, None, calendar(0))
    assert read(lake, moment, TRADE_CALENDAR, None) == {None: calendar(1)}
    assert read(lake, now(), TRADE_CALENDAR, None) == {None: calendar(0)}
    with (
        pytest.raises(NotKnownThen, match="trade_calendar was not known at 2005"),
        files_as_of(lake, TRADE_CALENDAR, [None], dt.datetime(2005, 1, 4, tzinfo=dt.UTC)),
    ):
        pass


def test_a_day_that_was_not_known_is_absent_and_by_itself_an_error(lake: Lake) -> None:
    [moment] = written(lake, 1.0)
    lake.write(PRICE_LIMITS, NEXT_DAY, limits(NEXT_DAY, a=1.0))
    assert list(read(lake, moment)) == [DAY]
    with (
        pytest.raises(NotKnownThen, match=r"price_limits 2024-10-08 was not known at .*later"),
        files_as_of(lake, PRICE_LIMITS, [NEXT_DAY], moment),
    ):
        pass


def test_a_moment_without_time_zone_or_in_the_future_is_refused(lake: Lake) -> None:
    written(lake, 1.0)
    with pytest.raises(ValueError, match="2024-10-08 00:00:00 has no time zone"):
        read(lake, dt.datetime(2024, 10, 8))
    with pytest.raises(ValueError, match="lies in the future"):
        read(lake, now() + dt.timedelta(hours=1))


def test_the_moment_may_be_told_in_any_time_zone(lake: Lake) -> None:
    moment, _ = written(lake, 1.0, 2.0)
    shanghai = dt.timezone(dt.timedelta(hours=8))
    assert value_at(lake, moment.astimezone(shanghai)) == 1.0


def test_a_version_with_other_columns_than_declared_is_an_error_that_names_them(
    lake: Lake,
) -> None:
    [moment] = written(lake, 1.0)
    [named] = [column for column in PRICE_LIMITS.columns if column.name == "up_limit"]
    other = replace(PRICE_LIMITS, columns=(*PRICE_LIMITS.columns, replace(named, name="x")))
    data = limits(DAY, a=1.0)
    lake.write(other, DAY, data.append_column(other.schema.field("x"), data["up_limit"]))
    told = r"price_limits 2024-09-30 .*x is not declared any more\. Its file can be read"
    with pytest.raises(NotReadableAsOf, match=told):
        read(lake, now(), PRICE_LIMITS, DAY)
    assert read(lake, now(), other, DAY)[DAY].column_names[-1] == "x"
    # Before, there was no such column, and that is known.
    assert read(lake, moment, PRICE_LIMITS, DAY)[DAY].equals(data)


def test_a_partition_removed_by_hand_is_told_and_its_earlier_versions_stay_known(
    lake: Lake,
) -> None:
    first, second = written(lake, 1.0, 2.0)
    lake.path(PRICE_LIMITS, DAY).unlink()
    assert value_at(lake, first) == 1.0
    for moment in (second, now()):
        with pytest.raises(NotReadableAsOf, match=r"2024-09-30 .* was removed from the lake"):
            value_at(lake, moment)
    [third] = written(lake, 3.0)
    assert value_at(lake, third) == 3.0
    with pytest.raises(NotReadableAsOf, match="was removed"):
        value_at(lake, second)


def test_a_damaged_version_is_an_error_for_its_own_time_alone(lake: Lake) -> None:
    first, second, third = written(lake, 1.0, 2.0, 3.0)
    folder = lake.versions_folder(PRICE_LIMITS, DAY)
    sorted(folder.iterdir())[1].write_bytes(b"PAR1 and then nothing")
    assert (value_at(lake, first), value_at(lake, third)) == (1.0, 3.0)
    with pytest.raises(NotReadableAsOf, match=r"2024-09-30 .* is damaged \(.*superseded"):
        value_at(lake, second)


def test_a_current_file_that_was_damaged_and_made_again_leaves_a_gap_that_is_told(
    lake: Lake,
) -> None:
    first, second = written(lake, 1.0, 2.0)
    flip(lake.path(PRICE_LIMITS, DAY), 800)
    damaged = now()
    with pytest.raises(NotReadableAsOf, match=r"is damaged \(the current file, materialize it"):
        value_at(lake, damaged)
    [third] = written(lake, 2.0)
    assert (value_at(lake, first), value_at(lake, third)) == (1.0, 2.0)
    for moment in (second, damaged):
        with pytest.raises(NotReadableAsOf, match=r"is damaged \(.*Z\.damaged\)"):
            value_at(lake, moment)


def version(path: Path, value: float, stored_at: dt.datetime) -> None:
    """A partition file as a writer would have left it at another time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = {"origin": "test", "stored_at": stored_at.isoformat()}
    pq.write_table(limits(DAY, a=value).replace_schema_metadata(labels), path)


def test_where_a_clock_was_set_back_moments_that_passed_twice_belong_to_the_later_version(
    lake: Lake,
) -> None:
    ten = dt.datetime(2024, 10, 8, 10, tzinfo=dt.UTC)
    nine, noon = ten - dt.timedelta(hours=1), ten + dt.timedelta(hours=2)
    aside = lake.versions_folder(PRICE_LIMITS, DAY)
    version(aside / f"{noon.strftime(UNTIL)}.parquet", 1.0, nine)
    # Stored at noon; then the clock was set back to ten, and the day was restated.
    version(aside / f"{(noon + SECOND / 1_000_000).strftime(UNTIL)}.parquet", 2.0, noon)
    version(lake.path(PRICE_LIMITS, DAY), 3.0, ten)
    asked = (nine - SECOND, nine, ten - SECOND, ten, noon, noon + SECOND)
    assert [value_at(lake, moment) for moment in asked] == [None, 1.0, 1.0, 3.0, 3.0, 3.0]


def test_of_two_versions_of_the_same_microsecond_the_later_one_counts(lake: Lake) -> None:
    moment = dt.datetime(2024, 10, 8, 10, tzinfo=dt.UTC)
    aside = lake.versions_folder(PRICE_LIMITS, DAY)
    version(aside / f"{moment.strftime(UNTIL)}.parquet", 1.0, moment)
    version(lake.path(PRICE_LIMITS, DAY), 2.0, moment)
    assert value_at(lake, moment) == 2.0
    with held_still(lake) as versions:
        assert len(versions.of(PRICE_LIMITS, DAY)) == 2


@pytest.mark.parametrize("second_name", [os.link, shutil.copy2], ids=["link", "copy"])
def test_a_writer_killed_before_publishing_has_changed_nothing(lake: Lake, second_name) -> None:
    [moment] = written(lake, 1.0)
    aside = lake.versions_folder(PRICE_LIMITS, DAY)
    aside.mkdir(parents=True)
    second_name(lake.path(PRICE_LIMITS, DAY), aside / f"{now().strftime(UNTIL)}.parquet")
    assert value_at(lake, now()) == value_at(lake, moment) == 1.0
    later, last = now(), written(lake, 2.0)[0]
    assert [value_at(lake, at) for at in (moment, later, last)] == [1.0, 1.0, 2.0]


def test_what_is_answered_while_a_writer_writes_is_answered_ever_after(lake: Lake) -> None:
    written(lake, 0.0)
    has_seen_enough = threading.Event()

    def restate() -> None:
        own = Lake(lake.root, "test")
        for number in range(1, 1_000):
            if has_seen_enough.is_set():
                break
            own.write(PRICE_LIMITS, DAY, limits(DAY, a=float(number)))

    writer = threading.Thread(target=restate)
    writer.start()
    answers: list[tuple[dt.datetime, float | None]] = []
    while writer.is_alive() and len({value for _, value in answers}) < 6:
        moment = now()
        answers.append((moment, value_at(lake, moment)))
    has_seen_enough.set()
    writer.join()
    # A reader that writers keep waiting answers once, when they have all gone.
    assert len({value for _, value in answers}) > 3
    assert [value_at(lake, moment) for moment, _ in answers] == [value for _, value in answers]


def test_a_reader_keeps_its_versions_while_the_file_is_replaced_and_leaves_nothing(
    lake: Lake,
) -> None:
    [moment] = written(lake, 1.0)
    with files_as_of(lake, PRICE_LIMITS, [DAY], moment) as files:
        written(lake, 2.0, 3.0)
        assert pq.read_table(files[DAY])["up_limit"].to_pylist() == [1.0]
    assert list((lake.root / "reading").iterdir()) == []


def test_what_a_killed_reader_left_is_swept_once_it_is_old(lake: Lake) -> None:
    written(lake, 1.0)
    old, young = (lake.root / "reading" / name for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir(parents=True)
        shutil.copy(lake.path(PRICE_LIMITS, DAY), folder / "0.parquet")
    long_ago = time.time() - ABANDONED_AFTER_SECONDS - 1
    os.utime(old, (long_ago, long_ago))
    value_at(lake, now())
    assert list((lake.root / "reading").iterdir()) == [young]


def test_a_folder_whose_name_looks_like_a_pattern_is_read_as_it_is(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "home[12]*", "test")
    written(lake, 1.0)
    with (
        duckdb.connect() as connection,
        as_of(connection, lake, PRICE_LIMITS, [DAY], now()) as known,
    ):
        assert known.project("up_limit").fetchall() == [(1.0,)]
