"""What is true of the checks of every table, whoever declared it."""

import datetime as dt
import functools
import json
import re
from collections.abc import Callable

import duckdb
import pyarrow as pa
import pytest

from marketdata_assets.checks.excuses import NONE
from marketdata_assets.checks.running import run_checks
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.resources.tushare_answers import typed_table
from marketdata_assets.tables import STORED_TABLES, Table
from marketdata_assets.tables.declaration import Check
from marketdata_assets.tables.indices import INDEX_DAILY
from marketdata_assets_tests.replay import REAL_DATA, needs_real_data
from marketdata_sandbox.transport import sandbox_tushare

DAY = dt.date(2024, 9, 26)
FETCHED = [table for table in STORED_TABLES.values() if table.chain]
CHECKS = [(table, check) for table in FETCHED for check in table.checks]
OTHER_VALUES = (None, -1.0, 0.0, 1e12)


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory):
    """A simulated day of every table that is fetched, as it comes through the real client."""
    tushare: TushareResource = sandbox_tushare(tmp_path_factory.mktemp("state"))
    with tushare.yield_for_execution(None) as ready:
        yield functools.cache(lambda name: ready.day(STORED_TABLES[name], DAY))


@pytest.mark.parametrize("table", FETCHED, ids=lambda table: table.name)
def test_nothing_is_found_in_a_simulated_day(days, table: Table) -> None:
    rows = days(table.name)
    assert rows.num_rows > 0
    assert rows.schema.equals(table.schema)
    assert [one.in_words() for one in found(table, rows, table.checks) if one.fails] == []


@pytest.mark.parametrize(("table", "check"), CHECKS, ids=lambda one: one.name)
def test_one_cell_of_what_a_check_asks_can_break_it(days, table: Table, check: Check) -> None:
    rows = days(table.name).slice(0, 1)
    asked = set(table.column_names) & set(re.findall(r"\w+", check.wrong))
    assert any(
        one.wrong
        for name in table.column_names
        if name in asked and pa.types.is_floating(table[name].type)
        for value in OTHER_VALUES
        for one in found(table, with_cell(rows, name, value), [check])
    )


@needs_real_data
def test_nothing_is_found_in_a_real_bar_of_an_index() -> None:
    answer = json.loads((REAL_DATA / "envelopes" / "index_daily.json").read_text("utf-8"))["data"]
    rows = typed_table(INDEX_DAILY, answer["fields"], answer["items"], {})
    assert rows.num_rows > 0
    assert found(INDEX_DAILY, rows, INDEX_DAILY.checks) == []


# What a whole answer would look like that counts otherwise than declared, or mixes columns up.
OTHERWISE = [
    ("index_daily", "amount", lambda thousands: thousands * 1_000, "units"),
    ("index_daily", "vol", lambda lots: lots * 100, "units"),
    ("index_daily", "high", lambda level: level * 0.5, "levels_ordered"),
    ("index_daily", "pct_chg", lambda percent: percent / 100 + 0.5, "change_recomputed"),
    ("index_weight", "weight", lambda percent: percent - 100, "weights_in_range"),
    ("dividends", "cash_div", lambda yuan: yuan * 10, "amounts_fit"),
    ("top_list", "net_amount", lambda amount: -amount, "sides_add_up"),
    ("margin_detail", "rqye", lambda yuan: yuan + 10_000, "balances_add_up"),
    ("block_trades", "amount", lambda ten_thousands: ten_thousands * 10_000, "amount_recomputed"),
    ("block_trades", "vol", lambda ten_thousands: ten_thousands * 100, "amount_recomputed"),
    ("fund_share", "fd_share", lambda shares: -shares, "shares_above_zero"),
]


@pytest.mark.parametrize(
    ("name", "column", "otherwise", "check"),
    OTHERWISE,
    ids=[f"{name} {column}" for name, column, *_ in OTHERWISE],
)
def test_an_answer_that_counts_otherwise_is_refused(
    days, name: str, column: str, otherwise: Callable[[float], float], check: str
) -> None:
    rows, table = days(name), STORED_TABLES[name]
    at = rows.column_names.index(column)
    values = [otherwise(value) for value in rows[column].to_pylist()]
    rows = rows.set_column(at, column, pa.array(values, pa.float64()))
    assert check in {one.check.name for one in found(table, rows, table.checks) if one.refuses}


def found(table: Table, rows: pa.Table, checks):
    with duckdb.connect() as connection:
        return run_checks(table.name, connection.from_arrow(rows), checks, NONE)


def with_cell(rows: pa.Table, name: str, value: float | None) -> pa.Table:
    at = rows.column_names.index(name)
    return rows.set_column(at, name, pa.array([value], pa.float64()))
