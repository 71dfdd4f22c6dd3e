"""A small stored world: shares, a fund, histories by code, written as the platform stores them."""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import refresh
from marketdata_assets.tables import (
    ADJ_FACTOR,
    DAILY_PRICES,
    ETF_PREMIUM,
    FINDINGS,
    INSTRUMENT_HISTORY,
    STOCK_LIST,
    Table,
)
from marketdata_assets.trading_calendar import last_closed_sessions, sessions_between

# The last days reach up to now, so that the default range has something in it.
NEWEST = last_closed_sessions(1, dt.datetime.now(dt.UTC))[-1]
DAYS = sessions_between(NEWEST - dt.timedelta(days=100), NEWEST)
SHARES = ("000001.SZ", "300750.SZ", "600000.SH")
ODD_NAME = '平安, "银行"\n=1+1'
FUND = "513100.SH"
FUND_BY_CODE = "159915.SZ"
# Before this day the factor is half of what it is after.
EX_DATE = DAYS[-20]
SEEN_FIRST = dt.datetime(2024, 9, 26, 13, 0, tzinfo=dt.UTC)
VOLUME_LOTS, TURNOVER_THOUSANDS = 1_234.56, 987.654


def close_of(code: str, day: dt.date) -> float:
    """A price that tells code and day apart."""
    return round(10 + SHARES.index(code) + DAYS.index(day) / 100, 2)


def premium_of(day: dt.date) -> float | None:
    return None if day == NEWEST else round(0.001 * (DAYS.index(day) % 7), 6)


def rows_of(table: Table, count: int, **columns: Sequence[object]) -> pa.Table:
    """Rows of a declared table: `columns`, and for the others a value of their type."""
    usual: Mapping[str, object] = {
        "double": 1.5,
        "string": "x",
        "date32[day]": DAYS[0],
        "bool": True,
    }
    arrays = [
        pa.array(columns.get(c.name, [usual.get(str(c.type), 1)] * count), c.type)
        for c in table.columns
    ]
    return pa.Table.from_arrays(arrays, schema=table.schema)


def prices_of(day: dt.date, shift: float = 0.0, codes: Sequence[str] = SHARES) -> pa.Table:
    closes = [close_of(code, day) + shift for code in codes]
    return rows_of(
        DAILY_PRICES,
        len(codes),
        code=codes,
        date=[day] * len(codes),
        close=closes,
        open=closes,
        volume=[VOLUME_LOTS] * len(codes),
        turnover=[TURNOVER_THOUSANDS] * len(codes),
        pe=[None] * len(codes),
        name=[ODD_NAME, "宁德时代", "浦发银行"][: len(codes)],
    )


def history_of(code: str, days: Sequence[dt.date], close: float = 100.0) -> pa.Table:
    count = len(days)
    return rows_of(
        INSTRUMENT_HISTORY,
        count,
        code=[code] * count,
        date=days,
        close=[close + number for number in range(count)],
        volume=[None] * count,
    )


def store_world(root: Path) -> Lake:
    """Write everything and make the series."""
    lake = Lake(root, "test: not a real market")
    for day in DAYS:
        lake.write(DAILY_PRICES, day, prices_of(day))
        factor = 2.0 if day >= EX_DATE else 1.0
        lake.write(
            ADJ_FACTOR,
            day,
            rows_of(
                ADJ_FACTOR,
                len(SHARES),
                ts_code=SHARES,
                trade_date=[day] * len(SHARES),
                adj_factor=[factor] * len(SHARES),
            ),
        )
        premium = premium_of(day)
        lake.write(
            ETF_PREMIUM,
            day,
            rows_of(
                ETF_PREMIUM,
                1,
                ts_code=[FUND],
                trade_date=[day],
                name=["纳指ETF"],
                unit_nav=[None if premium is None else 1.5 / (1 + premium)],
                premium=[premium],
                no_premium=["nav not published" if premium is None else None],
            ),
        )
    for day in DAYS[-3:]:
        row = {"trade_date": day, "table_name": "daily_prices", "ts_code": SHARES[0]}
        row |= {"check_name": "factor_missing", "outcome": "flagged", "seen": "adj_factor NULL"}
        row |= {"expected": "a factor", "reason": None, "first_seen": SEEN_FIRST}
        lake.write(FINDINGS, day, pa.Table.from_pylist([row], schema=FINDINGS.schema))
    names = [ODD_NAME, "宁德时代", "浦发银行"]
    lake.write(
        STOCK_LIST,
        NEWEST,
        rows_of(STOCK_LIST, 3, trade_date=[NEWEST] * 3, ts_code=SHARES, name=names),
    )
    for table in (DAILY_PRICES, ADJ_FACTOR, ETF_PREMIUM):
        refresh(lake, table)
    for code in ("HSI", FUND_BY_CODE):
        lake.write(INSTRUMENT_HISTORY, code, history_of(code, DAYS))
    return lake
