"""The marks in a share's short name, and what they say.

Here belongs reading a name. What a share is called on which day is `stock_list`.

Source: the exchanges' rules for short names, and the names of 2005 to 2026.
"""

from typing import NamedTuple

# What goes before the others on single days: ex-dividend, ex-rights, first days, and G for the
# reform of 2005.
_OF_THE_DAY = "(XD|XR|DR|N|G|C|U)* ?"


class Marks(NamedTuple):
    """Conditions in SQL, each of them NULL where the name is."""

    # ST, *ST, SST, S*ST: special treatment.
    st: str
    # S: the holders have not agreed on the reform of 2005.
    unreformed: str
    # 退: in the delisting period.
    delisting: str
    # N: the first day of a listing, or of shares that were issued to the public besides.
    first_day: str


def is_of_the_day(stocks: str = "") -> str:
    """Whether the name in a row of STOCK_LIST is that of the row's day: a condition in SQL.

    `stocks` is what goes before the columns' names, `stock_list.` for one.
    """
    return f"({stocks}name_since IS NOT NULL OR {stocks}names_as_of <= {stocks}trade_date)"


def marks(name: str) -> Marks:
    r"""The marks of a name, given as an expression of SQL."""
    return Marks(
        st=rf"regexp_matches({name}, '^{_OF_THE_DAY}(\*ST|S\*ST|(ST|SST)[^A-Za-z])')",
        unreformed=f"regexp_matches({name}, '^{_OF_THE_DAY}(S[^A-Za-z*]|SST[^A-Za-z]|S\\*ST)')",
        delisting=f"contains({name}, '退')",
        first_day=f"starts_with({name}, 'N')",
    )
