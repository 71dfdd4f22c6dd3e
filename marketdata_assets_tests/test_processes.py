"""Many processes, killed processes: what is on disk is whole, and nothing is fetched twice."""

import datetime as dt
import logging
import os
import random
from multiprocessing.context import ForkServerContext
from multiprocessing.synchronize import Event
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from marketdata_assets.storage.lake import Lake, logger
from marketdata_assets.tables import STORED_TABLES
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.asked_days import days_asked_for
from marketdata_assets_tests.conftest import CHAIN, Platform, repeats, unhurried_tushare
from marketdata_assets_tests.dagster_home import shipped_instance
from marketdata_assets_tests.instance_in_memory import instance_in_memory
from marketdata_assets_tests.small_market import CODES
from marketdata_sandbox.server import TushareServer

pytestmark = pytest.mark.slow

DAYS = sessions_between(dt.date(2023, 1, 3), dt.date(2023, 1, 13))
DAILY = [STORED_TABLES[name] for name in CHAIN if not STORED_TABLES[name].may_be_empty]
LAKES, KILLS_EACH = 2, repeats(5, 25)


def materialize(
    root: Path, url: str, first: dt.date, last: dt.date, begun: Event, history: Path | None = None
) -> None:
    """The child: materialize a range, with the run history in `history` or none that lasts.

    `begun` is set when the first partition of the run is on disk.
    """
    logger.setLevel(logging.INFO)

    def note(_: logging.LogRecord) -> bool:
        begun.set()
        return True

    logger.addFilter(note)
    with_history = dg.DagsterInstance.from_config
    with with_history(str(history)) if history else instance_in_memory() as instance:
        result = Platform(root, unhurried_tushare(url, root), instance).run(first, last)
    os._exit(0 if result.success else 1)


def incomplete_files(lake: Lake) -> list[str]:
    """Partition files that can't be read whole as what they are declared to be."""
    broken = []
    for table in DAILY:
        for day in lake.days(table):
            try:
                data = pq.read_table(lake.path(table, day), partitioning=None)
                whole = data.schema.equals(table.schema) and data.num_rows == len(CODES)
            except (OSError, ValueError):
                whole = False
            if not whole:
                broken.append(f"{table.name} {day}")
    return broken


def forget(lake: Lake, days: list[dt.date]) -> None:
    """Take days out of the lake, so that the next run has something to store."""
    for table in DAILY:
        for day in days:
            lake.path(table, day).unlink(missing_ok=True)


@pytest.mark.parametrize("number", range(LAKES))
def test_kills_leave_whole_files_and_the_next_run_fetches_only_the_rest(
    processes: ForkServerContext, server: TushareServer, tmp_path: Path, number: int
) -> None:
    lake, moments = Lake(tmp_path / "data", "test"), random.Random(number)
    days = DAYS
    arguments = (lake.root, server.url, days[0], days[-1])
    for kill in range(KILLS_EACH):
        forget(lake, moments.sample(days, 6))
        begun = processes.Event()
        child = processes.Process(target=materialize, args=(*arguments, begun))
        child.start()
        # Once while it starts, then while it stores.
        begun.wait(0.2 if kill == 0 else 60)
        child.join(moments.uniform(0, 0.5))
        child.kill()
        child.join(60)
        assert incomplete_files(lake) == []

    stored = {table.name: set(lake.days(table)) for table in DAILY}
    fetched = {"adj_factor": "adj_factor", "daily_basic": "daily_basic", "daily": "daily_kline"}
    assert any(stored[name] for name in fetched.values()), "no run came far enough to store a day"
    server.requests.clear()
    begun = processes.Event()
    child = processes.Process(target=materialize, args=(*arguments, begun))
    child.start()
    child.join(120)
    assert child.exitcode == 0
    assert incomplete_files(lake) == []
    for table in DAILY:
        assert lake.days(table) == days
    for call, name in fetched.items():
        asked = days_asked_for(server.requests, call)
        assert sorted(asked) == [day for day in days if day not in stored[name]]


def test_eight_processes_materialize_different_days_at_once(
    processes: ForkServerContext, server: TushareServer, tmp_path: Path
) -> None:
    lake, history = Lake(tmp_path / "data", "test"), tmp_path / "history"
    with shipped_instance(history) as instance:
        # Two that begin together would both try to make the databases.
        assert all((instance.run_storage, instance.event_log_storage, instance.schedule_storage))
    children, begun, days = [], processes.Event(), DAYS[:8]
    for day in days:
        arguments = (lake.root, server.url, day, day, begun, history)
        children.append(processes.Process(target=materialize, args=arguments))
    for child in children:
        child.start()
    for child in children:
        child.join(300)
    assert [child.exitcode for child in children] == [0] * len(days)
    assert incomplete_files(lake) == []
    for table in DAILY:
        assert lake.days(table) == days
    with dg.DagsterInstance.from_config(str(history)) as instance:
        recorded = instance.get_materialized_partitions(dg.AssetKey("daily_prices"))
    assert recorded == {day.isoformat() for day in days}
