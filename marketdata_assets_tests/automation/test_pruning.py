"""Pruning the run history: what goes, and that what counts stays."""

import datetime as dt
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from marketdata_assets.automation.pruning import (
    LOGS_AT_MOST,
    history_pruning,
    history_size_sensor,
    prune_runs,
)
from marketdata_assets.storage.dagster_sqlite import EventLog
from marketdata_assets.storage.run_history import give_back_room
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.conftest import QUIET, Platform
from marketdata_assets_tests.dagster_home import outcomes, partitions, shipped_instance
from marketdata_assets_tests.edited_market import EditedMarket, changed, platform_over

DAYS = sessions_between(dt.date(2024, 9, 23), dt.date(2024, 9, 25))
TABLES = ("daily_kline", "adj_factor")
ODD = {("daily", DAYS[1]): changed("600000.SH", change=3.0)}


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with (
        shipped_instance(tmp_path / "dagster") as instance,
        platform_over(EditedMarket(ODD), tmp_path, instance) as platform,
    ):
        yield platform


def log_of(platform: Platform) -> EventLog:
    log = platform.instance.event_log_storage
    assert isinstance(log, EventLog)
    return log


def latest_ids(instance: dg.DagsterInstance) -> list[dict[str, int]]:
    """Of both tables, the event that made each partition last."""
    made, storage = dg.DagsterEventType.ASSET_MATERIALIZATION, instance.event_log_storage
    return [
        dict(storage.get_latest_storage_id_by_partition(dg.AssetKey(name), made)) for name in TABLES
    ]


def created(platform: Platform, run_id: str) -> dt.datetime:
    record = platform.instance.get_run_record_by_id(run_id)
    assert record
    return record.create_timestamp


def test_the_partitions_and_the_last_outcomes_stay(platform: Platform) -> None:
    instance, log = platform.instance, log_of(platform)
    superseded = platform.run(DAYS[0], assets=TABLES)
    for first, last in ((0, 0), (1, 1), (1, 2)):
        assert platform.run(DAYS[first], DAYS[last], assets=TABLES).success
    now = dt.datetime.now(dt.UTC)
    known, told = partitions(instance), outcomes(platform)
    assert known == {name: {str(day) for day in DAYS} for name in TABLES}
    assert "FAILED" in told.values()
    latest = latest_ids(instance)

    prune_runs(instance, log, now)

    assert partitions(instance) == known
    assert outcomes(platform) == told
    assert latest_ids(instance) == latest
    assert list(log.index.parent.glob("*-*.db")) == []
    kept = set(instance.get_run_ids())
    # Its day was made and checked again since.
    assert superseded.run_id not in kept
    assert len(kept) == 3

    prune_runs(instance, log, now)
    assert partitions(instance) == known
    assert platform.run(DAYS[0], assets=TABLES).success
    assert partitions(instance) == known


def test_a_younger_run_keeps_its_log_and_its_plans(platform: Platform) -> None:
    instance, log = platform.instance, log_of(platform)
    old, young = (platform.run(day, assets=TABLES).run_id for day in DAYS[:2])
    events = instance.all_logs(young)
    assert prune_runs(instance, log, created(platform, young)) == 1
    assert instance.all_logs(young) == events
    # Also to who has seen its events before.
    assert instance.all_logs(old) == []
    assert instance.get_run_by_id(old)


def test_a_run_that_has_not_ended_is_left_alone(platform: Platform) -> None:
    instance, log = platform.instance, log_of(platform)
    run = instance.create_run_for_job(
        platform.definitions.resolve_job_def("calendar_check"),
        status=dg.DagsterRunStatus.STARTED,
    )
    instance.report_engine_event("under way", run)
    prune_runs(instance, log, dt.datetime.now(dt.UTC))
    assert instance.get_run_by_id(run.run_id)
    assert instance.all_logs(run.run_id)


def test_of_young_logs_the_oldest_go_where_they_are_too_large(platform: Platform) -> None:
    instance, log = platform.instance, log_of(platform)
    runs = [platform.run(day, assets=TABLES).run_id for day in DAYS]
    room = sum(log.own(run_id).stat().st_size for run_id in runs[1:])
    assert prune_runs(instance, log, created(platform, runs[0]), at_most=room) == 0
    assert [log.own(run_id).exists() for run_id in runs] == [False, True, True]
    assert set(instance.get_run_ids()) == set(runs)


def test_logs_that_outgrow_their_room_by_day_are_not_left_until_the_morning(
    platform: Platform,
) -> None:
    log, job = log_of(platform), platform.definitions.resolve_job_def(history_pruning.name)
    old, young = (platform.run(day, assets=TABLES).run_id for day in DAYS[:2])

    def asked_for() -> object:
        return history_size_sensor(dg.build_sensor_context(instance=platform.instance))

    assert isinstance(asked_for(), dg.SkipReason)
    os.truncate(log.own(old), LOGS_AT_MOST)
    assert isinstance(asked_for(), dg.RunRequest)
    assert job.execute_in_process(instance=platform.instance).success
    assert [log.own(run_id).exists() for run_id in (old, young)] == [False, True]
    assert isinstance(asked_for(), dg.SkipReason)


def test_the_index_shrinks(platform: Platform) -> None:
    log = log_of(platform)
    for _ in range(4):
        assert platform.run(DAYS[0], DAYS[-1], assets=TABLES).success
    before = log.index.stat().st_size
    prune_runs(platform.instance, log, dt.datetime.now(dt.UTC))
    known = partitions(platform.instance)
    give_back_room(log.index)
    assert log.index.stat().st_size < before / 2
    assert partitions(platform.instance) == known


def test_the_job_prunes_what_is_older_than_the_setting_says(
    tmp_path: Path, platform: Platform
) -> None:
    young = platform.run(DAYS[0], assets=TABLES)
    log, job = log_of(platform), platform.definitions.resolve_job_def(history_pruning.name)
    assert job.execute_in_process(instance=platform.instance).success
    assert log.own(young.run_id).exists()
    with sqlite3.connect(tmp_path / "dagster" / "history" / "runs.db") as connection:
        connection.execute("UPDATE runs SET create_timestamp = datetime('now', '-31 days')")
    connection.close()
    assert job.execute_in_process(instance=platform.instance).success
    assert not log.own(young.run_id).exists()
    assert partitions(platform.instance) == {name: {str(DAYS[0])} for name in TABLES}


def test_a_history_that_is_kept_for_ever_is_bounded_in_size_all_the_same(
    platform: Platform,
) -> None:
    log, old = log_of(platform), platform.run(DAYS[0], assets=TABLES).run_id
    young = platform.run(DAYS[1], assets=TABLES).run_id
    os.truncate(log.own(old), LOGS_AT_MOST)
    for_ever = {"run_history_days": 1_000_000}
    assert history_pruning.execute_in_process(
        instance=platform.instance, resources=for_ever, run_config=QUIET
    ).success
    assert [log.own(run_id).exists() for run_id in (old, young)] == [False, True]
    assert platform.instance.get_run_by_id(old)


def test_history_elsewhere_than_in_sqlite_is_left_alone(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    job = platform.definitions.resolve_job_def(history_pruning.name)
    run = job.execute_in_process(instance=instance)
    told = [entry.user_message for entry in instance.all_logs(run.run_id)]
    assert any("nothing is pruned" in line for line in told)
