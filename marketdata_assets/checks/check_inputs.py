"""The vendor's tables side by side, a row a bar, with the bar before: what `prices` checks.

Here belongs the SQL that lays them out; what must hold among them is declared in `prices`.
"""

import duckdb
import pyarrow as pa

Relation = duckdb.DuckDBPyRelation

# Of so little volume two shares may have the same bar by chance.
SMALL_VOLUME = 100
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
    bars_before: pa.Table,
    sessions: pa.Table,
) -> Relation:
    """Every bar of `kline` with limits, indicators, listing, factor, and the bar before.

    `bars_before` (BARS_BEFORE) holds sessions before the first day, or nothing; `sessions`
    (SESSIONS) a row for every day of `kline`, where `fifth_session_back` is the earliest listing
    day of a share in its first five sessions. What another table lacks is NULL, and so is what is
    not known of the bar before: all of it where a session between is missing. `before_known` says
    whether the session before is there. `same_bar_as` is another code with the same bar.
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
        ),
        twins AS (
            SELECT trade_date, open, high, low, close, vol, amount,
                min(ts_code) AS first_code, max(ts_code) AS last_code
            FROM kline WHERE vol >= {SMALL_VOLUME}
            GROUP BY ALL HAVING count(*) > 1
        )
        SELECT
            followed.* EXCLUDE (is_before, adj_factor, {", ".join(BEFORE)}),
            {known},
            known_since <= session_before AS before_known,
            up_limit, down_limit,
            basic.close AS basic_close, turnover_rate, total_share, float_share,
            total_mv, circ_mv,
            name, market, list_date, names_as_of,
            session_before, fifth_session_back,
            if(followed.ts_code = first_code, last_code, first_code) AS same_bar_as
        FROM followed
        LEFT JOIN limits USING (ts_code, trade_date)
        LEFT JOIN basic USING (ts_code, trade_date)
        LEFT JOIN stocks USING (ts_code, trade_date)
        LEFT JOIN twins ON twins.trade_date = followed.trade_date
            AND twins.open = followed.open AND twins.high = followed.high
            AND twins.low = followed.low AND twins.close = followed.close
            AND twins.vol = followed.vol AND twins.amount = followed.amount
        JOIN sessions USING (trade_date)
        WHERE NOT is_before
        """,
    )
    assert rows is not None
    return rows
