"""What the page asks: the market, coverage, marks, status; and the page itself, for browsers."""

import datetime as dt
from pathlib import Path

import pytest

from marketdata_assets.api.api_settings import ApiSettings
from marketdata_assets.api.page_files import prefers_html
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets_tests.api.serving import Client, served
from marketdata_assets_tests.api.stored_world import DAYS, EX_DATE, FUND, NEWEST, SHARES, prices_of

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
TOKEN = "token-of-this-test-1"


@pytest.mark.parametrize(
    ("accept", "is_html"),
    [
        (BROWSER, True),
        ("*/*", False),
        ("", False),
        ("application/json", False),
        ("application/json, text/html;q=0.5", False),
        ("text/html;q=x", False),
    ],
)
def test_browsers_get_the_page_and_programs_json(api: Client, accept: str, is_html: bool) -> None:
    answer = api.ask("GET", "/", headers={"Accept": accept})
    assert answer.headers["Content-Type"].startswith("text/html" if is_html else "application/json")
    assert prefers_html(accept) is is_html


@pytest.mark.parametrize("path", ["/page", "/page/"])
def test_the_folder_of_the_page_leads_to_it(api: Client, path: str) -> None:
    answer = api.ask("GET", path, headers={"Accept": BROWSER}, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (307, "/")


def test_the_page_may_ask_this_server_alone(api: Client) -> None:
    answer = api.ask("GET", "/", headers={"Accept": BROWSER})
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["Vary"] == "Accept"
    assert "<script>" not in answer.text


def test_a_file_of_the_page_is_sent_again_only_when_it_is_another(api: Client) -> None:
    first = api.get("/page/app.js")
    assert first.headers["Content-Type"].startswith("text/javascript")
    # A proxy that compresses says that the bytes are others.
    for known in (first.headers["ETag"], f"W/{first.headers['ETag']}"):
        again = api.ask("GET", "/page/app.js", headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
    assert api.get("/page/../app.py").status_code == 404
    assert api.get("/page/nothing.js").json() == {"error": "The page has no file nothing.js"}


def test_the_page_is_open_without_the_token_and_nothing_else_is(tmp_path_factory) -> None:
    root = tmp_path_factory.mktemp("open") / "sandbox"
    with served(root, ApiSettings(token=TOKEN)) as client:
        assert client.ask("GET", "/", headers={"Accept": BROWSER}).status_code == 200
        assert client.get("/page/app.js").status_code == 200
        assert client.get("/").status_code == 401
        for path in ("market", "coverage", "marks?code=600000.SH", "status"):
            answer = client.ask("GET", f"/api/v1/{path}", headers={"Accept": BROWSER})
            assert answer.status_code == 401


def test_a_link_on_another_site_leads_to_the_page_alone(api: Client) -> None:
    foreign = {"Accept": BROWSER, "Sec-Fetch-Site": "cross-site"}
    assert api.ask("GET", "/", headers=foreign).status_code == 200
    assert api.ask("GET", "/", headers={**foreign, "Accept": "*/*"}).status_code == 403
    assert api.ask("GET", "/api/v1/market", headers=foreign).status_code == 403


def test_a_day_of_the_market_is_counted(api: Client) -> None:
    days = api.get("/api/v1/market", start=str(DAYS[-2]), end=str(NEWEST)).json()["days"]
    assert [one["date"] for one in days] == [str(DAYS[-2]), str(NEWEST)]
    # Every close lies above the close before, and above the limits of the stored world.
    expected = {"shares": 3, "up": 3, "down": 0, "flat": 0, "limit_up": 3, "limit_down": 0}
    assert {name: days[0][name] for name in expected} == expected
    assert days[0]["turnover"] == pytest.approx(3 * 987_654)


def test_a_damaged_day_is_named_and_costs_the_others_nothing(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "sandbox", "test")
    for day in DAYS[-3:]:
        lake.write(DAILY_PRICES, day, prices_of(day))
    lake.path(DAILY_PRICES, NEWEST).write_bytes(b"no parquet")
    with served(lake.root) as client:
        answer = client.get("/api/v1/market").json()
        assert [one["date"] for one in answer["days"]] == [str(day) for day in DAYS[-3:-1]]
        assert answer["unreadable"] == [str(NEWEST)]
        assert client.get("/api/v1/market", date=str(NEWEST)).status_code == 503


def test_movers_are_those_of_the_day(api: Client) -> None:
    answer = api.get("/api/v1/market", date=str(NEWEST)).json()
    assert len(answer["days"]) == 1
    assert [one["code"] for one in answer["movers"]["up"]] == list(SHARES)
    assert answer["movers"]["down"] == []
    assert api.get("/api/v1/market", date="2020-01-01").status_code == 404


def test_coverage_tells_the_states_of_a_range_and_the_findings_of_a_day(api: Client) -> None:
    start, end = str(DAYS[-4]), str(NEWEST)
    answer = api.get("/api/v1/coverage", table="daily_prices", start=start, end=end).json()
    [table] = answer["tables"]
    assert answer["first_day"] == str(DAYS[0])
    assert [day["state"] for day in table["days"]] == ["stored", *["flagged"] * 3]
    day = api.get("/api/v1/coverage", table="daily_prices", date=end).json()["day"]
    assert (day["rows"], day["flagged"]) == (3, 1)
    assert [one["check"] for one in day["findings"]] == ["factor_missing"]


@pytest.mark.parametrize(
    ("asked", "status", "told"),
    [
        ({"date": str(NEWEST)}, 400, "name it as table"),
        ({"date": str(NEWEST), "table": "a,b"}, 400, "name it as table"),
        ({"date": str(NEWEST), "start": str(NEWEST)}, 400, "not for both"),
        ({"table": "kline"}, 404, "There is no table kline"),
        ({"date": "1999-01-04", "table": "daily_prices"}, 404, "is no session"),
        ({"start": "2005-01-04"}, 413, "more than 366 days"),
        ({"start": "2024-02-01", "end": "2024-01-01"}, 400, "lies after end"),
        ({"tabel": "daily_prices"}, 400, "did you mean table?"),
    ],
)
def test_what_coverage_cant_answer_is_told(
    api: Client, asked: dict[str, str], status: int, told: str
) -> None:
    answer = api.get("/api/v1/coverage", **asked)
    assert answer.status_code == status
    assert told in answer.text


def test_marks_are_of_shares_and_funds(api: Client) -> None:
    start, end = str(EX_DATE - dt.timedelta(3)), str(EX_DATE)
    marks = api.get("/api/v1/marks", code="600000.SH", start=start, end=end).json()
    assert {one["kind"] for one in marks["marks"]} == {"limit_up"}
    flagged = api.get("/api/v1/marks", code=SHARES[0]).json()["marks"]
    details = [one["detail"] for one in flagged if one["kind"] == "flagged"]
    assert details == ["daily_prices.factor_missing: adj_factor NULL"] * 3
    assert api.get("/api/v1/marks", code=FUND).json()["marks"] == []
    assert api.get("/api/v1/marks", code="HSI").json()["count"] == 0
    assert api.get("/api/v1/marks", code=FUND, end="0001-01-01").json()["marks"] == []


def test_initials_in_pinyin_find_an_instrument(api: Client) -> None:
    found = api.get("/api/v1/instruments", q="NDSD").json()["instruments"]
    assert [one["code"] for one in found] == ["300750.SZ"]


def test_the_status_names_the_last_day_of_both_evenings(api: Client) -> None:
    status = api.get("/api/v1/status").json()
    assert [one["last_stored"] for one in status["evenings"]] == [str(NEWEST)] * 2
    assert status["bytes_on_disk"]["lake"] > 0
