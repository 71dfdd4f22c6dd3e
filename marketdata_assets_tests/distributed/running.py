"""A run whose steps are done by workers of several hosts.

Here belongs what they share, what there is in their database, and what is compared in the end.
The processes are `programs`; what happens to them meanwhile is in the tests.
"""

import contextlib
import datetime as dt
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psycopg

from marketdata_assets.hosts import Hosts
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import STORED_TABLES
from marketdata_assets_tests import PROJECT
from marketdata_assets_tests.conftest import CHAIN
from marketdata_assets_tests.distributed.programs import Program
from marketdata_assets_tests.killed_dev import until

COORDINATOR = "marketdata_assets_tests.distributed.coordinator"


def settings_of(shared: Hosts, vendor: str = "", **more: str) -> Mapping[str, str]:
    """The environment of every process of the hosts: the sandbox, or a server of its protocol."""
    kept = {name: text for name, text in os.environ.items() if name != "DAGSTER_HOME"}
    return {
        **kept,
        # Their working folder is another one.
        "PYTHONPATH": str(PROJECT),
        "MARKETDATA_DATABASE": shared.database,
        "MARKETDATA_LAKE": shared.lake,
        "MARKETDATA_BROKER": shared.broker,
        "HF_TOKEN": "none",
        "HF_DATASET_REPO": "nobody/nothing",
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "TUSHARE_TOKEN": f"token-of-{vendor}" if vendor else "",
        "TUSHARE_URL": vendor,
        "TUSHARE_CALLS_PER_MINUTE": "50000",
        **more,
    }


@contextlib.contextmanager
def worker(
    folder: Path, settings: Mapping[str, str], starts: Callable[..., Program] = Program
) -> Iterator[Program]:
    """A worker, which is told to end after the block, and ends by itself."""
    one = starts(folder, settings, "marketdata_assets", "worker")
    try:
        yield one
        # One that has only begun is ended by the signal itself.
        until(lambda: " ready." in one.said(), "the worker is ready")
        one.terminate()
        assert one.wait() == 0, one.said()[-4_000:]
    finally:
        one.kill()


@contextlib.contextmanager
def run(
    folder: Path,
    settings: Mapping[str, str],
    days: Sequence[dt.date],
    starts: Callable[..., Program] = Program,
) -> Iterator[Program]:
    """A run of the chain over `days`, waited for after the block; it has to succeed."""
    first, last = days[0].isoformat(), days[-1].isoformat()
    one = starts(folder, settings, COORDINATOR, first, last, *CHAIN)
    try:
        yield one
        assert one.wait() == 0, one.said()[-4_000:]
    finally:
        one.kill()


def events(database: str, kind: str, before: int = 0) -> Counter[str]:
    """How often there was an event of a kind for each step, of those with a higher id."""
    asked = "SELECT step_key FROM event_logs WHERE dagster_event_type = %s AND id > %s"
    return Counter(step for (step,) in _rows_of(database, asked, kind, before))


def ends_of(database: str, run: str) -> list[str]:
    """The states of a run and of those that it was started again as, oldest first."""
    asked = (
        "SELECT status FROM runs WHERE run_id = %s OR run_id IN (SELECT run_id FROM run_tags "
        "WHERE key = 'dagster/root_run_id' AND value = %s) ORDER BY id"
    )
    return [state for (state,) in _rows_of(database, asked, run, run)]


def asked_for(database: str, day: dt.date) -> Counter[str]:
    """How many runs of each job begin with a day; one that was started again counts once."""
    asked = (
        "SELECT pipeline_name FROM runs JOIN run_tags USING (run_id) "
        "WHERE key IN ('dagster/partition', 'dagster/asset_partition_range_start') AND value = %s "
        "AND run_id NOT IN (SELECT run_id FROM run_tags WHERE key = 'dagster/root_run_id')"
    )
    return Counter(job for (job,) in _rows_of(database, asked, day.isoformat()))


def run_at_work(database: str, before: int) -> str | None:
    """The first run of which a step has begun since an event."""
    asked = (
        "SELECT run_id FROM event_logs WHERE dagster_event_type = 'STEP_START' AND id > %s "
        "ORDER BY id LIMIT 1"
    )
    return next((run for (run,) in _rows_of(database, asked, before)), None)


def last_event(database: str) -> int:
    """The id of the newest event, 0 before there is a run history."""
    rows = _rows_of(database, "SELECT id FROM event_logs ORDER BY id DESC LIMIT 1")
    return rows[0][0] if rows else 0


def _rows_of(database: str, asked: str, *values: object) -> list[tuple]:
    """The rows of Dagster's, none before its tables are there."""
    with (
        contextlib.suppress(psycopg.errors.UndefinedTable),
        psycopg.connect(database) as connection,
    ):
        return connection.execute(asked, values).fetchall()
    return []


def is_the_same(lake: Lake, other: Lake, days: Sequence[dt.date]) -> bool:
    """Whether `days` of the chain are the same in both, and none has another version in one."""
    for table in map(STORED_TABLES.__getitem__, CHAIN):
        stored = [day for day in lake.days(table) if day in days]
        assert stored == [day for day in other.days(table) if day in days], table.name
        for day in stored:
            assert _rows(lake, table.name, day) == _rows(other, table.name, day), (table.name, day)
            earlier = [len(one.earlier_versions(table, day)) for one in (lake, other)]
            assert earlier[0] == earlier[1], (table.name, day)
    return True


def _rows(lake: Lake, name: str, day: dt.date) -> list[dict]:
    table = lake.load(STORED_TABLES[name], day).rows
    # When a finding was first seen is its own time.
    return table.drop_columns([c for c in table.column_names if c == "first_seen"]).to_pylist()
