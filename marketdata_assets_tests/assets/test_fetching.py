"""Which days a run may take over from one that was interrupted, and which may be empty."""

import datetime as dt

import pytest

from marketdata_assets.assets.fetching import early_emptiness, stored_since
from marketdata_assets.resources.tushare_errors import NotPublishedYet
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import PRICE_LIMITS, SUSPENSIONS, Table
from marketdata_assets.tables.extras import BLOCK_TRADES
from marketdata_assets.trading_calendar import SHANGHAI
from marketdata_assets_tests.storage.tables_for_tests import DAY, NEXT_DAY, limits

WHILE_AGO = dt.timedelta(minutes=5)


@pytest.fixture
def stored(lake: Lake) -> Lake:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    return lake


def kept(
    lake: Lake,
    tried: dt.timedelta = -WHILE_AGO,
    days: tuple[dt.date, ...] = (DAY, NEXT_DAY),
    table: Table = PRICE_LIMITS,
) -> list[dt.date]:
    """What is kept when runs have tried in vain to make `days` since `tried`, seen from now."""
    since = dt.datetime.now(dt.UTC) + tried
    return stored_since(table, lake, days, dict.fromkeys(days, since))


def test_a_day_stored_since_it_was_tried_in_vain_is_kept(stored: Lake) -> None:
    assert kept(stored) == [DAY]


def test_a_day_stored_before_it_was_tried_is_fetched_again(stored: Lake) -> None:
    assert kept(stored, tried=WHILE_AGO) == []


def test_a_day_that_no_run_tried_in_vain_is_fetched(stored: Lake) -> None:
    assert stored_since(PRICE_LIMITS, stored, [DAY, NEXT_DAY], {}) == []


def test_what_came_from_elsewhere_is_fetched_again(stored: Lake) -> None:
    assert kept(Lake(stored.root, "another origin")) == []


def test_an_empty_or_damaged_file_is_fetched_again(lake: Lake) -> None:
    lake.write(PRICE_LIMITS, DAY, PRICE_LIMITS.schema.empty_table())
    lake.write(PRICE_LIMITS, NEXT_DAY, limits(NEXT_DAY, a=1.0))
    lake.path(PRICE_LIMITS, NEXT_DAY).write_bytes(b"")
    assert kept(lake) == []


def test_an_empty_day_of_a_table_that_may_be_empty_is_kept(lake: Lake) -> None:
    lake.write(SUSPENSIONS, DAY, SUSPENSIONS.schema.empty_table())
    assert kept(lake, table=SUSPENSIONS) == [DAY]


def test_what_was_stored_before_the_day_was_published_is_fetched_again(lake: Lake) -> None:
    today = dt.datetime.now(dt.UTC).date() + dt.timedelta(1)
    lake.write(PRICE_LIMITS, today, limits(today, a=1.0))
    assert kept(lake, days=(DAY, today)) == []


def test_nobody_suspended_counts_only_when_the_day_is_published() -> None:
    empty = SUSPENSIONS.schema.empty_table()
    afternoon, evening = (dt.datetime.combine(DAY, dt.time(h), SHANGHAI) for h in (16, 18))
    early = early_emptiness(SUSPENSIONS, DAY, empty, afternoon)
    assert isinstance(early, NotPublishedYet)
    assert "no row for suspensions on 2024-09-30" in str(early)
    assert early_emptiness(SUSPENSIONS, DAY, empty, evening) is None


def test_a_day_without_rows_counts_from_the_hour_at_which_its_table_is_out() -> None:
    empty = BLOCK_TRADES.schema.empty_table()
    before, after = (dt.datetime.combine(DAY, dt.time(h), SHANGHAI) for h in (20, 21))
    assert "from 21:00 on only" in str(early_emptiness(BLOCK_TRADES, DAY, empty, before))
    assert early_emptiness(BLOCK_TRADES, DAY, empty, after) is None
