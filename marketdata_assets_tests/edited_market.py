"""The small market with rows of its answers changed: what a vendor's habit looks like.

Here belong the edits that tests are written with, and the platform over such a market.
"""

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from marketdata_assets_tests.conftest import Platform, unhurried_tushare
from marketdata_assets_tests.instance_in_memory import instance_in_memory
from marketdata_assets_tests.small_funds import SmallFunds
from marketdata_sandbox.columns import Columns
from marketdata_sandbox.protocol import TushareProtocol
from marketdata_sandbox.server import Request, TushareServer

Row = dict[str, Any]
Edit = Callable[[list[Row]], list[Row]]
# By call and day; without a day, of every day.
Edits = Mapping[tuple[str, dt.date | None], Edit]
CALLS = (
    "stock_basic",
    "daily",
    "stk_limit",
    "daily_basic",
    "adj_factor",
    "suspend_d",
    "fund_basic",
    "fund_daily",
    "fund_nav",
)


class EditedMarket(SmallFunds):
    """The small market with funds; `edits` change the rows of a call on a day."""

    def __init__(self, edits: Edits) -> None:
        super().__init__()
        self.edits = dict(edits)

    def edited(self, call: str, day: dt.date, columns: Columns) -> Columns:
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        for on in (None, day):
            if edit := self.edits.get((call, on)):
                rows = edit(rows)
        return {name: [row[name] for row in rows] for name in columns}


def _answering(call: str) -> Callable[[EditedMarket, dt.date], Columns]:
    def answer(self: EditedMarket, day: dt.date) -> Columns:
        return self.edited(call, day, getattr(super(EditedMarket, self), call)(day))

    return answer


for _call in CALLS:
    setattr(EditedMarket, _call, _answering(_call))


def changed(code: str, **values: Any) -> Edit:
    """The row of a code with other values."""
    return lambda rows: [row | (values if row["ts_code"] == code else {}) for row in rows]


def without(*codes: str) -> Edit:
    return lambda rows: [row for row in rows if row["ts_code"] not in codes]


def also(code: str, like: str, **values: Any) -> Edit:
    """One more row: that of another code under this one, with other values."""
    return lambda rows: (
        rows + [{**row, **values, "ts_code": code} for row in rows if row["ts_code"] == like]
    )


def halted(code: str, timing: str | None = None, kind: str = "S") -> Edit:
    """One more row of `suspend_d`."""

    def edit(rows: list[Row]) -> list[Row]:
        date = rows[0]["trade_date"]
        row = {"ts_code": code, "trade_date": date, "suspend_timing": timing, "suspend_type": kind}
        return [*rows, row]

    return edit


def both(*edits: Edit) -> Edit:
    def edit(rows: list[Row]) -> list[Row]:
        for one in edits:
            rows = one(rows)
        return rows

    return edit


class ServedPlatform(Platform):
    """A platform, and what its server was asked."""

    requests: list[Request]


@contextmanager
def platform_over(
    market: SmallFunds, root: Path, instance: dg.DagsterInstance | None = None
) -> Iterator[ServedPlatform]:
    """The platform over a server that answers with the market, each day the same all the time.

    Its `requests` are those of the server. A market that changes is another one, over the same
    `root` and `instance`.
    """
    with contextlib.ExitStack() as stack:
        instance = instance or stack.enter_context(instance_in_memory())
        server = stack.enter_context(TushareServer(TushareProtocol(market)).running())
        platform = ServedPlatform(root, unhurried_tushare(server.url, root), instance)
        platform.requests = server.requests
        yield platform
