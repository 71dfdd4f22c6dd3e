"""The whole market of a stretch of days is made within the memory that DuckDB may take."""

import datetime as dt

import pyarrow as pa

from marketdata_assets.assets.daily_prices import merge_prices
from marketdata_assets.assets.stored_days import DAYS_TOGETHER, lookback
from marketdata_assets.checks.days import CHECKED_TOGETHER, check_merged_days, side_by_side
from marketdata_assets.checks.excuses import NONE
from marketdata_assets.checks.sessions import SESSIONS_BEFORE
from marketdata_assets.storage.bounded_duckdb import MOST_THREADS, bounded_duckdb
from marketdata_assets.storage.io_manager import by_day
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.reading import rows_of
from marketdata_assets.tables import ADJ_FACTOR, DAILY_KLINE, DAILY_PRICES, STOCK_LIST
from marketdata_assets.trading_calendar import last_closed_sessions
from marketdata_assets_tests.checks.market_day import LATER, answers_of, typed
from marketdata_sandbox.market.exchange import SimulatedExchange

DAY = dt.date(2026, 1, 5)
# Of MEMORY_LIMIT: a market may grow, and days that differ take more room than these.
HALF = "200MB"
CLOSED = dt.datetime(2026, 1, 6, tzinfo=dt.UTC)


def test_a_stretch_of_the_whole_market_is_judged_and_merged(
    lake: Lake, exchange: SimulatedExchange
) -> None:
    stored = last_closed_sessions(DAYS_TOGETHER + SESSIONS_BEFORE, CLOSED)
    market, days = typed(answers_of(exchange, DAY), DAY), stored[-DAYS_TOGETHER:]
    for day in stored:
        for table in CHECKED_TOGETHER if day in days else (DAILY_KLINE, ADJ_FACTOR, STOCK_LIST):
            lake.write(table, day, on(day, market[table.name]))
    shares = market["daily_kline"].num_rows
    with bounded_duckdb(lake.root / "spill") as connection:
        connection.execute(f"SET threads = {MOST_THREADS}; SET memory_limit = '{HALF}'")
        tables = {
            table.name: rows_of(connection, table, lake.paths(table, days))
            for table in CHECKED_TOGETHER
        }
        together = side_by_side(days, tables, lookback(lake, days[0]), LATER, NONE)
        # The same bars day after day are no market: what is found in them is not the point.
        assert {finding.day for finding in check_merged_days(together, NONE)} == set(days)
        names = ("daily_kline", "price_limits", "daily_basic", "stock_list", "adj_factor")
        prices = merge_prices(*(tables[name] for name in names))
        merged = {day: rows.num_rows for day, rows in by_day(DAILY_PRICES, prices)}
    assert merged == dict.fromkeys(days, shares)


def on(day: dt.date, rows: pa.Table) -> pa.Table:
    """The rows as those of another day."""
    place = rows.column_names.index("trade_date")
    dates = pa.array([day] * rows.num_rows, rows["trade_date"].type)
    return rows.set_column(place, rows.field("trade_date"), dates)
