"""What a corruption is, and how the rows that are to be corrupted are found.

Rows are chosen by what they are, so that every corruption works on a simulated day and on a real
one.
"""

from collections.abc import Callable
from typing import NamedTuple

from marketdata_assets.tables.declaration import Outcome
from marketdata_assets_tests.checks.market_day import Answers, Columns

Edit = Callable[[Answers, Answers], None]


class Corruption(NamedTuple):
    """`caught_by` names a check, or the error that refuses the answer; `outcome` what follows."""

    name: str
    edit: Edit
    caught_by: str
    outcome: Outcome


CORRUPTIONS: list[Corruption] = []


def corruption(caught_by: str, outcome: Outcome) -> Callable[[Edit], Edit]:
    def register(edit: Edit) -> Edit:
        CORRUPTIONS.append(Corruption(edit.__name__.replace("_", " "), edit, caught_by, outcome))
        return edit

    return register


def delete(columns: Columns, row: int) -> None:
    for values in columns.values():
        del values[row]


def drop_last(columns: Columns, count: int) -> None:
    for values in columns.values():
        del values[-count:]


def row_of(columns: Columns, code: str) -> int:
    return columns["ts_code"].index(code)


def ordinary(answers: Answers) -> str:
    """A main-board share, without marks, that moved and has been listed for long."""
    stocks, bars = answers["stock_basic"], answers["daily"]
    names = dict(zip(stocks["ts_code"], stocks["name"], strict=True))
    listed = dict(zip(stocks["ts_code"], stocks["list_date"], strict=True))
    for row, code in enumerate(bars["ts_code"]):
        if (
            code.startswith("600")
            and not names[code].startswith(("S", "*"))
            and listed[code] < "20200101"
            and 5 < bars["pre_close"][row] < 50
            and bars["low"][row] < min(bars["open"][row], bars["close"][row])
            and bars["close"][row] < bars["high"][row] - 0.02
            and abs(bars["pct_chg"][row]) > 0.3
        ):
            return code
    raise LookupError("no ordinary share")


def marked(answers: Answers) -> str:
    """A share of the main board with ST in its name that traded."""
    stocks, traded = answers["stock_basic"], set(answers["daily"]["ts_code"])
    for code, name in zip(stocks["ts_code"], stocks["name"], strict=True):
        if code in traded and code.startswith(("60", "00")) and name.startswith(("ST", "*ST")):
            return code
    raise LookupError("no ST share")


def suspended(answers: Answers) -> str:
    halts = answers["suspend_d"]
    rows = zip(halts["ts_code"], halts["suspend_type"], halts["suspend_timing"], strict=True)
    return next(code for code, kind, timing in rows if (kind, timing) == ("S", None))


def scale(columns: Columns, name: str, factor: float) -> None:
    columns[name] = [None if value is None else value * factor for value in columns[name]]


def dated(columns: Columns, date: str) -> Columns:
    """A copy of the columns under another date."""
    return {**columns, "trade_date": [date] * len(columns["ts_code"])}
