"""Which calls an account's points open: each asked for one row.

Here belong the smallest questions. What a chain asks for in earnest is `tushare`.
"""

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from marketdata_assets.resources.tushare_answers import asking_for
from marketdata_assets.resources.tushare_errors import NoPermission, QuotaExhausted, TushareError
from marketdata_assets.tables import (
    FUND_BASIC,
    NAME_CHANGES,
    STOCK_BASIC,
    STORED_TABLES,
    TRADE_CALENDAR,
    Table,
)
from marketdata_assets.tables.declaration import Chain

if TYPE_CHECKING:
    from marketdata_assets.resources.tushare_client import TushareClient

# What a chain asks for beside its own tables.
LISTS = {
    Chain.STOCKS: (TRADE_CALENDAR, STOCK_BASIC, NAME_CHANGES),
    Chain.FUNDS: (FUND_BASIC,),
    Chain.EXTRAS: (),
}


class Asked(NamedTuple):
    """A call, and the error that it met; None where it is open."""

    call: str
    points: int
    error: TushareError | None

    @property
    def is_closed(self) -> bool:
        """Whether the account has too few points for it."""
        return isinstance(self.error, NoPermission)

    @property
    def is_general(self) -> bool:
        """Whether its error is one that all calls would meet, like that of a token."""
        return self.error is not None and not isinstance(self.error, NoPermission | QuotaExhausted)


def asked_of(chain: Chain, client: "TushareClient", day: dt.date) -> Iterator[Asked]:
    """Every call of a chain, asked for a row of `day`, up to an error that all would meet."""
    tables = [*LISTS[chain], *(one for one in STORED_TABLES.values() if one.chain is chain)]
    for call, table in {one.tushare.call: one for one in tables}.items():
        error = None
        try:
            client.query(call, limit=1, **_question(table, day))
        except TushareError as met:
            error = met
        asked = Asked(call, table.tushare.points, error)
        yield asked
        if asked.is_general:
            return


def _question(table: Table, day: dt.date) -> dict[str, Any]:
    written = f"{day:%Y%m%d}"
    lists = {
        TRADE_CALENDAR.name: {"exchange": "SSE", "start_date": written, "end_date": written},
        STOCK_BASIC.name: {"list_status": "L"},
        NAME_CHANGES.name: {"start_date": written, "end_date": written},
        FUND_BASIC.name: {"market": "E", "status": "L"},
    }
    if table.name in lists:
        return dict(lists[table.name])
    if table.tushare.of_calendar_days:
        return {"nav_date": written, "market": "E"}
    parts = table.tushare.parts
    part = {parts.parameter: parts.since[0][0]} if parts else {}
    return {**asking_for(table, day), **part}
