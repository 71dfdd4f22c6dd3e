"""What speaks against single shares, on which day, and what was done: held, flagged or excused.

Made of the stored tables alone, so it can be made again at any time, after an excuse for one. What
was refused is in the same table and comes from `refusals`: of a refused answer nothing is stored.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.assets import refusals
from marketdata_assets.assets.asset_arguments import Group, computed
from marketdata_assets.assets.etf_premium import PREMIUMS_ARE_OF, judged_funds
from marketdata_assets.assets.judged_days import judged_days
from marketdata_assets.assets.stored_days import parts_of, rows_of_days
from marketdata_assets.checks.days import CHECKED_TOGETHER
from marketdata_assets.checks.excuses import Excuses, excuses_in
from marketdata_assets.checks.premium import PREMIUM_CHECKS
from marketdata_assets.checks.prices import ST_CHECKS, st_inputs
from marketdata_assets.checks.running import LISTED, run_and_list
from marketdata_assets.partitions import days_of
from marketdata_assets.storage.bounded_duckdb import bounded_duckdb
from marketdata_assets.storage.finding_list import as_markdown, finding_list
from marketdata_assets.storage.io_manager import FetchedDays, LakeResource, tell_of_day
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import (
    DAILY_PRICES,
    ETF_LIST,
    ETF_PREMIUM,
    FINDINGS,
    STOCK_LIST,
    STORED_TABLES,
    Table,
)
from marketdata_assets.tables.declaration import Chain, Outcome
from marketdata_assets.tables.extras import STOCK_ST

# What is fetched is judged by itself, too.
BY_THEMSELVES = tuple(
    table for table in STORED_TABLES.values() if table.chain or table in (STOCK_LIST, ETF_LIST)
)
ROWS_SHOWN = 30
# Every day of a run looks back on its own.
DAYS_FOLLOWED = 20


@dg.asset(
    **computed(
        FINDINGS,
        Group.QUALITY,
        # Not of the extras: what becomes of one of them keeps nothing from being published.
        (
            table
            for table in (*BY_THEMSELVES, DAILY_PRICES, ETF_PREMIUM)
            if table.chain is not Chain.EXTRAS
        ),
    )
)
def findings(context: dg.AssetExecutionContext, lake: LakeResource) -> FetchedDays:
    days, stored = days_of(context.partition_keys), lake.open()
    rows = listed_days(stored, days, excuses_in(stored), dt.datetime.now(dt.UTC))
    return FetchedDays([], _told(context, stored, days, rows))


def _told(
    context: dg.AssetExecutionContext, lake: Lake, days: Sequence[dt.date], rows: pa.Table
) -> Iterator[tuple[dt.date, pa.Table]]:
    for day in days:
        # A turn of reading a day's findings and writing them again lasts until the day is stored.
        with lake.alone(FINDINGS):
            found = day_of(lake, day, rows)
            yield day, found
        facts: dict[str, dg.MetadataValue] = {
            outcome.value: dg.MetadataValue.int(
                pc.sum(pc.equal(found["outcome"], outcome.value)).as_py() or 0
            )
            for outcome in Outcome
        }
        facts["merged rows"] = dg.MetadataValue.int(_rows_of(lake, DAILY_PRICES, day))
        shown = finding_list(lake.root, last=day, rows=ROWS_SHOWN, followed_for=DAYS_FOLLOWED)
        facts["list"] = dg.MetadataValue.md(as_markdown(shown))
        tell_of_day(context, day, facts)


def day_of(lake: Lake, day: dt.date, rows: pa.Table) -> pa.Table:
    """FINDINGS of a day: its `rows` (LISTED), and what is refused of it."""
    ours = rows.filter(pc.equal(rows["trade_date"], pa.scalar(day)))
    stored = lake.read(FINDINGS, day)
    found = refusals.with_first_seen(ours, stored)
    if stored is None:
        return found
    refused = stored.filter(pc.equal(stored["outcome"], str(Outcome.REFUSED)))
    return pa.concat_tables([found, refused])


def listed_days(
    lake: Lake, days: Sequence[dt.date], excuses: Excuses, now: dt.datetime
) -> pa.Table:
    """What is wrong with the stored days of all tables, row by row (LISTED), but for refusals."""
    with bounded_duckdb(lake.root / "spill") as connection:
        parts = [LISTED.empty_table()]
        for part in parts_of(days):
            parts += _listed_together(connection, lake, part, excuses, now)
        found = pa.concat_tables(parts)
        return found.filter(pc.not_equal(found["outcome"], str(Outcome.REFUSED)))


def _listed_together(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    days: Sequence[dt.date],
    excuses: Excuses,
    now: dt.datetime,
) -> Iterator[pa.Table]:
    read: Mapping[str, duckdb.DuckDBPyRelation] = {}
    if complete := _stored(lake, CHECKED_TOGETHER, days):
        judged = judged_days(lake, complete, excuses, now)
        yield judged.judgement.listed
        read = judged.tables
    for table in BY_THEMSELVES:
        there = _readable if table.chain is Chain.EXTRAS else _stored
        if stored := there(lake, (table,), days):
            is_read = stored == complete and table.name in read
            rows = read[table.name] if is_read else _read(connection, lake, table, stored)
            yield run_and_list(table.name, rows, table.checks, excuses)
    told = [day for day in days if day >= STOCK_ST.first_date]
    if stored := _readable(lake, (STOCK_LIST, STOCK_ST), told):
        stocks, st = (_read(connection, lake, one, stored) for one in (STOCK_LIST, STOCK_ST))
        yield run_and_list(STOCK_ST.name, st_inputs(stocks, st), ST_CHECKS, excuses)
    if stored := _stored(lake, PREMIUMS_ARE_OF, days):
        inputs = judged_funds(lake, stored, excuses).inputs
        yield run_and_list(ETF_PREMIUM.name, inputs, PREMIUM_CHECKS, excuses)


def _stored(lake: Lake, tables: Sequence[Table], days: Sequence[dt.date]) -> list[dt.date]:
    return [day for day in days if all(lake.has(table, day) for table in tables)]


def _readable(lake: Lake, tables: Sequence[Table], days: Sequence[dt.date]) -> list[dt.date]:
    """The stored days, without damaged ones: of what nobody builds on, they keep nothing up."""
    return [day for day in days if all(lake.describe(table, day) for table in tables)]


def _read(
    connection: duckdb.DuckDBPyConnection, lake: Lake, table: Table, days: Sequence[dt.date]
) -> duckdb.DuckDBPyRelation:
    return connection.from_arrow(rows_of_days(lake, table, days))


def _rows_of(lake: Lake, table: Table, day: dt.date) -> int:
    stored = lake.describe(table, day)
    return stored.rows if stored else 0
