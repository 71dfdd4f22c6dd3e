"""The user's file of excuses as editors and spreadsheet programs leave it."""

import datetime as dt

import pytest

from marketdata_assets.checks.excuses import (
    COLUMNS,
    FILE,
    Excuse,
    ExcusesUnreadable,
    as_csv,
    excuse_list,
)

HEAD = f"{','.join(COLUMNS)}\n"
LINE = "daily_kline.units,600000.SH,2024-03-06,2024-03-06,so it was,me\n"
WRONG = LINE.replace("2024-03-06", "2024")
DAY = dt.date(2024, 3, 6)
EXCUSE = Excuse("daily_kline.units", "600000.SH", DAY, DAY, "so it was", "me")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["Unix", "Windows", "old Mac"])
def test_lines_may_end_as_they_do_anywhere(end: str) -> None:
    assert excuse_list((HEAD + LINE).replace("\n", end).encode()) == [EXCUSE]


def test_what_is_written_is_read_again() -> None:
    excuse = EXCUSE._replace(reason='two\nlines, and a "word"')
    assert excuse_list(as_csv([excuse, EXCUSE]).encode()) == [excuse, EXCUSE]


@pytest.mark.parametrize(
    ("before", "number"),
    [("", 2), (LINE, 3), ("\n\n", 4), (LINE.replace("so it was", '"so\nit was"'), 4)],
    ids=["first", "second", "after empty lines", "after a reason of two lines"],
)
def test_a_line_that_is_wrong_is_named_by_its_number_in_the_file(before: str, number: int) -> None:
    with pytest.raises(ExcusesUnreadable, match=f"^{FILE}, line {number}: write first and last"):
        excuse_list((HEAD + before + WRONG).encode())


def test_a_quote_that_never_ends_is_told() -> None:
    lines = LINE.replace("so it was", '"so it was') + LINE * 3_000
    with pytest.raises(ExcusesUnreadable, match=f"^{FILE}, line [0-9]+: .* not closed"):
        excuse_list((HEAD + lines).encode())
