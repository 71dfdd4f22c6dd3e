"""Run history in PostgreSQL is pruned as that of one machine: what counts stays."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from dagster import DagsterEventType
from dagster._core.execution.plan.outputs import StepOutputData, StepOutputHandle
from sqlalchemy import NullPool, create_engine, text

pytest.importorskip("obstore", reason="the extra `distributed` is not installed")

from marketdata_assets.automation.pruning import history_size_sensor, prune_runs
from marketdata_assets.hosts import Hosts
from marketdata_assets.storage.dagster_postgres import of_this_process, waiting
from marketdata_assets.storage.run_history import PrunedLog
from marketdata_assets_tests.automation.test_pruning import DAYS, ODD, TABLES, created, latest_ids
from marketdata_assets_tests.conftest import Platform
from marketdata_assets_tests.dagster_home import outcomes, partitions, shipped_instance
from marketdata_assets_tests.distributed.conftest import NUMBERS, OneDatabase
from marketdata_assets_tests.edited_market import EditedMarket, platform_over


@pytest.fixture
def database(database: str) -> str:
    """A database of its own, with the run history of one test."""
    name = f"history_{next(NUMBERS)}"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"{database.rpartition('/')[0]}/{name}"


@pytest.fixture
def platform(shared: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    monkeypatch.setenv("MARKETDATA_DATABASE", shared.database)
    monkeypatch.setenv("MARKETDATA_LAKE", shared.lake)
    monkeypatch.setenv("MARKETDATA_BROKER", shared.broker)
    with (
        shipped_instance(tmp_path / "dagster") as instance,
        platform_over(EditedMarket(ODD), tmp_path / "sandbox", instance) as platform,
    ):
        yield platform


def log_of(platform: Platform) -> PrunedLog:
    log = platform.instance.event_log_storage
    assert isinstance(log, PrunedLog)
    return log


def test_the_partitions_and_the_last_outcomes_stay(platform: Platform) -> None:
    instance, log = platform.instance, log_of(platform)
    superseded = platform.run(DAYS[0], assets=TABLES)
    for first, last in ((0, 0), (1, 2)):
        assert platform.run(DAYS[first], DAYS[last], assets=TABLES).success
    young = platform.run(DAYS[2], assets=TABLES).run_id
    known, told, latest = partitions(instance), outcomes(platform), latest_ids(instance)
    assert known == {name: {str(day) for day in DAYS} for name in TABLES}
    assert "FAILED" in told.values()
    events = instance.all_logs(young)

    assert prune_runs(instance, log, created(platform, young)) == 3

    assert (partitions(instance), outcomes(platform)) == (known, told)
    assert latest_ids(instance) == latest
    assert instance.all_logs(young) == events
    assert set(log.bytes_of_own()) == {young}
    kept = set(instance.get_run_ids())
    # Its day was made and checked again since.
    assert superseded.run_id not in kept
    assert len(kept) == 3
    assert platform.run(DAYS[0], assets=TABLES).success
    assert partitions(instance) == known


def test_what_a_step_has_put_out_is_stored_once_though_the_connection_is_lost(
    platform: Platform, database: str
) -> None:
    put_out = StepOutputData(StepOutputHandle("step"))
    for kind, told in (
        (DagsterEventType.STEP_OUTPUT, put_out),
        (DagsterEventType.STEP_START, None),
    ):
        event = dg.DagsterEvent(kind.value, "a job", step_key="step", event_specific_data=told)
        platform.instance.report_dagster_event(event, "a run")
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    kinds = [entry.dagster_event_type for entry in platform.instance.all_logs("a run")]
    assert kinds == [DagsterEventType.STEP_OUTPUT, DagsterEventType.STEP_START]


def test_a_run_history_that_is_only_read_for_a_while_is_waited_for(
    one_database: OneDatabase,
) -> None:
    address = one_database.address.replace("postgresql:", "postgresql+psycopg2:")
    engine = create_engine(address, poolclass=NullPool)

    @waiting
    class History:
        asked = 0

        def make(self) -> None:
            self.asked += 1
            one_database.only_read(self.asked == 1)
            with engine.begin() as connection:
                connection.execute(text("CREATE TABLE one (number int)"))

    history = History()
    history.make()
    assert history.asked == 2


def test_a_connection_that_was_only_read_is_not_kept_for_what_is_written(
    one_database: OneDatabase,
) -> None:
    hosts = Hosts(one_database.address, "s3://nowhere", "amqp://nobody")
    runs, log, _ = of_this_process(hosts.database_of_dagster)
    one_database.only_read(True)
    one_database.cut_off()
    assert log.get_logs_for_run("nobody") == []
    one_database.only_read(False)
    runs.set_cursor_values({"any": "one"})
    assert runs.get_cursor_values({"any"}) == {"any": "one"}


def test_of_young_logs_the_oldest_go_where_they_are_too_large(platform: Platform) -> None:
    instance, log = platform.instance, log_of(platform)
    runs = [platform.run(day, assets=TABLES).run_id for day in DAYS[:2]]
    context = dg.build_sensor_context(instance=instance)
    assert isinstance(history_size_sensor(context), dg.SkipReason)
    room = log.bytes_of_own()[runs[1]]
    assert prune_runs(instance, log, dt.datetime.fromtimestamp(0, dt.UTC), at_most=room) == 0
    assert set(log.bytes_of_own()) == {runs[1]}
    assert set(instance.get_run_ids()) == set(runs)
    # Who is told of failures reads the ends of runs, however large their logs were.
    ends = instance.event_log_storage.get_logs_for_run(
        runs[0], of_type=dg.DagsterEventType.RUN_SUCCESS
    )
    assert len(ends) == 1
