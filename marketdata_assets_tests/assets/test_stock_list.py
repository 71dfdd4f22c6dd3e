import datetime as dt

import pyarrow as pa
import pytest

from marketdata_assets.assets.lists import CHANGING_OF_SHARES, listed_shares, with_earlier_names
from marketdata_assets.tables import STOCK_BASIC, STOCK_LIST

LISTED, DELISTED = dt.date(2010, 5, 6), dt.date(2020, 7, 8)
TODAY = dt.date(2026, 11, 20)


def stock(code: str, name: str = "名称", **other: object) -> dict[str, object]:
    return {
        "ts_code": code,
        "symbol": code[:6],
        "name": name,
        "area": "上海",
        "industry": None,
        "market": "主板",
        "exchange": "SSE",
        "list_status": "L",
        "list_date": LISTED,
        "delist_date": None,
        **other,
    }


def stocks(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=STOCK_BASIC.schema)


@pytest.mark.parametrize(
    ("day", "is_listed"),
    [
        (LISTED - dt.timedelta(1), False),
        (LISTED, True),
        (DELISTED - dt.timedelta(1), True),
        (DELISTED, False),
    ],
)
def test_a_share_belongs_to_the_days_between_listing_and_delisting(
    day: dt.date, is_listed: bool
) -> None:
    known = stocks(stock("600001.SH", list_status="D", delist_date=DELISTED))
    assert listed_shares(known, day, TODAY).num_rows == is_listed


def test_delisted_and_paused_shares_are_in_the_universe_of_their_time() -> None:
    known = stocks(
        stock("600001.SH"),
        stock("600002.SH", list_status="D", delist_date=DELISTED),
        stock("600003.SH", list_status="P"),
    )
    then = listed_shares(known, dt.date(2015, 1, 5), TODAY)
    assert then["ts_code"].to_pylist() == ["600001.SH", "600002.SH", "600003.SH"]
    assert then.schema.equals(STOCK_LIST.schema)
    assert set(then["names_as_of"].to_pylist()) == {TODAY}


def test_a_share_whose_days_are_not_told_is_listed_on_none() -> None:
    known = stocks(
        stock("600001.SH", list_status="D"),
        stock("600002.SH", list_date=None),
        stock("600003.SH", list_status=None),
    )
    then = listed_shares(known, dt.date(2015, 1, 5), TODAY)
    assert then["ts_code"].to_pylist() == ["600003.SH"]


def test_names_stored_nearer_to_the_day_are_not_overwritten_by_later_ones() -> None:
    day, later = dt.date(2024, 9, 30), TODAY
    on_the_day = listed_shares(stocks(stock("600001.SH", "当日名称", industry="银行")), day, day)
    today = listed_shares(
        stocks(stock("600001.SH", "ST今日"), stock("600009.SH", "后来才知")), day, later
    )
    merged = {
        row["ts_code"]: row
        for row in with_earlier_names(STOCK_LIST, CHANGING_OF_SHARES, today, on_the_day).to_pylist()
    }
    assert merged["600001.SH"]["name"] == "当日名称"
    assert merged["600001.SH"]["industry"] == "银行"
    assert merged["600001.SH"]["names_as_of"] == day
    assert merged["600009.SH"]["name"] == "后来才知"
    assert merged["600009.SH"]["names_as_of"] == later


def test_what_was_unknown_on_the_day_stays_unknown() -> None:
    day = dt.date(2024, 9, 30)
    on_the_day = listed_shares(stocks(stock("600001.SH", industry=None)), day, day)
    today = listed_shares(stocks(stock("600001.SH", industry="银行")), day, TODAY)
    assert with_earlier_names(STOCK_LIST, CHANGING_OF_SHARES, today, on_the_day).equals(on_the_day)
