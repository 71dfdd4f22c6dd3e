"""Weeks and months, many codes as one file, text for Excel, gzip, days without trading."""

import datetime as dt
import io
import json
import zlib
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.trading_calendar import next_session
from marketdata_assets_tests.api.serving import Client
from marketdata_assets_tests.api.stored_world import DAYS, EX_DATE, NEWEST, ODD_NAME, SHARES

CODE, CLOSED = "600000.SH", dt.date(2024, 10, 1)
CODES = ",".join([*SHARES, "HSI"])


def frame(api: Client, **asked: object) -> pd.DataFrame:
    told = api.get("/api/v1/ohlcv", **asked).json()
    rows = pd.DataFrame(told["data"])
    return rows.assign(date=pd.to_datetime(rows["date"]))


@pytest.mark.parametrize(("frequency", "period"), [("W", "W-SUN"), ("M", "M"), ("w", "W-SUN")])
@pytest.mark.parametrize("code", [CODE, "HSI"])
def test_a_bar_is_made_of_its_days(api: Client, code: str, frequency: str, period: str) -> None:
    days = frame(api, code=code, start=DAYS[0], end=NEWEST)
    bars = frame(api, code=code, start=DAYS[0], end=NEWEST, frequency=frequency)
    of = days.groupby(days["date"].dt.to_period(period))
    assert list(bars["date"]) == list(of["date"].last())
    assert list(bars["open"]) == list(of["open"].first())
    assert list(bars["high"]) == list(of["high"].max())
    assert list(bars["low"]) == list(of["low"].min())
    assert list(bars["close"]) == list(of["close"].last())
    if code == CODE:
        assert list(bars["volume"]) == pytest.approx(list(of["volume"].sum()))
        assert list(bars["turnover"]) == pytest.approx(list(of["turnover"].sum()))
    else:
        # What no day has, no bar has: the history tells no volume.
        assert bars["volume"].isna().all()


def test_the_first_bar_is_whole_and_the_last_one_ends_with_the_range(api: Client) -> None:
    middle = next(day for day in DAYS[10:-10] if day.weekday() == 2)
    week = [day for day in DAYS if day.isocalendar()[:2] == middle.isocalendar()[:2]]
    asked = {"code": CODE, "start": middle, "end": middle, "frequency": "W", "fields": "open,close"}
    told = api.get("/api/v1/ohlcv", **asked).json()
    [first_day, last_day] = (
        api.get("/api/v1/ohlcv", code=CODE, start=day, end=day).json()["data"][0]
        for day in (week[0], middle)
    )
    assert told["data"] == [
        {"date": str(middle), "open": first_day["open"], "close": last_day["close"]}
    ]
    assert (told["frequency"], told["unfinished"]) == ("W", str(middle))
    file = api.get("/api/v1/ohlcv", **asked, format="csv")
    assert file.headers["X-Unfinished"] == str(middle)


def test_a_bar_whose_days_are_over_is_finished(api: Client) -> None:
    friday = next(d for d in DAYS[10:] if next_session(d).isocalendar()[1] != d.isocalendar()[1])
    told = api.get("/api/v1/ohlcv", code=CODE, end=friday, frequency="W").json()
    assert told["data"][-1]["date"] == str(friday)
    assert told["unfinished"] is None


def test_bars_are_of_adjusted_days(api: Client) -> None:
    days = frame(api, code=CODE, start=DAYS[0], adjust="hfq")
    bars = frame(api, code=CODE, start=DAYS[0], adjust="hfq", frequency="M")
    highest = days.groupby(days["date"].dt.to_period("M"))["high"].max()
    assert list(bars["high"]) == list(highest)
    assert bars["close"].iloc[-1] > 1.5 * frame(api, code=CODE, end=EX_DATE)["close"].iloc[-1]


def test_what_is_of_a_day_is_refused_of_a_week(api: Client) -> None:
    answer = api.get("/api/v1/ohlcv", code=CODE, fields="close,pe", frequency="W")
    assert answer.status_code == 400
    assert "no column pe, which is of a day" in answer.json()["error"]
    assert "did you mean frequency" in api.get("/api/v1/ohlcv", code=CODE, freq="W").text


@pytest.mark.parametrize(
    "asked",
    [
        {"adjust": "qfq", "anchor": str(EX_DATE)},
        {"fields": "close,name"},
        {"frequency": "W", "adjust": "hfq"},
        {"as_of": "now"},
    ],
)
def test_a_batch_answers_as_each_code_does(api: Client, asked: dict[str, str]) -> None:
    if "as_of" in asked:
        asked = {"as_of": dt.datetime.now(dt.UTC).isoformat()}
    asked |= {"start": str(DAYS[2])}
    posted = api.post("/api/v1/ohlcv/batch", {"codes": list(SHARES), **asked}).json()
    for code in SHARES:
        assert posted["results"][code]["data"]
        assert posted["results"][code] == api.get("/api/v1/ohlcv", code=code, **asked).json()
    in_url = api.get("/api/v1/ohlcv/batch", codes=", ".join(SHARES), **asked).json()
    assert in_url == posted


def test_fields_of_a_body_may_be_a_list(api: Client) -> None:
    body = {"codes": [CODE], "fields": ["close", "pe"], "start": str(NEWEST)}
    assert api.post("/api/v1/ohlcv/batch", body).json()["results"][CODE]["columns"] == [
        "date",
        "close",
        "pe",
    ]


@pytest.mark.parametrize(
    ("key", "meant"), [("adj", "adjust"), ("start_date", "start"), ("freq", "frequency")]
)
def test_an_unknown_key_of_a_body_is_refused_with_what_was_meant(
    api: Client, key: str, meant: str
) -> None:
    answer = api.post("/api/v1/ohlcv/batch", {"codes": [CODE], key: "x"})
    assert answer.status_code == 400
    assert f"No such parameter: {key}; did you mean {meant}?" in answer.json()["error"]


@pytest.mark.parametrize("form", ["json", "arrow"])
def test_a_column_there_is_not_is_refused_of_codes_that_nobody_understands(
    api: Client, form: str
) -> None:
    answer = api.get("/api/v1/ohlcv/batch", codes="600000", fields="nope", format=form)
    assert answer.status_code == 400
    assert "no prices have a column nope" in answer.json()["error"]


@pytest.mark.parametrize("form", ["arrow", "parquet", "csv"])
def test_a_batch_as_a_file_has_the_rows_of_all_its_codes(api: Client, form: str) -> None:
    asked = {"codes": f"{CODES},sh600000,999999.XX,588000.SH", "start": DAYS[3], "wait": 0}
    answer = api.get("/api/v1/ohlcv/batch", **asked, format=form)
    assert answer.status_code == 200
    rows = {
        "arrow": lambda: pa.ipc.open_stream(answer.content).read_all().to_pandas(),
        "parquet": lambda: pq.read_table(io.BytesIO(answer.content)).to_pandas(),
        "csv": lambda: pd.read_csv(io.BytesIO(answer.content)),
    }[form]()
    results = api.get("/api/v1/ohlcv/batch", **asked).json()["results"]
    assert list(rows.columns) == ["code", "date", *results[CODE]["columns"][1:]]
    assert list(dict.fromkeys(rows["code"])) == [*SHARES, "HSI"]
    for code in (*SHARES, "HSI"):
        own = rows[rows["code"] == code]
        assert list(own["close"]) == [row["close"] for row in results[code]["data"]]
    assert answer.headers["X-Missing-Codes"] == "2: 999999.XX,588000.SH"
    if form == "arrow":
        facts = json.loads(
            pa.ipc.open_stream(answer.content).schema.metadata[b"marketdata"].decode()
        )
        assert set(facts["failed"]) == {"999999.XX", "588000.SH"}
        assert facts["missing"] == {code: [] for code in (*SHARES, "HSI")}


def test_csv_for_excel_begins_with_its_mark(api: Client) -> None:
    asked = {"code": "000001.SZ", "start": NEWEST, "fields": "name", "format": "csv"}
    plain, excel = (
        api.get("/api/v1/ohlcv", **asked, **more).content
        for more in ({}, {"encoding": "utf-8-sig"})
    )
    assert excel == b"\xef\xbb\xbf" + plain
    assert ODD_NAME in pd.read_csv(io.BytesIO(excel), encoding="utf-8-sig")["name"].to_list()
    for path, more in (
        ("/api/v1/cross-section", {"date": NEWEST}),
        ("/api/v1/tables/daily_prices/rows", {"date": NEWEST}),
        ("/api/v1/ohlcv/batch", {"codes": CODE}),
    ):
        answer = api.get(path, **more, format="csv", encoding="utf-8-sig")
        assert answer.content.startswith(b"\xef\xbb\xbf")
    refused = api.get("/api/v1/ohlcv", code=CODE, encoding="utf-8-sig")
    assert (refused.status_code, refused.json()["error"]) == (
        400,
        "encoding=utf-8-sig belongs to format=csv alone",
    )


def raw(api: Client, accepted: str, **asked: Any) -> tuple[Mapping[str, str], bytes]:
    answer = api.session.get(
        f"{api.url}/api/v1/cross-section" if "date" in asked else f"{api.url}/api/v1/ohlcv/batch",
        params=asked,
        headers={"Accept-Encoding": accepted},
        stream=True,
        timeout=60,
    )
    with answer:
        return answer.headers, answer.raw.read()


def test_large_text_is_gzip_for_who_asks_for_it(api: Client) -> None:
    columns = ",".join(DAILY_PRICES.column_names[2:])
    large = {"codes": ",".join(SHARES), "start": DAYS[0], "fields": columns}
    for form in ("json", "arrow"):
        headers, body = raw(api, "identity", **large, format=form)
        packed_headers, packed = raw(api, "br, gzip;q=0.5", **large, format=form)
        assert "Content-Encoding" not in headers
        if form == "json":
            assert len(body) > 100_000
            assert packed_headers["Content-Encoding"] == "gzip"
            assert headers["Vary"] == packed_headers["Vary"] == "Accept-Encoding"
            packed = zlib.decompress(packed, 31)
        assert packed == body
    for refused in ("gzip;q=0", "gzip; q=0.000, br"):
        assert "Content-Encoding" not in raw(api, refused, **large)[0]
    assert "Content-Encoding" not in raw(api, "gzip", date=NEWEST)[0]


def test_a_closed_day_says_so_everywhere(api: Client) -> None:
    day = api.get("/api/v1/ohlcv", code=CODE, start=CLOSED, end=CLOSED).json()
    assert day["data"] == []
    assert day["note"].startswith("no trading day")
    assert api.get("/api/v1/ohlcv", code=CODE, start=NEWEST).json()["note"] is None
    for path in ("/api/v1/cross-section", "/api/v1/findings", "/api/v1/tables/daily_prices/rows"):
        answer = api.get(path, date=CLOSED)
        assert answer.status_code == 404
        assert "no trading day" in answer.json()["error"]
