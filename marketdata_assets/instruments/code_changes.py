"""Shares whose code was changed, each with what is known of it.

Here belongs the declared table. Beijing's shares moved to codes 920xxx all at once; which one
became which is told by the stored lists of stocks alone (`serving.former_codes`).

After a change the vendor serves the past under the old code, under the new one, or under both
(waditu/tushare#1117, #927, #1086).
"""

import datetime as dt
from typing import NamedTuple


class CodeChange(NamedTuple):
    """`new` is the code from `since` on, a day, or a month where no day is known."""

    old: str
    new: str
    since: str
    evidence: str

    @property
    def first_day(self) -> dt.date:
        """The first day of the new code, or of the month of the change."""
        return dt.date.fromisoformat(self.since if len(self.since) == 10 else f"{self.since}-01")


CODE_CHANGES: tuple[CodeChange, ...] = (
    CodeChange("601313.SH", "601360.SH", "2018-02-28", "三六零; waditu/tushare#927"),
    CodeChange("000022.SZ", "001872.SZ", "2018-12-26", "招商港口; waditu/tushare#1117"),
    CodeChange("200022.SZ", "201872.SZ", "2018-12-26", "B share of 招商港口"),
    CodeChange("000043.SZ", "001914.SZ", "2019-12-16", "招商积余; waditu/tushare#1086"),
    CodeChange("300114.SZ", "302132.SZ", "2025-02", "中航成飞; bars without a listing in 2024-06"),
)
SUCCESSORS = {change.old: change.new for change in CODE_CHANGES}
FORMER = {change.new: change.old for change in CODE_CHANGES}
