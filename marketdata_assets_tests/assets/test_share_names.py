"""What a share was called on a day, out of what the vendor tells of its names."""

import datetime as dt
import itertools
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets.assets.lists import (
    NAME_INTERVALS,
    Shares,
    name_intervals,
    shares_of_day,
    told_otherwise,
    without_name_of,
)
from marketdata_assets.tables import NAME_CHANGES, STOCK_BASIC, STOCK_LIST
from marketdata_assets_tests.conftest import costly

CODE = "600001.SH"
TODAY = dt.date(2026, 11, 20)
FIRST = dt.date(2010, 1, 1)
LISTED = dt.date(1999, 1, 4)


def on(day: int) -> dt.date:
    return FIRST + dt.timedelta(day)


def changes(*rows: tuple[str | None, int | None, int | None], code: str | None = CODE) -> pa.Table:
    """NAME_CHANGES of rows of name, first day and last day, in days since `FIRST`."""
    return pa.Table.from_pylist(
        [
            {
                "ts_code": code,
                "name": name,
                "start_date": None if start is None else on(start),
                "end_date": None if end is None else on(end),
            }
            for name, start, end in rows
        ],
        schema=NAME_CHANGES.schema,
    )


def names_on(intervals: pa.Table, days: Sequence[int]) -> list[str | None]:
    """The name on every one of `days`; there must be one at most."""
    found: list[str | None] = []
    for day in days:
        names = [
            row["name"]
            for row in intervals.to_pylist()
            if row["name_since"] <= on(day) <= (row["name_until"] or dt.date.max)
        ]
        assert len(names) <= 1
        found.append(names[0] if names else None)
    return found


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([("甲", 0, 4), ("ST甲", 5, None)], ["甲", "甲", "ST甲", "ST甲"]),
        ([("甲", 0, None), ("ST甲", 5, None)], ["甲", "甲", "ST甲", "ST甲"]),
        ([("甲", 0, 6), ("ST甲", 5, 8)], ["甲", "甲", "ST甲", None]),
        ([("甲", 0, 2), ("ST甲", 5, None)], ["甲", None, "ST甲", "ST甲"]),
        ([("甲", 0, 2), ("甲", 0, None)], ["甲", None, None, None]),
        ([("甲", 0, None), ("甲", 0, None)], ["甲", "甲", "甲", "甲"]),
        ([("甲", 0, None), ("ST甲", 5, None), ("乙", 5, None)], ["甲", "甲", None, None]),
        ([("甲", 0, None), (None, 5, None)], ["甲", "甲", None, None]),
        ([("甲", 0, None), (" ", 5, None)], ["甲", "甲", None, None]),
        ([("甲", 0, None), ("乙", None, 9)], ["甲", "甲", "甲", "甲"]),
        ([("甲", 4, 0)], [None, None, None, None]),
    ],
    ids=[
        "both told",
        "the end follows from the next",
        "an end after the next",
        "days between are not told",
        "the same twice with two ends",
        "the same twice",
        "two names at once",
        "no name",
        "a blank name",
        "no first day",
        "the end before the beginning",
    ],
)
def test_a_name_lasts_to_its_end_and_no_longer_than_to_the_next(
    told: list[tuple[str | None, int | None, int | None]], expected: list[str | None]
) -> None:
    assert names_on(name_intervals(changes(*told)), [0, 4, 5, 9]) == expected


def test_a_row_without_a_code_is_of_no_share() -> None:
    assert name_intervals(changes(("甲", 0, None), code=None)).num_rows == 0


days = st.integers(0, 40)
told_rows = st.lists(
    st.tuples(st.sampled_from(["甲", "ST甲", "乙", None]), st.none() | days, st.none() | days),
    max_size=12,
)


@costly()
@given(told_rows, st.randoms())
def test_intervals_of_a_share_never_overlap_however_they_are_told(told: Any, random: Any) -> None:
    intervals = name_intervals(changes(*told))
    assert intervals.schema == NAME_INTERVALS
    rows = intervals.to_pylist()
    for earlier, later in itertools.pairwise(rows):
        assert earlier["name_since"] <= earlier["name_until"] < later["name_since"]
    again = [*told, *told]
    random.shuffle(again)
    assert name_intervals(changes(*again)).equals(intervals)


@costly()
@given(told_rows)
def test_a_name_of_a_day_is_the_last_that_had_begun(told: Any) -> None:
    named = names_on(name_intervals(changes(*told)), range(45))
    for day, name in enumerate(named):
        begun = [start for _, start, _ in told if start is not None and start <= day]
        last = {row[0] for row in told if begun and row[1] == max(begun)} - {None}
        assert name is None or last == {name}


def stocks(*codes: str) -> pa.Table:
    stock = {"name": "今日", "list_status": "L", "list_date": LISTED, "market": "主板"}
    rows = [{"ts_code": code, "exchange": "SSE"} | stock for code in codes]
    return pa.Table.from_pylist(rows, schema=STOCK_BASIC.schema)


def listed(shares: Shares, day: dt.date, known_on: dt.date, stored: pa.Table | None = None) -> Any:
    universe = shares_of_day(shares, day, known_on, stored)
    assert universe.schema.equals(STOCK_LIST.schema)
    return {
        row["ts_code"]: (row["name"], row["name_since"], row["names_as_of"])
        for row in universe.to_pylist()
    }


def test_the_list_has_the_names_of_the_day_and_says_where_they_are_not_told() -> None:
    told = name_intervals(changes(("甲", 0, 4), ("ST甲", 5, None)))
    shares = Shares(stocks(CODE, "600002.SH"), told)
    assert listed(shares, on(4), TODAY) == {
        CODE: ("甲", on(0), TODAY),
        "600002.SH": ("今日", None, TODAY),
    }
    assert listed(shares, on(5), TODAY)[CODE] == ("ST甲", on(5), TODAY)
    assert listed(shares, on(-1), TODAY)[CODE] == ("今日", None, TODAY)


def test_a_name_that_is_not_the_lists_of_today_is_known_and_left_out() -> None:
    told = name_intervals(changes(("ST甲", 0, 4), ("甲Ａ ", 5, None)))
    ended = changes(("甲", 0, None), code="600002.SH")
    both = pa.concat_tables([told, name_intervals(ended)])
    today = stocks(CODE, "600002.SH").to_pylist()
    same = [today[0] | {"name": "甲A"}, today[1] | {"name": "甲(退)", "list_status": "D"}]
    other = [today[0] | {"name": "乙"}, today[1]]
    known = [pa.Table.from_pylist(rows, STOCK_BASIC.schema) for rows in (same, other)]
    assert [told_otherwise(both, one, TODAY) for one in known] == [[], [CODE, "600002.SH"]]
    left = without_name_of(both, [CODE], TODAY)
    assert left["name"].to_pylist() == ["ST甲", "甲"]


def test_a_name_that_is_told_goes_before_a_stored_one_and_stays_when_it_is_told_no_more() -> None:
    nothing = NAME_INTERVALS.empty_table()
    told = name_intervals(changes(("甲", 0, None)))
    known = stocks(CODE)
    without = shares_of_day(Shares(known, nothing), on(3), on(9), None)
    assert listed(Shares(known, nothing), on(3), TODAY, without)[CODE] == ("今日", None, on(9))
    named = shares_of_day(Shares(known, told), on(3), TODAY, without)
    assert named.to_pylist()[0]["name"] == "甲"
    assert listed(Shares(known, nothing), on(3), TODAY, named)[CODE] == ("甲", on(0), on(9))
