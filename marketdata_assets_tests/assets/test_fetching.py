"""Which days a run may take over from one that was killed, and which may be empty."""

import datetime as dt

import pytest

from marketdata_assets.assets.fetching import refuse_early_emptiness, stored_by_interrupted_run
from marketdata_assets.resources.tushare_errors import NotPublishedYet
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import PRICE_LIMITS, SUSPENSIONS
from marketdata_assets.trading_calendar import SHANGHAI
from marketdata_assets_tests.storage.tables_for_tests import DAY, NEXT_DAY, limits

SOON = dt.timedelta(minutes=5)


@pytest.fixture
def stored(lake: Lake) -> Lake:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    return lake


def kept(
    lake: Lake,
    later: dt.timedelta = SOON,
    days: tuple[dt.date, ...] = (DAY, NEXT_DAY),
    recorded: tuple[dt.date, ...] = (),
) -> list[dt.date]:
    now = dt.datetime.now(dt.UTC) + later
    return stored_by_interrupted_run(PRICE_LIMITS, lake, days, recorded, now)


def test_a_day_stored_a_short_while_ago_without_a_record_is_kept(stored: Lake) -> None:
    assert kept(stored) == [DAY]


def test_a_recorded_day_is_fetched_again(stored: Lake) -> None:
    assert kept(stored, recorded=(DAY,)) == []


def test_a_day_asked_for_by_itself_is_fetched(stored: Lake) -> None:
    assert kept(stored, days=(DAY,)) == []


def test_what_was_stored_long_ago_is_fetched_again(stored: Lake) -> None:
    assert kept(stored, later=dt.timedelta(hours=25)) == []


def test_what_came_from_elsewhere_is_fetched_again(stored: Lake) -> None:
    assert kept(Lake(stored.root, "another origin")) == []


def test_an_empty_or_damaged_file_is_fetched_again(lake: Lake) -> None:
    lake.write(PRICE_LIMITS, DAY, PRICE_LIMITS.schema.empty_table())
    lake.write(PRICE_LIMITS, NEXT_DAY, limits(NEXT_DAY, a=1.0))
    lake.path(PRICE_LIMITS, NEXT_DAY).write_bytes(b"")
    assert kept(lake) == []


def test_an_empty_day_of_a_table_that_may_be_empty_is_kept(lake: Lake) -> None:
    lake.write(SUSPENSIONS, DAY, SUSPENSIONS.schema.empty_table())
    now = dt.datetime.now(dt.UTC)
    assert stored_by_interrupted_run(SUSPENSIONS, lake, [DAY, NEXT_DAY], (), now) == [DAY]


def test_what_was_stored_before_the_day_was_published_is_fetched_again(lake: Lake) -> None:
    today = dt.datetime.now(dt.UTC).date() + dt.timedelta(1)
    lake.write(PRICE_LIMITS, today, limits(today, a=1.0))
    assert kept(lake, days=(DAY, today)) == []


def test_nobody_suspended_counts_only_when_the_day_is_published() -> None:
    empty = SUSPENSIONS.schema.empty_table()
    afternoon, evening = (dt.datetime.combine(DAY, dt.time(h), SHANGHAI) for h in (16, 18))
    with pytest.raises(NotPublishedYet, match="no row for suspensions on 2024-09-30"):
        refuse_early_emptiness(SUSPENSIONS, DAY, empty, afternoon)
    refuse_early_emptiness(SUSPENSIONS, DAY, empty, evening)
