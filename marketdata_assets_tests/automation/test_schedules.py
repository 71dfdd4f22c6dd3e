import datetime as dt

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from marketdata_assets.automation.schedules import daily_chain_schedule
from marketdata_assets.definitions import defs
from marketdata_assets.trading_calendar import SHANGHAI, CalendarExhausted, last_published_session


def evening_of(day: dt.date) -> dg.RunRequest | dg.SkipReason:
    moment = dt.datetime.combine(day, dt.time(21), SHANGHAI)
    return daily_chain_schedule(dg.build_schedule_context(scheduled_execution_time=moment))


@pytest.mark.parametrize(
    "day", [dt.date(2024, 2, 8), dt.date(2024, 2, 19), dt.date(2026, 9, 30), dt.date(2026, 10, 8)]
)
def test_on_the_evening_of_a_trading_day_the_day_is_made(day: dt.date) -> None:
    request = evening_of(day)
    assert request.partition_key == day.isoformat()
    assert request.run_key == day.isoformat()


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
def test_on_a_closed_day_the_schedule_says_so_and_runs_nothing(day: dt.date) -> None:
    assert evening_of(day) == dg.SkipReason(f"{day} is not a trading day")


def test_the_evening_is_nine_oclock_in_shanghai() -> None:
    assert daily_chain_schedule.cron_schedule == "0 21 * * *"
    assert daily_chain_schedule.execution_timezone == "Asia/Shanghai"


def test_beyond_the_published_calendar_the_schedule_fails_instead_of_guessing() -> None:
    beyond = dt.date(last_published_session().year + 1, 1, 5)
    with pytest.raises(CalendarExhausted) as error:
        evening_of(beyond)
    assert "exchange_calendars" in str(error.value)


def test_the_jobs_partitions_leave_out_the_holidays() -> None:
    job = defs.resolve_job_def("daily_chain")
    with partition_loading_context(effective_dt=dt.datetime(2026, 12, 1, tzinfo=SHANGHAI)):
        keys = set(job.partitions_def.get_partition_keys())
    assert {"2024-02-08", "2024-02-19", "2026-09-30", "2026-10-08"} <= keys
    assert not {"2024-02-09", "2026-10-01", "2026-10-07", "2026-10-10"} & keys
