"""The judgement of whole days: which checks are asked of which tables, and in what order.

Here belongs what is asked of every fetched table by itself, as what it may lose, and the one
composition of all checks on shares. What each of them says is declared in the
other modules; what follows from a finding is up to whoever asks.
"""

import datetime as dt
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import duckdb
import pyarrow as pa

from marketdata_assets.checks import ledger
from marketdata_assets.checks.excuses import Excuses
from marketdata_assets.checks.prices import PRICE_CHECKS, check_inputs, twins
from marketdata_assets.checks.running import LISTED, Finding, listed, read_once, run_checks
from marketdata_assets.checks.sessions import Lookback, calendar_around, ledger_days
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
from marketdata_assets.tables.declaration import Check, of_the_answer

Relation = duckdb.DuckDBPyRelation

CHECKED_TOGETHER = (STOCK_LIST, DAILY_KLINE, PRICE_LIMITS, DAILY_BASIC, ADJ_FACTOR, SUSPENSIONS)
MERGED_CHECKS = (*ledger.LEDGER_CHECKS, *PRICE_CHECKS)

# What is stored stays when an answer has less: nothing is lost by that, and what the vendor has
# truly removed is gone on the next day too.
ROWS_KEPT = of_the_answer(
    "rows_kept",
    "A day that is asked for again has every row that is stored of it. Rows that are absent on "
    "another day too, or that somebody excuses, are given up.",
    "重新获取时，已存的行仍在；次日再次缺失或经豁免后方予删除。",
)


def fetched_checks(table: Table) -> tuple[Check, ...]:
    """All checks of a fetched table."""
    counting = (table.row_count,) if table.row_count else ()
    return (*table.checks, *counting, ROWS_KEPT)


def rows_lost(
    table: Table, day: dt.date, rows: int, rows_before: int | None, excuses: Excuses
) -> list[Finding]:
    """What `row_count` says of a day with `rows` rows after a session with `rows_before`."""
    if table.row_count is None or not rows_before or rows >= rows_before:
        return []
    if excuses.covers(table.name, table.row_count.name, day, ""):
        return []
    sample = (f"{rows_before:,} on the session before",)
    found = Finding(table.row_count, table.name, day, rows_before - rows, rows_before, sample)
    return [found]


def rows_gone(table: Table, data: pa.Table, stored: pa.Table) -> dict[str, str]:
    """The codes of which `stored` has rows that `data` lacks, each with these rows' keys.

    The hours of a halt may be corrected: that is no other row.
    """
    key = [name for name in table.key if name not in (table.date_column, "suspend_timing")]
    there = {tuple(row.values()) for row in data.select(key).to_pylist()}
    gone: dict[str, str] = {}
    for row in stored.select(key).to_pylist():
        if tuple(row.values()) not in there:
            shown = " ".join(str(value) for value in row.values() if value is not None)
            code = row["ts_code"]
            gone[code] = f"{gone[code]}, {shown}" if code in gone else shown
    return gone


class SideBySide(NamedTuple):
    """The CHECKED_TOGETHER tables of some days beside each other: a row a share, the pairs of codes
    with the same bar (PAIRS), and a row a bar, which are laid out for who asks."""

    facts: Relation
    twins: pa.Table
    bars: Callable[[], Relation]


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
    """The CHECKED_TOGETHER tables of successive days, given by name.

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
    sessions = calendar_around(days, before.known)
    bars = functools.partial(
        check_inputs, kline, limits, basic, stocks, factors, pairs, before.bars, sessions
    )
    return SideBySide(read_once(facts, beside=kline), pairs, bars)


def check_merged_days(rows: SideBySide, excuses: Excuses) -> list[Finding]:
    """What is wrong with days as merged prices."""
    name = DAILY_PRICES.name
    found = run_checks(name, rows.facts, ledger.LEDGER_CHECKS, excuses)
    return found + run_checks(
        name, read_once(rows.bars(), beside=rows.facts), PRICE_CHECKS, excuses
    )


def list_merged(rows: SideBySide, findings: Sequence[Finding], excuses: Excuses) -> pa.Table:
    """`findings`, all of days as merged prices, row by row (LISTED)."""
    name, parts = DAILY_PRICES.name, [LISTED.empty_table()]
    of_shares, of_bars = (
        [one for one in findings if one.check in checks]
        for checks in (ledger.LEDGER_CHECKS, PRICE_CHECKS)
    )
    if of_shares:
        parts.append(listed(name, rows.facts, ledger.LEDGER_CHECKS, of_shares, excuses))
    if of_bars:
        parts.append(listed(name, rows.bars(), PRICE_CHECKS, of_bars, excuses))
    return pa.concat_tables(parts)
