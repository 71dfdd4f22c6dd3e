"""Damage to what is stored: the overviews answer from what is there, and say what is not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series.generation import MANIFEST, series_folder
from marketdata_assets.tables import DAILY_PRICES, STOCK_LIST
from marketdata_assets_tests.api.serving import served
from marketdata_assets_tests.api.stored_world import DAYS, NEWEST, SHARES, rows_of, store_world
from marketdata_assets_tests.serving.test_requests import held

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
        answer = client.get("/api/v1/instruments", q="300750")
        assert answer.status_code == 200
        [found] = answer.json()["instruments"]
        assert found["name"] == ("二" if damaged is newest_list else "宁德时代")
        assert found["stored_in"] == (None if told else "daily_prices")


def test_a_queue_that_is_held_is_told_by_the_metrics(tmp_path: Path) -> None:
    with served(tmp_path) as client:
        client.queue.request_history("HSI")
        with held(tmp_path):
            assert 'marketdata_readable{what="requests"} 0.0' in client.get("/metrics").text
        assert 'marketdata_readable{what="requests"} 1.0' in client.get("/metrics").text
