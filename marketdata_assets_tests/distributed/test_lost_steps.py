"""Steps whose worker ended, and steps of runs that are over."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import psycopg
import pyarrow as pa
import pytest

pytest.importorskip("obstore", reason="the extra `distributed` is not installed")

from celery import Task
from dagster._grpc.types import ExecuteStepArgs
from dagster._serdes import deserialize_value, pack_value
from dagster_celery.make_app import make_app
from kombu.connection import Connection
from kombu.entity import Queue

from marketdata_assets.celery_steps import MOST_DELIVERIES, RESULTS, SETTINGS, Step
from marketdata_assets.hosts import FORMS, Hosts, several_hosts
from marketdata_assets.partitions import TRADING_DAYS
from marketdata_assets.storage.database_turns import RunIsOver, turn
from marketdata_assets.storage.io_manager import LakeIOManager, LakeResource
from marketdata_assets.tables import PRICE_LIMITS
from marketdata_assets_tests.dagster_home import shipped_instance
from marketdata_assets_tests.distributed.broken_wire import BrokenWire
from marketdata_assets_tests.distributed.programs import Fork
from marketdata_assets_tests.distributed.running import events, settings_of, worker
from marketdata_assets_tests.distributed.servers import BUCKET, Broker
from marketdata_assets_tests.killed_dev import until
from marketdata_assets_tests.storage.tables_for_tests import DAY, limits


@dg.op
def price_limits() -> None: ...


@dg.job
def chain() -> None:
    price_limits()


@dg.op
def slow() -> None:
    until(Path(os.environ["MAY_END"]).exists, "the step may end")


@dg.job
def long() -> None:
    slow()


class WorkerGone(BaseException):
    """In the place of a signal that ends the process."""


def ends_its_worker() -> list[str]:
    raise WorkerGone


@pytest.fixture(scope="module")
def history(
    database: str, object_store: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dg.DagsterInstance]:
    """A run history of several hosts, in a database of its own."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE DATABASE steps")
    shared = Hosts(database.rpartition("/")[0] + "/steps", f"s3://{BUCKET}/steps", "amqp://nobody")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in zip(FORMS, shared, strict=True):
            patch.setenv(name, value)
        with shipped_instance(tmp_path_factory.mktemp("home") / "dagster") as instance:
            yield instance


@pytest.fixture
def run(history: dg.DagsterInstance) -> dg.DagsterRun:
    tags = {"dagster/partition": str(DAY)}
    return history.create_run_for_job(chain, status=dg.DagsterRunStatus.STARTED, tags=tags)


class BrokerInMemory:
    """Hands a step to workers, each of which does `does`."""

    def __init__(self, history: dg.DagsterInstance, run: dg.DagsterRun) -> None:
        app = make_app({"broker": "memory://", "backend": RESULTS, "config_source": SETTINGS})
        self.begun, self.does = 0, ends_its_worker

        def begins(task: Task, packed: object, executable: object) -> list[str]:
            self.begun += 1
            return self.does()

        self._task = app.task(bind=True, base=Step, name=run.run_id)(begins)
        self._id = run.run_id
        origin = dg.reconstructable(chain).get_python_origin()
        self._asked = pack_value(
            ExecuteStepArgs(origin, run.run_id, ["price_limits"], history.get_ref())
        )

    def deliver(self, is_again: bool = False) -> list[str]:
        self._task.push_request(id=self._id, delivery_info={"redelivered": is_again})
        try:
            return self._task(self._asked, {})
        finally:
            self._task.pop_request()


def test_a_step_is_given_away_whatever_the_network_refuses_or_loses(broker: str) -> None:
    """The first connections are refused for longer than one is tried for; then a step that was sent
    is lost, of which nothing else would ever tell the run."""
    place = urlsplit(broker)
    queue = Queue("given-away", routing_key="given-away", exchange="")
    with BrokenWire(place.port).running() as wire, Connection(broker) as behind:
        address = broker.replace(f":{place.port}", f":{wire.port}")
        soon = {**SETTINGS, "broker_connection_timeout": 0.5}
        app = make_app({"broker": address, "config_source": soon})
        wire.refuses = 3
        app.send_task("step", queue=queue)
        assert wire.refuses == 0
        wire.loses.set()
        app.send_task("step", queue=queue)
        assert wire.has_lost.is_set()
        assert queue(behind.default_channel).delete() == 2


def test_a_step_that_ends_three_workers_has_failed(
    history: dg.DagsterInstance, run: dg.DagsterRun
) -> None:
    broker = BrokerInMemory(history, run)
    for number in range(MOST_DELIVERIES):
        with pytest.raises(WorkerGone):
            broker.deliver(is_again=number > 0)
    [told] = broker.deliver(is_again=True)
    assert broker.begun == MOST_DELIVERIES
    event = deserialize_value(told, dg.DagsterEvent)
    assert event.is_step_failure
    assert event.step_key == "price_limits"
    assert event.message.startswith(f"price_limits {DAY}: 3 workers have ended")
    [logged] = history.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    assert logged.dagster_event == event
    # One that did not hear of it.
    assert broker.deliver(is_again=True) == [told]


def test_a_step_whose_worker_was_lost_is_done_by_the_next(
    history: dg.DagsterInstance, run: dg.DagsterRun
) -> None:
    broker = BrokerInMemory(history, run)
    for number in range(MOST_DELIVERIES - 1):
        with pytest.raises(WorkerGone):
            broker.deliver(is_again=number > 0)
    broker.does = lambda: ["told"]
    assert broker.deliver(is_again=True) == broker.deliver(is_again=True) == ["told"]
    assert broker.begun == MOST_DELIVERIES


def test_a_worker_that_was_cut_off_leaves_the_word_to_the_one_that_took_over(
    history: dg.DagsterInstance, run: dg.DagsterRun
) -> None:
    """Its connection is cut while it is at work, and it ends before the other one does."""
    one, other = BrokerInMemory(history, run), BrokerInMemory(history, run)
    other_begins = threading.Event()
    with (
        psycopg.connect(os.environ["MARKETDATA_DATABASE"], autocommit=True) as connection,
        ThreadPoolExecutor(1) as thread,
    ):

        def is_waited_for() -> bool:
            locks = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            return connection.execute(locks).fetchone() is not None

        def ends_later() -> list[str]:
            other_begins.set()
            until(is_waited_for, "the one that was cut off waits", 60)
            return ["other"]

        def is_cut_off() -> list[str]:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'"
            )
            ended.append(thread.submit(other.deliver, is_again=True))
            assert other_begins.wait(60)
            return ["cut off"]

        ended: list[Future[list[str]]] = []
        one.does, other.does = is_cut_off, ends_later
        assert one.deliver() == ["other"]
        assert ended[0].result() == ["other"]


@pytest.mark.slow
def test_a_step_that_takes_longer_than_the_broker_waits_is_done_once_and_ends_its_worker(
    history: dg.DagsterInstance, broker_server: Broker, forked: Callable[..., Fork], tmp_path: Path
) -> None:
    run = history.create_run_for_job(long, status=dg.DagsterRunStatus.STARTED)
    database, lake, _ = several_hosts("worker")
    may_end = tmp_path / "may-end"
    settings = settings_of(Hosts(database, lake, broker_server.address), MAY_END=str(may_end))
    given_by = {"broker": broker_server.address, "backend": RESULTS, "config_source": SETTINGS}
    job = dg.reconstructable(long)
    asked = ExecuteStepArgs(job.get_python_origin(), run.run_id, ["slow"], history.get_ref())
    with make_app(given_by) as app, contextlib.ExitStack() as stack:
        given = app.send_task("execute_plan", (pack_value(asked), job.to_dict()))
        with broker_server.patience(1):
            one = forked(tmp_path / "one", settings, "marketdata_assets", "worker")
            stack.callback(one.kill)
            until(lambda: events(database, "STEP_START")["slow"], "one has begun")
        other = stack.enter_context(worker(tmp_path / "other", settings, forked))
        until(lambda: f"[{given.id}] received" in other.said(), "it is given to the other too")
        may_end.touch()
        assert one.wait() == 1
        done = [deserialize_value(told, dg.DagsterEvent) for told in given.get(60)]
    assert [event.step_key for event in done if event.is_step_success] == ["slow"]
    assert events(database, "STEP_START")["slow"] == 1


@pytest.mark.parametrize("how", ["report_run_canceling", "report_run_failed"])
def test_a_step_of_a_run_that_is_over_is_not_begun(
    how: str, history: dg.DagsterInstance, run: dg.DagsterRun
) -> None:
    getattr(history, how)(run)
    broker = BrokerInMemory(history, run)
    assert broker.deliver() == []
    assert broker.begun == 0


def test_a_run_that_ends_while_its_step_waits_gets_no_turn(
    history: dg.DagsterInstance, run: dg.DagsterRun
) -> None:
    database = several_hosts("worker").database

    def waits() -> bool:
        with psycopg.connect(database) as connection:
            waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            return connection.execute(waiting).fetchone() is not None

    def takes() -> None:
        with turn(database, "a table", run=run.run_id):
            pass

    with ThreadPoolExecutor(1) as pool:
        with turn(database, "a table"):
            taken = pool.submit(takes)
            until(waits, "its step waits")
            history.report_run_canceling(run)
        with pytest.raises(RunIsOver, match=run.run_id):
            taken.result(60)


def test_a_step_in_hand_stores_nothing_once_its_run_is_over(
    history: dg.DagsterInstance, tmp_path: Path
) -> None:
    """Somebody ends the run while it is at work; the one that comes next stores."""
    lake = LakeResource(root=str(tmp_path / "sandbox"), origin="test")
    ended = {"is": True}

    @dg.asset(partitions_def=TRADING_DAYS, io_manager_key="lake_io")
    def price_limits(context: dg.AssetExecutionContext, lake: LakeResource) -> pa.Table:
        rows = limits(DAY, a=1.0)
        if ended["is"]:
            context.instance.report_run_canceling(context.run)
            with pytest.raises(RunIsOver, match=context.run.run_id):
                lake.open().write(PRICE_LIMITS, DAY, rows)
        return rows

    def made() -> dg.ExecuteInProcessResult:
        return dg.materialize(
            [price_limits],
            instance=history,
            resources={"lake": lake, "lake_io": LakeIOManager(lake=lake)},
            partition_key=str(DAY),
            raise_on_error=False,
        )

    over = made().get_step_failure_events()
    assert "is over" in over[0].step_failure_data.error.cause.message
    assert not lake.open().has(PRICE_LIMITS, DAY)
    ended["is"] = False
    assert made().success
    assert lake.open().has(PRICE_LIMITS, DAY)
