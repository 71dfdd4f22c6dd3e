"""What a day of a table is asked by, and from the rows of an answer to a typed Arrow table of it.

Here belong pure functions over declarations and answers. Sending calls and putting several answers
of one day together belong to `tushare_client` and `tushare`.
"""

import datetime as dt
import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.resources.tushare_errors import (
    BadValue,
    DuplicateRows,
    MissingColumn,
    NotPublishedYet,
)
from marketdata_assets.tables import Table

Params = Mapping[str, object]

logger = logging.getLogger(__name__)

# Single rows come twice in the vendor's own database. An answer with more of them was put together
# from pages that overlap, and what the pages have too much of, the whole lacks elsewhere. One is
# single in a table of fifty funds, too, but not among a handful of rows.
MOST_REPEATED, MOST_REPEATED_BY_ONE = 0.01, 0.1
# Values that can't be read as what their column holds: few are single rows' own fault.
MOST_UNREADABLE, MOST_UNREADABLE_SHARE = 5, 0.01
# Rows that are nobody's: few of many are single rows' own fault.
MOST_STRAY, MOST_STRAY_SHARE = 5, 0.1
UNREADABLE = (pa.ArrowException, OverflowError, TypeError, ValueError)
# What no 64 bits hold as a whole number is no value of a market.
BEYOND = 2.0**63

# Of the years before, the vendor may lack a whole indicator; since then that is a fault.
EVERY_COLUMN_SINCE = dt.date(2010, 1, 4)


def in_our_words(
    table: Table, fields: Sequence[str], rows: Sequence[Sequence[object]], params: Params
) -> tuple[list[str], Sequence[Sequence[object]]]:
    """The fields under the names of our columns, with those that are made of the answer added."""
    source = table.tushare
    ours = {theirs: name for name, theirs in source.vendor_names}
    names = [ours.get(field, field) for field in fields]
    if source.last_known:
        assert table.date_column, f"{table.name} has no day"
        names, rows = [*names, table.date_column], [[*row, params["end_date"]] for row in rows]
    if source.numbered and "ts_code" in names:
        at = names.index("ts_code")
        names, rows = [*names, source.numbered], _numbered(rows, at)
    return names, rows


def of_somebody(
    table: Table, fields: Sequence[str], rows: Sequence[Sequence[object]], params: Params
) -> Sequence[Sequence[object]]:
    """The rows but for a few without a code, a day or another value that tells whose they are, or
    with one that can't be read: these are told. `BadValue` for more without one; of more that
    can't be read `typed_table` says what is wrong.

    All of a table without codes: each of its rows is a fact that many rest on.
    """
    if "ts_code" not in table.key or any(len(row) != len(fields) for row in rows):
        return rows
    last_known = table.tushare.last_known
    day = last_known.told_on if last_known else table.date_column
    ours = (table.date_column, table.tushare.numbered)
    others = [name for name in table.key if name not in ("ts_code", *ours)]
    names = [one for one in ("ts_code", day, *others) if one and one in fields]
    lacking: set[int] = set()
    unreadable: set[int] = set()
    for name in names:
        values = [row[fields.index(name)] for row in rows]
        if name in ("ts_code", day) or not table[name].nullable:
            lacking.update(at for at, value in enumerate(values) if not value)
        unreadable.update(_unreadable(values, table[name].type))
    strays = lacking | unreadable
    most = min(MOST_STRAY, MOST_STRAY_SHARE * len(rows)) if _are_whole_days(table) else MOST_STRAY
    if strays:
        told = f"{len(strays)} of {len(rows)} rows have no {' or no '.join(names)}"
        if len(lacking) > most:
            raise BadValue(table.tushare.call, params, f"{told}.")
        if len(strays) > most:
            return rows
        left_out = "%s %s: %s that can be read. Nobody knows whose they are, so they are left out."
        logger.warning(left_out, table.name, params, told)
    return [row for at, row in enumerate(rows) if at not in strays]


def _are_whole_days(table: Table) -> bool:
    """Whether an answer is a day: one about an index, or of shares that are paused, is a part and
    may have a single row."""
    return table.date_column is not None and table.tushare.parts is None


def _unreadable(values: Sequence[object], wanted: pa.DataType) -> list[int]:
    """Which of the values can't be read as what their column holds."""
    try:
        _converted(values, wanted)
    except UNREADABLE:
        return [at for at, value in enumerate(values) if not _is_readable(value, wanted)]
    return []


def _is_readable(value: object, wanted: pa.DataType) -> bool:
    try:
        _converted([value], wanted)
    except UNREADABLE:
        return False
    return True


def _numbered(rows: Sequence[Sequence[object]], code: int) -> list[list[object]]:
    """The rows by their values, each with its number among those of the same code."""
    seen: Counter[str] = Counter()
    numbered = []
    for row in sorted(rows, key=repr):
        share = repr(row[code : code + 1])
        seen[share] += 1
        numbered.append([*row, seen[share]])
    return numbered


def typed_table(
    table: Table, fields: Sequence[str], rows: Sequence[Sequence[object]], params: Params
) -> pa.Table:
    """The rows as an Arrow table with exactly the columns and types of `table`.

    Unknown columns are ignored. Raises `MissingColumn`, or `BadValue` for a value of another
    type or a NULL where the table allows none.
    """
    call = table.tushare.call
    missing = [name for name in table.column_names if name not in fields]
    if missing:
        raise MissingColumn(call, params, f"the answer lacks {', '.join(missing)}.")
    if any(len(row) != len(fields) for row in rows):
        raise BadValue(call, params, f"a row does not have the {len(fields)} announced values.")
    columns = list(zip(*rows, strict=True)) or [()] * len(fields)
    return pa.Table.from_arrays(
        [
            _typed_column(table, name, columns[list(fields).index(name)], params)
            for name in table.column_names
        ],
        schema=table.schema,
    )


def whole_day(table: Table, data: pa.Table, day: dt.date, params: Params) -> pa.Table:
    """`data` with every key once, proved to be the market of `day`.

    Raises `NotPublishedYet` when it is of another day, or empty though the table may not be;
    `BadValue` when a column outside the key that is not sparse is NULL on every row of a day since
    2010, and what `each_key_once` raises.
    """
    call = table.tushare.call
    if data.num_rows == 0:
        if table.may_be_empty:
            return data
        raise NotPublishedYet(call, params, f"no row for {table.name} on {day}.")
    refuse_other_days(table, data, day, params)
    data = each_key_once(table, data, params)
    if day >= EVERY_COLUMN_SINCE:
        may_be_void = {*table.key, *table.sparse}
        others = [name for name in table.column_names if name not in may_be_void]
        refuse_empty_columns(table, data, others, day, params)
    return data


def refuse_other_days(table: Table, data: pa.Table, day: dt.date, params: Params) -> None:
    """Raise when rows are of another day: `NotPublishedYet` if all are, else `BadValue`."""
    days = pc.unique(data[table.date_column]).to_pylist()
    if days != [day]:
        shown = ", ".join(str(other) for other in sorted(days)[:3])
        what = f"asked for {table.name} on {day}, got rows of {shown}."
        # Only old rows: the vendor answers with its latest day until the new one is there.
        raise (BadValue if day in days else NotPublishedYet)(table.tushare.call, params, what)


def refuse_empty_columns(
    table: Table, data: pa.Table, names: Sequence[str], day: dt.date, params: Params
) -> None:
    """Raise `BadValue` when one of the columns is NULL on every row."""
    for name in names:
        if data[name].null_count == data.num_rows:
            what = f"{name} is NULL on all {data.num_rows} rows of {day}."
            raise BadValue(table.tushare.call, params, what)


def each_key_once(table: Table, data: pa.Table, params: Params) -> pa.Table:
    """`data` with one row a key: of rows that say the same, the first.

    Where they contradict each other, which of them holds is unknown: every value outside the key
    becomes NULL, and a warning tells what was said. Raises `DuplicateRows`, naming the first keys,
    when more rows are repeats than single ones of the vendor's account for, or when a value that
    has to be known is contradicted.
    """
    repeated = table.repeated_keys(data)
    if not repeated:
        return data
    by_key: dict[tuple[object, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in data.to_pylist():
        answers = by_key[tuple(row[name] for name in table.key)]
        if row not in answers:
            answers.append(row)
    contradicted = [answers for answers in by_key.values() if len(answers) > 1]
    values = [column for column in table.columns if column.name not in table.key]
    rows = data.num_rows
    most = max(MOST_REPEATED * rows, min(1, MOST_REPEATED_BY_ONE * rows))
    too_many = rows - len(by_key) > most
    if (too_many and not table.may_be_empty) or (
        contradicted and not all(column.nullable for column in values)
    ):
        shown = ", ".join(repeated[:3])
        what = f"{len(repeated)} keys occur more than once in {table.name}: {shown} …"
        raise DuplicateRows(table.tushare.call, params, what)
    unknown = {column.name: None for column in values}
    for answers in contradicted:
        _warn_of_contradiction(table, answers)
        answers[:] = [answers[0] | unknown]
    return pa.Table.from_pylist([row for [row] in by_key.values()], schema=table.schema)


def _warn_of_contradiction(table: Table, answers: Sequence[Mapping[str, object]]) -> None:
    differing = "; ".join(
        f"{name} {' and '.join(str(row[name]) for row in answers)}"
        for name in table.column_names
        if any(row[name] != answers[0][name] for row in answers)
    )
    logger.warning(
        "%s %s: the vendor tells %s times, and differently: %s. Which holds is unknown, so every "
        "value of it is stored as NULL.",
        table.name,
        " ".join(str(answers[0][name]) for name in table.key),
        len(answers),
        differing,
    )


def _typed_column(table: Table, name: str, values: Sequence[object], params: Params) -> pa.Array:
    column = table[name]
    try:
        array = _converted(values, column.type)
    except UNREADABLE as fault:
        array = (
            _readable(table, name, values) if column.nullable and name not in table.key else None
        )
        what = f"{name} holds a value that is not {column.type} ({fault})."
    else:
        what = f"{name} is NULL on {array.null_count} of {len(array)} rows."
    if array is not None and (column.nullable or not array.null_count):
        return array
    raise BadValue(table.tushare.call, params, what)


def _readable(table: Table, name: str, values: Sequence[object]) -> pa.Array | None:
    """The column with NULL for the few values that can't be read; None where many are, or all of a
    day.
    """
    wanted, good = table[name].type, list(values)
    rows = _unreadable(values, wanted)
    bad = [values[row] for row in rows]
    for row in rows:
        good[row] = None
    most = max(MOST_UNREADABLE, MOST_UNREADABLE_SHARE * len(values))
    if len(bad) > (min(most, len(values) - 1) if _are_whole_days(table) else most):
        return None
    logger.warning(
        "%s: %s can't be read on %d of %d rows and counts as NULL: %s",
        table.name,
        name,
        len(bad),
        len(values),
        ", ".join(map(repr, bad[:3])),
    )
    return _converted(good, wanted)


def _converted(values: Sequence[object], wanted: pa.DataType) -> pa.Array:
    return _dates(values) if pa.types.is_date32(wanted) else _scalars(values, wanted)


def _scalars(values: Sequence[object], wanted: pa.DataType) -> pa.Array:
    """Texts as texts and numbers as numbers: nothing is parsed, rounded or made finite."""
    array = pa.array(values)
    if pa.types.is_floating(array.type):
        # Arrow takes true for 1 where a number with decimals stands before it.
        may_be = pc.indices_nonzero(pc.or_(pc.equal(array, 1.0), pc.equal(array, 0.0)))
        if any(isinstance(values[at], bool) for at in may_be.to_pylist()):
            raise TypeError("got bool")
    is_text = pa.types.is_string(array.type)
    is_number = pa.types.is_integer(array.type) or pa.types.is_floating(array.type)
    if not (is_text if pa.types.is_string(wanted) else is_number) and array.null_count < len(array):
        raise TypeError(f"got {array.type}")
    array = array.cast(wanted)
    if pa.types.is_floating(wanted) and not _all(pc.less(pc.abs(array), BEYOND)):
        raise ValueError("got a number beyond all bounds")
    return array


def _dates(values: Sequence[object]) -> pa.Array:
    # Most rows have the same days, and each is read once.
    written = pa.array([value or None for value in values], pa.string()).dictionary_encode()
    texts = written.dictionary
    days = pc.strptime(texts, format="%Y%m%d", unit="s")
    # strptime also takes 20240631, for the first of July, and years long gone.
    is_real = pc.equal(pc.strftime(days, format="%Y%m%d"), texts)
    if not _all(pc.and_(is_real, pc.match_substring_regex(texts, "^(19|20)"))):
        raise ValueError("got a day that does not exist")
    return days.cast(pa.date32()).take(written.indices)


def _all(flags: pa.Array) -> bool:
    return bool(pc.all(flags, min_count=0).as_py())


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


def refuse_others(table: Table, rows: pa.Table, name: str, params: Mapping[str, str]) -> None:
    """Raise `BadValue` where rows tell of something else than was asked for by `name`."""
    if others := set(rows[name].to_pylist()) - {params[name]}:
        what = f"asked for {name} {params[name]}, got {', '.join(sorted(others))}."
        raise BadValue(table.tushare.call, params, what)
