"""Rows of the vendor that break a check and are known to be so, each with its reason.

Here belongs what was looked into and accepted: a line excuses the named share from the named check
on the named days, for everybody who runs this code. What breaks a check for no known reason does
not belong here: it must stop at the door.
"""

import datetime as dt
from typing import NamedTuple


class KnownDefect(NamedTuple):
    check: str
    code: str
    first: dt.date
    last: dt.date
    reason: str


ALWAYS = (dt.date(1990, 12, 19), dt.date(9999, 12, 31))

KNOWN_DEFECTS: tuple[KnownDefect, ...] = (
    KnownDefect(
        "indicators_agree",
        "689009.SH",
        *ALWAYS,
        "a depositary receipt: its indicators count receipts on some days and shares on others",
    ),
)


def excused(check: str) -> str:
    """The SQL condition of rows that are excused from `check`."""
    conditions = [
        f"ts_code = '{defect.code}' AND trade_date BETWEEN DATE '{defect.first}' "
        f"AND DATE '{defect.last}'"
        for defect in KNOWN_DEFECTS
        if defect.check == check
    ]
    return " OR ".join(conditions) or "false"
