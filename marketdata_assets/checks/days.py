"""The judgement of whole days: which checks are asked of which tables, and in what order.

Here belongs the one composition of all checks. What each of them says is declared in the other
modules; what follows from a finding is up to whoever asks.
"""

import datetime as dt
from collections.abc import Mapping, Sequence

import duckdb
import pyarrow as pa

from marketdata_assets.checks import ledger
from marketdata_assets.checks.declaring import Finding
from marketdata_assets.checks.evidence import evidence
from marketdata_assets.checks.fetched import fetched_checks, rows_gone, rows_lost
from marketdata_assets.checks.judging import judge
from marketdata_assets.checks.prices import PRICE_CHECKS
from marketdata_assets.checks.sessions import Before, calendar_around, ledger_days
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

JUDGED = (STOCK_LIST, DAILY_KLINE, PRICE_LIMITS, DAILY_BASIC, ADJ_FACTOR, SUSPENSIONS)
MERGED_CHECKS = (ledger.COMPLETE, *PRICE_CHECKS)


def judge_fetched(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    day: dt.date,
    data: pa.Table,
    rows_before: int | None,
    rows_stored: int | None,
) -> list[Finding]:
    """What is wrong with a day of a fetched table by itself.

    `rows_before` is the number of its rows on the session before, `rows_stored` that of the
    same day when it was asked for last, each None where that is not known.
    """
    found = judge(table.name, connection.from_arrow(data), fetched_checks(table))
    lost = rows_lost(table, day, data.num_rows, rows_before)
    return found + lost + rows_gone(table, day, data.num_rows, rows_stored)


def judge_merged(
    days: Sequence[dt.date],
    covered: Relation,
    kline: Relation,
    limits: Relation,
    basic: Relation,
    stocks: Relation,
    factors: Relation,
    bars_before: pa.Table,
) -> list[Finding]:
    """What is wrong with successive days as merged prices; `covered` is their ledger.

    `bars_before` is `Before.bars` of the first of them.
    """
    rows = evidence(kline, limits, basic, stocks, factors, bars_before, calendar_around(days))
    found = judge(DAILY_PRICES.name, covered, [ledger.COMPLETE])
    return found + judge(DAILY_PRICES.name, rows, PRICE_CHECKS)


def judge_together(
    days: Sequence[dt.date], tables: Mapping[str, Relation], before: Before, now: dt.datetime
) -> list[Finding]:
    """What is wrong with successive days of the JUDGED tables, given by name, beside each other.

    `before` is what is known of the sessions before the first day; at `now`, what is missing may
    still be late.
    """
    stocks, kline, limits, basic, factors, suspensions = (tables[one.name] for one in JUDGED)
    covered = ledger.coverage(
        stocks, kline, limits, basic, factors, suspensions, before.listed, ledger_days(days, now)
    )
    return judge_merged(days, covered, kline, limits, basic, stocks, factors, before.bars)


def judge_days(
    days: Mapping[dt.date, Mapping[str, pa.Table]], before: Before, now: dt.datetime
) -> list[Finding]:
    """All that is wrong with successive days whose JUDGED tables are given by day and name."""
    found, rows = [], before.rows
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        for day, tables in days.items():
            for table in JUDGED:
                data = tables[table.name]
                found += judge_fetched(connection, table, day, data, rows.get(table.name), None)
            rows = {name: data.num_rows for name, data in tables.items()}
        together = {
            table.name: connection.from_arrow(
                pa.concat_tables(tables[table.name] for tables in days.values())
            )
            for table in JUDGED
        }
        return found + judge_together(list(days), together, before, now)
