"""Every other endpoint, shape by shape and status by status, over real HTTP."""

import datetime as dt
import re
from pathlib import Path

import pytest

from marketdata_assets.api.api_settings import ApiSettings
from marketdata_assets.tables import STORED_TABLES
from marketdata_assets_tests.api.serving import Client, served
from marketdata_assets_tests.api.stored_world import (
    DAYS,
    FUND,
    NEWEST,
    SHARES,
    close_of,
)

CODE = "600000.SH"
OHLCV = ["date", "open", "high", "low", "close", "volume", "turnover"]


def test_the_front_page_tells_what_there_is(api: Client) -> None:
    answer = api.get("/")
    assert answer.status_code == 200
    told = answer.json()
    assert {"name", "version", "description", "architecture", "features", "ssh_status"} <= set(told)
    assert {"endpoints", "supported_assets", "cache_config"} <= set(told)
    assert told["endpoints"]["ohlcv"].startswith("/api/v1/ohlcv?code=")
    named = " ".join(told["endpoints"].values())
    for path in api.get("/openapi.json").json()["paths"]:
        assert re.sub(r"\{\w+_id\}", "{id}", path) in named
    for kind, codes in told["supported_assets"].items():
        for code in codes:
            assert api.get("/api/v1/asset-type", code=code).json()["asset_type"] == kind


def test_health(api: Client) -> None:
    told = api.get("/health").json()
    assert told["status"] == "healthy"
    assert told["ssh_configured"] is False
    assert dt.datetime.fromisoformat(told["timestamp"]).tzinfo


def test_ready_names_the_newest_generation_and_its_last_day(api: Client) -> None:
    told = api.get("/ready").json()
    assert told["status"] == "ready"
    assert told["tables"]["daily_prices"]["last_day"] == str(NEWEST)
    assert told["tables"]["daily_prices"]["generation"] > 0


@pytest.mark.parametrize(
    ("asked", "kind", "canonical"),
    [
        ("000300.SH", "china_index", "000300.SH"),
        ("sh600000", "a_share", "600000.SH"),
        ("513100.SH", "china_etf", "513100.SH"),
        (" ndx ", "us_index", "NDX"),
        ("AU.SHF", "futures", "AU.SHF"),
        ("BTC", "crypto", "BTC"),
    ],
)
def test_what_a_code_is(api: Client, asked: str, kind: str, canonical: str) -> None:
    answer = api.get("/api/v1/asset-type", code=asked)
    assert answer.status_code == 200
    told = answer.json()
    assert (told["code"], told["asset_type"]) == (asked.strip(), kind)
    assert told["canonical_code"] == canonical
    assert told["description"]


def test_a_cross_section_has_every_share_of_the_day(api: Client) -> None:
    answer = api.get("/api/v1/cross-section", date=NEWEST)
    assert answer.status_code == 200
    told = answer.json()
    assert (told["date"], told["kind"], told["count"]) == (str(NEWEST), "a_share", len(SHARES))
    assert told["columns"] == ["code", *OHLCV]
    assert {row["code"]: row["close"] for row in told["data"]} == {
        code: close_of(code, NEWEST) for code in SHARES
    }
    funds = api.get("/api/v1/cross-section", date=NEWEST, kind="china_etf", fields="premium").json()
    assert funds["data"] == [{"code": FUND, "premium": None}]


@pytest.mark.parametrize(
    ("parameters", "status", "said"),
    [
        ({}, 400, "Missing required parameter: date"),
        ({"date": "today"}, 400, "Invalid date format"),
        ({"date": "2024-01-06"}, 404, "2024-01-06"),
        ({"date": NEWEST, "kind": "crypto"}, 400, "a_share or china_etf"),
        ({"date": NEWEST, "fields": "nonsense"}, 400, "nonsense"),
    ],
)
def test_a_cross_section_that_is_not_there(
    api: Client, parameters: dict[str, object], status: int, said: str
) -> None:
    answer = api.get("/api/v1/cross-section", **parameters)
    assert answer.status_code == status
    assert said in answer.json()["error"]


def test_findings_tell_what_speaks_against_a_share_and_since_when(api: Client) -> None:
    told = api.get("/api/v1/findings").json()
    assert (told["date"], told["count"]) == (str(NEWEST), 1)
    [one] = told["findings"]
    assert (one["table"], one["check"], one["code"]) == (
        "daily_prices",
        "factor_missing",
        SHARES[0],
    )
    assert (one["since"], one["last"], one["days"]) == (str(DAYS[-3]), str(NEWEST), 3)
    assert (one["outcome"], one["seen"]) == ("flagged", "adj_factor NULL")
    for other in ({"code": CODE}, {"outcome": "held"}):
        assert api.get("/api/v1/findings", **other).json()["findings"] == []
    for bad, status in (
        ({"date": "2024-01-06"}, 404),
        ({"outcome": "nonsense"}, 400),
        ({"code": "600000"}, 400),
        ({"since": NEWEST, "date": DAYS[-2]}, 400),
    ):
        assert api.get("/api/v1/findings", **bad).status_code == status


def test_instruments_are_found_by_code_or_name(api: Client) -> None:
    for asked, code in (("600000", CODE), ("浦发", CODE), ("纳指", FUND), ("hsi", "HSI")):
        told = api.get("/api/v1/instruments", q=asked).json()
        assert told["count"] == len(told["instruments"])
        assert code in [one["code"] for one in told["instruments"]], asked
    [first] = api.get("/api/v1/instruments", q="600000", limit=1).json()["instruments"]
    assert first == {
        "code": CODE,
        "name": "浦发银行",
        "asset_type": "a_share",
        "stored_in": "daily_prices",
    }
    assert api.get("/api/v1/instruments", limit=0).status_code == 400


def test_tables_tell_their_columns_and_units(api: Client) -> None:
    told = api.get("/api/v1/tables").json()
    assert {table["name"] for table in told["tables"]} == set(STORED_TABLES)
    [prices] = [table for table in told["tables"] if table["name"] == "daily_prices"]
    units = {column["name"]: column["unit"] for column in prices["columns"]}
    assert units["close"] == "yuan"
    assert units["volume"] == "手, 100 shares"
    assert prices["key"] == ["date", "code"]


@pytest.mark.parametrize(
    ("path", "asked", "meant"),
    [
        ("/api/v1/ohlcv", {"code": CODE, "adj": "qfq"}, "adj; did you mean adjust?"),
        (
            "/api/v1/ohlcv",
            {"code": CODE, "Start_Date": "20240102"},
            "Start_Date; did you mean start",
        ),
        ("/api/v1/ohlcv", {"ts_code": CODE}, "ts_code; did you mean code?"),
        ("/api/v1/etf/nav", {"code": FUND, "starts": "2024"}, "starts; did you mean start?"),
        ("/api/v1/cross-section", {"trade_date": str(DAYS[0])}, "did you mean date?"),
        ("/api/v1/instruments", {"zzz": "1"}, "zzz; there are q, limit"),
        ("/api/v1/tables/daily_prices/rows", {"day": str(DAYS[0])}, "day; there are"),
    ],
)
def test_what_nobody_knows_is_refused_with_what_was_meant(
    api: Client, path: str, asked: dict[str, str], meant: str
) -> None:
    answer = api.get(path, **asked)
    assert answer.status_code == 400
    assert f"No such parameter: {meant}" in answer.json()["error"].replace("trade_date; ", "")


def test_a_batch_is_as_strict(api: Client) -> None:
    answer = api.post("/api/v1/ohlcv/batch", {"codes": [CODE], "start_date": str(DAYS[0])})
    assert answer.status_code == 400
    assert "No such parameter: start_date; did you mean start?" in answer.json()["error"]


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ({"adj": "qfq"}, "adj; did you mean adjust?"),
        ({"fields": ["close"]}, "fields; did you mean columns?"),
        ({"symbols": [CODE]}, "symbols; did you mean codes?"),
    ],
)
def test_an_export_is_as_strict(api: Client, asked: dict[str, object], meant: str) -> None:
    answer = api.post("/api/v1/exports", {"codes": [CODE], **asked})
    assert answer.status_code == 400
    assert f"No such parameter: {meant}" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/api/v1/ohlcv/batch", "/api/v1/exports"])
def test_what_a_url_asks_beside_a_body_is_refused(api: Client, path: str) -> None:
    answer = api.post(f"{path}?start={DAYS[0]}", {"codes": [CODE]})
    assert answer.status_code == 400
    assert answer.json()["error"] == "No such parameter: start; the question is the body"


def test_what_takes_no_parameters_says_so(api: Client) -> None:
    for answer in (
        api.get("/api/v1/tables", name="moneyflow"),
        api.get("/api/v1/cache/stats", name=CODE),
        api.post("/api/v1/cache/clear?name=x"),
    ):
        assert answer.status_code == 400
        assert answer.json()["error"] == "No such parameter: name; there are none here"


def test_what_is_for_machines_takes_what_stands_between_adds(api: Client) -> None:
    for path in ("/health", "/ready", "/metrics"):
        assert api.get(path, probe="7").status_code == 200


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("ohlcv?code=600000.SH&code=000001.SZ", "code is there 2 times: write it once; of many"),
        ("tables/daily_prices/rows?date=20240102&date=20240103", "date is there 2 times: write"),
    ],
)
def test_a_parameter_that_is_there_twice_is_refused(api: Client, question: str, said: str) -> None:
    answer = api.get(f"/api/v1/{question}")
    assert answer.status_code == 400
    assert said in answer.json()["error"]


def test_the_cache_is_told_and_cleared(api: Client) -> None:
    api.get("/api/v1/ohlcv", code="HSI")
    stats = api.get("/api/v1/cache/stats").json()
    assert {"lru_cache", "ttl_cache_size", "ttl_seconds", "default_start_date"} <= set(stats)
    assert set(stats["lru_cache"]) == {"hits", "misses", "maxsize", "currsize"}
    assert stats["lru_cache"]["currsize"] >= 1
    cleared = api.post("/api/v1/cache/clear").json()
    assert cleared["message"] == "Cache cleared successfully"
    assert cleared["before"]["lru_cache"]["currsize"] >= 1
    assert cleared["after"]["lru_cache"]["currsize"] == 0
    api.get("/api/v1/ohlcv", code="HSI")
    after = api.get("/api/v1/cache/stats").json()["lru_cache"]
    assert (after["currsize"], after["misses"]) == (1, stats["lru_cache"]["misses"] + 1)


@pytest.mark.parametrize("path", ["/api/v1/ohlcv/batch", "/api/v1/exports"])
@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        # As curl sends what it is given.
        (b'{"codes":["HSI"]}', "application/x-www-form-urlencoded", "as application/json"),
        (b"[]", "application/json", "no JSON object"),
        (b'{"codes":[', "application/json", "no JSON in UTF-8"),
        ('{"codes":["浦发"]}'.encode("gbk"), "application/json", "no JSON in UTF-8"),
    ],
)
def test_a_body_that_is_no_question_says_what_to_send(
    api: Client, path: str, body: bytes, kind: str, said: str
) -> None:
    answer = api.ask("POST", path, data=body, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert said in answer.json()["error"]


def test_what_is_no_endpoint_is_a_404_that_lists_them(api: Client) -> None:
    answer = api.get("/api/v2/nothing")
    assert answer.status_code == 404
    assert answer.json()["error"] == "Endpoint not found"
    assert "/api/v1/ohlcv" in answer.json()["available_endpoints"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("POST", "/api/v1/ohlcv", "GET"), ("GET", "/api/v1/cache/clear", "POST")],
)
def test_another_method_is_a_405(api: Client, method: str, path: str, allowed: str) -> None:
    answer = api.ask(method, path)
    assert answer.status_code == 405
    assert "not allowed" in answer.json()["error"]
    assert allowed in answer.headers["Allow"]


def test_metrics_count_by_endpoint_not_by_code(api: Client) -> None:
    api.get("/api/v1/ohlcv", code=CODE)
    told = api.get("/metrics").text
    assert (
        'marketdata_api_requests_total{endpoint="/api/v1/ohlcv",method="GET",status="200"}' in told
    )
    assert 'marketdata_api_seconds_bucket{endpoint="/api/v1/ohlcv",le="0.01"}' in told
    assert CODE not in told
    assert 'marketdata_requests_open{kind="history",state="queued"}' in told
    assert 'marketdata_series_generation{table="daily_prices"}' in told
    newest = dt.datetime.combine(NEWEST, dt.time(), dt.UTC).timestamp()
    [line] = [one for one in told.splitlines() if 'newest_day_seconds{table="daily_prices"}' in one]
    assert float(line.split()[-1]) == newest


def test_every_answer_says_where_its_data_come_from(world: Path) -> None:
    with served(world, ApiSettings(origin="sandbox: simulated")) as client:
        for form in ("json", "csv", "arrow", "parquet"):
            answer = client.get("/api/v1/ohlcv", code=CODE, format=form)
            assert answer.headers["X-Data-Origin"] == "sandbox: simulated"
        assert client.get("/").json()["origin"] == "sandbox: simulated"
