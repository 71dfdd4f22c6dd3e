"""Damage to what is stored: the overviews answer from what is there, and say what is not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from marketdata_assets.storage.catalog import publish_catalog
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import refresh
from marketdata_assets.storage.series.generation import MANIFEST, series_folder
from marketdata_assets.tables import DAILY_PRICES, ETF_PREMIUM, INSTRUMENT_HISTORY, STOCK_LIST
from marketdata_assets_tests.api.serving import Client, served
from marketdata_assets_tests.api.stored_world import (
    DAYS,
    FUND,
    NEWEST,
    SHARES,
    rows_of,
    store_world,
)
from marketdata_assets_tests.serving.test_requests import held
from marketdata_assets_tests.storage.tables_for_tests import flip

Damage = Callable[[Path], Path]


def queue(root: Path) -> Path:
    return root / "state" / "requests.sqlite3"


def manifest(root: Path) -> Path:
    return series_folder(root, DAILY_PRICES) / MANIFEST


def segment(root: Path) -> Path:
    return next(series_folder(root, DAILY_PRICES).glob("*.arrow"))


def newest_list(root: Path) -> Path:
    return Lake(root, "test").path(STOCK_LIST, NEWEST)


def catalog(root: Path) -> Path:
    return root / "catalog.duckdb"


@pytest.mark.parametrize(
    ("damaged", "told"),
    [
        (queue, None),
        (manifest, 'marketdata_readable{what="daily_prices"} 0.0'),
        (segment, 'marketdata_readable{what="daily_prices"} 0.0'),
        (newest_list, None),
        (catalog, None),
    ],
)
def test_the_overviews_answer_whatever_is_damaged(
    tmp_path: Path, damaged: Damage, told: str | None
) -> None:
    lake = store_world(tmp_path)
    names = {"trade_date": [DAYS[-2]] * 3, "ts_code": SHARES, "name": ["一", "二", "三"]}
    lake.write(STOCK_LIST, DAYS[-2], rows_of(STOCK_LIST, 3, **names))
    path = damaged(tmp_path)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"damaged " * 100)
    with served(tmp_path) as client:
        metrics = client.get("/metrics")
        assert metrics.status_code == 200
        # The queue is made anew at once.
        assert 'marketdata_readable{what="requests"} 1.0' in metrics.text
        assert 'marketdata_readable{what="etf_premium"} 1.0' in metrics.text
        assert (told or 'marketdata_readable{what="daily_prices"} 1.0') in metrics.text
        # Who can't answer prices is to be asked for none.
        assert client.ask("GET", "/ready").status_code == (503 if told else 200)
        answer = client.get("/api/v1/instruments", q="300750")
        assert answer.status_code == 200
        [found] = answer.json()["instruments"]
        assert found["name"] == ("二" if damaged is newest_list else "宁德时代")
        assert found["stored_in"] == (None if told else "daily_prices")


def damaged_files(client: Client) -> dict[str, float]:
    lines = [line.split() for line in client.get("/metrics").text.splitlines()]
    name = 'marketdata_damaged_files{where="'
    return {
        one[0].removeprefix(name).removesuffix('"}'): float(one[1])
        for one in lines
        if one[0].startswith(name)
    }


NONE = {"lake": 0.0, "superseded": 0.0, "series": 0.0, "catalog": 0.0, "requests": 0.0}


def test_damage_is_counted_from_when_somebody_noticed_it_until_it_was_mended(
    tmp_path: Path,
) -> None:
    lake = store_world(tmp_path)
    publish_catalog(tmp_path)
    whole = lake.load(INSTRUMENT_HISTORY, "HSI").rows.replace_schema_metadata()
    with served(tmp_path) as client:
        assert damaged_files(client) == NONE
        flip(lake.path(INSTRUMENT_HISTORY, "HSI"), 4_000)
        # The lake is not read for it.
        assert damaged_files(client) == NONE
        answer = client.get("/api/v1/ohlcv", code="HSI")
        assert answer.status_code == 503
        assert "Materialize instrument_history again" in answer.json()["error"]
        assert damaged_files(client) == NONE | {"lake": 1}
        lake.write(INSTRUMENT_HISTORY, "HSI", whole)
        assert client.get("/api/v1/ohlcv", code="HSI").status_code == 200
        assert damaged_files(client) == NONE | {"superseded": 1}

        flip(catalog(tmp_path), 100_000)
        assert damaged_files(client) == NONE | {"superseded": 1, "catalog": 1}
        publish_catalog(tmp_path)
        assert damaged_files(client) == NONE | {"superseded": 1}


def test_a_series_of_funds_that_is_damaged_costs_the_shares_of_a_batch_nothing(
    tmp_path: Path,
) -> None:
    store_world(tmp_path)
    (series_folder(tmp_path, ETF_PREMIUM) / MANIFEST).write_bytes(b"damaged")
    with served(tmp_path) as client:
        asked = {"codes": [*SHARES, FUND], "start": str(DAYS[-3])}
        results = client.ask("POST", "/api/v1/ohlcv/batch", json=asked).json()["results"]
        assert all(len(results[code]["data"]) == 3 for code in SHARES)
        assert "The series of etf_premium is damaged" in results[FUND]["error"]


def test_a_damaged_segment_is_counted_until_the_next_refresh(tmp_path: Path) -> None:
    lake = store_world(tmp_path)
    flip(segment(tmp_path), 40)
    with served(tmp_path) as client:
        assert client.get("/api/v1/ohlcv", code=SHARES[0]).status_code == 503
        assert damaged_files(client) == NONE | {"series": 1}
        refresh(lake, DAILY_PRICES)
        assert client.get("/api/v1/ohlcv", code=SHARES[0]).status_code == 200
        assert damaged_files(client) == NONE


def test_a_queue_that_was_damaged_is_counted_as_long_as_it_is_kept(tmp_path: Path) -> None:
    with served(tmp_path) as client:
        asked = client.queue.request_history("HSI")
        queue(tmp_path).write_bytes(b"damaged " * 100)
        # The API asks the new one.
        assert client.get(f"/api/v1/requests/{asked.id}").status_code == 404
        assert damaged_files(client) == NONE | {"requests": 1}
        queue(tmp_path).with_name("requests.damaged.sqlite3").unlink()
        assert damaged_files(client) == NONE


def test_a_queue_that_is_held_is_told_by_the_metrics(tmp_path: Path) -> None:
    with served(tmp_path) as client:
        client.queue.request_history("HSI")
        with held(tmp_path):
            assert 'marketdata_readable{what="requests"} 0.0' in client.get("/metrics").text
        assert 'marketdata_readable{what="requests"} 1.0' in client.get("/metrics").text
