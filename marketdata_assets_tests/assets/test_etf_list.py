"""Who was listed on a day, where the vendor tells the dates and where it does not."""

import datetime as dt

import pyarrow as pa
import pytest

from marketdata_assets.assets.lists import CHANGING_OF_FUNDS, listed_funds, with_earlier_names
from marketdata_assets.tables import ETF_LIST, FUND_BASIC

LISTED, ENDED, TODAY = dt.date(2013, 5, 15), dt.date(2020, 12, 31), dt.date(2026, 11, 20)


def fund(status: str | None, listed: dt.date | None, ended: dt.date | None, name: str = "基金"):
    row = dict.fromkeys(FUND_BASIC.column_names)
    dates = {"list_date": listed, "delist_date": ended}
    return row | {"ts_code": "513100.SH", "name": name, "status": status, "market": "E"} | dates


def funds(*rows) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=FUND_BASIC.schema)


@pytest.mark.parametrize(
    ("row", "day", "is_listed"),
    [
        (fund("L", LISTED, None), LISTED, [True]),
        (fund("L", LISTED, None), LISTED - dt.timedelta(1), []),
        (fund("D", LISTED, ENDED), ENDED - dt.timedelta(1), [True]),
        (fund("D", LISTED, ENDED), ENDED, []),
        (fund("D", LISTED, None), ENDED, [None]),
        (fund("D", LISTED, None), LISTED - dt.timedelta(1), []),
        (fund("L", None, None), LISTED, [None]),
        (fund("D", None, ENDED), ENDED, []),
        (fund(None, LISTED, None), LISTED, [None]),
        (fund(None, LISTED, ENDED), LISTED, [True]),
        (fund("I", LISTED, None), TODAY, []),
        (fund("I", None, None), TODAY, []),
    ],
)
def test_a_fund_is_listed_from_its_first_day_to_the_day_before_its_last(
    row, day: dt.date, is_listed: list[bool | None]
) -> None:
    assert listed_funds(funds(row), day, TODAY)["is_listed"].to_pylist() == is_listed


def test_every_row_says_from_when_its_name_is_and_keeps_an_earlier_one() -> None:
    then = listed_funds(funds(fund("L", LISTED, None, "旧名")), ENDED, ENDED)
    now = listed_funds(funds(fund("L", LISTED, None, "新名")), ENDED, TODAY)
    assert now.schema == ETF_LIST.schema
    assert now["names_as_of"].to_pylist() == [TODAY]
    [row] = with_earlier_names(ETF_LIST, CHANGING_OF_FUNDS, now, then).to_pylist()
    assert (row["name"], row["names_as_of"]) == ("旧名", ENDED)
