"""Fund values: which calendar days belong to a trading day, and which of several rows counts.

Here belong pure functions over answers of `fund_nav`, which repeats a fund and tells values of
days that do not trade. How they are asked for is `tushare`.
"""

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from marketdata_assets.resources.tushare_answers import Params
from marketdata_assets.tables import ETF_NAV, FUND_NAV
from marketdata_assets.trading_calendar import previous_session

logger = logging.getLogger(__name__)

VALUES = ("unit_nav", "accum_nav", "adj_nav")


def nav_dates(session: dt.date) -> list[dt.date]:
    """The calendar days whose values belong to `session`: those since the session before."""
    before = previous_session(session)
    return [before + dt.timedelta(n) for n in range(1, (session - before).days + 1)]


def one_row_each(navs: pa.Table, params: Params) -> pa.Table:
    """`navs` (FUND_NAV, of one day) with one row a fund: the newest.

    A row is newer that is amended (`update_flag`) or announced later. Rows of which none is newer
    than the other complete each other. Where they contradict each other, which of them holds is
    unknown: the value becomes NULL, and of unit_nav, on which the premium rests, a warning tells
    what was said.
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
    newest = [row for row in rows if not any(_is_newer(other, row) for other in rows)]
    values_by_name = {name: {row[name] for row in newest} - {None} for name in VALUES}
    if len(values_by_name["unit_nav"]) > 1:
        which = (
            "equally new rows"
            if len(set(map(_age, newest))) == 1
            else "rows, one amended and another announced later,"
        )
        values = " and ".join(map(str, sorted(values_by_name["unit_nav"])))
        logger.warning(
            "%s %s: %s has %s that differ in unit_nav: %s. Which holds is unknown, so it is stored "
            "as NULL.",
            FUND_NAV.name,
            params.get("nav_date", ""),
            code,
            which,
            values,
        )
    agreed = {
        name: values.pop() if len(values) == 1 else None for name, values in values_by_name.items()
    }
    return max(newest, key=_age) | agreed


def _age(row: dict[str, Any]) -> tuple[str, dt.date]:
    return row["update_flag"] or "", row["ann_date"] or dt.date.min


def _is_newer(row: dict[str, Any], than: dict[str, Any]) -> bool:
    """Whether `row` is newer in one sign and not older in the other."""
    (amended, announced), (old_flag, old_day) = _age(row), _age(than)
    return _age(row) != _age(than) and amended >= old_flag and announced >= old_day
