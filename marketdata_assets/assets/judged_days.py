"""Stored days as the ledger, the merged prices and the list of findings judge them together.

Here belongs that a run judges the same files once, for all of these. What is judged is
`checks.days`.
"""

import datetime as dt
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import duckdb
import pyarrow as pa

from marketdata_assets.assets.stored_days import DAYS_TOGETHER, LOOKED_BACK_AT, lookback
from marketdata_assets.checks.days import (
    CHECKED_TOGETHER,
    SideBySide,
    check_merged_days,
    laid_out,
    side_by_side,
)
from marketdata_assets.checks.excuses import Excuses
from marketdata_assets.checks.running import Finding
from marketdata_assets.checks.sessions import SESSIONS_BEFORE, Lookback, ledger_days, sessions_back
from marketdata_assets.partitions import BACKFILL_POLICY
from marketdata_assets.storage.bounded_duckdb import bounded_duckdb
from marketdata_assets.storage.lake import Lake

Relation = duckdb.DuckDBPyRelation

# Of each some megabytes: as many as a run of a backfill has.
STRETCHES_KNOWN = (BACKFILL_POLICY.max_partitions_per_run or 1) // DAYS_TOGETHER


class JudgedDays(NamedTuple):
    """The rows of CHECKED_TOGETHER by name, side by side, and what is found in them as merged."""

    tables: Mapping[str, Relation]
    together: SideBySide
    findings: Sequence[Finding]


class _Known(NamedTuple):
    before: Lookback
    facts: pa.Table
    twins: pa.Table
    findings: Sequence[Finding]


# By the files, those of the sessions before too, and whatever else a judgement depends on.
_known: OrderedDict[Hashable, _Known] = OrderedDict()


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
    key = (lake.root, tuple(days), files, files_before, excuses.lines, late)
    known = _known.pop(key, None)
    if known is None:
        before = lookback(lake, days[0])
        together = side_by_side(days, tables, before, now, excuses)
        facts, findings = together.facts.to_arrow_table(), check_merged_days(together, excuses)
        known = _Known(before, facts, together.twins, findings)
    _known[key] = known
    while len(_known) > STRETCHES_KNOWN:
        _known.popitem(last=False)
    facts = connection.from_arrow(known.facts)
    together = laid_out(days, tables, known.before, facts, known.twins)
    return JudgedDays(tables, together, known.findings)
