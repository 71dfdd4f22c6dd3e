"""Requests answered: by real runs, once each, whoever is killed; and what is said when not."""

import json
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest
from dagster import RunsFilter

from marketdata_assets.assets.range_query import REQUEST_TAG
from marketdata_assets.automation.alerting import run_failure_alert
from marketdata_assets.automation.requests_sensor import requests_sensor
from marketdata_assets.partitions import INSTRUMENTS
from marketdata_assets.resources.alerts import AlertsResource
from marketdata_assets.serving.answers import Slice
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.serving.queries import ExportQuery, Format
from marketdata_assets.serving.requests import CLAIM_LASTS, Request, RequestKind, Requests, State
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets_tests.alert_server import AlertServer
from marketdata_assets_tests.assets.scripted_source import ScriptedSource, asking
from marketdata_assets_tests.conftest import Platform, metadata_of, repeats
from marketdata_assets_tests.serving.stored import SESSIONS, SHARES, store_everything
from marketdata_sandbox.transport import sandbox_tushare


class Daemon:
    """Evaluates the sensor and starts what it asks for, as Dagster's does: a run key once."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.root = platform.lake.root
        self.requests = Requests(self.root)
        self.started: list[dg.ExecuteInProcessResult] = []

    def evaluate(self) -> Any:
        context = dg.build_sensor_context(
            instance=self.platform.instance,
            definitions=self.platform.definitions,
            sensor_name="requests_sensor",
        )
        return requests_sensor(context, lake=LakeResource(root=str(self.root), origin="test"))

    def wanted(self) -> list[dg.RunRequest]:
        """The runs of a tick that were not started before."""
        result = self.evaluate()
        if isinstance(result, dg.SkipReason):
            return []
        instance = self.platform.instance
        for added in result.dynamic_partitions_requests or []:
            instance.add_dynamic_partitions(added.partitions_def_name, added.partition_keys)
        return [
            one
            for one in result.run_requests
            if not instance.get_runs(RunsFilter(tags={"dagster/run_key": one.run_key}))
        ]

    def tick(self) -> int:
        """A tick whose runs are executed; how many they were."""
        wanted = self.wanted()
        for one in wanted:
            job = self.platform.definitions.resolve_job_def(one.job_name)
            self.started.append(
                job.execute_in_process(
                    run_config=one.run_config,
                    partition_key=one.partition_key,
                    tags={**one.tags, "dagster/run_key": one.run_key},
                    instance=self.platform.instance,
                    raise_on_error=False,
                )
            )
        return len(wanted)

    def submit(self, one: dg.RunRequest, status: dg.DagsterRunStatus) -> dg.DagsterRun:
        """A run that is there and is not executed."""
        tags = {**one.tags, "dagster/run_key": str(one.run_key)}
        run = dg.DagsterRun(job_name=str(one.job_name), tags=tags, status=status)
        return self.platform.instance.add_run(run)


@pytest.fixture
def daemon(sandbox: Platform) -> Daemon:
    return Daemon(sandbox)


def test_a_history_and_an_export_are_requested_and_answered(daemon: Daemon) -> None:
    store_everything(daemon.platform.lake)
    query = ExportQuery(codes=[*SHARES, "NDX"], start=SESSIONS[0], columns=["date", "close"])
    history, export = (
        daemon.requests.request_history("NDX"),
        daemon.requests.request_export(query),
    )
    assert daemon.tick() == 2
    done = daemon.requests.get(history.id)
    assert (done.state, done.error) == (State.DONE, None)
    assert done.run_id in {run.run_id for run in daemon.started}
    assert daemon.platform.instance.get_dynamic_partitions(str(INSTRUMENTS.name)) == ["NDX"]
    assert isinstance(PriceReader(daemon.root).ohlcv("NDX"), Slice)

    answered = daemon.requests.get(export.id)
    assert answered.state is State.DONE
    path = daemon.requests.result(answered)
    assert path is not None
    rows = pq.read_table(path)
    assert answered.rows == len(rows)
    assert set(rows["code"].to_pylist()) == {*SHARES, "NDX"}
    [run] = [run for run in daemon.started if run.run_id == answered.run_id]
    told = metadata_of(run, "range_query")
    assert told["dagster/row_count"] == len(rows)
    assert told["codes missing"] == 0
    assert told["file"] == str(path)
    assert daemon.tick() == 0


def test_an_export_says_what_it_lacks(daemon: Daemon) -> None:
    store_everything(daemon.platform.lake)
    query = ExportQuery(codes=["600000.SH", "NDX"], format=Format.CSV)
    asked = daemon.requests.request_export(query)
    daemon.tick()
    [run] = daemon.started
    told = metadata_of(run, "range_query")
    assert told["codes missing"] == 1
    assert told["missing and why"] == "- NDX: NDX is not stored. Request its history, or track it."
    assert list(told["generations"]) == ["daily_prices"]
    note = json.loads((daemon.requests.exports / f"{asked.id}.json").read_text())
    assert note["missing"] == {"NDX": "NDX is not stored. Request its history, or track it."}


def test_a_history_that_came_meanwhile_needs_no_run_but_a_refresh_does(daemon: Daemon) -> None:
    daemon.platform.run_code("NDX")
    asked = daemon.requests.request_history("NDX")
    assert daemon.tick() == 0
    assert daemon.requests.get(asked.id).state is State.DONE
    refresh = daemon.requests.request_history("NDX", refresh=True)
    assert daemon.tick() == 1
    assert daemon.requests.get(refresh.id).state is State.DONE


def test_a_history_nobody_has_fails_with_the_reason_and_without_an_alert(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    sources = asking(ScriptedSource("Broken"))
    tushare = sandbox_tushare(tmp_path / "state")
    daemon = Daemon(Platform(tmp_path, tushare, instance, sources=sources))
    asked = daemon.requests.request_history("HSI")
    daemon.tick()
    failed = daemon.requests.get(asked.id)
    assert failed.state is State.FAILED
    assert "instrument_history HSI: no usable history" in str(failed.error)
    assert "Traceback" not in str(failed.error)

    [run] = daemon.started
    [event] = [event for event in run.all_events if event.is_run_failure]
    context = dg.build_run_status_sensor_context(
        "run_failure_alert", event, instance, run.dagster_run
    ).for_run_failure()
    with AlertServer().running() as server:
        alerts = AlertsResource(urls=server.address())
        lake = LakeResource(root=str(daemon.root), origin="test")
        run_failure_alert(context, lake=lake, alerts=alerts)
        assert list(server.told) == []
        alerts.send("reached", "x", context.log)
        assert len(server.told) == 1


@pytest.fixture
def lost(daemon: Daemon) -> tuple[Request, dg.DagsterRun]:
    """A request and its run, of which the sensor knows, and which will say nothing."""
    asked = daemon.requests.request_export(ExportQuery(codes=["HSI"]))
    [wanted] = daemon.wanted()
    run = daemon.submit(wanted, dg.DagsterRunStatus.STARTED)
    assert daemon.tick() == 0
    assert daemon.requests.get(asked.id).run_id == run.run_id
    assert daemon.requests.get(asked.id).state is State.RUNNING
    return asked, run


def test_a_killed_run_is_reported(daemon: Daemon, lost: tuple[Request, dg.DagsterRun]) -> None:
    asked, run = lost
    daemon.platform.instance.report_run_failed(run, "Exceeded maximum runtime of 900 seconds.")
    daemon.tick()
    assert daemon.requests.get(asked.id).state is State.FAILED
    assert "Exceeded maximum runtime" in str(daemon.requests.get(asked.id).error)


def test_a_canceled_run_is_reported(daemon: Daemon, lost: tuple[Request, dg.DagsterRun]) -> None:
    asked, run = lost
    daemon.platform.instance.report_run_canceled(run)
    daemon.tick()
    assert "The run was canceled" in str(daemon.requests.get(asked.id).error)


def test_a_deleted_run_is_reported(daemon: Daemon, lost: tuple[Request, dg.DagsterRun]) -> None:
    asked, run = lost
    daemon.platform.instance.delete_run(run.run_id)
    daemon.tick()
    assert "The run was deleted" in str(daemon.requests.get(asked.id).error)


def test_a_run_that_ended_without_its_report_is_reported_by_the_sensor(daemon: Daemon) -> None:
    store_everything(daemon.platform.lake)
    asked = daemon.requests.request_export(ExportQuery(codes=["600000.SH"]))
    daemon.tick()
    with sqlite3.connect(daemon.root / "state" / "requests.sqlite3") as connection:
        connection.execute("UPDATE requests SET state = 'running', finished = NULL, rows = NULL")
    connection.close()
    daemon.tick()
    done = daemon.requests.get(asked.id)
    assert (done.state, done.file) == (State.DONE, f"{asked.id}.parquet")
    assert done.rows


def test_a_second_run_of_a_request_reports_nothing(daemon: Daemon) -> None:
    store_everything(daemon.platform.lake)
    asked = daemon.requests.request_export(ExportQuery(codes=["600000.SH"]))
    daemon.requests.claim(1)
    daemon.requests.started(asked.id, "another run")
    job = daemon.platform.definitions.resolve_job_def("range_queries")
    assert job.execute_in_process(
        run_config={"ops": {"range_query": {"config": {"codes": ["600000.SH"]}}}},
        tags={REQUEST_TAG: asked.id},
        instance=daemon.platform.instance,
    ).success
    assert daemon.requests.get(asked.id).state is State.RUNNING


def test_a_question_that_is_not_understood_is_told(daemon: Daemon) -> None:
    job = daemon.platform.definitions.resolve_job_def("range_queries")
    result = job.execute_in_process(
        run_config={"ops": {"range_query": {"config": {"codes": ["nonsense"]}}}},
        instance=daemon.platform.instance,
        raise_on_error=False,
    )
    [event] = [event for event in result.all_events if event.is_step_failure]
    assert "codes: Value error, 'nonsense' is no code" in str(event.step_failure_data.error)


def test_a_stored_question_of_another_version_holds_no_other_up(daemon: Daemon) -> None:
    store_everything(daemon.platform.lake)
    query = ExportQuery(codes=["600000.SH"])
    old, new = daemon.requests.request_export(query), daemon.requests.request_export(query)
    with sqlite3.connect(daemon.root / "state" / "requests.sqlite3") as connection:
        changed = old.export_query.model_dump_json().replace("turnover", "value")
        connection.execute("UPDATE requests SET query = ? WHERE id = ?", (changed, old.id))
    connection.close()
    assert daemon.tick() == 1
    assert "does not understand the question" in str(daemon.requests.get(old.id).error)
    assert daemon.requests.get(new.id).state is State.DONE


CODES = [f"{100_000 + n}.CSI" for n in range(repeats(270, 900))]
EXPORTS = repeats(30, 100)
KILLS = 3
PATIENCE_SECONDS = 240


def let_claims_lapse(root: Path) -> None:
    with sqlite3.connect(root / "state" / "requests.sqlite3") as connection:
        seconds = CLAIM_LASTS.total_seconds()
        connection.execute("UPDATE requests SET claimed = claimed - ? - 1", (seconds,))
    connection.close()


def tick_for_ever(root: Path, history: Path) -> None:
    """A sensor daemon: ticks, and submits the runs of every tick."""
    with dg.DagsterInstance.local_temp(str(history)) as instance:
        daemon = Daemon(Platform(root, sandbox_tushare(root / "state"), instance))
        while True:
            for one in daemon.wanted():
                daemon.submit(one, dg.DagsterRunStatus.NOT_STARTED)


@pytest.mark.slow
def test_requests_with_two_daemons_that_are_killed_are_answered_once_each(
    processes: ForkServerContext, tmp_path: Path
) -> None:
    root, history, chance = tmp_path / "data", tmp_path / "history", random.Random(300)
    history.mkdir()
    requests = Requests(root, most_open_exports=EXPORTS)
    asked = [requests.request_history(code).id for code in CODES]
    query = ExportQuery(codes=["HSI"])
    asked += [requests.request_export(query).id for _ in range(EXPORTS)]

    running: list[BaseProcess] = []

    def start() -> None:
        running.append(processes.Process(target=tick_for_ever, args=(root, history)))
        running[-1].start()

    def kill() -> None:
        victim = running.pop(0)
        victim.kill()
        victim.join(60)

    with dg.DagsterInstance.local_temp(str(history)) as instance:

        def until(is_so: Callable[..., bool]) -> None:
            end = time.monotonic() + PATIENCE_SECONDS
            while time.monotonic() < end:
                if is_so():
                    return
                running[0].join(0.3)
            raise AssertionError(f"{instance.get_runs_count()} runs, {requests.open_counts()}")

        start()
        start()
        try:
            for number in range(1, KILLS + 1):
                count = len(asked) * number // 5
                until(lambda count=count: instance.get_runs_count() >= count)
                running[0].join(chance.uniform(0, 0.1))
                kill()
                start()
            until(lambda: not requests.open_counts()[RequestKind.HISTORY, State.QUEUED])
            until(lambda: not requests.open_counts()[RequestKind.EXPORT, State.QUEUED])
        finally:
            while running:
                kill()
        # What a killed daemon had claimed and not submitted, is claimed again after a while.
        lost = len(asked) - instance.get_runs_count()
        let_claims_lapse(root)
        start()
        start()
        try:
            until(lambda: instance.get_runs_count() == len(asked))
        finally:
            while running:
                kill()
        assert lost, "no daemon was killed between claiming and submitting"

        runs = instance.get_runs()
        by_request = Counter(run.tags[REQUEST_TAG] for run in runs)
        assert set(by_request) == set(asked)
        assert set(by_request.values()) == {1}
        last = Daemon(Platform(root, sandbox_tushare(root / "state"), instance))
        assert last.wanted() == []
        # Every run ends, and reports as its job does.
        for run in runs:
            assert requests.started(run.tags[REQUEST_TAG], run.run_id)
            assert requests.finish(run.tags[REQUEST_TAG])
        outcomes = [requests.get(one) for one in asked]
        assert {one.state for one in outcomes} == {State.DONE}
        assert {one.run_id for one in outcomes} == {run.run_id for run in runs}
        assert last.wanted() == []
