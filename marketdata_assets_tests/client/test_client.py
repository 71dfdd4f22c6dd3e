"""The client's calls: the same over a folder and over a server, and nothing lacks in silence."""

import json
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from marketdata_assets.api.api_settings import ApiSettings
from marketdata_assets.client import (
    AnsweredWithError,
    BadQuestion,
    Incomplete,
    MarketData,
    NoRows,
    NotInstalled,
    Unreachable,
    connect,
    to_qlib,
)
from marketdata_assets.errors import MarketdataError
from marketdata_assets.storage.catalog import publish_catalog
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import refresh
from marketdata_assets.tables import DAILY_PRICES, ETF_PREMIUM, FINDINGS
from marketdata_assets_tests.api.serving import Client, served
from marketdata_assets_tests.api.stored_world import (
    DAYS,
    EX_DATE,
    FUND,
    NEWEST,
    SHARES,
    close_of,
    premium_of,
    prices_of,
    rows_of,
    store_world,
)
from marketdata_sandbox.loopback_server import LoopbackServer

CODE, CLOSED = "600000.SH", "2024-10-01"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("client") / "sandbox"
    store_world(root)
    publish_catalog(root)
    return root


@pytest.fixture(scope="module")
def server(world: Path) -> Iterator[Client]:
    with served(world, ApiSettings(token="secret", origin="a test"), rows=30_000) as client:
        yield client


@pytest.fixture(scope="module")
def remote(server: Client) -> MarketData:
    return connect(server.url, token="secret")


@pytest.fixture(scope="module")
def local(world: Path) -> MarketData:
    return connect(world)


@pytest.fixture(params=["local", "remote"])
def md(request: pytest.FixtureRequest) -> MarketData:
    return request.getfixturevalue(request.param)


def test_one_code_is_a_frame_by_date(md: MarketData) -> None:
    rows = md.get_price("sh600000", DAYS[-10], str(DAYS[-2]))
    assert list(rows.columns) == ["open", "high", "low", "close", "volume", "turnover"]
    assert [day.date() for day in rows.index] == DAYS[-10:-1]
    assert list(rows["close"]) == [close_of(CODE, day) for day in DAYS[-10:-1]]
    assert rows.attrs == {"missing": {}, "missing_sessions": {}, "stale": {}, "unfinished": {}}


def test_many_codes_are_told_apart_by_a_column_in_their_order(md: MarketData) -> None:
    codes = [SHARES[2], "HSI", SHARES[0]]
    rows = md.get_price(codes, DAYS[-3].strftime("%Y%m%d"), fields="close, volume")
    assert list(rows.columns) == ["code", "date", "close", "volume"]
    assert list(rows["code"]) == [code for code in codes for _ in range(3)]
    assert rows["volume"].isna().sum() == 3
    of_text = md.get_price(",".join(codes), DAYS[-3], fields=["close", "volume"])
    pd.testing.assert_frame_equal(rows, of_text)


def test_a_wide_frame_has_a_column_a_code(md: MarketData) -> None:
    one = md.get_price(SHARES[::-1], DAYS[-5], fields="close", wide=True)
    assert list(one.columns) == list(SHARES[::-1])
    assert one.loc[str(NEWEST), CODE] == close_of(CODE, NEWEST)
    two = md.get_price(SHARES, DAYS[-5], fields=["close", "open"], wide=True)
    assert list(two["close"].columns) == list(SHARES)
    assert two["open"].shape == (5, 3)


@pytest.mark.parametrize("codes", [600000, [600000], None])
def test_a_code_that_is_a_number_is_refused(md: MarketData, codes: Any) -> None:
    with pytest.raises(BadQuestion, match="codes and names as text"):
        md.get_price(codes)


@pytest.mark.parametrize("frame", ["arrow", "polars"])
def test_other_frames_have_the_same_rows(md: MarketData, frame: Any) -> None:
    usual = md.get_price(SHARES, DAYS[-5])
    other = md.get_price(SHARES, DAYS[-5], frame=frame)
    assert isinstance(other, {"arrow": pa.Table, "polars": pl.DataFrame}[frame])
    pd.testing.assert_frame_equal(
        usual, other.to_pandas(**({"date_as_object": False} if frame == "arrow" else {}))
    )


PRICES: list[dict[str, Any]] = [
    {"adjust": "qfq"},
    {"adjust": "hfq", "frequency": "W"},
    {"frequency": "M", "fields": ["close", "high"]},
    {"fields": ["name", "pe"]},
    {"start": DAYS[3], "end": DAYS[9], "wide": True, "fields": "close"},
]
OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("get_cross_section", {"date": NEWEST}),
    ("get_cross_section", {"date": str(NEWEST), "kind": "china_etf", "fields": "premium"}),
    ("table", {"name": "daily_prices", "date": NEWEST}),
    ("table", {"name": "adj_factor", "code": CODE, "start": DAYS[0], "fields": "adj_factor"}),
    ("instruments", {"search": "浦发"}),
    ("premium", {"codes": FUND, "start": DAYS[0]}),
    ("findings", {"since": DAYS[0]}),
    # More than a server answers at once.
    ("coverage", {"table": "daily_prices", "start": "2023-01-01", "end": NEWEST}),
    ("table", {"name": "adj_factor", "code": CODE, "start": "2023-01-01", "end": NEWEST}),
]


@pytest.mark.parametrize("asked", PRICES)
def test_prices_are_alike_both_ways(
    local: MarketData, remote: MarketData, asked: dict[str, Any]
) -> None:
    here, there = (one.get_price(SHARES, **asked) for one in (local, remote))
    pd.testing.assert_frame_equal(here, there)
    assert here.attrs == there.attrs


@pytest.mark.parametrize(("name", "asked"), OTHERS)
def test_all_else_is_alike_both_ways(
    local: MarketData, remote: MarketData, name: str, asked: dict[str, Any]
) -> None:
    here, there = (getattr(one, name)(**asked) for one in (local, remote))
    pd.testing.assert_frame_equal(here, there)


def test_trading_days_are_those_of_the_exchanges(md: MarketData) -> None:
    assert list(md.trading_days(DAYS[0], NEWEST).date) == DAYS
    assert list(md.trading_days("2024/09/30", 20241008).strftime("%m-%d")) == ["09-30", "10-08"]


def test_adjusted_prices_meet_at_the_ex_date(md: MarketData) -> None:
    plain, forward = (md.get_price(CODE, DAYS[0], adjust=how)["close"] for how in ("none", "qfq"))
    before = plain.index < pd.Timestamp(EX_DATE)
    assert list(forward[before]) == list(plain[before] / 2)
    assert list(forward[~before]) == list(plain[~before])


def test_a_week_of_several_codes_has_one_date_in_a_wide_frame(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "test")
    week = [day for day in DAYS if day.isocalendar()[:2] == DAYS[20].isocalendar()[:2]]
    for day in week:
        # One of them is halted on the last day of the week.
        lake.write(DAILY_PRICES, day, prices_of(day, codes=SHARES[: 2 if day == week[-1] else 3]))
    refresh(lake, DAILY_PRICES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Incomplete)
        asked: dict[str, Any] = {
            "start": week[0],
            "end": week[-1],
            "fields": "close",
            "frequency": "W",
        }
        bars = connect(tmp_path).get_price(SHARES, **asked)
        assert list(bars["date"].dt.date) == [week[-1], week[-1], week[-2]]
        wide = connect(tmp_path).get_price(SHARES, **asked, wide=True)
    assert wide.shape == (1, 3)
    assert wide.index[0].date() == week[-1]


def test_a_week_that_is_not_over_is_told(md: MarketData) -> None:
    middle = next(day for day in DAYS[10:-10] if day.weekday() == 2)
    bars = md.get_price(CODE, middle, middle, frequency="W")
    assert bars.attrs["unfinished"] == {CODE: str(middle)}


def test_a_code_without_rows_is_an_error_or_a_warning(md: MarketData) -> None:
    with pytest.raises(NoRows, match=r"600000: .*Did you mean 600000.SH"):
        md.get_price("600000")
    with pytest.raises(NoRows, match=r"600000.SH: no rows in the range"):
        md.get_price(CODE, "1999-01-01", "1999-12-31")
    # Named as they were asked for, whether they are codes or not.
    with pytest.warns(Incomplete, match=r"no rows, or not all: .*NONE.XX") as told:
        rows = md.get_price([CODE, "sz000002", "NONE.XX"], DAYS[-2])
    assert set(rows["code"]) == {CODE}
    assert set(rows.attrs["missing"]) == {"sz000002", "NONE.XX"}
    assert set(told[0].message.missing) == {"sz000002", "NONE.XX"}
    assert told[0].filename == __file__


def test_sessions_that_were_never_stored_are_told(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "test")
    days = DAYS[20:25]
    for day in (*days[:2], *days[3:]):
        lake.write(DAILY_PRICES, day, prices_of(day))
    refresh(lake, DAILY_PRICES)
    with served(tmp_path) as client:
        for md in (connect(tmp_path), connect(client.url)):
            with pytest.warns(Incomplete, match=rf"1 session.*never stored: {days[2]}, of"):
                rows = md.get_price([*SHARES], days[0], days[-1])
            assert rows.attrs["missing_sessions"] == {code: [str(days[2])] for code in SHARES}
            with pytest.warns(Incomplete, match=str(days[2])):
                md.table("daily_prices", code=CODE, start=days[0], end=days[-1])


def test_who_is_warned_is_whoever_called_whichever_call_it_was(tmp_path: Path) -> None:
    root = tmp_path / "sandbox"
    store_world(root)
    lake = Lake(root, "test")
    for table in (DAILY_PRICES, ETF_PREMIUM):
        lake.path(table, DAYS[3]).unlink()
        refresh(lake, table)
    md = connect(root)
    for ask in (
        lambda: md.get_price(CODE, DAYS[0], NEWEST),
        lambda: md.premium(FUND, DAYS[0], NEWEST),
        lambda: md.table("daily_prices", start=DAYS[0], end=NEWEST, code=CODE),
        lambda: to_qlib(md, tmp_path / "qlib", [CODE], DAYS[0], NEWEST),
    ):
        with pytest.warns(Incomplete) as warned:
            ask()
        here = [(one.filename, one.lineno) for one in warned]
        assert here == [(__file__, ask.__code__.co_firstlineno)]


def test_each_session_that_was_never_stored_is_told_however_many(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "test")
    absent = [str(day) for day in DAYS[1:31]]
    for day in (DAYS[0], DAYS[31]):
        lake.write(DAILY_PRICES, day, prices_of(day))
    with served(tmp_path) as client:
        for md in (connect(tmp_path), connect(client.url)):
            with pytest.warns(Incomplete, match="30 session"):
                rows = md.table("daily_prices", code=CODE, start=DAYS[0], end=DAYS[31])
            assert rows.attrs["missing_sessions"] == {CODE: absent}


def test_more_findings_than_a_server_answers_are_an_error(tmp_path: Path) -> None:
    lake, day = Lake(tmp_path, "test"), DAYS[0]
    many = 10_001
    columns: dict[str, Sequence[object]] = {
        "trade_date": [day] * many,
        "table_name": ["daily_kline"] * many,
        "ts_code": [f"{number:06}.SZ" for number in range(many)],
        "check_name": ["units"] * many,
        "outcome": ["flagged"] * many,
    }
    lake.write(FINDINGS, day, rows_of(FINDINGS, many, **columns))
    assert len(connect(tmp_path).findings(day)) == many
    with served(tmp_path) as client, pytest.raises(BadQuestion, match="10,000 findings"):
        connect(client.url).findings(day)


@pytest.mark.parametrize(
    "asked",
    [
        {"start": "soon"},
        {"start": DAYS[5], "end": DAYS[1]},
        {"fields": "nonsense"},
        {"frequency": "W", "fields": "pe"},
        {"adjust": "forward"},
        {"codes": ""},
        {"frame": "excel"},
        {"as_of": "2024-10-15"},
    ],
)
def test_what_can_not_be_asked_is_an_error_of_the_family(
    md: MarketData, asked: dict[str, Any]
) -> None:
    with pytest.raises(MarketdataError) as refused:
        md.get_price(**{"codes": CODE, **asked})
    assert refused.value.status == 400


def test_a_closed_day_is_an_error_that_says_so(md: MarketData) -> None:
    for ask in (md.get_cross_section, md.findings, lambda date: md.table("daily_prices", date)):
        with pytest.raises(MarketdataError, match="no trading day"):
            ask(date=CLOSED)


def test_findings_since_a_day_after_the_last_are_refused(md: MarketData) -> None:
    with pytest.raises(MarketdataError, match="lies after") as refused:
        md.findings(DAYS[-2], since=NEWEST)
    assert refused.value.status == 400


def test_the_premium_of_a_fund_is_of_its_day(md: MarketData) -> None:
    rows = md.premium(FUND, DAYS[-4])
    assert list(rows["premium"])[:-1] == [premium_of(day) for day in DAYS[-4:-1]]
    assert rows["premium"].isna().iloc[-1]
    assert rows["no_premium"].iloc[-1] == "nav not published"


def test_more_codes_than_a_server_answers_at_once_are_asked_in_parts(remote: MarketData) -> None:
    # All days of two codes are as much as it answers.
    rows = remote.get_price(SHARES)
    assert set(rows["code"]) == set(SHARES)


def test_coverage_tells_the_state_of_every_session(local: MarketData) -> None:
    rows = local.coverage("daily_prices", DAYS[0], NEWEST)
    assert list(rows["date"].dt.date) == DAYS
    assert set(rows["state"]) <= {"stored", "flagged"}
    assert list(rows["rows"]) == [len(SHARES)] * len(DAYS)


def test_sql_is_for_folders_and_reads_alone(local: MarketData, remote: MarketData) -> None:
    rows = local.sql("SELECT count(*) AS n, max(date) AS last FROM daily_prices")
    assert rows["n"].tolist() == [len(SHARES) * len(DAYS)]
    with pytest.raises(BadQuestion, match="DuckDB"):
        local.sql("DROP VIEW daily_prices")
    with pytest.raises(BadQuestion, match="No query is asked"):
        local.sql("")
    with pytest.raises(BadQuestion, match="SQL is for folders"):
        remote.sql("SELECT 1")


def test_who_is_asked_says_where_the_data_come_from(local: MarketData, remote: MarketData) -> None:
    assert local.origin == "test: not a real market"
    assert remote.origin == "a test"
    assert "a test" in repr(remote)


def test_a_folder_is_that_of_one_profile(world: Path, tmp_path: Path) -> None:
    assert connect(str(world.parent)).get_price(CODE, NEWEST).shape[0] == 1
    with pytest.raises(BadQuestion, match="holds no data"):
        connect(tmp_path)
    for name in ("live", "sandbox"):
        (tmp_path / name / "lake").mkdir(parents=True)
    with pytest.raises(BadQuestion, match="several profiles, never mixed"):
        connect(tmp_path)


def test_a_server_that_refuses_or_is_not_there_says_so(server: Client) -> None:
    with pytest.raises(AnsweredWithError, match="token") as refused:
        connect(server.url, token="another").get_price(CODE)
    assert refused.value.status == 401
    with pytest.raises(Unreachable, match="does not answer"):
        connect("http://127.0.0.1:9").get_price(CODE)


class _Page(BaseHTTPRequestHandler):
    """What Dagster's UI answers, whatever it is asked."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(b"<!DOCTYPE html><title>Dagster</title>")

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_server_of_pages_is_not_taken_for_one_of_prices() -> None:
    with LoopbackServer(_Page, 0).running() as server:
        md = connect(server.url)
        for ask in (md.instruments, lambda: md.get_price(CODE), lambda: md.origin):
            with pytest.raises(AnsweredWithError, match="answered 200, and not as this API does"):
                ask()


class _Proxy(BaseHTTPRequestHandler):
    """Between the client and a server elsewhere; what it tells as the origin is the token."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({"origin": self.headers["Authorization"]}).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_the_token_is_sent_whatever_netrc_has_for_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password other\n")
    netrc.chmod(0o600)
    with LoopbackServer(_Proxy, 0).running() as server:
        for name, value in (("NETRC", str(netrc)), ("http_proxy", server.url), ("no_proxy", "")):
            monkeypatch.setenv(name, value)
        assert connect("http://prices.example", token="secret").origin == "Bearer secret"


def test_a_package_that_is_not_there_is_named(
    local: MarketData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(NotInstalled, match="pip install polars"):
        local.get_price(CODE, frame="polars")


def test_the_client_needs_no_dagster_and_is_light_until_a_folder_is_opened(world: Path) -> None:
    code = f"""
import sys
from marketdata_assets.client import connect
heavy = {{"dagster", "duckdb", "fastapi", "pydantic", "polars", "matplotlib", "exchange_calendars"}}
print(sorted(heavy & set(sys.modules)))
rows = connect({str(world)!r}).get_price({CODE!r}, {str(NEWEST)!r})
print(len(rows), "dagster" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split("\n")[:2] == ["[]", "1 False"]
