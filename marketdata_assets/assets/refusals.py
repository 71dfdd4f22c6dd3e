"""Refused answers in the table of findings, written when they are refused.

A day that is refused may be all there is of a run, so it is told at once and does not wait for
the asset that lists the findings of stored days. Here belongs how these rows come and go.
"""

import datetime as dt

import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.storage.lake import Lake, Stored
from marketdata_assets.tables import FINDINGS, Table
from marketdata_assets.tables.declaration import Outcome
from marketdata_assets.trading_calendar import SHANGHAI

KEY = ("table_name", "ts_code", "check_name")


def note(lake: Lake, table: Table, day: dt.date, rows: pa.Table) -> None:
    """Have `rows` (LISTED) be what refuses the day of the table, and nothing else; none clears."""
    if rows.num_rows == 0 and not first_seen(lake, table, day):
        return
    with lake.alone(FINDINGS):
        stored = lake.read(FINDINGS, day)
        others = None if stored is None else stored.filter(pc.invert(_refuses(stored, table)))
        known = with_first_seen(rows, stored)
        lake.write(FINDINGS, day, known if others is None else pa.concat_tables([others, known]))


def first_seen(lake: Lake, table: Table, day: dt.date) -> dict[tuple[str, str], dt.datetime]:
    """When the table's day was refused first, by check and code; empty when it is not."""
    stored = lake.read(FINDINGS, day)
    if stored is None:
        return {}
    rows = stored.filter(_refuses(stored, table)).to_pylist()
    return {(row["check_name"], row["ts_code"]): row["first_seen"] for row in rows}


def refused_before(lake: Lake, day: dt.date, today: dt.date) -> frozenset[str]:
    """The tables of which a new answer for `day` was refused on a day before `today`."""
    stored = lake.read(FINDINGS, day)
    rows = [] if stored is None else stored.to_pylist()
    return frozenset(
        row["table_name"]
        for row in rows
        if row["outcome"] == Outcome.REFUSED
        and row["first_seen"].astimezone(SHANGHAI).date() < today
    )


def with_first_seen(rows: pa.Table, stored: pa.Table | None) -> pa.Table:
    """`rows` (LISTED) as FINDINGS: seen first when `stored` says so, else now."""
    known = {}
    if stored is not None:
        known = {tuple(row[name] for name in KEY): row["first_seen"] for row in stored.to_pylist()}
    now = dt.datetime.now(dt.UTC)
    keys = zip(*(rows[name].to_pylist() for name in KEY), strict=True)
    seen = pa.array([known.get(key, now) for key in keys], FINDINGS.schema.field("first_seen").type)
    return (
        rows.append_column("first_seen", seen).select(FINDINGS.column_names).cast(FINDINGS.schema)
    )


def is_own(stored: Stored | None, lake: Lake) -> bool:
    """Whether a day is stored from the lake's own origin: it stays when a new answer is refused."""
    return stored is not None and stored.origin == lake.origin


def _refuses(rows: pa.Table, table: Table) -> pa.Array:
    return pc.and_(
        pc.equal(rows["table_name"], table.name), pc.equal(rows["outcome"], str(Outcome.REFUSED))
    )
