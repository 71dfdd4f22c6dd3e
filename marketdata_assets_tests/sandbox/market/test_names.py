"""The names of the simulated exchange tell what its list of stocks said on any day."""

import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets.assets.lists import Shares, listed_shares, name_intervals, shares_of_day
from marketdata_assets.resources.tushare_answers import typed_table
from marketdata_assets.tables import NAME_CHANGES, STOCK_BASIC, Table
from marketdata_sandbox.columns import Columns
from marketdata_sandbox.habits.vendor import VendorHabits
from marketdata_sandbox.market.exchange import SimulatedExchange

FIRST, TODAY = dt.date(2005, 1, 4), dt.date(2026, 11, 20)


@pytest.fixture(scope="module")
def market() -> VendorHabits:
    return VendorHabits(SimulatedExchange())


@pytest.fixture(scope="module")
def shares(market: VendorHabits) -> Shares:
    """What is known today."""
    changes = typed(NAME_CHANGES, market.namechange(TODAY))
    assert changes.num_rows > changes.group_by(changes.column_names).aggregate([]).num_rows
    return Shares(typed(STOCK_BASIC, market.stock_basic(TODAY)), name_intervals(changes))


def typed(table: Table, columns: Columns) -> pa.Table:
    return typed_table(table, list(columns), list(zip(*columns.values(), strict=True)), {})


@given(day=st.dates(FIRST, TODAY))
def test_the_names_of_a_past_day_are_those_that_the_list_had_on_it(
    market: VendorHabits, shares: Shares, day: dt.date
) -> None:
    then = named(listed_shares(typed(STOCK_BASIC, market.stock_basic(day)), day, day))
    now = named(shares_of_day(shares, day, TODAY, None))
    # By the codes of today, and with the shares that were in the list a day late.
    same = then.keys() & now.keys()
    assert len(now) - 20 <= len(same)
    assert {code: now[code] for code in same} == {code: then[code] for code in same}


def named(universe: pa.Table) -> dict[str, str]:
    return dict(zip(universe["ts_code"].to_pylist(), universe["name"].to_pylist(), strict=True))


def test_names_tell_when_a_mark_was_put_on_and_taken_off(shares: Shares) -> None:
    names = shares.names.to_pylist()
    marked = [row for row in names if row["name"].startswith(("ST", "*ST"))]
    assert len(marked) > 500
    assert sum(row["name_until"] is not None for row in marked) > 400
    assert sum(row["name"].endswith("退") for row in names) > 250


def test_what_is_not_announced_is_not_told(market: VendorHabits) -> None:
    day = dt.date(2015, 6, 30)
    assert max(market.namechange(day)["ann_date"]) <= f"{day:%Y%m%d}"
    assert len(market.namechange(day)["name"]) < len(market.namechange(TODAY)["name"])
