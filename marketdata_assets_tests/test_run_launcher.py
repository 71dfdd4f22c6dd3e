"""Runs whose process has ended, found by Dagster's own monitoring; the processes are real."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.events import EngineEventData
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

from marketdata_assets.automation.requests_sensor import why_failed
from marketdata_assets.run_launcher import CODE_SERVER, PROCESS_TAG, identity_of
from marketdata_assets_tests import PROJECT

SETTINGS = yaml.safe_load((PROJECT / "dagster.yaml").read_text("utf-8"))
STARTED, FAILED = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE
CANCELED = dg.DagsterRunStatus.CANCELED
SLEEPING = "print(flush=True); import time; time.sleep(600)"
# As one that waits to try a step again.
DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); " + SLEEPING


@dg.job
def nothing() -> None:
    pass


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance with the settings of the platform."""
    overrides = {name: SETTINGS[name] for name in ("run_launcher", "run_monitoring", "run_retries")}
    with dg.DagsterInstance.local_temp(
        str(tmp_path_factory.mktemp("home")), overrides=overrides
    ) as instance:
        yield instance


@pytest.fixture
def process(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    code = getattr(request, "param", SLEEPING)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


def started(
    instance: dg.DagsterInstance,
    pid: int,
    tags: dict[str, str] | None = None,
    first: str | None = None,
) -> dg.DagsterRun:
    """A run as it is when its process has begun to work; `first` is the one that it is again."""
    run = instance.create_run_for_job(nothing, tags=tags, root_run_id=first, parent_run_id=first)
    instance.report_engine_event("Started", run, EngineEventData.in_process(pid))
    instance.report_dagster_event(
        dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name="nothing"), run.run_id
    )
    return run


def looked_at(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRun:
    """The run after a look of the monitoring."""
    context: Any = SimpleNamespace(instance=instance, create_request_context=lambda: None)
    errors = list(execute_run_monitoring_iteration(context, logging.getLogger("test")))
    assert not any(errors)
    return instance.get_run_by_id(run.run_id)


def test_what_is_checked_is_done_within_two_minutes(instance: dg.DagsterInstance) -> None:
    look = instance.run_monitoring_poll_interval_seconds
    assert look + instance.run_monitoring_start_timeout_seconds <= 120
    assert look + instance.run_monitoring_cancel_timeout_seconds <= 120
    assert instance.run_monitoring_max_runtime_seconds > 0


def test_a_run_goes_on_as_long_as_its_process_and_is_started_again_after_it(
    instance: dg.DagsterInstance, process: subprocess.Popen[bytes]
) -> None:
    run = started(instance, process.pid, {PROCESS_TAG: identity_of(process.pid)})
    assert looked_at(instance, run).status is STARTED
    # Its parent has not taken notice yet.
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    after = looked_at(instance, run)
    assert after.status is FAILED
    assert after.tags["dagster/will_retry"] == "true"
    said = why_failed(instance, run.run_id)
    assert "its process is gone, as after a power cut" in said
    assert "There is nothing to do: it is started again by itself" in said


@pytest.mark.parametrize("field", ["start", "boot"])
def test_another_process_with_the_same_id_is_not_taken_for_the_runs(
    instance: dg.DagsterInstance, process: subprocess.Popen[bytes], field: str
) -> None:
    pid, *rest = identity_of(process.pid).split()
    other = [f"{one}0" if (n == 0) == (field == "start") else one for n, one in enumerate(rest)]
    run = started(instance, process.pid, {PROCESS_TAG: " ".join([pid, *other])})
    assert looked_at(instance, run).status is FAILED
    assert process.poll() is None


@pytest.mark.parametrize("tag", [{}, {PROCESS_TAG: ""}])
def test_before_the_tag_comes_the_log_tells_the_process(
    instance: dg.DagsterInstance, process: subprocess.Popen[bytes], tag: dict[str, str]
) -> None:
    run = started(instance, process.pid, tag)
    assert looked_at(instance, run).status is STARTED
    process.kill()
    process.wait()
    assert looked_at(instance, run).status is FAILED


@pytest.mark.parametrize("is_tagged", [True, False])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_run_that_was_started_twice_goes_on_as_long_as_one_of_its_processes(
    instance: dg.DagsterInstance,
    process: subprocess.Popen[bytes],
    is_first: bool,
    is_tagged: bool,
) -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEPING]) as duplicate:
        tags = {PROCESS_TAG: identity_of(duplicate.pid) if is_tagged else ""}
        duplicate.kill()
    first, second = (process, duplicate) if is_first else (duplicate, process)
    run = started(instance, first.pid, tags)
    instance.report_engine_event("Started", run, EngineEventData.in_process(second.pid))
    assert looked_at(instance, run).status is STARTED
    process.kill()
    process.wait()
    assert looked_at(instance, run).status is FAILED


def test_a_run_has_failed_only_when_it_can_be_started_again(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = started(instance, 2**22 + 1)
    with monkeypatch.context() as ended:
        ended.setenv(CODE_SERVER, str(tmp_path / "code"))
        assert looked_at(instance, run).status is STARTED
    assert looked_at(instance, run).status is FAILED


def test_a_day_is_made_also_after_ten_kills_in_a_row(instance: dg.DagsterInstance) -> None:
    gone = 2**22 + 1
    first = looked_at(instance, started(instance, gone))
    # Dagster counts by the tag what it finds by the run.
    again = {"dagster/root_run_id": first.run_id}
    others = [looked_at(instance, started(instance, gone, again, first.run_id)) for _ in range(10)]
    tried_again = [run.tags["dagster/will_retry"] for run in (first, *others)]
    assert tried_again == ["true"] * 10 + ["false"]


def test_a_lost_run_that_answers_a_request_is_to_be_asked_for_again(
    instance: dg.DagsterInstance,
) -> None:
    run = started(instance, 2**22 + 1, {"dagster/max_retries": "0"})
    assert looked_at(instance, run).tags["dagster/will_retry"] == "false"
    assert why_failed(instance, run.run_id).endswith("Ask again.")


@pytest.mark.parametrize("process", [SLEEPING, DEAF], indirect=True, ids=["sleeping", "deaf"])
def test_a_run_is_ended_with_its_process(
    instance: dg.DagsterInstance,
    process: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("marketdata_assets.run_launcher.SECONDS_TO_END", 1.0)
    run = started(instance, process.pid, {PROCESS_TAG: identity_of(process.pid)})
    assert instance.run_launcher.terminate(run.run_id)
    assert instance.get_run_by_id(run.run_id).status is CANCELED
    assert process.wait(10) in (-signal.SIGINT, -signal.SIGKILL)


def test_a_run_without_a_process_is_ended_at_once(instance: dg.DagsterInstance) -> None:
    run = started(instance, 2**22 + 1)
    assert instance.run_launcher.terminate(run.run_id)
    assert instance.get_run_by_id(run.run_id).status is CANCELED


def test_a_run_that_takes_too_long_is_ended_and_says_what_to_do(
    instance: dg.DagsterInstance, process: subprocess.Popen[bytes]
) -> None:
    tags = {PROCESS_TAG: identity_of(process.pid), "dagster/max_runtime": "0.001"}
    run = started(instance, process.pid, tags)
    after = looked_at(instance, run)
    assert after.status is FAILED
    assert after.tags["dagster/will_retry"] == "true"
    said = why_failed(instance, run.run_id)
    assert "exceeding maximum runtime" in said
    assert "There is nothing to do" in said
    assert process.wait(10) in (-signal.SIGINT, -signal.SIGKILL)
