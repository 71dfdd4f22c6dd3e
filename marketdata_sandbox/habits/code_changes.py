"""Shares that change their code: which one the list and the tables of a day know them by.

Here belongs the change of names alone, played by shares of the simulated market. The list of
stocks knows the code of today only, while the past is served under the old one, or under the new
one but for its limits; for some days after the change both have the bar.
"""

import dataclasses
import datetime as dt

from marketdata_sandbox.habits.rows import Table, joined, renamed, rows_of

_DAYS_OF_BOTH = dt.timedelta(5)


@dataclasses.dataclass(frozen=True)
class CodeChange:
    """`share` is the market's own code of who plays the part."""

    share: str
    old: str
    new: str
    since: dt.date
    past_is_moved: bool = False


CODE_CHANGES = (
    CodeChange("601113.SH", "601313.SH", "601360.SH", dt.date(2018, 2, 28)),
    CodeChange("000022.SZ", "000022.SZ", "001872.SZ", dt.date(2018, 12, 26)),
    CodeChange("000043.SZ", "000043.SZ", "001914.SZ", dt.date(2019, 12, 16), past_is_moved=True),
    CodeChange("300114.SZ", "300114.SZ", "302132.SZ", dt.date(2025, 2, 14)),
)
CHANGING_SHARES = frozenset(change.share for change in CODE_CHANGES)


def under_codes_of_today(stocks: Table, today: dt.date) -> Table:
    """The list of stocks as it reads on `today`."""
    stocks = renamed_today(stocks, today)
    return stocks | {"symbol": [code[:6] for code in stocks["ts_code"]]}


def renamed_today(table: Table, today: dt.date) -> Table:
    """A table under the codes that shares have on `today`."""
    names = {
        change.share: change.new if today >= change.since else change.old for change in CODE_CHANGES
    }
    return renamed(table, names)


def under_codes_served(table: Table, day: dt.date, call: str) -> Table:
    """A table of `day` under the codes that the vendor serves it with, whenever it is asked."""
    names = {change.share: _served(change, day, call) for change in CODE_CHANGES}
    table = renamed(table, names)
    if call != "daily":
        return table
    twice = {
        change.new: change.old
        for change in CODE_CHANGES
        if change.since <= day < change.since + _DAYS_OF_BOTH
    }
    copies = rows_of(table, twice) if twice else []
    return joined(table, [row | {"ts_code": twice[row["ts_code"]]} for row in copies])


def _served(change: CodeChange, day: dt.date, call: str) -> str:
    is_moved = change.past_is_moved and call != "stk_limit"
    return change.new if day >= change.since or is_moved else change.old
