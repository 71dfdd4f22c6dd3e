import datetime as dt
from typing import Any

import dagster as dg
import pytest

from marketdata_assets.assets.fetching import RANGE_END, RANGE_START
from marketdata_assets.automation import day_runs, evenings
from marketdata_assets.automation.chains import STOCKS
from marketdata_assets.automation.day_runs import Lacking, requests_for
from marketdata_assets.automation.evenings import (
    missing_days,
    missing_partitions_sensor,
    of_evening,
    sessions_due,
)
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.tables import STORED_TABLES
from marketdata_assets.trading_calendar import SHANGHAI, last_published_session, sessions_between
from marketdata_assets_tests.conftest import CHAIN, Platform

Requests = list[tuple[str, str, set[str]]]


def shanghai(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def pretend_stored(sandbox: Platform, day: dt.date, *names: str) -> None:
    for name in names:
        path = sandbox.lake.path(STORED_TABLES[name], day)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def pretend_published(sandbox: Platform, *days: dt.date) -> None:
    for day in days:
        record = dg.AssetMaterialization("hf_dataset", partition=str(day))
        sandbox.instance.report_runless_asset_event(record)


def evaluate(sandbox: Platform) -> Any:
    context = dg.build_sensor_context(
        instance=sandbox.instance, definitions=sandbox.definitions, sensor_name="sensor"
    )
    resource = LakeResource(root=str(sandbox.lake.root), origin="test")
    return missing_partitions_sensor(context, lake=resource)


def requested(result: dg.SensorResult | dg.SkipReason) -> Requests:
    if isinstance(result, dg.SkipReason):
        return []
    return [
        (
            request.tags["dagster/asset_partition_range_start"],
            request.tags["dagster/asset_partition_range_end"],
            {key.path[-1] for key in request.asset_selection},
        )
        for request in result.run_requests
    ]


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> list[dt.date]:
    now = shanghai("2024-10-15 23:00")
    watched = sessions_due(now)
    monkeypatch.setattr(evenings, "sessions_due", lambda *_: watched)
    return watched


def test_sixty_sessions_are_watched_and_today_only_after_its_evening() -> None:
    before, after = (
        sessions_due(shanghai("2024-10-15 22:00")),
        sessions_due(shanghai("2024-10-15 22:30")),
    )
    assert before[-1] == dt.date(2024, 10, 14)
    assert after[-1] == dt.date(2024, 10, 15)
    assert len(before) == len(after) == 60


def test_an_empty_lake_asks_for_everything_in_one_run(sandbox: Platform, days) -> None:
    assert requested(evaluate(sandbox)) == [(str(days[0]), str(days[-1]), {*CHAIN, "hf_dataset"})]


def test_a_complete_lake_asks_for_nothing(sandbox: Platform, days) -> None:
    for day in days:
        pretend_stored(sandbox, day, *CHAIN)
    pretend_published(sandbox, *days)
    result = evaluate(sandbox)
    assert isinstance(result, dg.SkipReason)
    assert "nothing is missing in the last 60 trading days" in result.skip_message


def test_exactly_the_missing_tables_and_stretches_are_asked_for(sandbox: Platform, days) -> None:
    whole, late = set(CHAIN), {"daily_basic", "daily_prices"}
    holes = {days[10]: whole, days[11]: whole, days[20]: late, days[59]: whole}
    for day in days:
        pretend_stored(sandbox, day, *(whole - holes.get(day, set())))
    pretend_published(sandbox, *days)
    assert requested(evaluate(sandbox)) == [
        (str(days[10]), str(days[11]), whole),
        (str(days[20]), str(days[20]), late),
        (str(days[59]), str(days[59]), whole),
    ]


def test_days_that_are_stored_and_not_published_are_asked_for(sandbox: Platform, days) -> None:
    for day in days:
        pretend_stored(sandbox, day, *CHAIN)
    pretend_published(sandbox, *days[:-2])
    assert requested(evaluate(sandbox)) == [(str(days[-2]), str(days[-1]), {"hf_dataset"})]


@pytest.mark.parametrize("by", ["daily_chain", "__ASSET_JOB"])
def test_while_any_run_is_under_way_nothing_is_asked_for_twice(
    sandbox: Platform, days, by: str
) -> None:
    tags = {RANGE_START: str(days[0]), RANGE_END: str(days[-1])}
    run = dg.DagsterRun(job_name=by, status=dg.DagsterRunStatus.STARTED, tags=tags)
    sandbox.instance.add_run(run)
    result = evaluate(sandbox)
    assert isinstance(result, dg.SkipReason)
    assert "under way" in result.skip_message


@pytest.mark.parametrize(
    "by", ["series_refresh", "instrument_histories", "range_queries", "etf_chain"]
)
def test_runs_that_make_no_day_of_the_stocks_are_not_waited_for(sandbox: Platform, by: str) -> None:
    tags = {"dagster/partition": "2024-10-15" if by == "etf_chain" else "HSI"}
    run = dg.DagsterRun(job_name=by, status=dg.DagsterRunStatus.STARTED, tags=tags)
    sandbox.instance.add_run(run)
    assert isinstance(evaluate(sandbox), dg.SensorResult)


def test_on_its_own_evening_a_day_is_asked_for_every_half_hour_later_once_a_day() -> None:
    thursday, friday = dt.date(2024, 10, 17), dt.date(2024, 10, 18)

    def run_keys(now: str, *missing: dt.date) -> list[str]:
        missing_then = {day: frozenset({day.isoformat()}) for day in missing}
        asked = requests_for([thursday, friday], Lacking(missing_then), shanghai(now))
        return [str(one.run_key) for one in asked]

    looks = ["2024-10-18 22:30", "2024-10-18 22:59", "2024-10-18 23:00", "2024-10-19 10:00"]
    looks += ["2024-10-19 23:00", "2024-10-20 10:00"]
    asked = [run_keys(look, thursday, friday) for look in looks]
    assert len({thursdays for thursdays, _ in asked}) == 3
    assert [fridays == asked[n][1] for n, (_, fridays) in enumerate(asked[1:])] == [
        True,
        False,
        False,
        True,
        False,
    ]


MONDAY = dt.date(2024, 10, 14)


@pytest.mark.parametrize(
    ("now", "stored_until", "due"),
    [
        # An evening as any: until 22:30 a schedule makes the day.
        ("2024-10-14 21:00", "2024-10-11", []),
        ("2024-10-14 22:29", "2024-10-11", []),
        ("2024-10-14 22:30", "2024-10-11", ["2024-10-14"]),
        # After two evenings off, at whatever hour: all of them, by one run.
        ("2024-10-14 20:59", "2024-10-09", ["2024-10-10", "2024-10-11"]),
        ("2024-10-14 21:00", "2024-10-09", ["2024-10-10", "2024-10-11", "2024-10-14"]),
        ("2024-10-14 22:45", "2024-10-09", ["2024-10-10", "2024-10-11", "2024-10-14"]),
        ("2024-10-13 11:00", "2024-10-09", ["2024-10-10", "2024-10-11"]),
        ("2024-10-15 03:00", "2024-10-09", ["2024-10-10", "2024-10-11", "2024-10-14"]),
    ],
)
def test_missed_days_are_asked_for_at_once_in_order_and_by_one_alone(
    sandbox: Platform,
    monkeypatch: pytest.MonkeyPatch,
    now: str,
    stored_until: str,
    due: list[str],
) -> None:
    monkeypatch.setattr(evenings, "start_date", lambda: dt.date(2024, 10, 8))
    days = sessions_between(dt.date(2024, 10, 8), dt.date.fromisoformat(stored_until))
    for day in days:
        pretend_stored(sandbox, day, *CHAIN)
    pretend_published(sandbox, *days)
    monkeypatch.setattr(day_runs, "incomplete_tables", lambda *_: {})
    asked = missing_days(STOCKS, sandbox.instance, sandbox.lake, shanghai(now))
    assert requested(asked) == ([(due[0], due[-1], {*CHAIN, "hf_dataset"})] if due else [])
    evening = shanghai("2024-10-14 21:00")
    if shanghai(now) < evening:
        return
    by_schedule = of_evening(STOCKS, evening, sandbox.instance, sandbox.lake, shanghai(now))
    assert isinstance(by_schedule, dg.RunRequest) is (not due)


def test_missed_days_are_stored_and_published_once_in_order(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = sessions_between(dt.date(2024, 10, 8), MONDAY)
    monkeypatch.setattr(evenings, "start_date", lambda: days[0])
    assert platform.run(days[0], assets=[*CHAIN, "hf_dataset"]).success
    now = shanghai("2024-10-14 22:40")
    for request in missing_days(STOCKS, platform.instance, platform.lake, now).run_requests:
        span = [request.tags[name] for name in (RANGE_START, RANGE_END)]
        first, last = map(dt.date.fromisoformat, span)
        names = {key.path[-1] for key in request.asset_selection}
        assert platform.run(first, last, sorted(names)).success
    for table in ("daily_kline", "daily_prices", "hf_dataset"):
        records = platform.instance.fetch_materializations(dg.AssetKey(table), limit=100).records
        assert [one.partition_key for one in reversed(records)] == [str(day) for day in days]
    assert isinstance(missing_days(STOCKS, platform.instance, platform.lake, now), dg.SkipReason)


def test_what_the_sensor_asks_for_fills_the_gap(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = sessions_due(shanghai("2024-10-15 23:00"))[-4:]
    monkeypatch.setattr(evenings, "sessions_due", lambda *_: watched)
    assert platform.run(watched[0], assets=[*CHAIN, "hf_dataset"]).success
    [(first, last, names)] = requested(evaluate(platform))
    assert platform.run(dt.date.fromisoformat(first), dt.date.fromisoformat(last), [*names]).success
    assert isinstance(evaluate(platform), dg.SkipReason)


def test_the_last_day_of_the_calendar_is_asked_for_after_its_end(sandbox: Platform) -> None:
    last = last_published_session()
    new_year = dt.datetime(last.year + 1, 1, 1, 9, tzinfo=SHANGHAI)
    result = missing_days(STOCKS, sandbox.instance, sandbox.lake, new_year)
    assert requested(result)[-1][1] == str(last)
