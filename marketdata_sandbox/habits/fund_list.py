"""Rows of the vendor's list of funds that no fund of today stands behind.

Here belong the numbers that were used twice, and funds that have ended nobody says when. The list
itself is the market's.
"""

from collections.abc import Collection

from marketdata_sandbox.habits.rows import Table, joined, rows_of

_YEARS_BETWEEN, _YEARS_LISTED = 1, 3
# In a range that no fund of the simulated market has.
ENDED_FUNDS = ("150012.SZ", "150023.SZ", "150029.SZ")
_ENDED_LISTED = "20100607"


def with_numbers_used_twice(funds: Table, codes: Collection[str]) -> Table:
    """The list with those who had the numbers of `codes` before, under seven digits."""
    rows = []
    for row in rows_of(funds, codes):
        if row["list_date"]:
            year, rest = int(row["list_date"][:4]), "0601"
            row |= {
                "ts_code": f"{row['ts_code'][:6]}1{row['ts_code'][6:]}",
                "status": "D",
                "list_date": f"{year - _YEARS_BETWEEN - _YEARS_LISTED}{rest}",
                "delist_date": f"{year - _YEARS_BETWEEN}{rest}",
            }
            rows.append(row)
    return joined(funds, rows)


def with_ended_funds(funds: Table, count: int) -> Table:
    """The list with some funds of status D that have no delist_date."""
    codes = ENDED_FUNDS[:count]
    ended = {"status": "D", "market": "E", "list_date": _ENDED_LISTED, "delist_date": None}
    named = {name: "已终止" for name in ("name", "management", "benchmark")}
    kind = {"fund_type": "股票型", "invest_type": "被动指数型"}
    return joined(funds, [{"ts_code": code, **ended, **named, **kind} for code in codes])
