"""Rows of any table that is stored by day: of a date, of a code, and why there are none."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from marketdata_assets.serving.queries import Format
from marketdata_assets.serving.table_rows import why_absent
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_PRICES, STOCK_LIST, STORED_TABLES, SUSPENSIONS
from marketdata_assets.trading_calendar import SHANGHAI, last_published_session
from marketdata_assets_tests.api.serving import Client, served
from marketdata_assets_tests.api.stored_world import (
    DAYS,
    EX_DATE,
    NEWEST,
    ODD_NAME,
    SHARES,
    close_of,
    rows_of,
)
from marketdata_assets_tests.api.test_formats import read

MONEYFLOW = STORED_TABLES["moneyflow"]
HOLE = DAYS[3:6]
DAMAGED = DAYS[8]
STORED = [day for day in DAYS[:12] if day not in HOLE]


@pytest.fixture(scope="module")
def holed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server over a few days of two tables, of which some are missing and one is damaged."""
    root = tmp_path_factory.mktemp("holed")
    lake = Lake(root, "test")
    for day in STORED:
        days = {"ts_code": SHARES, "trade_date": [day] * len(SHARES)}
        bought = [float(STORED.index(day))] * len(SHARES)
        lake.write(MONEYFLOW, day, rows_of(MONEYFLOW, 3, **days, buy_sm_vol=bought))
        lake.write(SUSPENSIONS, day, rows_of(SUSPENSIONS, 0))
    path = lake.path(MONEYFLOW, DAMAGED)
    raw = bytearray(path.read_bytes())
    raw[100] ^= 1
    path.write_bytes(raw)
    with served(root) as client:
        yield client


def rows(api: Client, table: str, **asked: object) -> dict[str, Any]:
    answer = api.get(f"/api/v1/tables/{table}/rows", **asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_empty_code_is_none(holed: Client) -> None:
    told = rows(holed, "moneyflow", date=DAYS[0], code="")
    assert (told["code"], told["count"]) == (None, len(SHARES))
    status, error = refused(holed, "moneyflow", code=" ")
    assert (status, error) == (400, "ask for a date, or for a code and a range from start to end")
    status, error = refused(holed, "moneyflow", date=DAYS[0], code="6" * 41)
    assert (status, error) == (400, "code: String should have at most 40 characters")


def refused(api: Client, table: str, **asked: object) -> tuple[int, str]:
    answer = api.get(f"/api/v1/tables/{table}/rows", **asked)
    assert answer.status_code != 200
    return answer.status_code, answer.json()["error"]


def test_a_day_has_every_row_and_column_as_stored(api: Client) -> None:
    told = rows(api, "daily_prices", date=NEWEST)
    assert told["columns"] == DAILY_PRICES.column_names
    assert [row["code"] for row in told["data"]] == list(SHARES)
    assert [row["close"] for row in told["data"]] == [close_of(code, NEWEST) for code in SHARES]
    assert told["data"][0]["name"] == ODD_NAME
    assert told["table"] == "daily_prices"
    assert told["start"] == told["end"] == str(NEWEST)
    assert told["count"] == 3
    assert told["code"] is None
    assert told["stored_at"]


def test_days_and_codes_are_understood_as_people_write_them(api: Client) -> None:
    written = {"date": f"{NEWEST:%Y%m%d}", "code": "sh600000"}
    told = rows(api, "stock_list", **written)
    assert told["code"] == "600000.SH"
    assert [row["ts_code"] for row in told["data"]] == ["600000.SH"]


def test_a_code_has_its_rows_of_a_range_by_day(api: Client) -> None:
    start = EX_DATE - dt.timedelta(days=1)
    told = rows(api, "adj_factor", code="000001.SZ", start=start, end=NEWEST)
    days = [day for day in DAYS if day >= start]
    assert [row["trade_date"] for row in told["data"]] == [str(day) for day in days]
    assert {row["adj_factor"] for row in told["data"][-20:]} == {2.0}
    assert told["missing_sessions"] == []
    assert (told["start"], told["end"]) == (str(start), str(NEWEST))


def test_fields_are_columns_as_stored_and_the_key_is_always_there(api: Client) -> None:
    told = rows(api, "daily_prices", date=NEWEST, fields="close,pe")
    assert told["columns"] == [*DAILY_PRICES.key, "close", "pe"]
    status, error = refused(api, "daily_prices", date=NEWEST, fields="close,turnaround")
    assert status == 400
    assert error.startswith("daily_prices has no column turnaround. It has: ")


@pytest.mark.parametrize("form", [Format.CSV, Format.ARROW, Format.PARQUET])
def test_every_form_says_the_same_as_json(api: Client, form: Format) -> None:
    for asked in ({"date": NEWEST}, {"code": SHARES[0], "start": DAYS[-5]}):
        told = rows(api, "daily_prices", **asked)
        answer = api.get("/api/v1/tables/daily_prices/rows", **asked, format=form)
        assert form in answer.headers["Content-Type"]
        assert answer.headers.get("X-Code") == asked.get("code")
        assert answer.headers["X-Missing-Sessions"] == "0"
        table = read(form, answer.content)
        assert table.column_names == told["columns"]
        assert table["close"].to_pylist() == [row["close"] for row in told["data"]]


def test_times_are_told_with_their_zone(api: Client) -> None:
    told = rows(api, "findings", date=NEWEST)
    assert [row["first_seen"] for row in told["data"]] == ["2024-09-26T13:00:00+00:00"]


def test_a_day_without_rows_is_a_day(holed: Client) -> None:
    told = rows(holed, "suspensions", date=STORED[0])
    assert (told["data"], told["count"]) == ([], 0)
    assert told["columns"] == SUSPENSIONS.column_names


def test_what_is_not_there_says_why(holed: Client) -> None:
    for day, why in {
        HOLE[0]: f"moneyflow is not stored for {HOLE[0]}. Materialize moneyflow for this day.",
        dt.date(2024, 10, 1): "2024-10-01 is no trading day: moneyflow has nothing of it.",
        dt.date(2009, 12, 31): "moneyflow begins on 2010-01-04: there is nothing of 2009-12-31.",
        dt.date(2099, 1, 1): "2099-01-01 is not over: moneyflow has nothing of it yet.",
    }.items():
        assert refused(holed, "moneyflow", date=day) == (404, why)
    nothing = "daily_basic is not stored of any day. Materialize daily_basic first."
    assert refused(holed, "daily_basic", code=SHARES[0]) == (404, nothing)


def test_a_damaged_day_is_named_and_never_answered(holed: Client) -> None:
    for asked in ({"date": DAMAGED}, {"code": SHARES[0], "start": DAYS[0], "end": DAYS[11]}):
        status, error = refused(holed, "moneyflow", **asked)
        assert status == 503
        assert f"lake/moneyflow/{DAMAGED:%Y}/{DAMAGED}.parquet" in error


def test_sessions_that_were_never_stored_are_named_or_refused(holed: Client) -> None:
    asked = {"code": SHARES[0], "start": DAYS[0], "end": DAYS[7]}
    told = rows(holed, "moneyflow", **asked)
    hole = [str(day) for day in HOLE]
    assert told["missing_sessions"] == hole
    assert [row["buy_sm_vol"] for row in told["data"]] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert (
        holed.get("/api/v1/tables/moneyflow/rows", **asked, format="csv").headers[
            "X-Missing-Sessions"
        ]
        == f"3: {','.join(hole)}"
    )
    answer = holed.get("/api/v1/tables/moneyflow/rows", **asked, strict="true")
    assert answer.status_code == 409
    assert answer.json()["missing_sessions"] == hole
    assert answer.json()["error"].endswith(
        "Materialize moneyflow for these days, or ask without strict."
    )
    # Neither before the first day that is stored, nor after the last session that is over.
    early = {"code": SHARES[0], "start": DAYS[0] - dt.timedelta(days=60), "end": DAYS[2]}
    assert rows(holed, "moneyflow", **early, strict="true")["missing_sessions"] == []


def test_only_tables_by_day_have_rows_of_a_day(api: Client) -> None:
    status, error = refused(api, "moneyfolw", date=NEWEST)
    assert status == 404
    assert error.startswith("There is no table moneyfolw. Stored by day are stock_list, ")
    assert refused(api, "instrument_history", code="HSI") == (
        404,
        "instrument_history is not stored by day: ask /api/v1/ohlcv for its rows.",
    )
    assert refused(api, "trade_calendar", date=NEWEST)[0] == 404


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, "ask for a date, or for a code and a range from start to end"),
        ({"start": "2024-01-01"}, "ask for a date, or for a code and a range from start to end"),
        (
            {"date": "2024-03-06", "start": "2024-03-01"},
            "ask for a date, or for a range from start to end, not for both",
        ),
        (
            {"code": "600000.SH", "start": "2024-03-06", "end": "2024-03-01"},
            "start 2024-03-06 lies after end 2024-03-01",
        ),
        ({"date": "2024-02-30"}, "Invalid date format. Use YYYY-MM-DD"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    api: Client, asked: dict[str, str], told: str
) -> None:
    assert refused(api, "daily_prices", **asked) == (400, told)


def test_a_code_that_is_none_is_refused(api: Client) -> None:
    assert refused(api, "daily_prices", date=NEWEST, code="what is this")[0] == 400


def test_a_range_of_years_is_too_large(api: Client) -> None:
    asked = {"code": SHARES[0], "start": "2020-01-01", "end": "2021-01-01"}
    status, error = refused(api, "daily_prices", **asked)
    assert status == 413
    assert error.startswith("2020-01-01 to 2021-01-01 is more than 366 days")
    told = rows(api, "daily_prices", **asked | {"end": "2020-12-31"})
    assert (told["data"], told["missing_sessions"]) == ([], [])


def test_a_share_has_the_rows_under_its_former_code_too(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "test")
    former, present = "000022.SZ", "001872.SZ"
    for day, code in zip(DAYS, (former, present), strict=False):
        lake.write(STOCK_LIST, day, rows_of(STOCK_LIST, 1, trade_date=[day], ts_code=[code]))
    with served(tmp_path) as client:
        for asked, renamed in ((present, None), ("sz000022", former)):
            told = rows(client, "stock_list", code=asked, start=DAYS[0], end=DAYS[1])
            assert [row["ts_code"] for row in told["data"]] == [former, present]
            assert (told["code"], told["renamed_from"]) == (present, renamed)


def test_of_a_day_beyond_the_calendar_it_is_not_said_that_it_is_not_over() -> None:
    beyond = dt.date(last_published_session().year + 1, 1, 4)
    noon = dt.datetime.combine(beyond, dt.time(12), SHANGHAI)
    assert why_absent(DAILY_PRICES, beyond, noon).startswith(f"{beyond} is not over")
    later = why_absent(DAILY_PRICES, beyond, noon + dt.timedelta(days=1))
    assert later == f"{beyond} lies beyond the installed calendar: daily_prices has nothing of it."
