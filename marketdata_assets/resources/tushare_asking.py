"""How a day of a table is asked for where its vendor wants it otherwise than by `trade_date`.

Here belong the parameters of a day, and whether an answer to them is one; pure functions over
declarations and answers. Sending them and putting them together is `tushare`.
"""

import datetime as dt
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.resources.tushare_errors import BadValue
from marketdata_assets.tables import Table


def asking_for(table: Table, day: dt.date) -> dict[str, str]:
    """The parameters of a day, but for those of its parts."""
    source, written = table.tushare, f"{day:%Y%m%d}"
    if source.last_known:
        start = day - dt.timedelta(days=source.last_known.calendar_days - 1)
        return {"start_date": f"{start:%Y%m%d}", "end_date": written}
    assert table.date_column, f"{table.name} has no day"
    return {source.vendor_name(table.date_column): written}


def as_last_known(table: Table, rows: pa.Table, params: Mapping[str, str]) -> pa.Table:
    """The rows of the last day that was told, where a table has those; else all.

    Raises `BadValue` for rows of days that were not asked for.
    """
    last_known = table.tushare.last_known
    if last_known is None or not rows.num_rows:
        return rows
    told_on = rows[last_known.told_on]
    span = pc.min_max(told_on).as_py()
    first, last = (f"{span[one]:%Y%m%d}" for one in ("min", "max"))
    if first < params["start_date"] or last > params["end_date"]:
        raise BadValue(table.tushare.call, params, f"got rows from {first} to {last}.")
    return rows.filter(pc.equal(told_on, pa.scalar(span["max"])))


def is_end_whole(table: Table, rows: pa.Table) -> bool:
    """Whether the last day of a cut answer is whole: what is cut are the oldest rows."""
    last_known = table.tushare.last_known
    return last_known is not None and len(pc.unique(rows[last_known.told_on])) > 1


def refuse_other_parts(table: Table, rows: pa.Table, params: Mapping[str, str]) -> None:
    """Raise `BadValue` where rows tell that they are of another part than was asked for."""
    parts = table.tushare.parts
    if parts is None or parts.parameter not in table.column_names:
        return
    wanted = params[parts.parameter]
    if others := set(rows[parts.parameter].to_pylist()) - {wanted}:
        what = f"asked for {parts.parameter} {wanted}, got {', '.join(sorted(others))}."
        raise BadValue(table.tushare.call, params, what)
