"""Twins: the same bar under two codes on one day, and which of the two is not merged.

Here belongs the SQL that finds them. After a change of code the vendor serves the same past under
both; a company that is there twice is twice in every sum.
"""

import duckdb
import pyarrow as pa

from marketdata_assets.checks.excuses import Excuses, quoted
from marketdata_assets.instruments.code_changes import CODE_CHANGES
from marketdata_assets.tables import DAILY_PRICES

Relation = duckdb.DuckDBPyRelation

PUBLISHED_ONCE = "published_once"
# Of so little volume two shares may have the same bar by chance.
SMALL_VOLUME = 100
PAIRS = pa.schema(
    [
        ("trade_date", pa.date32()),
        *((name, pa.string()) for name in ("first_code", "last_code", "left_out")),
    ]
)


def twins(kline: Relation, stocks: Relation, excuses: Excuses) -> pa.Table:
    """Pairs of codes with the same bar (PAIRS).

    The code that the list of the day does not know is left out; where it knows both or none, that
    of a declared change which is not the code of the day; of others none, and `left_out` is NULL.
    """
    changes = ", ".join(
        f"({quoted(one.old)}, {quoted(one.new)}, DATE '{one.first_day}')" for one in CODE_CHANGES
    )
    pardoned = excuses.condition(DAILY_PRICES.name, PUBLISHED_ONCE)
    rows = kline.query(
        "kline",
        f"""
        WITH pairs AS (
            SELECT trade_date, min(ts_code) AS first_code, max(ts_code) AS last_code
            FROM kline WHERE vol >= {SMALL_VOLUME}
            GROUP BY trade_date, open, high, low, close, vol, amount
            HAVING min(ts_code) <> max(ts_code)
        ),
        known AS (
            SELECT pairs.*,
                first.ts_code IS NOT NULL AS first_listed,
                last.ts_code IS NOT NULL AS last_listed,
                if(pairs.trade_date < since, new_code, old_code) AS not_of_the_day
            FROM pairs
            LEFT JOIN stocks AS first
                ON first.ts_code = first_code AND first.trade_date = pairs.trade_date
            LEFT JOIN stocks AS last
                ON last.ts_code = last_code AND last.trade_date = pairs.trade_date
            LEFT JOIN (VALUES {changes}) AS changes (old_code, new_code, since)
                ON least(old_code, new_code) = first_code
                AND greatest(old_code, new_code) = last_code
        ),
        decided AS (
            SELECT *, CASE
                WHEN first_listed AND NOT last_listed THEN last_code
                WHEN last_listed AND NOT first_listed THEN first_code
                ELSE not_of_the_day
            END AS ts_code
            FROM known
        )
        SELECT trade_date, first_code, last_code, if({pardoned}, NULL, ts_code) AS left_out
        FROM decided
        """,
    )
    assert rows is not None
    return rows.to_arrow_table().cast(PAIRS)


def left_out_rows(pairs: pa.Table) -> str:
    """The SQL condition of bars that are not merged, as another code has them."""
    decided = pairs.select(["trade_date", "left_out"]).drop_null().to_pylist()
    rows = ", ".join(f"(DATE '{one['trade_date']}', {quoted(one['left_out'])})" for one in decided)
    return f"((trade_date, ts_code) IN ({rows}))" if rows else "false"
