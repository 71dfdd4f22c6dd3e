"""Fund values: which calendar days belong to a trading day, and which of several rows counts.

Here belong pure functions over answers of `fund_nav`, which repeats a fund and tells values of
days that do not trade. How they are asked for is `tushare`.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from marketdata_assets.resources.tushare_answers import Params
from marketdata_assets.resources.tushare_errors import DuplicateRows
from marketdata_assets.tables import ETF_NAV, FUND_NAV
from marketdata_assets.trading_calendar import previous_session

VALUES = ("unit_nav", "accum_nav", "adj_nav")


def nav_dates(session: dt.date) -> list[dt.date]:
    """The calendar days whose values belong to `session`: those since the session before."""
    before = previous_session(session)
    return [before + dt.timedelta(n) for n in range(1, (session - before).days + 1)]


def one_row_each(navs: pa.Table, params: Params) -> pa.Table:
    """`navs` (FUND_NAV, of one day) with one row a fund: the newest.

    A row is newer that is amended (`update_flag`) or announced later. Rows that are equally new
    complete each other. Raises `DuplicateRows` when none is the newest, or the newest contradict
    each other.
    """
    if not FUND_NAV.repeated_keys(navs):
        return navs
    by_fund = defaultdict(list)
    for row in navs.to_pylist():
        by_fund[row["ts_code"]].append(row)
    rows = [_newest(code, rows, params) for code, rows in by_fund.items()]
    return pa.Table.from_pylist(rows, schema=FUND_NAV.schema)


def as_of_session(session: dt.date, parts: Sequence[pa.Table]) -> pa.Table:
    """The values of several calendar days (FUND_NAV) as those of `session` (ETF_NAV)."""
    navs = pa.concat_tables(parts)
    sessions = pa.repeat(pa.scalar(session, pa.date32()), navs.num_rows)
    return navs.add_column(0, ETF_NAV.schema.field("trade_date"), sessions)


def _newest(code: str, rows: list[dict[str, Any]], params: Params) -> dict[str, Any]:
    signs = [(row["update_flag"] or "", row["ann_date"] or dt.date.min) for row in rows]
    latest = (max(flag for flag, _ in signs), max(day for _, day in signs))
    newest = [row for row, sign in zip(rows, signs, strict=True) if sign == latest]
    if not newest:
        what = f"{code} has rows of which one is amended and another announced later."
        raise DuplicateRows("fund_nav", params, what)
    told = {name: {row[name] for row in newest} - {None} for name in VALUES}
    if several := [name for name in VALUES if len(told[name]) > 1]:
        shown = ", ".join(f"{name} {sorted(map(str, told[name]))}" for name in several)
        raise DuplicateRows(
            "fund_nav", params, f"{code} has equally new rows that differ: {shown}."
        )
    return newest[0] | {name: next(iter(told[name]), None) for name in VALUES}
