"""The judgement of whole days: which checks are asked of which tables, and in what order.

Here belongs the one composition of all checks on shares. What each of them says is declared in the
other modules; what follows from a finding is up to whoever asks.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.checks import ledger
from marketdata_assets.checks.check_inputs import check_inputs
from marketdata_assets.checks.excuses import Excuses
from marketdata_assets.checks.fetched import rows_lost
from marketdata_assets.checks.finding import Finding
from marketdata_assets.checks.prices import PRICE_CHECKS
from marketdata_assets.checks.running import listed, read_once, run_checks
from marketdata_assets.checks.sessions import Lookback, calendar_around, ledger_days
from marketdata_assets.checks.twins import twins
from marketdata_assets.tables import (
    ADJ_FACTOR,
    DAILY_BASIC,
    DAILY_KLINE,
    DAILY_PRICES,
    PRICE_LIMITS,
    STOCK_LIST,
    SUSPENSIONS,
    Table,
)

Relation = duckdb.DuckDBPyRelation

CHECKED_TOGETHER = (STOCK_LIST, DAILY_KLINE, PRICE_LIMITS, DAILY_BASIC, ADJ_FACTOR, SUSPENSIONS)
MERGED_CHECKS = (*ledger.LEDGER_CHECKS, *PRICE_CHECKS)


class SideBySide(NamedTuple):
    """The JUDGED tables of some days beside each other: a row a share, a row a bar, and the pairs
    of codes with the same bar (PAIRS)."""

    facts: Relation
    bars: Relation
    twins: pa.Table


def check_fetched_day(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    day: dt.date,
    data: pa.Table,
    rows_before: int | None,
    excuses: Excuses,
) -> list[Finding]:
    """What is wrong with a day of a fetched table by itself.

    `rows_before` is the number of its rows on the session before, None where that is not known.
    """
    found = check_fetched_days(connection, table, {day: data}, excuses)
    return found + rows_lost(table, day, data.num_rows, rows_before, excuses)


def check_fetched_days(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    days: Mapping[dt.date, pa.Table],
    excuses: Excuses,
) -> list[Finding]:
    """What is wrong with days of a fetched table by themselves, whatever was stored before."""
    if not days:
        return []
    rows = connection.from_arrow(pa.concat_tables(days.values()))
    return run_checks(table.name, rows, table.checks, excuses)


def side_by_side(
    days: Sequence[dt.date],
    tables: Mapping[str, Relation],
    before: Lookback,
    now: dt.datetime,
    excuses: Excuses,
) -> SideBySide:
    """The JUDGED tables of successive days, given by name.

    `before` is what is known of the sessions before the first day; at `now`, what is missing may
    still be late.
    """
    stocks, kline, limits, basic, factors, suspensions = (
        tables[one.name] for one in CHECKED_TOGETHER
    )
    pairs = twins(kline, stocks, excuses)
    facts = ledger.facts(
        stocks,
        kline,
        limits,
        basic,
        factors,
        suspensions,
        pairs,
        before.bars,
        before.listed,
        ledger_days(days, now),
        excuses,
    )
    sessions = calendar_around(days, pc.unique(before.bars["trade_date"]).to_pylist())
    bars = check_inputs(kline, limits, basic, stocks, factors, pairs, before.bars, sessions)
    return SideBySide(read_once(facts), bars, pairs)


def check_merged_days(rows: SideBySide, excuses: Excuses) -> list[Finding]:
    """What is wrong with days as merged prices."""
    name = DAILY_PRICES.name
    found = run_checks(name, rows.facts, ledger.LEDGER_CHECKS, excuses)
    return found + run_checks(name, read_once(rows.bars), PRICE_CHECKS, excuses)


def list_merged(rows: SideBySide, excuses: Excuses) -> pa.Table:
    """All that is wrong with days as merged prices, row by row (LISTED)."""
    name = DAILY_PRICES.name
    return pa.concat_tables(
        listed(name, relation, checks, run_checks(name, relation, checks, excuses), excuses)
        for relation, checks in (
            (rows.facts, ledger.LEDGER_CHECKS),
            (read_once(rows.bars), PRICE_CHECKS),
        )
    )


def list_fetched(table: Table, rows: Relation, excuses: Excuses) -> pa.Table:
    """All that is wrong with stored days of a fetched table by themselves, row by row (LISTED)."""
    findings = run_checks(table.name, rows, table.checks, excuses)
    return listed(table.name, rows, table.checks, findings, excuses)


def check_days(
    days: Mapping[dt.date, Mapping[str, pa.Table]],
    before: Lookback,
    now: dt.datetime,
    excuses: Excuses,
) -> list[Finding]:
    """All that is wrong with successive days whose JUDGED tables are given by day and name."""
    found, counts = [], before.rows
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        for day, tables in days.items():
            for table in CHECKED_TOGETHER:
                data, count = tables[table.name], counts.get(table.name)
                found += check_fetched_day(connection, table, day, data, count, excuses)
            counts = {name: data.num_rows for name, data in tables.items()}
        together = {
            table.name: connection.from_arrow(
                pa.concat_tables(tables[table.name] for tables in days.values())
            )
            for table in CHECKED_TOGETHER
        }
        rows = side_by_side(list(days), together, before, now, excuses)
        return found + check_merged_days(rows, excuses)
