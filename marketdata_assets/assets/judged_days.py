"""Stored days as the ledger, the merged prices and the list of findings judge them together.

Here belongs that a run judges the same files once, for all of these, in whatever process each is
made. What is judged is `checks.days`.
"""

import datetime as dt
import functools
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

import duckdb
import pyarrow as pa

from marketdata_assets.assets.stored_days import DAYS_TOGETHER, LOOKED_BACK_AT, lookback
from marketdata_assets.checks.days import (
    CHECKED_TOGETHER,
    MERGED_CHECKS,
    SideBySide,
    check_merged_days,
    list_merged,
    side_by_side,
)
from marketdata_assets.checks.excuses import Excuses
from marketdata_assets.checks.running import Finding
from marketdata_assets.checks.sessions import SESSIONS_BEFORE, ledger_days, sessions_back
from marketdata_assets.partitions import BACKFILL_POLICY
from marketdata_assets.storage.bounded_duckdb import bounded_duckdb
from marketdata_assets.storage.lake import Lake

Relation = duckdb.DuckDBPyRelation

# As many as a run of a backfill has.
STRETCHES_KNOWN = (BACKFILL_POLICY.max_partitions_per_run or 1) // DAYS_TOGETHER
CHECKS = {check.name: check for check in MERGED_CHECKS}
FOUND = pa.schema(
    [
        ("check", pa.string()),
        ("table", pa.string()),
        ("day", pa.date32()),
        ("wrong", pa.int64()),
        ("rows", pa.int64()),
        ("sample", pa.list_(pa.string())),
        ("excused", pa.int64()),
    ]
)


class Judgement(NamedTuple):
    """What is found in days as merged, also row by row (LISTED), and the codes with the same bar
    (PAIRS)."""

    findings: Sequence[Finding]
    listed: pa.Table
    twins: pa.Table


class JudgedDays(NamedTuple):
    """The rows of CHECKED_TOGETHER by name, what is found in them, and the facts of each share,
    which are made anew where somebody else has judged."""

    tables: Mapping[str, Relation]
    judgement: Judgement
    facts: Callable[[], Relation]


# By the files, those of the sessions before too, and whatever else a judgement depends on.
_known: OrderedDict[str, Judgement] = OrderedDict()


def judged_days(
    lake: Lake, days: Sequence[dt.date], excuses: Excuses, now: dt.datetime
) -> JudgedDays:
    """Stored days that are made together, with what is found in them as merged prices.

    Raises as `Lake.load` does.
    """
    connection = bounded_duckdb(lake.root / "spill")
    loaded = {table: [lake.load(table, day) for day in days] for table in CHECKED_TOGETHER}
    tables = {
        table.name: connection.from_arrow(pa.concat_tables(one.rows for one in parts))
        for table, parts in loaded.items()
    }
    files = tuple(one.file for parts in loaded.values() for one in parts)
    files_before = tuple(
        lake.identity(table, day)
        for day in sessions_back(days[0], SESSIONS_BEFORE)
        for table in LOOKED_BACK_AT
    )
    late = tuple(ledger_days(days, now)["may_be_late"].to_pylist())
    # Hosts may have other versions of the checks for a while.
    depends_on = (MERGED_CHECKS, tuple(days), files, files_before, excuses.lines, late)
    what = sha256(repr(depends_on).encode()).hexdigest()

    @functools.cache
    def together() -> SideBySide:
        return side_by_side(days, tables, lookback(lake, days[0]), now, excuses)

    key = f"{lake.root} {what}"
    known = _known.pop(key, None)
    if known is None:
        if told := lake.told(what):
            known = _read(told)
        else:
            findings = check_merged_days(together(), excuses)
            listed = list_merged(together(), findings, excuses)
            known = Judgement(findings, listed, together().twins)
            if lake.is_shared:
                lake.tell(what, _written(known))
    _known[key] = known
    while len(_known) > STRETCHES_KNOWN:
        _known.popitem(last=False)
    return JudgedDays(tables, known, lambda: together().facts)


def _written(known: Judgement) -> bytes:
    rows = [{**one._asdict(), "check": one.check.name} for one in known.findings]
    written = pa.BufferOutputStream()
    for table in (pa.Table.from_pylist(rows, schema=FOUND), known.listed, known.twins):
        with pa.ipc.new_stream(written, table.schema) as stream:
            stream.write_table(table)
    return bytes(written.getvalue())


def _read(raw: bytes) -> Judgement:
    written = pa.BufferReader(raw)
    found, listed, twins = (pa.ipc.open_stream(written).read_all() for _ in range(3))
    findings = [
        Finding(**{**row, "check": CHECKS[row["check"]], "sample": tuple(row["sample"])})
        for row in found.to_pylist()
    ]
    return Judgement(findings, listed, twins)
