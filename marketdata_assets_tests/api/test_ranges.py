"""Clients that read a file over HTTP piece by piece: HEAD, ranges, and what pages may see of it."""

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet
import pytest
from starlette.types import Message, Receive, Scope, Send

from marketdata_assets.api.api_settings import ApiSettings
from marketdata_assets.api.middleware import Heads
from marketdata_assets.serving.queries import ExportQuery
from marketdata_assets.serving.requests import Requests
from marketdata_assets_tests.api.serving import Client, served
from marketdata_assets_tests.api.stored_world import DAYS, NEWEST

SITE = "https://notebook.example"
OHLCV = f"/api/v1/ohlcv?code=600000.SH&start={DAYS[0]}&end={NEWEST}"
FILES = [
    f"{OHLCV}&format=parquet",
    f"{OHLCV}&format=arrow",
    f"{OHLCV}&format=csv",
    f"/api/v1/cross-section?date={NEWEST}&format=parquet",
    f"/api/v1/cross-section?date={NEWEST}&format=arrow",
]
ASKED_ELSEWHERE = {"/api/v1/exports/{request_id}", "/api/v1/exports/{request_id}/file"}


@pytest.fixture
def paged(world: Path) -> Iterator[Client]:
    with served(world, ApiSettings(cors_origins=(SITE,)), default_wait=0) as client:
        yield client


def same(headers: dict[str, str]) -> dict[str, str]:
    """Headers but for the moment of the answer."""
    moving = {"date", "content-length"}
    return {name.lower(): value for name, value in headers.items() if name.lower() not in moving}


def test_head_is_get_without_the_body(api: Client) -> None:
    document = api.get("/openapi.json").json()
    paths = [path for path, operations in document["paths"].items() if "get" in operations]
    asked = {"code": "600000.SH", "date": str(NEWEST), "request_id": "0" * 32}
    for path in [*paths, *FILES, "/docs", "/openapi.json", "/nothing", "/api/v1/ohlcv/batch"]:
        where = path.replace("{request_id}", asked["request_id"])
        more = {} if "?" in where else asked
        head = api.ask("HEAD", where, params=more)
        get = api.get(where, **more)
        assert head.status_code == get.status_code, path
        assert same(dict(head.headers)) == same(dict(get.headers)), path
        assert head.content == b"", path
        # Bodies that hold a moment may differ in length.
        if path in FILES:
            assert head.headers["Content-Length"] == str(len(get.content)), path


def test_the_head_of_an_exports_file_tells_its_length(tmp_path: Path) -> None:
    queue = Requests(tmp_path)
    with served(tmp_path, queue=queue) as client:
        export = queue.request_export(ExportQuery(codes=["600000.SH"]))
        file = queue.exports / f"{export.id}.parquet"
        file.write_bytes(b"x" * 1_000_000)
        queue.finish(export.id, file=file.name, rows=1)
        where = f"/api/v1/exports/{export.id}/file"
        head = client.ask("HEAD", where)
        assert (head.status_code, head.headers["Content-Length"]) == (200, "1000000")
        assert head.content == b""
        part = client.ask("GET", where, headers={"Range": "bytes=0-9"})
        assert (part.status_code, part.content) == (206, b"x" * 10)


def test_for_a_head_no_body_is_read() -> None:
    """Of a file that lies elsewhere it would be fetched, and may be gone meanwhile."""
    told: list[str] = []

    async def answering(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise AssertionError("the body is read")

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        told.append(message["type"])

    asyncio.run(Heads(answering)({"type": "http", "method": "HEAD", "headers": []}, receive, send))
    assert told == ["http.response.start", "http.response.body"]


@pytest.mark.parametrize("path", FILES)
def test_a_file_is_read_in_pieces(api: Client, path: str) -> None:
    whole = api.get(path)
    assert whole.headers["Accept-Ranges"] == "bytes"
    content, size = whole.content, len(whole.content)
    for asked, expected in {
        "bytes=0-3": (0, 4),
        "bytes=4-": (4, size),
        "bytes=-8": (size - 8, size),
        f"bytes=5-{size * 2}": (5, size),
        f"bytes=-{size * 2}": (0, size),
    }.items():
        part = api.ask("GET", path, headers={"Range": asked})
        start, end = expected
        assert part.status_code == 206, asked
        assert part.content == content[start:end]
        assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
        assert part.headers["Content-Type"] == whole.headers["Content-Type"]
        assert part.headers["ETag"] == whole.headers["ETag"]


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0", "bytes=99999998-99999999"])
def test_a_range_outside_the_file_is_a_416(api: Client, asked: str) -> None:
    answer = api.ask("GET", FILES[0], headers={"Range": asked})
    assert answer.status_code == 416
    size = len(api.get(FILES[0]).content)
    assert answer.headers["Content-Range"] == f"bytes */{size}"
    assert "Ask for others" in answer.json()["error"]


@pytest.mark.parametrize(
    "asked", ["bytes=9-3", "bytes=-", "bytes", "rows=0-3", "bytes=0-3,9-12", "bytes=a-b"]
)
def test_what_is_no_range_is_answered_with_the_whole(api: Client, asked: str) -> None:
    answer = api.ask("GET", FILES[0], headers={"Range": asked})
    assert answer.status_code == 200
    assert answer.content == api.get(FILES[0]).content


def test_pieces_of_another_version_are_not_mixed(api: Client) -> None:
    whole = api.get(FILES[0])
    for etag, status in ((whole.headers["ETag"], 206), ('"another"', 200)):
        headers = {"Range": "bytes=0-3", "If-Range": etag}
        assert api.ask("GET", FILES[0], headers=headers).status_code == status


def test_json_is_answered_as_a_whole(api: Client) -> None:
    answer = api.ask("GET", OHLCV, headers={"Range": "bytes=0-3"})
    assert answer.status_code == 200
    assert "Accept-Ranges" not in answer.headers


def test_a_parquet_file_is_read_by_its_end(api: Client) -> None:
    """As readers do: the length of the footer, the footer, then the columns."""
    size = int(api.ask("HEAD", FILES[0]).headers["Content-Length"])

    def piece(start: int, end: int) -> bytes:
        headers = {"Range": f"bytes={start}-{end - 1}"}
        return api.ask("GET", FILES[0], headers=headers).content

    pieces = [piece(start, min(start + 1000, size)) for start in range(0, size, 1000)]
    rows = pyarrow.parquet.read_table(io.BytesIO(b"".join(pieces)))
    assert rows.num_rows == len(DAYS)


def test_pages_of_allowed_sites_see_our_headers(paged: Client) -> None:
    answer = paged.ask("GET", FILES[0], headers={"Origin": SITE, "Range": "bytes=0-3"})
    exposed = answer.headers["Access-Control-Expose-Headers"].lower().split(", ")
    ours = {name.lower() for name in answer.headers if name.lower().startswith("x-")}
    assert {"x-missing-sessions", "x-data-origin"} <= ours
    assert ours | {"location", "content-range", "accept-ranges", "etag"} <= set(exposed)
