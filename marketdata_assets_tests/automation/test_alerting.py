"""What people are told, by the sensors over real runs and a real channel."""

import datetime as dt
import errno
import pickle
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.tags import WILL_RETRY_TAG

from marketdata_assets.automation import alerting
from marketdata_assets.automation.alerting import (
    TOLD_AT_TRY,
    calendar_end_alert,
    failed_checks_alert,
    incomplete_day_alert,
    run_failure_alert,
)
from marketdata_assets.automation.day_runs import Span
from marketdata_assets.automation.series_sensor import TRY_TAG
from marketdata_assets.environment import resources
from marketdata_assets.resources.alerts import AlertsResource
from marketdata_assets.storage.durable_files import refusals_told
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.tables import ETF_PREMIUM, STORED_TABLES
from marketdata_assets.trading_calendar import SHANGHAI, last_published_session, previous_session
from marketdata_assets_tests.alert_server import TOKEN, AlertServer
from marketdata_assets_tests.conftest import CHAIN, QUIET, Platform
from marketdata_assets_tests.edited_market import EditedMarket, halted, platform_over

DAY = dt.date(2024, 10, 15)


@pytest.fixture
def alerts(alert_server: AlertServer, monkeypatch: pytest.MonkeyPatch) -> AlertsResource:
    """As the platform makes it of its setting."""
    monkeypatch.setenv("ALERT_URLS", alert_server.address())
    made: Any = resources()["alerts"]
    assert TOKEN not in repr(made)
    assert TOKEN.encode() not in pickle.dumps(made)
    return made.process_config_and_initialize()


def after(
    sensor: Any, event: dg.DagsterEvent, run: dg.DagsterRun, instance: dg.DagsterInstance
) -> dg.RunStatusSensorContext:
    context = dg.build_run_status_sensor_context(
        sensor_name=sensor.name, dagster_event=event, dagster_instance=instance, dagster_run=run
    )
    return context.for_run_failure() if sensor is run_failure_alert else context


def tell_of(
    sensor: Callable,
    result: dg.ExecuteInProcessResult,
    instance: dg.DagsterInstance,
    alerts: AlertsResource,
    root: Path = Path("nowhere"),
) -> None:
    [event] = [e for e in result.all_events if e.is_run_failure or e.event_type_value == SUCCESS]
    lake = LakeResource(root=str(root), origin="test")
    sensor(after(sensor, event, result.dagster_run, instance), lake=lake, alerts=alerts)


SUCCESS = dg.DagsterEventType.RUN_SUCCESS.value


def test_a_failed_run_tells_its_days_its_steps_and_what_they_said(
    sandbox: Platform, alert_server: AlertServer, alerts: AlertsResource
) -> None:
    first = dt.date(2024, 10, 14)
    result = sandbox.run(first, DAY, assets=["daily_prices"])
    assert not result.success
    tell_of(run_failure_alert, result, sandbox.instance, alerts)
    [told] = alert_server.told
    assert told["title"] == "__ASSET_JOB failed for 2024-10-14 … 2024-10-15"
    assert "daily_prices: " in told["message"]
    for day in (first, DAY):
        assert f"daily_prices {day}: stock_list not stored, " in told["message"]
    assert "Materialize what is missing first" in told["message"]
    assert "Traceback" not in told["message"]
    assert result.run_id in told["message"]


def test_what_the_platform_says_of_a_failure_is_told_and_not_what_lies_below(
    sandbox: Platform, alert_server: AlertServer, alerts: AlertsResource
) -> None:
    @dg.op
    def stored() -> None:
        with refusals_told("The series could not be written; it is as it was before"):
            raise OSError(errno.ENOSPC, "No space left on device")

    @dg.job
    def series() -> None:
        stored()

    result = series.execute_in_process(instance=sandbox.instance, raise_on_error=False)
    tell_of(run_failure_alert, result, sandbox.instance, alerts)
    [told] = alert_server.told
    assert "stored: The series could not be written; it is as it was before" in told["message"]
    assert "(No space left on device). Make room" in told["message"]


def test_a_run_that_was_killed_is_told_too(
    sandbox: Platform, alert_server: AlertServer, alerts: AlertsResource
) -> None:
    job = sandbox.definitions.get_repository_def().get_job("daily_chain")
    run = sandbox.instance.create_run_for_job(job, tags={"dagster/partition": str(DAY)})
    event = sandbox.instance.report_run_failed(run, "The run's process ended without a word.")
    context = after(run_failure_alert, event, run, sandbox.instance)
    run_failure_alert(context, lake=LakeResource(root="nowhere", origin="test"), alerts=alerts)
    [told] = alert_server.told
    assert told["title"] == "daily_chain failed for 2024-10-15"
    assert "ended without a word" in told["message"]


def test_a_series_that_does_not_succeed_is_told_once_when_it_was_tried_for_an_hour(
    sandbox: Platform, alert_server: AlertServer, alerts: AlertsResource
) -> None:
    for number in range(1, TOLD_AT_TRY + 3):
        tags = {TRY_TAG: str(number)}
        result = sandbox.run(assets=["price_series"], more_tags=tags)
        assert not result.success
        tell_of(run_failure_alert, result, sandbox.instance, alerts)
        assert len(alert_server.told) == (number >= TOLD_AT_TRY)
    assert "daily_prices is not stored" in alert_server.told[0]["message"]
    # By hand there is somebody who waits.
    result = sandbox.run(assets=["price_series"])
    tell_of(run_failure_alert, result, sandbox.instance, alerts)
    assert len(alert_server.told) == 2


def test_a_run_that_is_started_again_is_not_told_and_the_last_one_is(
    sandbox: Platform, alert_server: AlertServer, alerts: AlertsResource
) -> None:
    job = sandbox.definitions.get_repository_def().get_job("daily_chain")
    for is_again in ("true", "false"):
        run = sandbox.instance.create_run_for_job(job, tags={WILL_RETRY_TAG: is_again})
        event = sandbox.instance.report_run_failed(run, f"Its process is gone; again: {is_again}")
        context = after(run_failure_alert, event, run, sandbox.instance)
    run_failure_alert(context, lake=LakeResource(root="nowhere", origin="test"), alerts=alerts)
    [told] = alert_server.told
    assert "again: false" in told["message"]


def test_a_late_day_ends_its_run_at_once_and_is_told_on_no_evening_of_its_own(
    tmp_path: Path,
    alert_server: AlertServer,
    alerts: AlertsResource,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    market = EditedMarket({("adj_factor", DAY): lambda _: []})
    with platform_over(market, tmp_path) as platform:
        # With the retry policy of the evening, which waits for a vendor that can't be reached.
        late = platform.definitions.resolve_job_def("daily_chain").execute_in_process(
            partition_key=str(DAY),
            asset_selection=[dg.AssetKey("adj_factor")],
            instance=platform.instance,
            run_config=QUIET,
            raise_on_error=False,
        )
        assert not late.success
        assert not late.filter_events(lambda event: event.is_step_up_for_retry)
        today = dt.datetime.now(SHANGHAI).date()
        for day in (today, today - dt.timedelta(days=1)):
            span = Span(day, day)
            monkeypatch.setattr(alerting, "days_of_run", lambda _, span=span: span)
            tell_of(run_failure_alert, late, platform.instance, alerts)
    [told] = alert_server.told
    assert told["title"].endswith(f" for {today - dt.timedelta(days=1)}")
    assert "no row for adj_factor on 2024-10-15" in told["message"]
    assert "it is asked for again by itself" in told["message"]


def checked(passed: bool, severity: dg.AssetCheckSeverity) -> dg.AssetsDefinition:
    @dg.asset(name="bars", check_specs=[dg.AssetCheckSpec("units", asset="bars")])
    def bars() -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
        yield dg.MaterializeResult()
        yield dg.AssetCheckResult(
            passed=passed, severity=severity, description="2024-10-15: 3 rows in shares, not 手"
        )

    return bars


@pytest.mark.parametrize("severity", list(dg.AssetCheckSeverity))
def test_a_check_that_failed_without_stopping_the_run_is_told(
    severity: dg.AssetCheckSeverity,
    instance: dg.DagsterInstance,
    alert_server: AlertServer,
    alerts: AlertsResource,
) -> None:
    for passed in (True, False):
        result = dg.materialize([checked(passed, severity)], instance=instance, run_config=QUIET)
        tell_of(failed_checks_alert, result, instance, alerts)
    if severity is dg.AssetCheckSeverity.WARN:
        # Single rows are findings, told when they are new.
        assert alert_server.told == []
        return
    [told] = alert_server.told
    assert told["title"].startswith("1 check(s) failed in ")
    assert f"bars, check units ({severity.value}): 2024-10-15: 3 rows" in told["message"]


def test_what_is_found_for_the_first_time_is_told_once(
    tmp_path: Path, alert_server: AlertServer, alerts: AlertsResource
) -> None:
    market = EditedMarket({("suspend_d", DAY): halted("600000.SH")})
    with platform_over(market, tmp_path) as platform:
        for _ in range(2):
            result = platform.run(DAY)
            assert result.success
            tell_of(failed_checks_alert, result, platform.instance, alerts, tmp_path)
    [told] = alert_server.told
    assert told["title"] == "1 new finding(s) in __ASSET_JOB for 2024-10-15"
    assert (
        "2024-10-15 600000.SH, daily_prices.suspension_contradicted (flagged): listed true"
    ) in told["message"]


def test_what_a_run_found_is_told_too_where_its_publication_failed(
    tmp_path: Path, alert_server: AlertServer, alerts: AlertsResource
) -> None:
    market = EditedMarket({("suspend_d", DAY): halted("600000.SH")})
    with platform_over(market, tmp_path) as platform:
        in_the_way = tmp_path / "dataset"
        in_the_way.touch()
        failed = platform.run(DAY, assets=[*CHAIN, "hf_dataset"])
        assert not failed.success
        tell_of(run_failure_alert, failed, platform.instance, alerts, tmp_path)
        in_the_way.unlink()
        published = platform.run(DAY, assets=["hf_dataset"])
        assert published.success
        tell_of(failed_checks_alert, published, platform.instance, alerts, tmp_path)
    [told] = alert_server.told
    assert "hf_dataset: " in told["message"]
    assert "600000.SH, daily_prices.suspension_contradicted (flagged)" in told["message"]


def test_a_run_that_has_waited_does_not_tell_what_another_found_and_told_meanwhile(
    tmp_path: Path, alert_server: AlertServer, alerts: AlertsResource
) -> None:
    market = EditedMarket({("suspend_d", DAY): halted("600000.SH")})
    with platform_over(market, tmp_path) as platform:
        instance = platform.instance
        waiting = instance.create_run_for_job(
            platform.definitions.resolve_job_def("etf_chain"),
            tags={"dagster/partition": str(DAY)},
        )
        found = platform.run(DAY)
        for kind in (dg.DagsterEventType.RUN_START, dg.DagsterEventType.RUN_SUCCESS):
            event = dg.DagsterEvent(kind.value, waiting.job_name, message="as its process says")
            instance.report_dagster_event(event, waiting.run_id)
        tell_of(failed_checks_alert, found, instance, alerts, tmp_path)
        context = after(failed_checks_alert, event, waiting, instance)
        lake = LakeResource(root=str(tmp_path), origin="test")
        failed_checks_alert(context, lake=lake, alerts=alerts)
    [told] = alert_server.told
    assert found.run_id in told["message"]


def pretend_complete(sandbox: Platform, *without: str) -> None:
    for name in set(CHAIN) - set(without):
        path = sandbox.lake.path(STORED_TABLES[name], DAY)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    if "hf_dataset" not in without:
        record = dg.AssetMaterialization("hf_dataset", partition=str(DAY))
        sandbox.instance.report_runless_asset_event(record)


def watch(
    sandbox: Platform, alerts: AlertsResource, cursor: str | None = None
) -> tuple[str, str | None]:
    """What the sensor says in the UI, and its cursor afterwards."""
    context = dg.build_sensor_context(instance=sandbox.instance, cursor=cursor)
    resource = LakeResource(root=str(sandbox.lake.root), origin="test")
    result = incomplete_day_alert(context, lake=resource, alerts=alerts)
    if isinstance(result, dg.SkipReason):
        return result.skip_message, cursor
    return result.skip_reason.skip_message, result.cursor


@pytest.fixture
def due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerting, "sessions_due", lambda *_: [DAY])


def test_a_complete_day_is_no_news(sandbox: Platform, alert_server, alerts, due) -> None:
    pretend_complete(sandbox)
    assert watch(sandbox, alerts) == ("2024-10-15 is complete", None)
    assert alert_server.told == []


def test_a_day_that_is_not_complete_is_told_once_with_what_is_missing(
    sandbox: Platform, alert_server, alerts, due
) -> None:
    pretend_complete(sandbox, "daily_basic", "daily_prices", "hf_dataset")
    _, cursor = watch(sandbox, alerts)
    assert cursor == str(DAY)
    [told] = alert_server.told
    assert told["title"] == "2024-10-15 is not complete"
    assert "not stored: daily_basic, daily_prices" in told["message"]
    assert "not published: hf_dataset" in told["message"]
    assert watch(sandbox, alerts, cursor) == ("2024-10-15: told already", cursor)
    assert len(alert_server.told) == 1


def test_funds_are_missed_where_there_were_some_before(
    sandbox: Platform, alert_server, alerts, due
) -> None:
    pretend_complete(sandbox)
    day_before = sandbox.lake.path(ETF_PREMIUM, previous_session(DAY))
    day_before.parent.mkdir(parents=True)
    day_before.touch()
    watch(sandbox, alerts)
    [told] = alert_server.told
    assert (
        "not stored: etf_coverage, etf_kline, etf_list, etf_nav, etf_premium\n" in told["message"]
    )


def test_a_day_is_told_again_until_a_channel_took_it(
    sandbox: Platform, alert_server, alerts, due
) -> None:
    pretend_complete(sandbox, "hf_dataset")
    alert_server.faults["alert"] = deque([lambda handler: handler.reply(500)])
    _, cursor = watch(sandbox, alerts)
    assert cursor is None
    _, cursor = watch(sandbox, alerts, cursor)
    assert cursor == str(DAY)
    assert "not stored" not in alert_server.told[0]["message"]


def test_before_any_session_is_due_nothing_is_told(
    sandbox: Platform, alert_server, alerts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerting, "sessions_due", lambda *_: [])
    assert watch(sandbox, alerts) == ("no trading day is due", None)


def test_a_channel_that_fails_fails_no_sensor_and_its_token_is_in_no_event_or_output(
    sandbox: Platform, alert_server, alerts, capfd, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(1)
    alert_server.faults["alert"] = deque([lambda handler: handler.reply(500)])
    result = sandbox.run(DAY, assets=["daily_prices"])
    tell_of(run_failure_alert, result, sandbox.instance, alerts)
    events = sandbox.instance.all_logs(result.run_id)
    seen = "".join(map(str, events)) + caplog.text + "".join(capfd.readouterr())
    assert "was not told" in seen
    assert TOKEN not in seen
    assert "/hook/" not in seen


def test_the_sensors_are_on() -> None:
    for sensor in (
        run_failure_alert,
        failed_checks_alert,
        incomplete_day_alert,
        calendar_end_alert,
    ):
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING


def test_the_end_of_the_calendar_is_told_once_before_and_once_after(
    alert_server, alerts, monkeypatch: pytest.MonkeyPatch
) -> None:
    last, cursor = last_published_session(), None
    noon = dt.datetime.combine(last, dt.time(12), SHANGHAI)
    for days in (-40, -29, -28, 0, 1, 2):
        now = noon + dt.timedelta(days)
        clock = type("Clock", (dt.datetime,), {"now": classmethod(lambda _, zone, at=now: at)})
        with monkeypatch.context() as patched:
            patched.setattr("marketdata_assets.automation.alerting.dt.datetime", clock)
            result = calendar_end_alert(dg.build_sensor_context(cursor=cursor), alerts=alerts)
        cursor = result.cursor if isinstance(result, dg.SensorResult) else cursor
    early, late = alert_server.told
    assert early["title"] == f"The trading calendar ends at {last}"
    assert late["title"] == f"The trading calendar has ended at {last}: no new day is made"
    assert "pip install --upgrade exchange_calendars" in early["message"]


def test_a_clock_that_is_set_back_tells_no_day_again(
    sandbox: Platform, alert_server, alerts, due
) -> None:
    assert watch(sandbox, alerts, "2024-10-16") == ("2024-10-15: told already", "2024-10-16")
    assert alert_server.told == []
