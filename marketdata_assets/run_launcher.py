"""Runs as processes of this machine, which Dagster asks whether they are still there.

Here belongs how a run's process is known again and what its end means; `dagster.yaml` names the
class. Dagster's own launcher starts the processes and can't tell a living one from a dead one, so
that a run whose process a power cut has ended would hold its pool until its time is over.

https://docs.dagster.io/deployment/execution/run-monitoring
"""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._core.launcher.base import LaunchRunContext
from dagster._grpc.client import DagsterGrpcClient

# Where runs are started, in the environment of the daemon.
CODE_SERVER = "MARKETDATA_CODE_SERVER"
PROCESS_TAG = "marketdata/process"
SECONDS_TO_TELL = 10.0
SECONDS_TO_END = 10.0
GONE = "its process is gone, as after a power cut, a kill or without memory left"
BOOT = Path("/proc/sys/kernel/random/boot_id")


class MachineRunLauncher(DefaultRunLauncher):
    """Dagster's launcher, and the tag by which a run's process is known again."""

    def launch_run(self, context: LaunchRunContext) -> None:
        run_id = context.dagster_run.run_id
        # One that is started again has the tags of the one before.
        self._instance.add_run_tags(run_id, {PROCESS_TAG: ""})
        before = self._pids(run_id)
        super().launch_run(context)
        # It is told in the run's log, by the process itself, as soon as that is there.
        end = time.monotonic() + SECONDS_TO_TELL
        while (pids := self._pids(run_id)) == before and time.monotonic() < end:
            time.sleep(0.05)
        if identity := next(filter(None, map(identity_of, pids)), None):
            self._instance.add_run_tags(run_id, {PROCESS_TAG: identity})

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        if self._living(run) is None and can_start_runs():
            return CheckRunHealthResult(WorkerStatus.FAILED, GONE)
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def get_run_worker_debug_info(
        self, run: dg.DagsterRun, include_container_logs: bool | None = True
    ) -> str | None:
        """What Dagster adds to the message of a run that it gives up."""
        return None if run.status is dg.DagsterRunStatus.CANCELING else what_to_do(run)

    def terminate(self, run_id: str) -> bool:
        """End the process of a run, also when the server that started it is gone.

        It may finish what it is at, and is killed where it does not: it may be waiting to try a
        step again. What is stored is whole whenever it ends. A run that is ended for its age says
        what to do.
        """
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        if too_old := self._too_old(run_id):
            self._instance.report_run_failed(run, f"{too_old} {what_to_do(run)}")
        else:
            self._instance.report_run_canceling(run)
        if pid := self._living(run):
            end_process(pid)
        ended = self._instance.get_run_by_id(run_id)
        if ended and not ended.is_finished:
            self._instance.report_run_canceled(ended)
        # Of one that has failed Dagster has nothing more to say.
        return not too_old

    def _too_old(self, run_id: str) -> str | None:
        """What Dagster says of a run that it ends because of its `max_runtime`."""
        entries = self._instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_CANCELING)
        messages = [one.dagster_event.message or "" for one in entries if one.dagster_event]
        return next((text for text in messages if "maximum runtime" in text), None)

    def _pids(self, run_id: str) -> list[int]:
        """The process ids that the log of a run tells, the last first.

        There are several where a code server ended while it started the run, which then is started
        once more: who finds that the run has begun leaves it alone.
        """
        entries = self._instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        told = [
            one.dagster_event.engine_event_data.metadata for one in entries if one.dagster_event
        ]
        return [int(str(one["pid"].value)) for one in reversed(told) if "pid" in one]

    def _living(self, run: dg.DagsterRun) -> int | None:
        """The id of a run's process, None when that is gone."""
        known = run.tags.get(PROCESS_TAG)
        of_tag = int(known.split()[0]) if known else None
        if of_tag and identity_of(of_tag) == known:
            return of_tag
        # The tag may be about to come, or its launcher ended before, or be that of another start.
        return next(
            (one for one in self._pids(run.run_id) if one != of_tag and identity_of(one)), None
        )


def can_start_runs() -> bool:
    """Whether the code server answers.

    It may have ended with its runs, and be started again: what can't be started at once when it has
    failed, Dagster gives up for good.
    """
    if socket := os.environ.get(CODE_SERVER):
        try:
            DagsterGrpcClient(socket=socket).ping("")
        except DagsterUserCodeUnreachableError:
            return False
    return True


def what_to_do(run: dg.DagsterRun) -> str:
    """What a run that was ended from outside means for who reads of it."""
    if run.tags.get("dagster/max_retries") == "0":
        return "Ask again."
    return (
        "There is nothing to do: it is started again by itself, up to 10 times; only then "
        "materialize what it was to make. What it printed is on its page, under stdout and stderr."
    )


def end_process(pid: int) -> None:
    """Interrupt a process, and kill it when it goes on."""
    known, end = identity_of(pid), time.monotonic() + SECONDS_TO_END
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)
        while identity_of(pid) == known and time.monotonic() < end:
            time.sleep(0.1)
        if identity_of(pid) == known:
            os.kill(pid, signal.SIGKILL)


def identity_of(pid: int) -> str | None:
    """The process by its id, its start and the machine's, None when it has ended.

    An id is given again, also within one start of the machine.
    """
    if not BOOT.exists():
        return _identity_elsewhere(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # After the name, which may hold anything: the state, and as the 20th the start in clock ticks.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else f"{pid} {fields[19]} {BOOT.read_text('ascii').strip()}"


def _identity_elsewhere(pid: int) -> str | None:
    command = ["ps", "-o", "lstart=,stat=", "-p", str(pid)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return None if not shown or shown[-1].startswith("Z") else f"{pid} {' '.join(shown[:-1])}"
