"""Which sessions nobody has, of the reader itself: what the list and the ledger know of a share."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from marketdata_assets.serving.bars import Frequency, beginning
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import refresh
from marketdata_assets.tables import COVERAGE, DAILY_PRICES, INSTRUMENT_HISTORY, STOCK_LIST
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.serving.stored import (
    GONE,
    SESSIONS,
    SHARE_BY_CODE,
    SHARES,
    filled,
    store_history,
    store_shares,
    store_stock_list,
)

SHARE = "600000.SH"
HOLE = SESSIONS[5:9]
RANGE = (SESSIONS[0], SESSIONS[-1])


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path, "test")
    store_shares(lake, [day for day in SESSIONS if day not in HOLE])
    refresh(lake, DAILY_PRICES)
    return lake


def missing(reader: PriceReader, code: str) -> list[dt.date]:
    found = reader.ohlcv(code, *RANGE).missing
    assert found is not None
    return list(found)


def ledger(day: dt.date, **explained: tuple[bool, str]) -> pa.Table:
    rows: Sequence[dict[str, object]] = [
        {"trade_date": day, "ts_code": code, "daily_kline": has_bar, "missing": tables}
        for code, (has_bar, tables) in explained.items()
    ]
    return filled(COVERAGE, rows, "ledger")


def test_without_a_list_every_share_may_have_traded(lake: Lake) -> None:
    reader = PriceReader(lake.root)
    assert missing(reader, SHARE) == HOLE
    assert missing(reader, GONE) == HOLE


def test_a_share_that_left_lacks_nothing_of_afterwards(lake: Lake) -> None:
    store_stock_list(lake, SESSIONS[-1], SHARES)
    late = SESSIONS[-3:-1]
    for day in late:
        lake.path(DAILY_PRICES, day).unlink()
    refresh(lake, DAILY_PRICES)
    reader = PriceReader(lake.root)
    assert missing(reader, SHARE) == [*HOLE, *late]
    assert missing(reader, GONE) == HOLE


def test_a_ledger_that_is_stored_later_explains_from_then_on(lake: Lake) -> None:
    reader = PriceReader(lake.root)
    assert missing(reader, SHARE) == HOLE
    first, second, third, _ = HOLE
    lake.write(COVERAGE, first, ledger(first, **{SHARE: (False, "")}))
    assert missing(reader, SHARE) == HOLE[1:]
    # Not of another share, nor where it traded, nor where nobody knows why it did not.
    lake.write(COVERAGE, second, ledger(second, **{"000001.SZ": (False, "")}))
    lake.write(COVERAGE, third, ledger(third, **{SHARE: (True, "")}))
    assert missing(reader, SHARE) == HOLE[1:]
    lake.write(COVERAGE, third, ledger(third, **{SHARE: (False, "daily_kline")}))
    assert missing(reader, SHARE) == HOLE[1:]


def test_a_ledger_that_can_not_be_read_explains_nothing(lake: Lake) -> None:
    lake.write(COVERAGE, HOLE[0], ledger(HOLE[0], **{SHARE: (False, "")}))
    lake.path(COVERAGE, HOLE[0]).write_bytes(b"no parquet")
    assert missing(PriceReader(lake.root), SHARE) == HOLE


def test_a_day_without_a_bar_is_not_missing_where_others_have_one(lake: Lake) -> None:
    assert missing(PriceReader(lake.root), "688981.SH") == HOLE


def test_what_is_stored_by_code_can_not_tell(lake: Lake) -> None:
    store_history(lake, SHARE_BY_CODE, SESSIONS)
    assert lake.path(INSTRUMENT_HISTORY, SHARE_BY_CODE).exists()
    assert PriceReader(lake.root).ohlcv(SHARE_BY_CODE, *RANGE).missing is None


def test_a_first_bar_of_days_lacks_those_before_anything_was_stored(lake: Lake) -> None:
    reader, first = PriceReader(lake.root), SESSIONS[0]
    for frequency in (Frequency.WEEK, Frequency.MONTH):
        since = beginning(frequency, first)
        before = sessions_between(since, first)[:-1]
        found = reader.ohlcv(SHARE, since, SESSIONS[4], frequency=frequency)
        assert found.missing == tuple(before)
        later = reader.ohlcv(SHARE, SESSIONS[-1], SESSIONS[-1], frequency=frequency).missing
        assert set(later) <= set(HOLE)
    assert before


def test_a_list_that_can_not_be_read_leaves_the_one_before(lake: Lake) -> None:
    store_stock_list(lake, SESSIONS[-2], SHARES)
    lake.path(STOCK_LIST, SESSIONS[-1]).write_bytes(b"no parquet")
    late = SESSIONS[-3:-1]
    for day in late:
        lake.path(DAILY_PRICES, day).unlink()
    refresh(lake, DAILY_PRICES)
    assert missing(PriceReader(lake.root), GONE) == HOLE
