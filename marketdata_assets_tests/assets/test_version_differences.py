"""What is remembered of consecutive versions, against a plain recount of the same versions."""

import datetime as dt
import itertools
import time
from dataclasses import replace
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets.assets.restatements import differences
from marketdata_assets.storage.as_of import held_still
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import (
    DAILY_PRICES,
    PRICE_LIMITS,
    RESTATEMENTS,
    SUSPENSIONS,
    Table,
)
from marketdata_assets.tables.declaration import number, text
from marketdata_assets_tests.conftest import costly
from marketdata_assets_tests.publishing.prices import store
from marketdata_assets_tests.storage.tables_for_tests import DAY, contents, limits


def remembered(lake: Lake, table: Table = PRICE_LIMITS, day: dt.date = DAY) -> list[dict]:
    with duckdb.connect() as connection, held_still(lake) as versions:
        connection.execute("SET enable_progress_bar = false")
        found = differences(connection, table, day, versions.of(table, day))
    assert found.schema.equals(RESTATEMENTS.schema)
    return found.to_pylist()


def write(lake: Lake, **up_by_code: float) -> dt.datetime:
    """Store a version; since when it is known."""
    return lake.write(PRICE_LIMITS, DAY, limits(DAY, **up_by_code)).stored_at


def in_short(rows: list[dict]) -> list[tuple]:
    names = ("ts_code", "column_name", "kind", "old", "new", "first_seen", "replaced_at")
    return [tuple(row[name] for name in names) for row in rows]


def test_a_changed_value_tells_both_values_and_their_times(lake: Lake) -> None:
    first, second = write(lake, a=1.0, b=5.0), write(lake, a=1.25, b=5.0)
    rows = remembered(lake)
    assert {(row["trade_date"], row["table_name"]) for row in rows} == {(DAY, "price_limits")}
    assert in_short(rows) == [
        ("a", "down_limit", "changed", "0.5", "0.625", first, second),
        ("a", "up_limit", "changed", "1.0", "1.25", first, second),
    ]


def test_rows_that_appear_and_vanish_are_told_as_whole_rows(lake: Lake) -> None:
    first, second = write(lake, a=1.0), write(lake, b=1.0)
    assert in_short(remembered(lake)) == [
        ("a", "", "removed", None, None, first, second),
        ("b", "", "added", None, None, first, second),
    ]


def test_a_value_is_first_seen_when_it_came_not_when_something_beside_it_changed(
    lake: Lake,
) -> None:
    first = write(lake, a=1.0, b=1.0)
    second, third, fourth = write(lake, a=1.0, b=2.0), write(lake, a=2.0), write(lake, a=1.0, b=3.0)
    fifth = write(lake, a=1.0, b=4.0)
    rows = [row for row in in_short(remembered(lake)) if row[1] in ("", "up_limit")]
    assert rows == [
        ("a", "up_limit", "changed", "1.0", "2.0", first, third),
        ("a", "up_limit", "changed", "2.0", "1.0", third, fourth),
        ("b", "", "removed", None, None, first, third),
        ("b", "", "added", None, None, third, fourth),
        ("b", "up_limit", "changed", "1.0", "2.0", first, second),
        ("b", "up_limit", "changed", "3.0", "4.0", fourth, fifth),
    ]


def test_a_column_that_was_declared_later_is_compared_from_then_on(lake: Lake) -> None:
    grown = replace(
        PRICE_LIMITS, columns=(*PRICE_LIMITS.columns, replace(PRICE_LIMITS.columns[-1], name="x"))
    )

    def write_grown(x: float) -> dt.datetime:
        column = pa.array([x], pa.float64())
        data = limits(DAY, a=1.0).append_column(grown.schema.field("x"), column)
        return lake.write(grown, DAY, data).stored_at

    write(lake, a=1.0)
    second, third = write_grown(7.0), write_grown(8.0)
    assert in_short(remembered(lake)) == [("a", "x", "changed", "7.0", "8.0", second, third)]


def test_dates_texts_and_missing_values_are_told_and_the_code_is_that_of_the_tables_key(
    lake: Lake,
) -> None:
    store(lake, [DAY])
    prices = lake.read(DAILY_PRICES, DAY)
    rows = prices.to_pylist()
    code = rows[0]["code"]
    before = {name: rows[0][name] for name in ("name", "list_date", "pe")}
    rows[0] |= {"name": "某某", "list_date": dt.date(2001, 2, 3), "pe": None}
    lake.write(DAILY_PRICES, DAY, pa.Table.from_pylist(rows, schema=DAILY_PRICES.schema))
    found = {row["column_name"]: row for row in remembered(lake, DAILY_PRICES)}
    assert {row["ts_code"] for row in found.values()} == {code}
    assert found["name"]["new"] == "某某"
    assert found["list_date"]["old"] == str(before["list_date"])
    assert found["list_date"]["new"] == "2001-02-03"
    assert found["pe"]["new"] is None
    assert float(found["pe"]["old"]) == before["pe"]


def recounted(versions: list[dict[str, float]]) -> set[tuple]:
    """Every change between neighbours, counted in plain Python."""
    found: set[tuple[Any, ...]] = set()
    for step, (old, new) in enumerate(itertools.pairwise(versions)):
        for code in old.keys() | new.keys():
            if code not in new:
                found.add((step, code, "", "removed", None, None))
            elif code not in old:
                found.add((step, code, "", "added", None, None))
            elif old[code] != new[code]:
                found.add((step, code, "up_limit", "changed", old[code], new[code]))
    return found


@costly()
@given(versions=st.lists(contents, min_size=2, max_size=5))
def test_nothing_is_forgotten_or_invented_and_numbers_read_back_exactly(
    versions: list[dict[str, float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"), "test")
    kept = [versions[0]]
    until = []
    for version in versions:
        stored = lake.write(PRICE_LIMITS, DAY, limits(DAY, **version))
        if version != kept[-1]:
            kept.append(version)
            until.append(stored.stored_at)
    rows = remembered(lake)
    found = [
        (
            until.index(row["replaced_at"]),
            row["ts_code"],
            row["column_name"],
            row["kind"],
            None if row["old"] is None else float(row["old"]),
            None if row["new"] is None else float(row["new"]),
        )
        for row in rows
        if row["column_name"] != "down_limit"
    ]
    assert len(found) == len(set(found))
    assert set(found) == recounted(kept)
    assert not RESTATEMENTS.repeated_keys(pa.Table.from_pylist(rows, schema=RESTATEMENTS.schema))
    for row in rows:
        assert row["first_seen"] < row["replaced_at"]


def halts(*rows: tuple[str, str | None, str]) -> pa.Table:
    names = ("ts_code", "suspend_timing", "suspend_type")
    told = [dict(zip(names, row, strict=True)) | {"trade_date": DAY} for row in rows]
    return pa.Table.from_pylist(told, schema=SUSPENSIONS.schema)


def test_a_whole_day_halt_that_comes_goes_and_comes_again_is_told_each_time(lake: Lake) -> None:
    staying = [
        ("000002.SZ", None, "S"),
        ("000003.SZ", "09:30-10:00", "S"),
        ("000004.SZ", None, "R"),
    ]
    untimed = ("000001.SZ", None, "S")
    times = [
        lake.write(SUSPENSIONS, DAY, halts(*staying, *more)).stored_at
        for more in ([], [untimed], [], [untimed])
    ]
    assert in_short(remembered(lake, SUSPENSIONS)) == [
        ("000001.SZ S", "", "added", None, None, times[0], times[1]),
        ("000001.SZ S", "", "removed", None, None, times[1], times[2]),
        ("000001.SZ S", "", "added", None, None, times[2], times[3]),
    ]


def test_a_halt_that_only_loses_its_timing_is_another_row(lake: Lake) -> None:
    first = lake.write(SUSPENSIONS, DAY, halts(("a", "09:30-10:00", "S"))).stored_at
    second = lake.write(SUSPENSIONS, DAY, halts(("a", None, "S"))).stored_at
    assert in_short(remembered(lake, SUSPENSIONS)) == [
        ("a S", "", "added", None, None, first, second),
        ("a S 09:30-10:00", "", "removed", None, None, first, second),
    ]


def test_a_version_with_a_key_twice_is_refused(lake: Lake) -> None:
    write(lake, a=1.0)
    write(lake, a=2.0)
    [old] = lake.versions_folder(PRICE_LIMITS, DAY).iterdir()
    data = pq.read_table(old)
    pq.write_table(pa.concat_tables([data, data]), old)
    with pytest.raises(ValueError, match="twice"):
        remembered(lake)


def test_versions_that_differ_in_nullability_alone_are_compared_in_every_column(lake: Lake) -> None:
    write(lake, a=1.0)
    write(lake, a=2.0)
    [old] = lake.versions_folder(PRICE_LIMITS, DAY).iterdir()
    data = pq.read_table(old)
    schema = pa.schema([field.with_nullable(not field.nullable) for field in data.schema])
    pq.write_table(
        pa.Table.from_arrays(data.columns, schema=schema.with_metadata(data.schema.metadata)), old
    )
    changed = [(row["column_name"], row["old"], row["new"]) for row in remembered(lake)]
    assert changed == [("down_limit", "0.5", "1.0"), ("up_limit", "1.0", "2.0")]


def test_a_whole_market_is_compared_by_hash_also_where_its_key_may_be_null(lake: Lake) -> None:
    codes = [f"{number:06}.SZ" for number in range(5_500)]
    lake.write(SUSPENSIONS, DAY, halts(*((code, None, "S") for code in codes)))
    lake.write(SUSPENSIONS, DAY, halts(*((code, None, "S") for code in codes[1:])))
    began = time.perf_counter()
    rows = remembered(lake, SUSPENSIONS)
    assert [row["ts_code"] for row in rows] == ["000000.SZ S"]
    # A join of every row with every other takes 30 million comparisons.
    assert time.perf_counter() - began < 5


# One value beside a key with a column that may be NULL.
TIMED = replace(
    SUSPENSIONS,
    name="timed",
    columns=(*SUSPENSIONS.columns, number("value", "", "a value", "值"), text("word", "a", "词")),
)
# ts_code and timing, and the two values.
keys = st.tuples(st.sampled_from("abc"), st.sampled_from([None, "09:30-10:00", "13:00-14:00"]))
cells = st.tuples(
    st.none() | st.floats(allow_nan=False, allow_infinity=False), st.none() | st.sampled_from("xy")
)


def timed(content: dict[tuple, tuple]) -> pa.Table:
    names = ("ts_code", "suspend_timing", "value", "word")
    rows = [dict(zip(names, (*key, *cell), strict=True)) for key, cell in content.items()]
    told = [row | {"trade_date": DAY, "suspend_type": "S"} for row in rows]
    return pa.Table.from_pylist(told, schema=TIMED.schema)


def applied(rows: list[dict], to: dict[tuple, tuple], added: dict[tuple, tuple]) -> dict:
    """`to` with every restatement done; what an added row holds is not told, so it is `added`'s."""
    result = {key: dict(zip(("value", "word"), cell, strict=True)) for key, cell in to.items()}
    for row in rows:
        code, _, timing = row["ts_code"].partition(" S")
        key = (code, timing.strip() or None)
        if row["kind"] == "removed":
            del result[key]
        elif row["kind"] == "added":
            assert key not in result
            result[key] = dict(zip(("value", "word"), added[key], strict=True))
        else:
            read = float if row["column_name"] == "value" else str
            old, new = (None if row[n] is None else read(row[n]) for n in ("old", "new"))
            assert result[key][row["column_name"]] == old
            result[key][row["column_name"]] = new
    return {key: tuple(cell.values()) for key, cell in result.items()}


@costly()
@given(
    old=st.dictionaries(keys, cells, max_size=6),
    new=st.dictionaries(keys, cells, max_size=6),
)
def test_the_differences_done_to_one_version_give_the_next(
    old: dict[tuple, tuple], new: dict[tuple, tuple], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"), "test")
    for content in (old, new):
        lake.write(TIMED, DAY, timed(content))
    assert applied(remembered(lake, TIMED), old, new) == new


def test_a_superseded_file_stays_as_it_was(lake: Lake) -> None:
    write(lake, a=1.0)
    write(lake, a=2.0)
    [file] = lake.versions_folder(PRICE_LIMITS, DAY).iterdir()
    remembered(lake)
    assert pq.read_table(file)["up_limit"].to_pylist() == [1.0]
