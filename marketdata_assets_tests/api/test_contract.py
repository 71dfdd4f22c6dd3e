"""Prices by code, shape by shape and status by status, over real HTTP."""

import datetime as dt

import pytest

from marketdata_assets.trading_calendar import SHANGHAI
from marketdata_assets_tests.api.serving import Client
from marketdata_assets_tests.api.stored_world import (
    DAYS,
    EX_DATE,
    FUND,
    FUND_BY_CODE,
    NEWEST,
    ODD_NAME,
    TURNOVER_THOUSANDS,
    VOLUME_LOTS,
    close_of,
    premium_of,
)

CODE = "600000.SH"
OHLCV = ["date", "open", "high", "low", "close", "volume", "turnover"]
LAST_TEN = DAYS[-10:]


def today() -> dt.date:
    return dt.datetime.now(SHANGHAI).date()


def text(days: list[dt.date]) -> list[str]:
    return [day.isoformat() for day in days]


@pytest.mark.parametrize("path", ["/api/v1/asset-type", "/api/v1/ohlcv", "/api/v1/etf/nav"])
@pytest.mark.parametrize("parameters", [{}, {"code": ""}, {"code": "  "}])
def test_a_missing_code_is_a_400_with_an_example(
    api: Client, path: str, parameters: dict[str, str]
) -> None:
    answer = api.get(path, **parameters)
    assert answer.status_code == 400
    assert answer.json()["error"] == "Missing required parameter: code"
    assert answer.json()["example"].startswith(f"{path}?code=")


def test_ohlcv_of_a_range(api: Client) -> None:
    answer = api.get("/api/v1/ohlcv", code=CODE, start=LAST_TEN[0], end=LAST_TEN[-2])
    assert answer.status_code == 200
    told = answer.json()
    assert told["columns"] == OHLCV
    assert told["count"] == len(told["data"]) == 9
    assert [row["date"] for row in told["data"]] == text(LAST_TEN[:-1])
    assert [row["close"] for row in told["data"]] == [close_of(CODE, d) for d in LAST_TEN[:-1]]
    assert told["date_range"] == {"start": str(LAST_TEN[0]), "end": str(LAST_TEN[-2])}
    assert told["requested_range"] == told["date_range"]
    assert told["available_range"] == {"start": str(DAYS[0]), "end": str(NEWEST)}
    assert (told["code"], told["asset_type"], told["cached"]) == (CODE, "a_share", True)


def test_canonical_volume_is_in_shares_and_turnover_in_yuan(api: Client) -> None:
    told = api.get("/api/v1/ohlcv", code=CODE, start=NEWEST).json()
    assert told["data"][-1]["volume"] == round(VOLUME_LOTS * 100, 2)
    assert told["data"][-1]["turnover"] == round(TURNOVER_THOUSANDS * 1000, 2)
    assert (told["currency"], told["volume_unit"]) == ("CNY", "shares")


def test_without_a_range_it_is_the_last_90_days(api: Client) -> None:
    told = api.get("/api/v1/ohlcv", code=CODE, start="", end="").json()
    first = today() - dt.timedelta(90)
    assert told["requested_range"] == {"start": str(first), "end": str(today())}
    assert [row["date"] for row in told["data"]] == text([day for day in DAYS if day >= first])


def test_start_and_end_default_each_on_its_own(api: Client) -> None:
    from_start = api.get("/api/v1/ohlcv", code=CODE, start=DAYS[3]).json()
    assert from_start["requested_range"] == {"start": str(DAYS[3]), "end": str(today())}
    assert from_start["count"] == len(DAYS) - 3
    to_end = api.get("/api/v1/ohlcv", code=CODE, end=DAYS[3]).json()
    first = DAYS[3] - dt.timedelta(90)
    assert to_end["requested_range"] == {"start": str(first), "end": str(DAYS[3])}
    assert to_end["count"] == 4


@pytest.mark.parametrize(
    "bad", ["2024-W01-1", "2024-1-1", "2024-13-01", "2023-02-29", "soon", "0", "２０２４-01-01"]
)
@pytest.mark.parametrize("path", ["/api/v1/ohlcv", "/api/v1/etf/nav"])
def test_a_bad_date_is_a_400(api: Client, path: str, bad: str) -> None:
    answer = api.get(path, code=FUND, start=bad, end="2024-01-05")
    assert answer.status_code == 400
    assert answer.json()["error"] == "Invalid date format. Use YYYY-MM-DD"
    assert (answer.json()["start"], answer.json()["end"]) == (bad, "2024-01-05")


@pytest.mark.parametrize(
    ("start", "end"),
    [(DAYS[9], DAYS[3]), ("1999-01-01", "1999-12-31"), ("0001-01-01", "0001-01-02")],
)
def test_a_range_without_rows_is_empty_not_an_error(
    api: Client, start: object, end: object
) -> None:
    for code in (CODE, "HSI", FUND):
        answer = api.get("/api/v1/ohlcv", code=code, start=start, end=end)
        assert answer.status_code == 200
        told = answer.json()
        assert (told["data"], told["count"]) == ([], 0)
        assert told["requested_range"] == {"start": str(start), "end": str(end)}
        assert told["available_range"]["end"] == str(NEWEST)
        assert told["date_range"] == {"start": None, "end": None}


def test_an_unknown_code_is_a_400_that_says_what_is_understood(api: Client) -> None:
    answer = api.get("/api/v1/ohlcv", code="600000")
    assert answer.status_code == 400
    assert "Did you mean 600000.SH" in answer.json()["error"]


def test_chosen_fields_come_with_their_date_in_the_order_asked(api: Client) -> None:
    told = api.get("/api/v1/ohlcv", code="000001.SZ", start=NEWEST, fields="name, close,pe").json()
    assert told["columns"] == ["date", "name", "close", "pe"]
    [row] = told["data"]
    assert row == {
        "date": str(NEWEST),
        "name": ODD_NAME,
        "close": close_of("000001.SZ", NEWEST),
        "pe": None,
    }


def test_a_field_that_is_none_is_a_400_naming_it(api: Client) -> None:
    for code, fields in ((CODE, "close,nonsense"), ("HSI", "pe")):
        answer = api.get("/api/v1/ohlcv", code=code, fields=fields)
        assert answer.status_code == 400
        assert fields.rpartition(",")[2] in answer.json()["error"]


def test_adjusted_prices(api: Client) -> None:
    def closes(**more: object) -> list[float]:
        told = api.get("/api/v1/ohlcv", code=CODE, start=DAYS[0], fields="close", **more).json()
        return [row["close"] for row in told["data"]]

    plain = closes()
    ex_date = DAYS.index(EX_DATE)
    halved = [p / 2 for p in plain[:ex_date]]
    assert closes(adjust="qfq") == halved + plain[ex_date:]
    assert closes(adjust="hfq") == plain[:ex_date] + [p * 2 for p in plain[ex_date:]]
    at_first = closes(adjust="qfq", anchor=DAYS[0])
    assert at_first == plain[:ex_date] + [p * 2 for p in plain[ex_date:]]


def test_a_fund_is_adjusted_and_one_that_is_stored_by_code_alone_is_refused(api: Client) -> None:
    plain = api.get("/api/v1/ohlcv", code=FUND, start=DAYS[0]).json()
    for adjust in ("qfq", "hfq"):
        told = api.get("/api/v1/ohlcv", code=FUND, start=DAYS[0], adjust=adjust).json()
        # Its pre_close is the close before, on every day.
        assert (told["adjust"], told["data"]) == (adjust, plain["data"])
        refused = api.get("/api/v1/ohlcv", code=FUND_BY_CODE, start=DAYS[0], adjust=adjust)
        assert refused.status_code == 409
        assert "stored by code alone" in refused.json()["error"]


def test_what_the_evenings_run_keeps_is_answered_though_a_new_one_is_asked_for(api: Client) -> None:
    told = api.get("/api/v1/ohlcv", code=CODE, start=DAYS[0], nocache="true", wait=0).json()
    assert (told["cached"], told["source"]) == (True, "daily_prices")


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"code": "HSI", "adjust": "qfq"}, "can't be adjusted"),
        ({"code": CODE, "adjust": "both"}, "adjust: "),
        ({"code": CODE, "anchor": "2024-01-05"}, "an anchor belongs to adjust=qfq"),
        ({"code": CODE, "adjust": "qfq", "anchor": "2005-01-03"}, "from 2005-01-04 to today"),
        ({"code": CODE, "adjust": "qfq", "anchor": "9999-12-31"}, "from 2005-01-04 to today"),
        ({"code": CODE, "as_of": "2024-01-05T21:00:00"}, "as_of"),
        ({"code": CODE, "as_of": "2999-01-05T21:00:00+08:00"}, "future"),
        ({"code": CODE, "as_of": "0001-01-01T00:00:00+14:00"}, "1990"),
        ({"code": CODE, "as_of": "5"}, "time zone"),
        ({"code": CODE, "format": "xml"}, "format: "),
        ({"code": CODE, "wait": "61"}, "60"),
        ({"code": CODE, "wait": "nan"}, "wait"),
        ({"code": CODE, "nocache": "perhaps"}, "nocache: "),
        ({"code": "6" * 41}, "40"),
        ({"code": CODE, "fields": "close," * 300}, "1000"),
    ],
)
def test_what_can_not_be_asked_is_a_400_that_says_why(
    api: Client, parameters: dict[str, str], said: str
) -> None:
    answer = api.get("/api/v1/ohlcv", **parameters)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


def test_a_moment_before_anything_was_stored_is_a_404(api: Client) -> None:
    answer = api.get("/api/v1/ohlcv", code=CODE, as_of="2020-01-01T00:00:00+08:00")
    assert answer.status_code == 404
    assert "was not known" in answer.json()["error"]


def test_a_batch_is_keyed_by_the_codes_as_asked(api: Client) -> None:
    asked = ["sh600000", "HSI", "no code", "600000.SH"]
    answer = api.post(
        "/api/v1/ohlcv/batch", {"codes": asked, "start": str(NEWEST), "end": str(NEWEST)}
    )
    assert answer.status_code == 200
    told = answer.json()
    assert list(told["results"]) == asked
    assert (told["success_count"], told["failed_count"], told["total"]) == (3, 1, 4)
    assert (told["start"], told["end"]) == (str(NEWEST), str(NEWEST))
    single = api.get("/api/v1/ohlcv", code=CODE, start=NEWEST, end=NEWEST).json()
    assert told["results"]["sh600000"] == told["results"]["600000.SH"] == single
    failed = told["results"]["no code"]
    assert (failed["code"], failed["asset_type"]) == ("no code", "unknown")
    assert (failed["data"], failed["count"]) == ([], 0)
    assert "is no code" in failed["error"]


def test_a_reversed_batch_is_empty(api: Client) -> None:
    told = api.post(
        "/api/v1/ohlcv/batch", {"codes": [CODE], "start": str(DAYS[5]), "end": str(DAYS[2])}
    ).json()
    assert told["results"][CODE]["data"] == []
    assert told["success_count"] == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (None, "Missing request body"),
        ({}, "Missing required parameter: codes"),
        ({"codes": []}, "codes (must be a list)"),
        ({"codes": "HSI"}, "codes: Input should be a valid list"),
        ({"codes": [1]}, "codes.0: Input should be a valid string"),
        ({"codes": ["\ud800"]}, "codes.0: "),
        ({"codes": ["HSI"], "start": "2024"}, "start: write a day as YYYY-MM-DD"),
        ({"codes": ["HSI"], "end": 20240101}, "end: write a day as YYYY-MM-DD"),
        (["HSI"], "no JSON object"),
    ],
)
def test_a_batch_that_does_not_fit_is_a_400(api: Client, body: object, said: str) -> None:
    answer = api.post("/api/v1/ohlcv/batch", body)
    assert answer.status_code == 400
    assert said in answer.json()["error"]
    broken = api.ask("POST", "/api/v1/ohlcv/batch", data="{", headers={"Content-Type": "text/json"})
    assert broken.status_code == 400


def test_nav_and_premium_of_a_fund(api: Client) -> None:
    answer = api.get("/api/v1/etf/nav", code=FUND, start=DAYS[-8], end=NEWEST)
    assert answer.status_code == 200
    told = answer.json()
    assert told["code"] == FUND
    assert [row["date"] for row in told["price"]["data"]] == text(DAYS[-8:])
    assert told["price"]["columns"] == OHLCV
    # The newest day has no NAV yet, and is in neither of the others.
    assert told["nav"]["columns"] == ["date", "nav"]
    assert [row["date"] for row in told["nav"]["data"]] == text(DAYS[-8:-1])
    expected = [premium_of(day) for day in DAYS[-8:-1]]
    assert told["premium_series"] == [
        {"date": str(day), "premium": value}
        for day, value in zip(DAYS[-8:-1], expected, strict=True)
    ]
    assert told["latest_premium"] == expected[-1]
    assert told["premium_date"] == str(DAYS[-2])
    assert told["premium_stats"] == {
        "mean": 0.003,
        "std": 0.00216,
        "min": 0.0,
        "max": 0.006,
        "median": 0.003,
    }


def test_a_range_without_premiums_has_none(api: Client) -> None:
    told = api.get("/api/v1/etf/nav", code=FUND, start=NEWEST, end=NEWEST).json()
    assert (told["price"]["count"], told["nav"]["count"]) == (1, 0)
    assert told["premium_series"] == []
    assert told["without_premium"] == [{"date": str(NEWEST), "reason": "nav not published"}]
    assert told["latest_premium"] is told["premium_date"] is None
    assert set(told["premium_stats"].values()) == {None}


def test_a_range_before_anything_is_stored_says_what_is(api: Client) -> None:
    answer = api.get("/api/v1/etf/nav", code=FUND, start="2020-01-01", end="2020-02-01")
    assert answer.status_code == 200
    told = answer.json()
    assert told["price"]["data"] == told["nav"]["data"] == told["without_premium"] == []
    assert told["available_range"] == {"start": str(DAYS[0]), "end": str(NEWEST)}
    assert told["latest_premium"] is None


def test_a_fund_that_is_stored_by_code_has_prices_and_no_values(api: Client) -> None:
    answer = api.get("/api/v1/etf/nav", code=FUND_BY_CODE, start=DAYS[-3])
    assert answer.status_code == 200
    told = answer.json()
    assert [row["date"] for row in told["price"]["data"]] == text(DAYS[-3:])
    assert (told["source"], told["nav"]["count"]) == ("instrument_history", 0)
    assert told["missing_sessions"] is told["latest_premium"] is None
    assert told["stale"] is None
    assert [one["date"] for one in told["without_premium"]] == text(DAYS[-3:])
    assert {one["reason"] for one in told["without_premium"]} == {
        "stored by code alone, without values"
    }


def test_a_fund_that_is_not_stored_is_a_404_that_says_what_is(api: Client) -> None:
    answer = api.get("/api/v1/etf/nav", code="510300.SH")
    assert answer.status_code == 404
    assert f"is stored from {DAYS[0]} to {NEWEST}" in answer.json()["message"]


@pytest.mark.parametrize("code", ["HSI", CODE, "000300.SH"])
def test_what_is_no_fund_has_no_nav(api: Client, code: str) -> None:
    answer = api.get("/api/v1/etf/nav", code=code)
    assert answer.status_code == 400
    assert f"Not an ETF: {code}" in answer.json()["error"]
    assert answer.json()["hint"]
