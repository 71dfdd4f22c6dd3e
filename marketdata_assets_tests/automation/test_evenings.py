import datetime as dt
from collections.abc import Sequence

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from marketdata_assets.automation.chains import STOCKS
from marketdata_assets.automation.evenings import evening_schedules, of_evening
from marketdata_assets.definitions import defs
from marketdata_assets.tables import DAILY_PRICES, STORED_TABLES
from marketdata_assets.timetable import EVENING_IS_OVER
from marketdata_assets.trading_calendar import (
    SHANGHAI,
    CalendarExhausted,
    last_published_session,
    previous_session,
)
from marketdata_assets_tests.conftest import CHAIN, Platform


def pretend_stored(sandbox: Platform, day: dt.date, *names: str) -> None:
    for name in names:
        path = sandbox.lake.path(STORED_TABLES[name], day)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def evening_of(
    sandbox: Platform, day: dt.date, at: dt.time = dt.time(21)
) -> dg.RunRequest | dg.SkipReason:
    """What the schedule asks for on time, with the session before stored."""
    moment = dt.datetime.combine(day, at, SHANGHAI)
    pretend_stored(sandbox, previous_session(day), DAILY_PRICES.name)
    return of_evening(STOCKS, moment, sandbox.instance, sandbox.lake, moment)


@pytest.mark.parametrize(
    "day", [dt.date(2024, 2, 8), dt.date(2024, 2, 19), dt.date(2026, 9, 30), dt.date(2026, 10, 8)]
)
def test_on_the_evening_of_a_trading_day_the_day_is_made(sandbox: Platform, day: dt.date) -> None:
    request = evening_of(sandbox, day)
    assert request.partition_key == day.isoformat()
    assert request.run_key == f"{day} 21:00"


@pytest.mark.parametrize(
    "day",
    [
        dt.date(2024, 2, 9),
        dt.date(2024, 2, 18),
        dt.date(2026, 10, 1),
        dt.date(2026, 10, 7),
        dt.date(2026, 10, 10),
    ],
)
def test_on_a_closed_day_the_schedule_says_so_and_runs_nothing(
    sandbox: Platform, day: dt.date
) -> None:
    assert evening_of(sandbox, day) == dg.SkipReason(f"{day} is not a trading day")


def test_a_late_day_is_asked_for_until_it_is_complete(sandbox: Platform) -> None:
    day = dt.date(2024, 10, 15)
    asked = [evening_of(sandbox, day, dt.time(*at)) for at in ((21, 0), (21, 10), (21, 30))]
    assert [one.run_key[-5:] for one in asked] == ["21:00", "21:10", "21:30"]
    run = dg.DagsterRun(
        job_name="daily_chain",
        status=dg.DagsterRunStatus.STARTED,
        tags={"dagster/partition": str(day)},
    )
    sandbox.instance.add_run(run)
    assert evening_of(sandbox, day) == dg.SkipReason(f"a run of {day} is under way")
    sandbox.instance.delete_run(run.run_id)
    pretend_stored(sandbox, day, *CHAIN)
    assert isinstance(evening_of(sandbox, day), dg.RunRequest)
    record = dg.AssetMaterialization("hf_dataset", partition=str(day))
    sandbox.instance.report_runless_asset_event(record)
    assert evening_of(sandbox, day) == dg.SkipReason(f"{day} is complete")


def minutes(cron_schedule: Sequence[str]) -> list[int]:
    """The minutes of the day at which a schedule of every day looks."""
    looks = [cron.split() for cron in cron_schedule]
    assert all(days == ["*", "*", "*"] for _, _, *days in looks)
    return [int(hour) * 60 + int(minute) for minute, hour, *_ in looks]


def test_the_evening_is_in_shanghai_and_its_last_look_before_the_alert() -> None:
    first = {"daily_chain": 21 * 60, "etf_chain": 21 * 60 + 30}
    end = EVENING_IS_OVER.hour * 60 + EVENING_IS_OVER.minute
    for schedule in evening_schedules:
        looks = minutes(schedule.cron_schedule)
        assert looks == sorted(looks)
        assert looks[0] == first[schedule.job_name]
        assert looks[-1] < end
        for look in looks[1:]:
            # Every hour that the UI tells is one.
            assert f"{look // 60}:{look % 60:02}" in schedule.description
        assert schedule.execution_timezone == "Asia/Shanghai"


def test_beyond_the_published_calendar_the_schedule_fails_instead_of_guessing(
    sandbox: Platform,
) -> None:
    beyond = dt.date(last_published_session().year + 1, 1, 5)
    with pytest.raises(CalendarExhausted) as error:
        evening_of(sandbox, beyond)
    assert "exchange_calendars" in str(error.value)


def test_the_jobs_partitions_leave_out_the_holidays() -> None:
    job = defs.resolve_job_def("daily_chain")
    with partition_loading_context(effective_dt=dt.datetime(2026, 12, 1, tzinfo=SHANGHAI)):
        keys = set(job.partitions_def.get_partition_keys())
    assert {"2024-02-08", "2024-02-19", "2026-09-30", "2026-10-08"} <= keys
    assert not {"2024-02-09", "2026-10-01", "2026-10-07", "2026-10-10"} & keys
