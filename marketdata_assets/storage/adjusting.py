"""Adjusted prices, computed when asked and never stored.

Here belong pure functions over relations of one DuckDB connection: prices in the columns of
`daily_prices`, factors in those of `adj_factor`, each with unique keys as the lake holds them.
Which days are loaded is up to the caller; results come in no order.

Source: Tushare's definition of its `adj_factor`: backward (后复权, hfq) is price × factor, forward
(前复权, qfq) is price × factor / factor at an anchor.
"""

import datetime as dt
from collections.abc import Sequence

import duckdb

from marketdata_assets.errors import MarketdataError
from marketdata_assets.tables import ADJ_FACTOR
from marketdata_assets.trading_calendar import previous_session

Relation = duckdb.DuckDBPyRelation

ADJUSTED_COLUMNS = ("open", "high", "low", "close", "prev_close")


class MissingFactors(MarketdataError, status=409):
    """Prices that can't be adjusted, because the factor that they need is not there."""


def backward(prices: Relation, factors: Relation) -> Relation:
    """`prices` × factor of the day: comparable over all time, in the money of the listing.

    Nothing is rounded, as cents would bend the returns of small prices. The columns that are not
    in `ADJUSTED_COLUMNS` stay as they are: volumes, and also the limits. prev_close gets the
    factor of its row, so close / prev_close stays what it was. Raises `MissingFactors`.
    """
    return _scaled(_with_factor(prices, factors), "adj_factor")


def forward(prices: Relation, factors: Relation, anchor: dt.date | None = None) -> Relation:
    """`prices` × factor of the day / factor at the anchor: in the money of the anchor.

    `anchor` is the last day of `prices` if none is given; a share without a factor on that day
    (delisted by then, or no session) takes its last one before. Rows with the anchor's factor
    keep their prices to the bit; for the rest see `backward`.

    Raises `MissingFactors`, also for a share that was listed after the anchor only, and when
    `factors` end before the anchor, for what happened in between is then unknown.
    """
    if anchor is None:
        [(anchor,)] = prices.aggregate("max(date)").fetchall()
    if anchor is None:
        return prices
    with_factor = _with_factor(prices, factors).set_alias("priced")
    at_anchor = _factors_at(factors, anchor).set_alias("at_anchor")
    both = with_factor.join(at_anchor, "priced.code = at_anchor.anchored_code", how="left")
    _refuse_missing(
        both, ("code",), "anchor_factor", f"on or before the anchor {anchor}", "Choose a later one."
    )
    scaled = _scaled(both, "(adj_factor / anchor_factor)")
    return scaled.select("* EXCLUDE (anchored_code, anchor_factor)")


def _with_factor(prices: Relation, factors: Relation) -> Relation:
    """`prices` with one more column, adj_factor."""
    own = factors.select("ts_code AS factor_code, trade_date AS factor_date, adj_factor")
    joined = prices.set_alias("own").join(
        own.set_alias("factor"),
        "own.code = factor.factor_code AND own.date = factor.factor_date",
        how="left",
    )
    cure = f"Materialize and load {ADJ_FACTOR.name} for these days."
    _refuse_missing(joined, ("code", "date"), "adj_factor", "of the day", cure)
    return joined.select("* EXCLUDE (factor_code, factor_date)")


def _factors_at(factors: Relation, anchor: dt.date) -> Relation:
    """The last factor of every share on or before `anchor`."""
    session = previous_session(anchor + dt.timedelta(1))
    [(last,)] = factors.aggregate("max(trade_date)").fetchall()
    if last is None or last < session:
        raise MissingFactors(
            f"{ADJ_FACTOR.name} is there up to {last} only, and the anchor is {anchor}. "
            f"Materialize and load {ADJ_FACTOR.name} up to {session}, or choose an earlier anchor."
        )
    before = factors.filter(
        duckdb.ColumnExpression("trade_date") <= duckdb.ConstantExpression(anchor)
    )
    return before.aggregate(
        "ts_code AS anchored_code, arg_max(adj_factor, trade_date) AS anchor_factor", "ts_code"
    )


def _scaled(rows: Relation, scale: str) -> Relation:
    prices = ", ".join(f"{name} * {scale} AS {name}" for name in ADJUSTED_COLUMNS)
    return rows.select(f"* EXCLUDE (adj_factor) REPLACE ({prices})")


def _refuse_missing(rows: Relation, key: Sequence[str], factor: str, which: str, cure: str) -> None:
    """Raise `MissingFactors` naming the first keys whose factor is NULL or not positive."""
    lacking = rows.filter(f"{factor} IS NULL OR NOT {factor} > 0").select(*key).distinct()
    [(count,)] = lacking.aggregate("count(*)").fetchall()
    if count:
        first = lacking.order(", ".join(key)).limit(3).fetchall()
        shown = ", ".join(" ".join(map(str, row)) for row in first) + (" …" if count > 3 else "")
        raise MissingFactors(
            f"{ADJ_FACTOR.name} has no factor {which} for {count} of the prices: {shown}. {cure}"
        )
