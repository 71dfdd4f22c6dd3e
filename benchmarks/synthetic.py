"""A lake of made-up prices, as large as asked for.

Here belongs data whose size matters and whose values don't. A market that behaves is `sandbox`.
"""

import datetime as dt
from pathlib import Path

import duckdb

from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_PRICES, Column

MAIN_BOARD_CODES = 3_200
FIRST_DIGITS = ("600", "601", "603", "605", "688", "689")


def synthetic_lake(root: str, days: list[dt.date], codes: int, codes_at_first: int = 0) -> int:
    """Every day in the lake, in rows of the published width; the number of rows.

    The number of codes grows evenly from `codes_at_first` to `codes`, or is always `codes`.
    """
    lake, rows = Lake(Path(root), "benchmark"), 0
    grown = codes - (codes_at_first or codes)
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        for number, day in enumerate(days, 1):
            listed = codes - grown + grown * number // len(days)
            rows += write_day(lake, connection, day, listed)
    return rows


def code_of(number: int) -> str:
    """The code of an A-share; up to 6,000 of them, in order."""
    return f"{FIRST_DIGITS[number // 1000]}{number % 1000:03}.SH"


def write_day(lake: Lake, connection: duckdb.DuckDBPyConnection, day: dt.date, codes: int) -> int:
    """One day of random values; every other time they are others."""
    columns = ", ".join(
        f"{_value(column, day)} AS {column.name}" for column in DAILY_PRICES.columns
    )
    made = connection.sql(f"SELECT {columns} FROM range({codes}) AS t(c)").to_arrow_table()
    return lake.write(DAILY_PRICES, day, made.cast(DAILY_PRICES.schema)).rows


def _value(column: Column, day: dt.date) -> str:
    if column.name == "code":
        return f"{list(FIRST_DIGITS)}[c // 1000 + 1] || lpad((c % 1000)::VARCHAR, 3, '0') || '.SH'"
    if column.name == "market":
        return f"if(c < {MAIN_BOARD_CODES}, '主板', '创业板')"
    if str(column.type) == "date32[day]":
        return f"DATE '{day}'"
    if str(column.type) == "bool":
        return "random() < 0.05"
    if str(column.type) != "double":
        return "'银行'"
    value = "round(random() * 1000, 2)"
    return f"if(random() < 0.02, NULL, {value})" if column.nullable else value
