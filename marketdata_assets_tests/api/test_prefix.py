"""Behind a proxy that has the API under a path of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from marketdata_assets.api.api_settings import ApiSettings, api_settings
from marketdata_assets.settings import SettingError
from marketdata_assets_tests.api.serving import Client, served

PREFIX = "/market/data"
TOKEN = "token-of-this-test-1"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[Client]:
    settings = ApiSettings(root_path=PREFIX, token=TOKEN)
    with served(tmp_path, settings, default_wait=0) as client:
        client.session.headers.update(BEARER)
        yield client


# Some proxies take the prefix off before they ask, some do not.
@pytest.mark.parametrize("sent", ["", PREFIX])
def test_places_are_those_of_the_proxy(behind: Client, sent: str) -> None:
    answer = behind.get(f"{sent}/api/v1/ohlcv", code="BTC")
    assert answer.status_code == 202
    place = answer.json()["status_url"]
    assert place.startswith(f"{PREFIX}/api/v1/requests/")
    assert answer.headers["Location"] == place
    assert behind.get(place).json()["status"] == "queued"
    export = behind.post(f"{sent}/api/v1/exports", {"codes": ["BTC"]})
    assert export.headers["Location"] == export.json()["status_url"]
    assert export.json()["status_url"].startswith(f"{PREFIX}/api/v1/exports/")
    batch = behind.post(f"{sent}/api/v1/ohlcv/batch", {"codes": ["BTC"]}).json()
    assert batch["results"]["BTC"]["status_url"] == place


@pytest.mark.parametrize("sent", ["", PREFIX])
def test_an_error_leads_to_where_the_api_is_for_clients(behind: Client, sent: str) -> None:
    assert behind.ask("DELETE", f"{sent}/health").json()["docs"] == f"{PREFIX}/docs"
    assert f"{PREFIX}/health" in behind.get(f"{sent}/x").json()["available_endpoints"]
    example = behind.get(f"{sent}/api/v1/ohlcv").json()["example"]
    assert example.startswith(f"{PREFIX}/api/v1/ohlcv?code=")
    batch = behind.post(f"{sent}/api/v1/ohlcv/batch", {})
    assert batch.json()["example"]["codes"] == ["000300.SH", "NDX"]


@pytest.mark.parametrize("sent", ["", PREFIX])
def test_everything_else_is_there_too(behind: Client, sent: str) -> None:
    for path in ("/", "/docs", "/metrics", "/api/v1/tables", "/api/v1/cache/stats"):
        assert behind.get(sent + path).status_code == 200, path
    document = behind.get(f"{sent}/openapi.json").json()
    assert document["servers"] == [{"url": PREFIX}]
    assert behind.get(f"{sent}/").json()["endpoints"]["docs"] == f"{PREFIX}/docs"
    # The one that is open without a token, and no other.
    behind.session.headers.pop("Authorization")
    assert behind.get(f"{sent}/health").status_code == 200
    assert behind.get(f"{sent}/api/v1/tables").status_code == 401
    assert behind.get(f"{sent}{PREFIX}/health").status_code == (200 if not sent else 401)
    assert behind.get(f"{PREFIX}x/health").status_code == 401


def test_the_prefix_is_a_setting() -> None:
    assert api_settings({}).root_path == ""
    assert api_settings({"API_ROOT_PATH": "/market/data/"}).root_path == PREFIX


@pytest.mark.parametrize("bad", ["market", "http://a.example/x", "/a b", "/a?b", "/api/x", "/docs"])
def test_a_prefix_that_can_not_be_used_says_why(bad: str) -> None:
    with pytest.raises(SettingError, match="API_ROOT_PATH"):
        api_settings({"API_ROOT_PATH": bad})
