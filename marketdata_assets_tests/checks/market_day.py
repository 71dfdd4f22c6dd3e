"""A day of a market as a vendor would answer it, judged as the assets judge it.

Answers are columns by name; `typed` reads them as the client does, `findings` judges them.
"""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa

from marketdata_assets.assets.lists import listed_shares
from marketdata_assets.checks.days import CHECKED_TOGETHER
from marketdata_assets.checks.excuses import NONE
from marketdata_assets.checks.running import Finding
from marketdata_assets.resources.tushare_answers import typed_table, whole_day
from marketdata_assets.tables import STOCK_BASIC, STOCK_LIST, Table
from marketdata_assets_tests.checks.judging import before, check_days

Columns = dict[str, list[Any]]
Answers = dict[str, Columns]
BY_DAY = tuple(table for table in CHECKED_TOGETHER if table is not STOCK_LIST)
LATER = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)


def answers_of(market: Any, day: dt.date) -> Answers:
    """Every call's answer for `day`, by the name of the call."""
    answers = {table.tushare.call: getattr(market, table.tushare.call)(day) for table in BY_DAY}
    return {"stock_basic": market.stock_basic(day), **answers}


def typed(answers: Answers, day: dt.date, known_on: dt.date | None = None) -> dict[str, pa.Table]:
    """The tables of `day` as they would be stored, with the names of `known_on`, else of the day.

    Raises `TushareError` where an answer is bad.
    """
    tables = {}
    for table in BY_DAY:
        if day < table.first_date:
            tables[table.name] = table.schema.empty_table()
        elif table.tushare.call in answers:
            data = _typed(table, answers[table.tushare.call])
            tables[table.name] = whole_day(table, data, day, {"trade_date": f"{day:%Y%m%d}"})
    if "stock_basic" in answers:
        basics = _typed(STOCK_BASIC, answers["stock_basic"])
        tables[STOCK_LIST.name] = listed_shares(basics, day, known_on or day)
    return tables


def _typed(table: Table, columns: Columns) -> pa.Table:
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    return typed_table(table, list(columns), rows, {})


def findings(
    tables: Mapping[str, pa.Table],
    tables_before: Mapping[str, pa.Table],
    day: dt.date,
    changed: Collection[str] = (),
) -> list[Finding]:
    """What is wrong with `tables` after a session with `tables_before`; see `check_days`."""
    return check_days({day: tables}, before([tables_before]), LATER, NONE, changed)
