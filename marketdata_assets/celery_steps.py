"""The steps of a run on several hosts: tasks that RabbitMQ hands to the workers of all of them.

Here belongs how a step is given away, and the worker that takes it. A step counts as done when it
has ended: it goes to another worker where its own is killed. What it had stored until then is kept,
and it asks for the rest.

A worker has one step in hand, and none that waits for it. RabbitMQ takes a task for lost after
`consumer_timeout`, by default 30 minutes: it has to be longer than the longest step.

https://docs.dagster.io/deployment/execution/celery
"""

import os

import dagster as dg
from dagster_celery import celery_executor
from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_task

from marketdata_assets.hosts import Hosts

SETTINGS = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_prefetch_multiplier": 1,
    # A broker that starts again is waited for.
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_hijack_root_logger": False,
}
STEPS_AT_ONCE = 2


def executor_of_steps() -> dg.ExecutorDefinition:
    """The executor; where the broker is, is read when a run begins."""
    return celery_executor.configured(
        {
            "broker": {"env": "MARKETDATA_BROKER"},
            "backend": "rpc://",
            "config_source": SETTINGS,
        },
        name="celery",
    )


def work(shared: Hosts) -> int:
    """Take steps until the user ends it; what is in hand then is finished."""
    app = make_app({"broker": shared.broker, "backend": "rpc://", "config_source": SETTINGS})
    create_task(app)
    # Workers are told apart by their names, also those of one host.
    options = ["--loglevel=INFO", f"--concurrency={STEPS_AT_ONCE}", f"--hostname={os.getpid()}@%h"]
    app.worker_main(["worker", *options])
    return 0
