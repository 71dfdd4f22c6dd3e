"""A history by code that ends early says so with its last day, and who it comes from."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from marketdata_assets.api.api_settings import ApiSettings
from marketdata_assets.serving.exports import write_export
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import INSTRUMENT_HISTORY
from marketdata_assets_tests.api.serving import Client, served
from marketdata_assets_tests.api.stored_world import history_of

LIVE, SIMULATED = "Tushare, api.tushare.pro", "sandbox: simulated, not a real market"
FROZEN = dt.date(2023, 6, 13)


def days_to(last: dt.date) -> list[dt.date]:
    return [last - dt.timedelta(n) for n in range(30, -1, -1)]


def from_sina(code: str, days: list[dt.date]) -> pa.Table:
    rows = history_of(code, days)
    names = pa.array(["Sina"] * len(rows))
    return rows.set_column(rows.column_names.index("source"), rows.schema.field("source"), names)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    root = tmp_path_factory.mktemp("early")
    lake = Lake(root, LIVE)
    lake.write(INSTRUMENT_HISTORY, "000902.SH", from_sina("000902.SH", days_to(FROZEN)))
    lake.write(INSTRUMENT_HISTORY, "510300.SH", from_sina("510300.SH", days_to(FROZEN)))
    yesterday = dt.datetime.now(dt.UTC).date() - dt.timedelta(1)
    lake.write(INSTRUMENT_HISTORY, "BTC", from_sina("BTC", days_to(yesterday)))
    with served(root, ApiSettings(origin=LIVE), default_wait=0) as client:
        yield client


def test_a_frozen_index_is_stale_since_its_last_day_even_without_rows(api: Client) -> None:
    told = api.get("/api/v1/ohlcv", code="000902.SH", start="2026-01-01").json()
    assert told["count"] == 0
    assert told["stale"] == str(FROZEN) == told["available_range"]["end"]
    batch = api.post("/api/v1/ohlcv/batch", {"codes": ["000902.SH", "BTC"]}).json()["results"]
    assert {code: one["stale"] for code, one in batch.items()} == {
        "000902.SH": str(FROZEN),
        "BTC": None,
    }


def test_an_export_says_which_of_its_codes_are(api: Client) -> None:
    asked = api.post("/api/v1/exports", {"codes": ["BTC", "000902.SH"]}).json()
    [request] = api.queue.claim(1)
    export = write_export(api.state.reader, request.export_query, api.queue.exports, request.id)
    api.queue.finish(request.id, export.file, export.rows)
    path = f"/api/v1/exports/{asked['id']}"
    assert asked["stale"] is None
    assert api.get(path).json()["stale"] == {"000902.SH": str(FROZEN)}
    assert api.get(path).json()["renamed_from"] == {}
    headers = api.get(f"{path}/file").headers
    assert headers["X-Stale"] == f"1: 000902.SH={FROZEN}"
    assert "X-Renamed-From" not in headers
    assert api.get(path).json()["missing_codes"] == {}
    assert "X-Missing-Codes" not in headers


def test_an_export_says_which_of_its_codes_are_not_there_and_why(api: Client) -> None:
    asked = api.post("/api/v1/exports", {"codes": ["BTC", "NDX"]}).json()
    [request] = api.queue.claim(1)
    export = write_export(api.state.reader, request.export_query, api.queue.exports, request.id)
    api.queue.finish(request.id, export.file, export.rows)
    path = f"/api/v1/exports/{asked['id']}"
    assert asked["missing_codes"] is None
    [(code, why)] = api.get(path).json()["missing_codes"].items()
    assert code == "NDX"
    assert "NDX is not stored" in why
    assert api.get(f"{path}/file").headers["X-Missing-Codes"] == "1: NDX"


def test_the_values_of_a_fund_that_is_stored_by_code_say_it_too(api: Client) -> None:
    assert api.get("/api/v1/etf/nav", code="510300.SH").json()["stale"] == str(FROZEN)


def test_one_that_is_up_to_date_is_not(api: Client) -> None:
    assert api.get("/api/v1/ohlcv", code="BTC").json()["stale"] is None
    assert "X-Stale" not in api.get("/api/v1/ohlcv", code="BTC", format="csv").headers


def test_files_say_it_in_a_header(api: Client) -> None:
    for form in ("csv", "arrow", "parquet"):
        answer = api.get("/api/v1/ohlcv", code="000902.SH", format=form)
        assert answer.headers["X-Stale"] == str(FROZEN)


def test_the_source_that_served_is_named_whatever_the_form(api: Client) -> None:
    for form in ("json", "csv", "arrow", "parquet"):
        answer = api.get("/api/v1/ohlcv", code="BTC", format=form)
        assert answer.headers["X-Data-Origin"] == "Sina"
    assert api.get("/api/v1/etf/nav", code="510300.SH").headers["X-Data-Origin"] == "Sina"
    assert api.get("/health").headers["X-Data-Origin"] == LIVE


def test_what_is_simulated_says_so_whoever_it_is_called(tmp_path: Path) -> None:
    Lake(tmp_path, SIMULATED).write(INSTRUMENT_HISTORY, "BTC", from_sina("BTC", days_to(FROZEN)))
    with served(tmp_path, ApiSettings(origin=SIMULATED)) as client:
        answer = client.get("/api/v1/ohlcv", code="BTC")
    assert answer.headers["X-Data-Origin"] == SIMULATED
