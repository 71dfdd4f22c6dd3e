"""The steps of a run on several hosts: tasks that RabbitMQ hands to the workers of all of them.

Here belongs how a step is given away, and the worker that takes it. A step counts as done when it
has ended: it goes to another worker where its own is killed, unless it kills one after the other.
What it had stored until then is kept, and it asks for the rest.

A worker has no step that waits for it.

https://docs.dagster.io/deployment/execution/celery
"""

import contextlib
import gc
import logging
import os
import socket
from functools import partial
from typing import Any

import dagster as dg
from amqp.exceptions import AMQPError
from celery import Celery, Task, states
from dagster import DagsterEventType
from dagster._core.execution.plan.objects import StepFailureData
from dagster._grpc.types import ExecuteStepArgs
from dagster._serdes import serialize_value, unpack_value
from dagster_celery import celery_executor
from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_task
from dagster_shared.error import SerializableErrorInfo

from marketdata_assets.automation.day_runs import days_of_run
from marketdata_assets.errors import MarketdataError
from marketdata_assets.hosts import Hosts, several_hosts
from marketdata_assets.storage.database_turns import RunIsOver, turn

SETTINGS = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_prefetch_multiplier": 1,
    # A broker that starts again is waited for, by workers and by who gives a step away.
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "task_publish_retry_policy": {"max_retries": 120, "interval_start": 0.5, "interval_max": 1},
    "broker_transport_options": {
        # Who has no connection yet, too: it would give up after four seconds.
        "connect_retries_timeout": 120,
        # A step is given away when the broker says that it has it. What was only sent is lost with
        # a connection, or with a broker that is full or hangs, and the run would wait for hours.
        "confirm_publish": True,
    },
    # A host that is gone without a word has no more than this to be missed.
    "broker_heartbeat": 30,
    # A worker that has lost the broker goes on with its step, see `Step`.
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_hijack_root_logger": False,
    # What a step prints is caught at its streams, which a logger in their place would have none of.
    "worker_redirect_stdouts": False,
}
RESULTS = "marketdata_assets.celery_results:Results"
# What steps are of, and the client that most of them ask.
LOADED = ["marketdata_assets.definitions", "marketdata_assets.resources.tushare_client"]
STEPS_AT_ONCE = 2
# A host may go while a step is in hand, and the one that takes over, too.
MOST_DELIVERIES = 3

logger = logging.getLogger(__name__)


class BrokerRefuses(MarketdataError):
    """RabbitMQ is there, and lets nobody in with these settings."""


class Step(Task):  # type: ignore[misc]
    """A step, which one worker at a time does, and none again that is done.

    The broker hands a step out again whose worker it takes for lost: one that it has heard nothing
    from, or every one when it starts again itself. Such a worker may still be at it. One that has
    ended three workers, as a step does that needs more memory than there is, has failed.
    """

    def __call__(self, execute_step_args_packed: Any, executable_dict: Any) -> Any:
        database, request = several_hosts("worker").database, self.request
        asked = unpack_value(execute_step_args_packed, as_type=ExecuteStepArgs)
        alone = partial(turn, database, f"step {request.id}", seconds=0, run=asked.run_id)
        try:
            with alone() as own:
                known = self.backend.get_task_meta(request.id)
                if known["status"] == states.SUCCESS:
                    return known["result"]
                lost = 0
                if request.delivery_info["redelivered"]:
                    lost = 1 + (known["result"] if known["status"] == states.STARTED else 0)
                    self.backend.store_result(request.id, lost, states.STARTED, request=request)
                if lost < MOST_DELIVERIES:
                    told = self.run(execute_step_args_packed, executable_dict)
                else:
                    told = [failed(asked)]
                # Before somebody else may look.
                if own.is_ours():
                    self.backend.store_result(request.id, told, states.SUCCESS, request=request)
                    return told
            # Another worker may be at it, of which this one was cut off: what that one says counts.
            with alone():
                self.backend.store_result(request.id, told, states.SUCCESS, request=request)
                return self.backend.get_task_meta(request.id)["result"]
        except RunIsOver as over:
            logger.warning("%s", over)
            return []


def failed(asked: ExecuteStepArgs) -> str:
    """Have a step fail that ends its workers; the event of it, for the run."""
    assert asked.instance_ref
    with dg.DagsterInstance.from_ref(asked.instance_ref) as instance:
        run, [step] = instance.get_run_by_id(asked.run_id), asked.step_keys_to_execute or [""]
        assert run
        days = " to ".join(map(str, sorted(set(days_of_run(run) or ()))))
        said = (
            f"{' '.join(filter(None, [step, days]))}: {MOST_DELIVERIES} workers have ended while "
            "they were at it, as without memory left. It is not tried again. Look at the logs of "
            "the workers and at the memory of their hosts, then materialize it."
        )
        event = dg.DagsterEvent(
            DagsterEventType.STEP_FAILURE.value,
            run.job_name,
            step_key=step,
            message=said,
            event_specific_data=StepFailureData(  # type: ignore[no-untyped-call]
                SerializableErrorInfo(said, [], None), None
            ),
        )
        instance.report_dagster_event(event, run.run_id, logging.ERROR)
    return serialize_value(event)


def executor_of_steps() -> dg.ExecutorDefinition:
    """The executor; where the broker is, is read when a run begins."""
    return celery_executor.configured(
        {
            "broker": {"env": "MARKETDATA_BROKER"},
            "backend": RESULTS,
            "config_source": SETTINGS,
        },
        name="celery",
    )


def work(shared: Hosts) -> int:
    """Take steps until the user ends it (0), or the broker says that one took too long (1); what is
    in hand then is finished.

    Raises `DatabaseRefuses` and `BrokerRefuses`; a broker that is not there yet is waited for.
    """
    # Once, before its processes part.
    settings = {**SETTINGS, "imports": LOADED}
    app = make_app({"broker": shared.broker, "backend": RESULTS, "config_source": settings})
    _prove(app)
    create_task(app, base=Step)
    # What a run has stored is in its log, a line a table: not one a file, as Celery's level says.
    logging.getLogger("marketdata_assets").setLevel(logging.WARNING)
    # Workers are told apart by their names, also those of one host.
    name = f"{os.getpid()}@{socket.gethostname()}"
    worker = app.Worker(hostname=name, loglevel=logging.INFO, concurrency=STEPS_AT_ONCE)
    # What is loaded by now stays: the processes of steps need not look through it.
    gc.freeze()
    worker.start()
    return worker.exitcode or 0


def _prove(app: Celery) -> None:
    """Have both servers refuse now: Celery would end as if all were well."""
    assert app.backend
    with app.connection_for_read() as connection, contextlib.suppress(OSError):
        try:
            connection.connect()
        except AMQPError as error:
            raise BrokerRefuses(
                f"RabbitMQ refuses ({error}). Look at the user, the password and the virtual host "
                "of MARKETDATA_BROKER."
            ) from error
