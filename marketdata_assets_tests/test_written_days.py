import datetime as dt

import pytest

from marketdata_assets.serving.queries import RangeQuery
from marketdata_assets.settings import day
from marketdata_assets.trading_calendar import day_written


@pytest.mark.parametrize("text", ["2024-03-06", "20240306"])
def test_a_day_is_written_with_or_without_dashes(text: str) -> None:
    written = dt.date(2024, 3, 6)
    assert day_written(text) == written
    assert RangeQuery(codes=["HSI"], start=text).start == written
    assert day({"FIRST": text}, "FIRST", dt.date(2005, 1, 4)) == written


@pytest.mark.parametrize("text", ["", "2024", "202403", "2024-3-6", "2024-W10-3", "２０２４０３"])
def test_anything_else_is_told_how_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match="write a day as YYYY-MM-DD or YYYYMMDD"):
        day_written(text)


@pytest.mark.parametrize("text", ["2023-02-29", "20241301"])
def test_a_day_that_there_is_not_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="no such day"):
        day_written(text)
