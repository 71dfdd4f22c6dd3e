"""The vendor's list of ST shares and the names of the day, each against the other.

Here belongs what takes both to see. What is ST by its name is told by `tables.name_marks`.

Source: the exchanges' rules. A share in its delisting period may be in the list or not.
"""

import duckdb

from marketdata_assets.checks.excuses import quoted
from marketdata_assets.instruments.code_changes import CODE_CHANGES
from marketdata_assets.tables.checking import Check, Mass, Outcome
from marketdata_assets.tables.name_marks import is_of_the_day, marks

Relation = duckdb.DuckDBPyRelation

ST_CHECKS: tuple[Check, ...] = (
    Check(
        "names_agree",
        "A share is in the list of ST shares exactly when its name of that day has the mark.",
        "股票在 ST 名单中,当且仅当其当日简称带有 ST 标记。",
        "is_in_the_list <> has_the_mark",
        ("name", "name_since", "is_in_the_list"),
        mass=Mass(0.02, 50),
        of_mass=Outcome.FLAGGED,
    ),
)


def check_inputs(stocks: Relation, st_shares: Relation) -> Relation:
    """Every share of `stocks` (STOCK_LIST) whose name is of the day, beside STOCK_ST.

    Left out are shares in their delisting period, and those that have changed their code: the two
    tables may know them by different ones.
    """
    changed = ", ".join(quoted(code) for one in CODE_CHANGES for code in (one.old, one.new))
    mark = marks("stocks.name")
    rows = stocks.query(
        "stocks",
        f"""
        SELECT
            stocks.trade_date,
            stocks.ts_code,
            stocks.name,
            name_since,
            st_shares.ts_code IS NOT NULL AS is_in_the_list,
            {mark.st} AS has_the_mark
        FROM stocks LEFT JOIN st_shares USING (ts_code, trade_date)
        WHERE {is_of_the_day("stocks.")}
            AND NOT {mark.delisting}
            AND stocks.ts_code NOT IN ({changed})
        """,
    )
    assert rows is not None
    return rows
