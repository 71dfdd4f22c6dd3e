"""What is accepted as it is: rows that break a check and are known to be so, each with its reason.

Here belong two lists of one form: what the market's rules and the vendor's habits explain, shipped
in `known/`, and what the user has decided, in `excuses.csv` beside the lake. Explained rows are
no findings; excused ones are listed as such. What a check is, is `tables.declaration`.
"""

import csv
import datetime as dt
import fnmatch
import functools
import io
import re
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import NamedTuple, Protocol

from marketdata_assets.errors import MarketdataError
from marketdata_assets.trading_calendar import day_written

EVERY_CODE = "*"
COLUMNS = ("check", "code", "first", "last", "reason", "who")
FILE = "excuses.csv"


class Beside(Protocol):
    """A lake, as far as it has files of the user's."""

    def beside(self, name: str) -> bytes | None: ...


class ExcusesUnreadable(MarketdataError):
    """A line of the user's excuses is not of their form."""


class Excuse(NamedTuple):
    """From `first` to `last`, both included, `code` need not pass `check` (`table.check`).

    A `code` may be a pattern: `*.BJ`, or `*` for every share and for the answer as a whole.
    """

    check: str
    code: str
    first: dt.date
    last: dt.date
    reason: str
    who: str


class Excuses:
    """Excuses by the check they are about, as SQL over rows with `ts_code` and `trade_date`."""

    def __init__(self, excuses: Iterable[Excuse] = ()) -> None:
        self.lines = tuple(excuses)
        self._by_check: dict[str, list[Excuse]] = {}
        for excuse in self.lines:
            self._by_check.setdefault(excuse.check, []).append(excuse)

    def of(self, table: str, check: str) -> list[Excuse]:
        return self._by_check.get(f"{table}.{check}", [])

    def covers(self, table: str, check: str, day: dt.date, code: str) -> bool:
        """Whether one code, or with an empty one the answer as a whole, is excused on a day."""
        return any(
            one.first <= day <= one.last and fnmatch.fnmatchcase(code, one.code)
            for one in self.of(table, check)
        )

    def condition(self, table: str, check: str) -> str:
        """The SQL condition of rows that are excused."""
        return " OR ".join(_covered(one) for one in self.of(table, check)) or "false"

    def reason(self, table: str, check: str) -> str:
        """The SQL expression of the reason why a row is excused, NULL where it is not."""
        cases = [f"WHEN {_covered(one)} THEN {quoted(one.reason)}" for one in self.of(table, check)]
        return f"CASE {' '.join(cases)} END" if cases else "CAST(NULL AS VARCHAR)"


NONE = Excuses()


def _covered(excuse: Excuse) -> str:
    days = f"trade_date BETWEEN DATE '{excuse.first}' AND DATE '{excuse.last}'"
    if excuse.code == EVERY_CODE:
        return f"({days})"
    return f"(ts_code GLOB {quoted(excuse.code)} AND {days})"


def quoted(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


@functools.cache
def explained() -> Excuses:
    """What the market's rules and the vendor's habits explain."""
    folder = resources.files("marketdata_assets.checks") / "known"
    text = (folder / "explained.csv").read_text("utf-8")
    return Excuses(parsed(text, "known/explained.csv"))


def excuses_in(lake: Beside) -> Excuses:
    """The user's excuses, none where there is no file. Raises `ExcusesUnreadable`."""
    return Excuses(excuse_list(lake.beside(FILE)))


def excuse_list(file: bytes | None) -> list[Excuse]:
    """The lines of the user's file, in their order. Raises `ExcusesUnreadable`."""
    try:
        # A spreadsheet program puts a mark at the beginning.
        return [] if file is None else parsed(file.decode("utf-8-sig"), FILE)
    except UnicodeDecodeError:
        raise ExcusesUnreadable(f"{FILE}: save it as UTF-8.") from None


def parsed(text: str, where: str) -> list[Excuse]:
    """The excuses of a CSV. Raises `ExcusesUnreadable` naming file and line."""
    # Some programs end lines with a carriage return alone.
    lines = csv.DictReader(io.StringIO(text, newline=None))
    try:
        if tuple(lines.fieldnames or ()) != COLUMNS:
            raise ExcusesUnreadable(f"{where}, line 1: write the columns as {','.join(COLUMNS)}.")
        return [_excuse(row, f"{where}, line {lines.line_num}") for row in lines]
    except csv.Error as error:
        cure = "Look for a quotation mark that is not closed."
        raise ExcusesUnreadable(f"{where}, line {lines.line_num}: {error}. {cure}") from None


def _excuse(row: dict[str, str], where: str) -> Excuse:
    if None in row or None in row.values():
        raise ExcusesUnreadable(f"{where}: write {len(COLUMNS)} values: {','.join(COLUMNS)}.")
    try:
        first, last = day_written(row["first"]), day_written(row["last"])
    except ValueError:
        raise ExcusesUnreadable(f"{where}: write first and last as 2024-03-06.") from None
    excuse = Excuse(row["check"], row["code"], first, last, row["reason"], row["who"])
    is_code = re.fullmatch(r"[A-Z0-9.]*\*?[A-Z0-9.]*", excuse.code)
    if "." not in excuse.check or not excuse.code or not is_code:
        raise ExcusesUnreadable(
            f"{where}: write the check as table.check, like daily_kline.units, and the code as "
            "600000.SH, *.BJ or *."
        )
    if first > last or not excuse.reason.strip():
        raise ExcusesUnreadable(f"{where}: first must not be after last, and give a reason.")
    return excuse


def as_csv(excuses: Sequence[Excuse]) -> str:
    """The text of a file that holds `excuses`."""
    buffer = io.StringIO()
    lines = csv.writer(buffer, lineterminator="\n")
    lines.writerow(COLUMNS)
    lines.writerows(excuses)
    return buffer.getvalue()
