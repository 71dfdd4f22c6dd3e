"""Dagster's databases: what a stored day costs, and that old and new read each other."""

import datetime as dt
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from marketdata_assets.storage.run_history import daemon_beats, days_made, switched_off
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.conftest import CHAIN
from marketdata_assets_tests.dagster_home import history, outcomes, partitions, shipped_instance
from marketdata_assets_tests.edited_market import EditedMarket, changed, platform_over

DAYS = sessions_between(dt.date(2024, 9, 23), dt.date(2024, 9, 30))
TABLES = ("daily_kline", "adj_factor")
# Of 12 tables with 51 checks, in a range of three. The definition of the partitions is 39 kB.
MOST_BYTES_A_DAY = 110_000
MOST_BYTES_A_RUN = 5_000


def test_a_stored_day_costs_little_in_the_index(tmp_path: Path) -> None:
    with (
        shipped_instance(tmp_path / "dagster") as instance,
        platform_over(EditedMarket({}), tmp_path, instance) as platform,
    ):
        index = tmp_path / "dagster" / "history" / "runs" / "index.db"
        empty = content(index, "event_logs", "event")
        assert platform.run(DAYS[0], DAYS[2], assets=CHAIN).success
        told = content(index, "event_logs", "event")
        told += content(index, "asset_check_executions", "evaluation_event")
    assert (told - empty) / 3 < MOST_BYTES_A_DAY
    runs = tmp_path / "dagster" / "history" / "runs.db"
    assert content(runs, "runs", "run_body") < MOST_BYTES_A_RUN


def test_databases_whose_tables_are_not_made_yet_tell_nothing(tmp_path: Path) -> None:
    for name in ("history/runs.db", "history/runs/index.db", "schedules/schedules.db"):
        database = tmp_path / name
        database.parent.mkdir(parents=True, exist_ok=True)
        database.touch()
    assert days_made(tmp_path, "daily_prices") == {}
    assert switched_off(tmp_path) == frozenset()
    assert not daemon_beats(tmp_path, dt.datetime.now(dt.UTC))


def content(database: Path, table: str, column: str) -> int:
    with sqlite3.connect(database) as connection:
        [[size]] = connection.execute(f"SELECT coalesce(sum(length({column})), 0) FROM {table}")
    connection.close()
    return int(size)


def test_an_event_is_read_as_it_was_told_but_for_the_tags_of_its_log_line(tmp_path: Path) -> None:
    with (
        shipped_instance(tmp_path / "dagster") as instance,
        platform_over(EditedMarket({}), tmp_path, instance) as platform,
    ):
        run = platform.run(DAYS[0], assets=TABLES)
        kept = [entry.dagster_event for entry in instance.all_logs(run.run_id)]
    told = [event._replace(logging_tags={}) for event in run.all_events]
    assert any(event.is_step_materialization for event in told)
    assert [event for event in told if event not in kept] == []


def test_the_index_stays_open_while_a_run_makes_something_and_no_longer(tmp_path: Path) -> None:
    """What is new lies beside a database that is open, and is written into one that is closed, as
    that of the run is at every event: Dagster's UI watches it."""
    runs = tmp_path / "dagster" / "history" / "runs"
    seen = []

    @dg.op
    def look(context: dg.OpExecutionContext) -> None:
        context.log.info("a line")
        seen.append(sorted(file.name for file in runs.glob("*.db-wal")))

    @dg.job
    def looking() -> None:
        look()

    with shipped_instance(tmp_path / "dagster") as instance:
        assert looking.execute_in_process(instance=instance).success
        assert seen == [["index.db-wal"]]
        assert list(runs.glob("*.db-wal")) == []


def test_of_events_that_come_together_all_are_stored_or_none(tmp_path: Path) -> None:
    """In either database: Dagster stores them one by one when it is refused all of them."""
    with (
        shipped_instance(tmp_path / "dagster") as instance,
        platform_over(EditedMarket({}), tmp_path, instance) as platform,
    ):
        run_id = platform.run(DAYS[0], DAYS[2], assets=TABLES).run_id
        storage = instance.event_log_storage
        events = [one for one in instance.all_logs(run_id) if one.dagster_event]
        made = [one for one in events if one.get_dagster_event().is_step_materialization]
        known = partitions(instance)
        unlike: Any = "no event"
        with pytest.raises(AttributeError):
            storage.store_event_batch([*made, unlike])
        assert [one for one in instance.all_logs(run_id) if one.dagster_event] == events
        storage.store_event_batch(made)
        again = [one for one in instance.all_logs(run_id) if one.dagster_event]
        assert len(again) == len(events) + len(made)
        assert partitions(instance) == known
        for table in TABLES:
            key = dg.AssetKey(table)
            [*_, last] = [one for one in made if one.get_dagster_event().asset_key == key]
            assert instance.get_latest_materialization_event(key) == last


def test_a_range_plans_each_check_once_and_leaves_the_days_their_outcomes(tmp_path: Path) -> None:
    wrong = EditedMarket({("daily", DAYS[1]): changed("600000.SH", change=3.0)})
    with shipped_instance(tmp_path / "dagster") as instance:
        with platform_over(wrong, tmp_path, instance) as platform:
            for day in DAYS[:2]:
                assert platform.run(day, assets=TABLES).success
            alone = {told: one for told, one in outcomes(platform).items() if told[1]}
        with platform_over(EditedMarket({}), tmp_path, instance) as platform:
            run = platform.run(DAYS[0], DAYS[2], assets=TABLES)
            assert run.success
            after = outcomes(platform)
            keys = platform.definitions.resolve_asset_graph().asset_check_keys
            histories = [Counter(one.run_id for one in history(instance, key)) for key in keys]
    assert "FAILED" in alone.values()
    assert alone.items() <= after.items()
    # Of the range as a whole.
    assert {day for _, day in after.keys() - alone.keys()} == {None}
    assert "PLANNED" not in after.values()
    assert {told[run.run_id] for told in histories if told} == {1}


@pytest.mark.parametrize("is_shipped_first", [False, True], ids=["from Dagster's own", "to it"])
def test_history_is_read_by_the_other_kind_of_storage(
    tmp_path: Path, is_shipped_first: bool
) -> None:
    home = tmp_path / "dagster"
    home.mkdir()

    def of_dagster() -> dg.DagsterInstance:
        (home / "dagster.yaml").unlink(missing_ok=True)
        return dg.DagsterInstance.local_temp(str(home))

    both: list[Any] = [of_dagster, lambda: shipped_instance(home)]
    first, then = reversed(both) if is_shipped_first else both
    with first() as instance, platform_over(EditedMarket({}), tmp_path, instance) as platform:
        run_id = platform.run(DAYS[0], DAYS[1], assets=TABLES).run_id
        known = partitions(instance)
        events = len(instance.all_logs(run_id))
    with then() as instance, platform_over(EditedMarket({}), tmp_path, instance) as platform:
        assert partitions(instance) == known
        assert len(instance.all_logs(run_id)) == events
        run = instance.get_run_by_id(run_id)
        assert run
        assert run.tags["dagster/asset_partition_range_end"] == str(DAYS[1])
        assert platform.run(DAYS[2], assets=TABLES).success
        assert partitions(instance)["daily_kline"] == {str(day) for day in DAYS[:3]}
