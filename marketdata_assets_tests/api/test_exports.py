"""Exports: asked, awaited elsewhere, downloaded, over; and no file but their own."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from marketdata_assets.serving.requests import Requests
from marketdata_assets_tests.api.serving import Client, served

QUERY = {"codes": ["sh600000", "HSI"], "start": "2024-01-01", "end": "2024-12-31"}


def asked(client: Client, **more: object) -> dict[str, Any]:
    answer = client.post("/api/v1/exports", {**QUERY, **more})
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == answer.json()["status_url"]
    return answer.json()


def test_an_export_from_asking_to_its_file(tmp_path: Path) -> None:
    with served(tmp_path) as client:
        told = asked(client)
        assert (told["status"], told["file_url"], told["error"]) == ("queued", None, None)
        early = client.get(f"{told['status_url']}/file")
        assert early.status_code == 409
        assert "queued" in early.json()["error"]

        queue = client.queue
        [request] = queue.claim(1)
        assert request.export_query.codes == ["600000.SH", "HSI"]
        assert client.get(told["status_url"]).json()["status"] == "running"
        rows = pa.table({"code": ["600000.SH"], "close": [1.5]})
        pq.write_table(rows, queue.exports / f"{request.id}.parquet")
        queue.finish(request.id, f"{request.id}.parquet", rows=1)

        done = client.get(told["status_url"]).json()
        assert (done["status"], done["rows"]) == ("done", 1)
        assert done["expires_at"] > done["finished_at"]
        file = client.get(done["file_url"])
        assert file.status_code == 200
        assert file.headers["Content-Type"] == "application/vnd.apache.parquet"
        assert f'filename="marketdata-{request.id}.parquet"' in file.headers["Content-Disposition"]
        assert pq.read_table(pa.BufferReader(file.content)).equals(rows)

        (queue.exports / f"{request.id}.parquet").unlink()
        gone = client.get(done["file_url"])
        assert gone.status_code == 404
        assert "no more" in gone.json()["error"]


def test_a_failed_export_says_why(tmp_path: Path) -> None:
    with served(tmp_path) as client:
        told = asked(client)
        client.queue.fail(str(told["id"]), "BTC is not stored.")
        assert client.get(told["status_url"]).json()["error"] == "BTC is not stored."
        file = client.get(f"{told['status_url']}/file")
        assert file.status_code == 502
        assert file.json()["error"] == "BTC is not stored."


def test_too_many_open_exports_are_a_429_with_the_limit(tmp_path: Path) -> None:
    with served(tmp_path, queue=Requests(tmp_path, most_open_exports=2)) as client:
        for _ in range(2):
            asked(client)
        answer = client.post("/api/v1/exports", QUERY)
        assert answer.status_code == 429
        assert "2 export requests are open" in answer.json()["error"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"codes": []}, "codes"),
        ({"codes": ["600000"]}, "Did you mean 600000.SH"),
        ({"codes": ["HSI"] * 501}, "500"),
        ({"start": "soon"}, "YYYY-MM-DD"),
        ({"start": "2025-01-01"}, "lies after"),
        ({"columns": ["nonsense"]}, "nonsense"),
        ({"format": "json"}, "format"),
        ({"path": "/etc/passwd"}, "path"),
    ],
)
def test_an_export_that_does_not_fit_is_a_400(
    tmp_path: Path, more: dict[str, object], said: str
) -> None:
    with served(tmp_path) as client:
        answer = client.post("/api/v1/exports", {**QUERY, **more})
        assert answer.status_code == 400
        assert said in answer.json()["error"]
        assert client.queue.claim(1) == []


def test_ids_that_are_none_and_requests_of_another_kind(tmp_path: Path) -> None:
    with served(tmp_path, default_wait=0) as client:
        history = client.get("/api/v1/ohlcv", code="BTC").json()["request_id"]
        for request_id, status in (("0" * 32, 404), (history, 404), ("..", 404), ("x", 400)):
            for tail in ("", "/file"):
                answer = client.get(f"/api/v1/exports/{request_id}{tail}")
                assert answer.status_code == status, request_id
                assert answer.json()["error"]
