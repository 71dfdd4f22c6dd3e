"""What the lake knows of the sessions before a run's first day.

Here belongs what a judgement needs beyond the run's own partitions. It is read from the lake and
not declared as an input: a day does not wait for the sessions before it. What is made of it is
`checks.sessions`.
"""

import datetime as dt
from collections.abc import Sequence

import pyarrow as pa

from marketdata_assets.checks import sessions
from marketdata_assets.checks.sessions import BARS_BEFORE, LISTED_BEFORE, Lookback, sessions_back
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import ADJ_FACTOR, DAILY_KLINE, ETF_PREMIUM, STOCK_LIST, Table


def lookback(lake: Lake, first: dt.date) -> Lookback:
    """What the lake says to `first`; rows are counted elsewhere, for every day by itself."""
    return Lookback(bars_before(lake, first), listed_before(lake, first), {})


def bars_before(lake: Lake, first: dt.date) -> pa.Table:
    """BARS_BEFORE of the sessions right before `first`, as far back as no session is missing."""
    known = []
    for day in sessions_back(first, sessions.SESSIONS_BEFORE):
        bars = _columns(lake, DAILY_KLINE, day, BARS_BEFORE.names[:-1])
        factors = _columns(lake, ADJ_FACTOR, day, ["ts_code", "adj_factor"])
        if bars is None or factors is None:
            break
        known.append((bars, factors))
    return sessions.bars(known)


def listed_before(lake: Lake, first: dt.date) -> pa.Table:
    """LISTED_BEFORE of the session before `first`, empty where it is not stored."""
    back = next(sessions_back(first, 1), None)
    return sessions.listed(_columns(lake, STOCK_LIST, back, LISTED_BEFORE.names) if back else None)


def premiums_before(lake: Lake, first: dt.date) -> pa.Table:
    """ETF_PREMIUM of the session before `first`, empty where it is not stored."""
    back = next(sessions_back(first, 1), None)
    stored = lake.read(ETF_PREMIUM, back) if back else None
    return ETF_PREMIUM.schema.empty_table() if stored is None else stored


def rows_before(lake: Lake, table: Table, day: dt.date) -> int | None:
    """The rows of `table` on the session before `day`, None where it is not stored."""
    back = next(sessions_back(day, 1), None)
    if back is None or back < table.first_date:
        return None
    stored = lake.describe(table, back)
    return stored.rows if stored else None


def rows_of_sessions_before(lake: Lake, table: Table, day: dt.date, sessions: int) -> list[int]:
    """The rows of `table` on those of the `sessions` before `day` that are stored, oldest first."""
    back = [one for one in sessions_back(day, sessions) if one >= table.first_date]
    described = (lake.describe(table, one) for one in reversed(back))
    return [stored.rows for stored in described if stored]


def _columns(lake: Lake, table: Table, day: dt.date, names: Sequence[str]) -> pa.Table | None:
    return lake.load(table, day).rows.select(names) if lake.has(table, day) else None
