"""Which days a server was asked for, of one day by itself or of several in one call."""

import datetime as dt
from collections.abc import Iterable

from marketdata_assets.trading_calendar import sessions_between
from marketdata_sandbox.server import Request


def days_asked_for(requests: Iterable[Request], call: str) -> list[dt.date]:
    """The sessions of every call of that name, one after the other."""
    days = []
    for request in requests:
        if request.call == call:
            params = request.params
            first = params.get("start_date") or params["trade_date"]
            last = params.get("end_date") or params["trade_date"]
            days += sessions_between(_day(first), _day(last))
    return days


def _day(written: object) -> dt.date:
    return dt.datetime.strptime(str(written), "%Y%m%d").date()
