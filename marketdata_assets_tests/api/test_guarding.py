"""Who may ask, and how much: token, host, origins, sizes; and what errors never show."""

import asyncio
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import ANY
from urllib.parse import urlsplit

import pytest
from starlette.types import Message

from marketdata_assets.api.api_settings import ApiSettings, api_settings, page_address
from marketdata_assets.api.errors import Unexpected
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.settings import SettingError
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import refresh
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets_tests.api.serving import Client, served
from marketdata_assets_tests.api.stored_world import DAYS, FUND, NEWEST, close_of, store_world

TOKEN = "token-of-this-test-1"
SITE = "https://notebook.example"
ASKED = "/api/v1/ohlcv?code=HSI"


@pytest.fixture(scope="module")
def closed(world: Path) -> Iterator[Client]:
    """A server with a token and one site whose pages may ask."""
    with served(world, ApiSettings(token=TOKEN, cors_origins=(SITE,))) as client:
        yield client


def bearer(token: str, scheme: str = "Bearer") -> dict[str, str]:
    return {"Authorization": f"{scheme} {token}"}


def test_with_a_token_everything_but_health_and_ready_needs_it(closed: Client) -> None:
    paths = ["/", ASKED, "/docs", "/openapi.json", "/metrics", "/nothing", "/api/v1/tables"]
    for path in paths:
        answer = closed.ask("GET", path)
        assert answer.status_code == 401, path
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert "Authorization: Bearer" in answer.json()["error"]
        assert TOKEN not in answer.text
        assert closed.ask("GET", path, headers=bearer(TOKEN)).status_code in (200, 404)
    assert closed.ask("POST", "/api/v1/cache/clear").status_code == 401
    assert closed.get("/health").status_code == 200
    assert closed.get("/ready").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        bearer("another-token-of-20"),
        bearer(TOKEN[:-1]),
        bearer(TOKEN + "x"),
        bearer(""),
        bearer(TOKEN, "Basic"),
        {"Authorization": TOKEN},
        {"Authorization": "Bearer töken-of-this-test".encode("latin-1").decode("latin-1")},
    ],
)
def test_anything_but_the_token_is_refused(closed: Client, headers: dict[str, str]) -> None:
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    assert closed.ask("GET", ASKED, headers=raw).status_code == 401


def test_with_a_token_any_host_may_be_named(closed: Client) -> None:
    answer = closed.ask("GET", ASKED, headers={"Host": "data.example", **bearer(TOKEN)})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:5000", "127.0.0.1.evil.example", ""]
)
def test_without_a_token_only_this_machines_names_are_answered(api: Client, host: str) -> None:
    answer = api.ask("GET", ASKED, headers={"Host": host})
    assert answer.status_code == 403
    assert "API_TOKEN" in answer.json()["error"]


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1:80", "[::1]:5000", "[::1]"]
)
def test_every_name_of_this_machine_is_answered(api: Client, host: str) -> None:
    assert api.ask("GET", ASKED, headers={"Host": host}).status_code == 200


def test_pages_of_other_sites_may_not_ask_unless_configured(api: Client, closed: Client) -> None:
    assert (
        "Access-Control-Allow-Origin" not in api.ask("GET", ASKED, headers={"Origin": SITE}).headers
    )
    preflight = {
        "Origin": SITE,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    allowed = closed.ask("OPTIONS", ASKED, headers=preflight)
    assert allowed.status_code == 200
    assert allowed.headers["Access-Control-Allow-Origin"] == SITE
    assert "authorization" in allowed.headers["Access-Control-Allow-Headers"].lower()
    answer = closed.ask("GET", ASKED, headers={"Origin": SITE, **bearer(TOKEN)})
    assert answer.headers["Access-Control-Allow-Origin"] == SITE
    other = {**preflight, "Origin": "https://evil.example"}
    assert "Access-Control-Allow-Origin" not in closed.ask("OPTIONS", ASKED, headers=other).headers


def test_what_a_browser_asks_for_another_sites_page_is_refused(world: Path, api: Client) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": SITE}
    for headers in (foreign, {"Sec-Fetch-Site": "cross-site"}):
        answer = api.ask("POST", "/api/v1/cache/clear", headers=headers)
        assert answer.status_code == 403
        assert "API_CORS_ORIGINS" in answer.json()["error"]
    assert api.ask("GET", ASKED, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    with served(world, ApiSettings(cors_origins=(SITE,))) as client:
        assert client.ask("GET", ASKED, headers=foreign).status_code == 200


def test_a_large_body_is_refused_before_it_is_read(api: Client) -> None:
    body = {"codes": ["HSI"], "start": "2024-01-01" + " " * 70_000}
    answer = api.post("/api/v1/ohlcv/batch", body)
    assert answer.status_code == 413
    assert "64,000 bytes" in answer.json()["error"]


def test_a_large_body_without_a_length_is_cut_off(api: Client) -> None:
    connection = http.client.HTTPConnection(urlsplit(api.url).netloc, timeout=20)
    chunks = (b" " * 10_000 for _ in range(8))
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/api/v1/exports", chunks, headers, encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status == 413
    assert "64,000 bytes" in json.loads(answer.read())["error"]
    connection.close()


def test_too_many_codes_or_days_are_refused_with_the_limit(world: Path, api: Client) -> None:
    answer = api.post("/api/v1/ohlcv/batch", {"codes": ["HSI"] * 501})
    assert answer.status_code == 413
    assert "up to 500" in answer.json()["error"]
    with served(world, rows=1_000) as client:
        body = {"codes": ["HSI", "BTC"], "start": "2020-01-01", "end": "2021-12-31"}
        answer = client.post("/api/v1/ohlcv/batch", body)
        assert answer.status_code == 413
        assert "1,462 days of codes" in answer.json()["error"]
        assert "up to 1,000" in answer.json()["error"]


@pytest.mark.parametrize(
    "code", ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "HSI'; DROP TABLE requests; --", "/HSI"]
)
def test_a_code_is_never_a_path_or_sql(api: Client, code: str) -> None:
    assert api.get("/api/v1/ohlcv", code=code).status_code == 400
    assert api.get("/api/v1/instruments", q=code).json()["count"] == 0
    for path in ("/api/v1/requests/", "/api/v1/exports/"):
        assert api.ask("GET", path + code.replace("/", "%2F")).status_code in (400, 404)
    assert api.get("/api/v1/ohlcv", code="HSI").status_code == 200


class BrokenReader(PriceReader):
    """Fails as no code foresees, with a secret in its message."""

    def cross_section(self, *_: object) -> None:
        raise RuntimeError(f"secret: {TOKEN}")


def test_what_nobody_foresaw_is_a_500_without_a_trace(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with served(tmp_path, reader=BrokenReader(tmp_path)) as client:
        answer = client.get("/api/v1/cross-section", date=NEWEST)
        assert answer.status_code == 500
        assert answer.json() == {"error": "Internal server error", "message": ANY}
        for word in (TOKEN, "Traceback", "RuntimeError", str(tmp_path)):
            assert word not in answer.text
        [told] = [record for record in caplog.records if "failed" in record.getMessage()]
        assert told.exc_info
        assert 'status="500"' in client.get("/metrics").text


def test_what_the_server_does_not_wait_for_when_it_ends_is_a_503() -> None:
    sent: list[Message] = []

    async def forever(*_: object) -> None:
        await asyncio.Event().wait()

    async def send(message: Message) -> None:
        sent.append(message)

    async def ended() -> None:
        scope = {"type": "http", "method": "GET", "path": "/"}
        asked = asyncio.create_task(Unexpected(forever)(scope, forever, send))
        await asyncio.sleep(0)
        asked.cancel()
        await asked

    asyncio.run(ended())
    assert [one.get("status") for one in sent] == [503, None]
    assert b"Ask again" in sent[1]["body"]


def test_a_damaged_series_is_a_503_that_shows_no_folder(tmp_path: Path, world: Path) -> None:
    folder = tmp_path / "series" / "daily_prices"
    folder.mkdir(parents=True)
    (folder / "generation.json").write_text("{", "utf-8")
    with served(tmp_path) as client:
        answer = client.get("/api/v1/cross-section", date=NEWEST)
        assert answer.status_code == 503
        assert "Materialize price_series" in answer.json()["error"]
        assert str(tmp_path) not in answer.text


def test_a_flipped_price_is_a_503_until_the_refresh(tmp_path: Path) -> None:
    store_world(tmp_path)
    for segment in (tmp_path / "series" / "daily_prices").glob("*.arrow"):
        raw = bytearray(segment.read_bytes())
        raw[len(raw) // 2] ^= 0x10
        segment.write_bytes(raw)
    with served(tmp_path) as client:
        answer = client.get("/api/v1/ohlcv", code="600000.SH", start=DAYS[0])
        assert answer.status_code == 503
        assert "Materialize price_series" in answer.json()["error"]
        assert client.get("/api/v1/ohlcv", code=FUND).status_code == 200
        refresh(Lake(tmp_path, "test"), DAILY_PRICES)
        answer = client.get("/api/v1/ohlcv", code="600000.SH", start=DAYS[0])
        assert answer.json()["data"][0]["close"] == close_of("600000.SH", DAYS[0])


def test_a_world_without_anything_answers_too(tmp_path: Path) -> None:
    with served(tmp_path, default_wait=0) as client:
        assert client.get("/").status_code == 200
        assert client.get("/api/v1/instruments", q="6").json()["count"] == 0
        assert client.get("/api/v1/ohlcv", code="600000.SH").status_code == 202
        answer = client.get("/api/v1/cross-section", date=DAYS[0])
        assert answer.status_code == 503
        assert "no series yet" in answer.json()["error"]


def test_the_settings_are_safe_by_default() -> None:
    usual = api_settings({})
    assert (usual.host, usual.port, usual.token, usual.cors_origins) == ("127.0.0.1", 5000, "", ())


def test_the_settings_are_read() -> None:
    env = {"API_HOST": "0.0.0.0", "API_PORT": "8000", "API_TOKEN": TOKEN}
    read = api_settings({**env, "API_CORS_ORIGINS": f"{SITE}, http://localhost:8888"})
    assert (read.host, read.port, read.token) == ("0.0.0.0", 8000, TOKEN)
    assert read.cors_origins == (SITE, "http://localhost:8888")
    assert TOKEN not in repr(read)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "data.example", "127.0.0.1.x"])
def test_an_open_door_needs_a_token(host: str) -> None:
    with pytest.raises(SettingError, match="set API_TOKEN too"):
        api_settings({"API_HOST": host})
    assert api_settings({"API_HOST": host, "API_TOKEN": TOKEN}).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_this_machine_needs_none(host: str) -> None:
    assert api_settings({"API_HOST": host}).host == host


def test_an_address_of_ipv6_may_be_written_as_in_a_url() -> None:
    env = {"API_HOST": "[::1]", "API_PORT": "8000"}
    assert (api_settings(env).host, page_address(env)) == ("::1", "http://[::1]:8000")


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"API_PORT": "many"}, "API_PORT is 'many': write a port"),
        ({"API_TOKEN": "short"}, r"API_TOKEN is '\*\*\*'"),
        ({"API_TOKEN": "with a space in it, long"}, r"API_TOKEN is '\*\*\*'"),
        ({"API_CORS_ORIGINS": "*"}, "API_CORS_ORIGINS"),
        ({"API_CORS_ORIGINS": "https://a.example/path"}, "write sites"),
        ({"API_CORS_ORIGINS": "a.example"}, "API_CORS_ORIGINS"),
    ],
)
def test_a_setting_that_can_not_be_used_says_why(env: dict[str, str], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        api_settings(env)
