"""What a user sees of a failed run: our sentence in one screen, or the trace of a surprise.

The commands are processes of their own; what single failures look like is tried in this one.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from marketdata_assets.console import leave_out_expected_traces
from marketdata_assets.resources.tushare_errors import BadToken, NotPublishedYet
from marketdata_assets_tests import PROJECT
from marketdata_assets_tests.dagster_home import shipped_instance
from marketdata_assets_tests.small_market import SmallMarket
from marketdata_sandbox.protocol import TushareProtocol
from marketdata_sandbox.server import TushareServer

TRACE = "Stack Trace"
SCREEN = 24


def materialize(home: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """`dagster asset materialize` as typed, with no instance of its own."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if "TUSHARE" not in name and name != "DAGSTER_HOME"
    }
    own = {"MARKETDATA_HOME": str(home), "HOME": str(home), "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, "-m", "dagster", "asset", "materialize", *arguments],
        env={**clean, **own, **settings},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_bad_token_is_told_in_one_screen_and_without_a_trace(tmp_path: Path) -> None:
    with TushareServer(TushareProtocol(SmallMarket(), token="the right one")).running() as server:
        run = materialize(
            tmp_path,
            *("-m", "marketdata_assets.definitions", "--select", "trade_calendar"),
            TUSHARE_TOKEN="a wrong one",
            TUSHARE_URL=server.url,
        )
    shown = run.stdout + run.stderr
    assert run.returncode != 0
    # Of the run; of the step too, unless Dagster ends its `tail` before that has read it.
    of_the_step, of_the_run = shown.split("RUN_FAILURE")
    assert of_the_run.count("Tushare trade_cal(exchange=SSE") == 1
    assert of_the_step.count("Tushare trade_cal(exchange=SSE") == of_the_step.count("STEP_FAILURE")
    assert BadToken.cure in shown
    assert TRACE not in shown
    assert 'File "' not in shown
    told, _ = shown.split("Materialization failed.")
    assert len(told.splitlines()) < SCREEN


UNEXPECTED = """
import dagster as dg
from marketdata_assets.console import leave_out_expected_traces

@dg.asset
def broken() -> None:
    raise ZeroDivisionError("nobody expected this")

leave_out_expected_traces()
defs = dg.Definitions(assets=[broken])
"""


def test_what_nobody_expected_keeps_its_trace(tmp_path: Path) -> None:
    module = tmp_path / "unexpected.py"
    module.write_text(UNEXPECTED)
    run = materialize(tmp_path, "-f", str(module), "--select", "broken")
    assert run.returncode != 0
    assert "ZeroDivisionError: nobody expected this" in run.stderr
    assert TRACE in run.stderr
    assert f'File "{module}"' in run.stderr


@pytest.fixture
def sparing() -> Iterator[None]:
    before = logging.getLoggerClass()
    leave_out_expected_traces()
    yield
    logging.setLoggerClass(before)


def printed(
    fault: Exception, capsys: pytest.CaptureFixture[str], retries: int = 0
) -> tuple[str, dg.ExecuteInProcessResult]:
    @dg.op(retry_policy=dg.RetryPolicy(max_retries=retries, delay=0))
    def failing() -> None:
        raise fault

    @dg.job
    def doomed() -> None:
        failing()

    result = doomed.execute_in_process(raise_on_error=False)
    return capsys.readouterr().err, result


OURS = NotPublishedYet("daily", {"trade_date": "20250403"}, "no row.")


@pytest.mark.usefixtures("sparing")
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [(dg.Failure("Do this.\n\nThen that."), "Do this.\n\nThen that."), (OURS, str(OURS))],
    ids=["a failure", "an error of ours"],
)
def test_an_expected_failure_is_its_sentence_and_the_event_log_keeps_the_whole(
    fault: Exception, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown, result = printed(fault, capsys)
    assert f'Execution of step "failing" failed.\n\n{sentence}\n' in shown
    assert TRACE not in shown
    [failed] = [event for event in result.all_events if event.is_step_failure]
    error = failed.step_failure_data.error
    assert error is not None
    assert TRACE in error.to_string()


@pytest.mark.usefixtures("sparing")
def test_a_failure_that_is_tried_again_is_its_sentence_each_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown, _ = printed(OURS, capsys, retries=2)
    # Twice to be tried again, then of the step and of the run.
    assert shown.count(str(OURS)) == 4
    assert TRACE not in shown


@pytest.mark.usefixtures("sparing")
def test_an_error_of_another_kind_keeps_its_trace_in_this_process_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown, _ = printed(KeyError("x"), capsys)
    assert TRACE in shown


def test_a_warning_about_the_vendor_s_rows_is_in_the_log_of_its_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    @dg.op
    def fetching() -> None:
        logging.getLogger("marketdata_assets.resources.tushare_answers").warning("told twice")

    @dg.job
    def watched() -> None:
        fetching()

    with shipped_instance(tmp_path) as instance:
        run = watched.execute_in_process(instance=instance)
        told = [entry.user_message for entry in instance.all_logs(run.run_id)]
    assert told.count("told twice") == 1
    assert "fetching - told twice" in capsys.readouterr().err


def test_in_dev_a_run_is_one_line_and_its_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    @dg.op
    def fetching(context: dg.OpExecutionContext) -> None:
        context.log.info("10 of 60 days fetched")
        context.log.warning("one row is odd")

    @dg.job
    def watched() -> None:
        fetching()

    before = logging.getLoggerClass()
    leave_out_expected_traces("warning")
    watched.execute_in_process()
    leave_out_expected_traces()
    logging.setLoggerClass(before)
    warning, end = capsys.readouterr().err.splitlines()
    assert warning.endswith("fetching - one row is odd")
    assert 'RUN_SUCCESS - Finished execution of run for "watched"' in end
