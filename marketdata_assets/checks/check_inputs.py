"""The vendor's tables side by side, a row a bar, with the bar before: what `prices` checks.

Here belongs the SQL that lays them out; what must hold among them is declared in `prices`.
"""

import duckdb
import pyarrow as pa

Relation = duckdb.DuckDBPyRelation

BEFORE = (
    "factor_before",
    "open_before",
    "close_before",
    "vol_before",
    "amount_before",
    "session_before_traded",
)


def check_inputs(
    kline: Relation,
    limits: Relation,
    basic: Relation,
    stocks: Relation,
    factors: Relation,
    pairs: pa.Table,
    bars_before: pa.Table,
    sessions: pa.Table,
) -> Relation:
    """Every bar of `kline` with limits, indicators, listing, factor, and the bar before.

    `bars_before` (BARS_BEFORE) holds sessions before the first day, or nothing; `sessions`
    (SESSIONS) a row for every day of `kline`, where `fifth_session_back` is the earliest listing
    day of a share in its first five sessions. What another table lacks is NULL, and so is what is
    not known of the bar before: all of it where a session between is missing. `before_known` says
    whether the session before is there. `same_bar_as` is another code with the same bar, and
    `left_out` which of the two is not merged (PAIRS).
    """
    known = ", ".join(
        f"if(session_before_traded >= known_since, {name}, NULL) AS {name}" for name in BEFORE
    )
    rows = kline.query(
        "kline",
        f"""
        WITH bars AS (
            SELECT kline.*, factors.adj_factor, false AS is_before
            FROM kline LEFT JOIN factors USING (ts_code, trade_date)
            UNION ALL BY NAME
            SELECT *, true AS is_before FROM bars_before
        ),
        followed AS (
            SELECT
                *,
                adj_factor AS factor,
                lag(adj_factor) OVER share AS factor_before,
                lag(open) OVER share AS open_before,
                lag(close) OVER share AS close_before,
                lag(vol) OVER share AS vol_before,
                lag(amount) OVER share AS amount_before,
                lag(trade_date) OVER share AS session_before_traded
            FROM bars
            WINDOW share AS (PARTITION BY ts_code ORDER BY trade_date)
        )
        SELECT
            followed.* EXCLUDE (is_before, adj_factor, {", ".join(BEFORE)}),
            {known},
            known_since <= session_before AS before_known,
            up_limit, down_limit,
            basic.close AS basic_close, turnover_rate, total_share, float_share,
            total_mv, circ_mv,
            name, name_since, names_as_of, market, list_date,
            session_before, fifth_session_back,
            if(followed.ts_code = first_code, last_code, first_code) AS same_bar_as,
            left_out
        FROM followed
        LEFT JOIN limits USING (ts_code, trade_date)
        LEFT JOIN basic USING (ts_code, trade_date)
        LEFT JOIN stocks USING (ts_code, trade_date)
        LEFT JOIN pairs ON pairs.trade_date = followed.trade_date
            AND followed.ts_code IN (first_code, last_code)
        JOIN sessions USING (trade_date)
        WHERE NOT is_before
        """,
    )
    assert rows is not None
    return rows
