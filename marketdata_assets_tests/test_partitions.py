import datetime as dt

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from marketdata_assets import partitions
from marketdata_assets.partitions import TRADING_DAYS, trading_day_partitions
from marketdata_assets.settings import SettingError
from marketdata_assets.trading_calendar import (
    FIRST_SESSION,
    SHANGHAI,
    last_published_session,
    sessions_between,
)


def keys_at(now: str) -> list[str]:
    moment = dt.datetime.fromisoformat(now).replace(tzinfo=SHANGHAI)
    with partition_loading_context(effective_dt=moment):
        return list(TRADING_DAYS.get_partition_keys())


def test_there_is_a_partition_for_every_session_and_for_nothing_else() -> None:
    published = last_published_session()
    expected = sessions_between(FIRST_SESSION, published)
    keys = keys_at(f"{published} 22:00")
    assert keys == [day.isoformat() for day in expected]


@pytest.mark.parametrize("now", ["2026-09-30 15:00", "2026-09-30 21:00"])
def test_todays_key_is_there_on_the_evening_of_today(now: str) -> None:
    assert keys_at(now)[-1] == "2026-09-30"


def test_on_a_holiday_the_last_key_lies_in_the_future_so_nobody_may_trust_it() -> None:
    assert keys_at("2026-10-01 10:00")[-1] > "2026-10-01"


def test_no_key_is_made_up_beyond_the_published_calendar() -> None:
    beyond = last_published_session().year + 1
    assert keys_at(f"{beyond}-02-01 10:00")[-1] == last_published_session().isoformat()


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2026-09-29", "2026-10-09", ["2026-09-29", "2026-09-30", "2026-10-08", "2026-10-09"]),
        ("2024-02-07", "2024-02-20", ["2024-02-07", "2024-02-08", "2024-02-19", "2024-02-20"]),
    ],
)
def test_a_range_over_a_holiday_week_is_its_trading_days(
    first: str, last: str, expected: list[str]
) -> None:
    with partition_loading_context(effective_dt=dt.datetime(2026, 12, 1, tzinfo=SHANGHAI)):
        found = TRADING_DAYS.get_partition_keys_in_range(dg.PartitionKeyRange(first, last))
    assert list(found) == expected


def test_an_offset_of_one_partition_is_the_previous_trading_day() -> None:
    mapping = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
    with partition_loading_context(effective_dt=dt.datetime(2026, 12, 1, tzinfo=SHANGHAI)):
        subset = TRADING_DAYS.empty_subset().with_partition_keys(["2024-10-08"])
        upstream = mapping.get_upstream_mapped_partitions_result_for_partitions(
            subset, TRADING_DAYS, TRADING_DAYS
        )
    assert list(upstream.partitions_subset.get_partition_keys()) == ["2024-09-30"]


def test_the_start_is_configurable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFAULT_START_DATE", "2020-02-01")
    later = trading_day_partitions(partitions.start_date())
    assert later.get_first_partition_key() == "2020-02-03"


@pytest.mark.parametrize("text", ["2020-13-01", "soon"])
def test_an_unreadable_start_says_how_to_write_it(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEFAULT_START_DATE", text)
    with pytest.raises(SettingError, match=f"DEFAULT_START_DATE is '{text}'"):
        partitions.start_date()


def test_a_start_before_the_first_day_kept_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFAULT_START_DATE", "2004-12-31")
    with pytest.raises(SettingError, match="2005-01-04 is the first day"):
        partitions.start_date()


def test_a_day_that_has_not_closed_is_refused_and_not_retried() -> None:
    days = [dt.date(2026, 9, 30), dt.date(2026, 10, 8)]
    now = dt.datetime(2026, 10, 1, 10, 0, tzinfo=SHANGHAI)
    with pytest.raises(dg.Failure, match="2026-10-08: not closed yet") as failure:
        partitions.refuse_open_days(days, now)
    assert failure.value.allow_retries is False
    partitions.refuse_open_days(days[:1], now)
