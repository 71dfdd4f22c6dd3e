"""What the vendor's server answers about funds: who is listed, and which values are out by now.

Here belong the parameters of `fund_basic` and `fund_nav`. The rest of the protocol is `protocol`.
"""

import datetime as dt
import functools
from collections.abc import Callable

from marketdata_assets.trading_calendar import SHANGHAI
from marketdata_sandbox.columns import Columns, joined

EVENING, NEXT_MORNING = dt.time(20), dt.time(8)


def funds_asked_for(funds: Columns, params: dict[str, str]) -> Columns:
    """Of all funds those with the `status` and on the `market` asked for; by default all."""
    wanted = {
        name: set(params[name].split(",")) for name in ("status", "market") if params.get(name)
    }
    return _only(
        funds,
        lambda row: all(row[name] in among for name, among in wanted.items()),
    )


def values_asked_for(
    values_of: Callable[[dt.date], Columns], params: dict[str, str], now: dt.datetime
) -> Columns:
    """The values of `nav_date`, or of `ts_code` from `start_date` to `end_date`, that are out.

    Those that are announced on their own day are out at 20:00, later ones at 8:00 of their day.
    """
    codes = set(params["ts_code"].split(",")) if params.get("ts_code") else None
    if params.get("nav_date"):
        days = [_date(params["nav_date"])]
    else:
        start, end = _date(params["start_date"]), _date(params["end_date"])
        days = [end - dt.timedelta(n) for n in range((end - start).days + 1)]
    values = joined(map(values_of, days), codes)
    on_exchange = params.get("market") in (None, "", "E")
    return _only(values, lambda row: on_exchange and _is_out(row, now))


def _is_out(row: dict[str, object], now: dt.datetime) -> bool:
    if not row["ann_date"]:
        return False
    announced = _date(str(row["ann_date"]))
    hour = EVENING if row["ann_date"] == row["nav_date"] else NEXT_MORNING
    return now >= dt.datetime.combine(announced, hour, SHANGHAI)


def _only(columns: Columns, wanted: Callable[[dict[str, object]], bool]) -> Columns:
    rows = zip(*columns.values(), strict=True)
    kept = [row for row in rows if wanted(dict(zip(columns, row, strict=True)))]
    return {name: [row[at] for row in kept] for at, name in enumerate(columns)}


@functools.lru_cache
def _date(text: str) -> dt.date:
    return dt.datetime.strptime(text, "%Y%m%d").date()
