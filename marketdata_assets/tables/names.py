"""The names of shares: when the vendor says that each was given, and what the marks in one say.

Here belong reading a name, and the declaration of the vendor's table. What a share was called on a
day is `assets.lists`.

Source: the exchanges' rules for short names, and the names of 2005 to 2026; Tushare Pro
`namechange`. It filters by the day of announcement. Rows come twice, the end of a name may be
missing where another one has followed, and any value may be missing in a single row, so that there
is no key.
"""

from typing import NamedTuple

from marketdata_assets.tables.declaration import Source, Table, day, text

# What goes before the others on single days: ex-dividend, ex-rights, first days, and G for the
# reform of 2005.
_OF_THE_DAY = "(XD|XR|DR|N|G|C|U)* ?"


class Marks(NamedTuple):
    """Conditions in SQL, each of them NULL where the name is."""

    # ST, *ST, SST, which Shenzhen wrote as S ST, S*ST: special treatment.
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
        st=rf"regexp_matches({name}, '^{_OF_THE_DAY}(\*ST|S\*ST|S? ?ST[^A-Za-z])')",
        unreformed=f"regexp_matches({name}, '^{_OF_THE_DAY}(S[^A-Za-z*]|SST[^A-Za-z]|S\\*ST)')",
        delisting=f"contains({name}, '退')",
        first_day=f"starts_with({name}, 'N')",
    )


NAME_CHANGES = Table(
    name="name_changes",
    doc="Every short name that a share has had, as the vendor knows it at the moment of the call.",
    doc_zh="股票曾用简称，为调用时刻的口径。",
    key=(),
    columns=(
        text("ts_code", "code with exchange suffix, 600000.SH", "带交易所后缀的代码"),
        text("name", "short name, with its marks", "证券简称"),
        day("start_date", "first day of the name", "启用日期"),
        day("end_date", "last day of the name; NULL: until today", "停用日期"),
        day("ann_date", "day of the announcement", "公告日期"),
        text("change_reason", "reason: 改名, ST, 撤销ST, …", "变更原因"),
    ),
    date_column=None,
    source=Source("namechange", row_cap=10_000),
)
