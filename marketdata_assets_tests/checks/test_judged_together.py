"""Days are judged together as each of them is by itself: the same findings, counts and samples."""

import datetime as dt
import functools

import duckdb
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets.checks.days import CHECKED_TOGETHER, check_fetched_days
from marketdata_assets.checks.excuses import NONE
from marketdata_assets.checks.running import Finding
from marketdata_assets.tables import Table
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.checks.judging import check_fetched_day
from marketdata_assets_tests.checks.market_day import answers_of, typed
from marketdata_assets_tests.conftest import costly
from marketdata_sandbox.market.exchange import SimulatedExchange

DAYS = sessions_between(dt.date(2014, 7, 1), dt.date(2014, 7, 3))
SHARES = 200
# A day, a row of it, a column, and what stands there instead.
WRONG_CELLS = st.lists(
    st.tuples(
        st.sampled_from(DAYS),
        st.integers(0, SHARES - 1),
        st.integers(0, 20),
        st.sampled_from([None, -1.0, 0.0, 1e12]),
    ),
    max_size=30,
)


@functools.cache
def market(exchange: SimulatedExchange, day: dt.date) -> dict[str, pa.Table]:
    tables = typed(answers_of(exchange, day), day)
    return {name: rows.slice(0, SHARES) for name, rows in tables.items()}


@given(table=st.sampled_from(CHECKED_TOGETHER), cells=WRONG_CELLS)
@costly()
def test_days_judged_together_have_the_findings_of_each_by_itself(
    exchange: SimulatedExchange, table: Table, cells: list[tuple[dt.date, int, int, float | None]]
) -> None:
    numbers = [name for name in table.column_names if pa.types.is_floating(table[name].type)]
    days = {day: market(exchange, day)[table.name] for day in DAYS}
    for day, row, column, value in cells if numbers else ():
        days[day] = with_cell(days[day], row, numbers[column % len(numbers)], value)
    with duckdb.connect() as connection:
        alone: list[Finding] = []
        for day, rows in days.items():
            alone += check_fetched_day(connection, table, day, rows, None, NONE)
        assert check_fetched_days(connection, table, days, NONE) == alone


def with_cell(rows: pa.Table, row: int, name: str, value: float | None) -> pa.Table:
    if row >= rows.num_rows:
        return rows
    values = rows[name].to_pylist()
    values[row] = value
    place = rows.column_names.index(name)
    return rows.set_column(place, rows.field(name), pa.array(values, rows.field(name).type))
