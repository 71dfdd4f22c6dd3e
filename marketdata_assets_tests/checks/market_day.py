"""A day of a market as a vendor would answer it, judged as the assets judge it.

Answers are columns by name; `findings` takes them through the reading of answers, the checks of
each table, the ledger and the checks of the merged prices.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import duckdb
import pyarrow as pa

from marketdata_assets.assets.before import ledger_days, sessions
from marketdata_assets.assets.stock_list import listed_on
from marketdata_assets.checks import ledger
from marketdata_assets.checks.declaring import Finding
from marketdata_assets.checks.evidence import BARS_BEFORE, evidence
from marketdata_assets.checks.fetched import fetched_checks, rows_lost
from marketdata_assets.checks.judging import judge
from marketdata_assets.checks.prices import PRICE_CHECKS
from marketdata_assets.resources.tushare_answers import typed_table, whole_day
from marketdata_assets.tables import (
    ADJ_FACTOR,
    DAILY_BASIC,
    DAILY_KLINE,
    PRICE_LIMITS,
    STOCK_BASIC,
    STOCK_LIST,
    SUSPENSIONS,
    Table,
)

Columns = dict[str, list[Any]]
Answers = dict[str, Columns]
BY_DAY = (DAILY_KLINE, PRICE_LIMITS, DAILY_BASIC, ADJ_FACTOR, SUSPENSIONS)
LATER = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)


def answers_of(market: Any, day: dt.date) -> Answers:
    """Every call's answer for `day`, by the name of the call."""
    answers = {table.tushare.call: getattr(market, table.tushare.call)(day) for table in BY_DAY}
    return {"stock_basic": market.stock_basic(day), **answers}


def typed(answers: Answers, day: dt.date) -> dict[str, pa.Table]:
    """The tables of `day` as they would be stored. Raises `TushareError` where an answer is bad."""
    tables = {}
    for table in BY_DAY:
        if table.tushare.call in answers:
            data = _typed(table, answers[table.tushare.call])
            tables[table.name] = whole_day(table, data, day, {"trade_date": f"{day:%Y%m%d}"})
    if "stock_basic" in answers:
        basics = _typed(STOCK_BASIC, answers["stock_basic"])
        tables[STOCK_LIST.name] = listed_on(basics, day, known_on=day)
    return tables


def _typed(table: Table, columns: Columns) -> pa.Table:
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    return typed_table(table, list(columns), rows, {})


def findings(
    tables: Mapping[str, pa.Table], before: Mapping[str, pa.Table], day: dt.date
) -> list[Finding]:
    """What is wrong with `tables` after a session `before`."""
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        relations = {name: connection.from_arrow(data) for name, data in tables.items()}
        found = []
        for table in (STOCK_LIST, *BY_DAY):
            found += judge(table.name, relations[table.name], fetched_checks(table))
            rows = [each[table.name].num_rows for each in (tables, before)]
            found += rows_lost(table, day, *rows)
        stocks, kline, limits, basic, factors, halts = (
            relations[table.name] for table in (STOCK_LIST, *BY_DAY)
        )
        listed = before[STOCK_LIST.name].select(["ts_code", "trade_date"])
        covered = ledger.coverage(
            stocks, kline, limits, basic, factors, halts, listed, ledger_days([day], LATER)
        )
        found += judge("daily_prices", covered, [ledger.COMPLETE])
        bars = before[DAILY_KLINE.name].join(
            before[ADJ_FACTOR.name].select(["ts_code", "adj_factor"]), "ts_code"
        )
        bars = bars.select(BARS_BEFORE.names).cast(BARS_BEFORE)
        rows = evidence(kline, limits, basic, stocks, factors, bars, sessions([day]))
        return found + judge("daily_prices", rows, PRICE_CHECKS)
