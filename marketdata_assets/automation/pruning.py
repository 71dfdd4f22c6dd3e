"""The history of runs is kept for so many days; of older ones stays what still counts.

Here belongs what of a run goes, and when. What goes from the database of all runs is
`storage.run_history`; the ticks of schedules and sensors go as `dagster.yaml` says.
"""

import datetime as dt
import sqlite3
from pathlib import Path

import dagster as dg
from dagster import RunsFilter

from marketdata_assets.automation.day_runs import ENDED
from marketdata_assets.storage.dagster_sqlite import EventLog
from marketdata_assets.storage.run_history import PrunedLog, give_back_room
from marketdata_assets.timetable import HISTORY_PRUNING
from marketdata_assets.trading_calendar import SHANGHAI

LOGS_AT_MOST = 200_000_000
# Who keeps the history for longer keeps all of it; further back there may be no such date.
CENTURY = 36_500


@dg.op
def prune_history(context: dg.OpExecutionContext, run_history_days: dg.ResourceParam[int]) -> None:
    log, instance = context.instance.event_log_storage, context.instance
    if not isinstance(log, PrunedLog):
        context.log.info("Run history is in neither database of this platform: nothing is pruned.")
        return
    before = dt.datetime.now(dt.UTC) - dt.timedelta(min(run_history_days, CENTURY))
    context.log.info(f"{prune_runs(instance, log, before)} run(s) from before {before:%Y-%m-%d}")
    if not isinstance(log, EventLog):
        # PostgreSQL gives room back by itself.
        return
    for database in (log.index, Path(instance.root_directory, "history", "runs.db")):
        try:
            give_back_room(database)
        except sqlite3.OperationalError as error:
            context.log.warning(f"{database} stays as large as it is: {error}. Tomorrow again.")


def prune_runs(
    instance: dg.DagsterInstance, log: PrunedLog, before: dt.datetime, at_most: int = LOGS_AT_MOST
) -> int:
    """Delete the logs of all runs that ended and were created before a moment; how many there are.

    Such a run is deleted itself when all that it has made or checked was made or checked since. A
    backfill makes years of logs in a day: beyond `at_most` bytes the logs of newer runs go too.
    """
    of_use, sizes, kept = log.prune(before), log.bytes_of_own(), 0
    old = set(instance.get_run_ids(RunsFilter(statuses=ENDED, created_before=before)))
    # The newest first.
    for run_id in instance.get_run_ids(RunsFilter(statuses=ENDED)):
        kept += sizes.get(run_id, 0)
        if run_id not in old and kept <= at_most:
            continue
        if run_id in sizes:
            instance.compute_log_manager.delete_logs(prefix=[run_id])
        if run_id in old - of_use:
            instance.delete_run(run_id)
        log.delete_own(run_id)
    return len(old)


@dg.job(
    description="Prunes the run history before the last RUN_HISTORY_DAYS: logs, plans, what is "
    "superseded. Which partitions there are stays, and the last outcome of every check.",
    tags={"dagster/max_runtime": "3600"},
)
def history_pruning() -> None:
    prune_history()


@dg.schedule(
    job=history_pruning,
    cron_schedule=HISTORY_PRUNING.crons,
    execution_timezone=SHANGHAI.key,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every day at 05:00 in Shanghai: prunes the run history.",
)
def history_pruning_schedule() -> dg.RunRequest:
    return dg.RunRequest()


@dg.sensor(
    # By its name: given the job itself, Dagster warns of its own beta parameter.
    job_name=history_pruning.name,
    minimum_interval_seconds=600,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Every ten minutes: prunes the run history where the logs of runs have outgrown "
    "their room, as during a backfill of years.",
)
def history_size_sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    log = context.instance.event_log_storage
    taken = sum(log.bytes_of_own().values()) if isinstance(log, PrunedLog) else 0
    if taken > LOGS_AT_MOST:
        return dg.RunRequest()
    return dg.SkipReason(f"{taken / 1e6:,.0f} MB of {LOGS_AT_MOST / 1e6:,.0f} are taken")
