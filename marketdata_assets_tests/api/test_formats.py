"""How rows are written: exactly, in every form, and never as what is no number."""

import datetime as dt
import io
import json

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets.api.encoding import ROWS_AT_ONCE, json_lists, json_records, table_bytes
from marketdata_assets.serving.queries import Format
from marketdata_assets_tests.api.serving import Client
from marketdata_assets_tests.api.stored_world import DAYS, NEWEST, ODD_NAME

numbers = st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=0)


@given(data=st.data())
def test_what_is_read_back_is_what_was_there_to_the_bit(data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 5))

    def column(values: st.SearchStrategy[object]) -> list[object]:
        return data.draw(st.lists(values, min_size=count, max_size=count))

    rows = pa.table(
        {
            'a "name",\n': pa.array(
                column(st.none() | st.floats(allow_nan=False, allow_infinity=False)), pa.float64()
            ),
            "date": pa.array(column(st.none() | st.dates()), pa.date32()),
            "text": pa.array(
                column(st.none() | st.text(st.characters(codec="utf-8"))), pa.string()
            ),
            "is": pa.array(column(st.none() | st.booleans()), pa.bool_()),
            "n": pa.array(column(st.none() | st.integers(-128, 127)), pa.int8()),
            "last": pa.array(
                column(st.floats(allow_nan=False, allow_infinity=False)), pa.float64()
            ),
        }
    )
    expected = [
        {n: str(v) if isinstance(v, dt.date) else v for n, v in row.items()}
        for row in rows.to_pylist()
    ]
    assert repr(json.loads(json_records(rows))) == repr(expected)
    assert json_records(rows) == orjson.dumps(rows.to_pylist())
    # In any number of pieces, as slices of a series come.
    pieces = pa.concat_tables([rows.slice(n, 1) for n in range(count)] or [rows])
    assert json_records(pieces) == json_records(rows)


def test_many_tables_are_written_as_each_by_itself() -> None:
    counts = (0, 3, ROWS_AT_ONCE, 1, 0, ROWS_AT_ONCE + 1, 0)
    rows = pa.table({"n": pa.array(range(ROWS_AT_ONCE + 1), pa.float64())})
    rows = rows.append_column("t", rows["n"].cast(pa.string()))
    tables = [rows.slice(0, count) for count in counts]
    assert json_lists(tables) == [orjson.dumps(one.to_pylist()) for one in tables]
    assert json_lists([]) == []


def test_what_is_no_number_is_null() -> None:
    odd = pa.table({"x": [float("nan"), float("inf"), float("-inf"), 1.0]})
    assert json_records(odd) == b'[{"x":null},{"x":null},{"x":null},{"x":1.0}]'


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def test_missing_values_are_null_in_answers(api: Client) -> None:
    for parameters in ({"code": "HSI"}, {"code": "600000.SH", "fields": "pe"}):
        text = api.get("/api/v1/ohlcv", **parameters).text
        told = json.loads(text, parse_constant=refuse_constant)
        name = "volume" if parameters["code"] == "HSI" else "pe"
        assert {row[name] for row in told["data"]} == {None}


def read(form: Format, content: bytes) -> pa.Table:
    if form is Format.ARROW:
        return pa.ipc.open_stream(content).read_all()
    if form is Format.PARQUET:
        return pa.parquet.read_table(io.BytesIO(content))
    return pa.csv.read_csv(io.BytesIO(content))


@pytest.mark.parametrize("form", [Format.CSV, Format.ARROW, Format.PARQUET])
def test_every_form_says_the_same_as_json(api: Client, form: Format) -> None:
    asked = {"code": "000001.SZ", "start": DAYS[0], "fields": "close,pe,name"}
    told = api.get("/api/v1/ohlcv", **asked).json()
    answer = api.get("/api/v1/ohlcv", **asked, format=form)
    assert answer.status_code == 200
    assert form in answer.headers["Content-Type"]
    assert answer.headers["X-Asset-Type"] == "a_share"
    assert answer.headers["X-Available-End"] == str(NEWEST)
    rows = read(form, answer.content)
    assert rows.column_names == told["columns"]
    assert [str(day) for day in rows["date"].to_pylist()] == [row["date"] for row in told["data"]]
    assert rows["close"].to_pylist() == [row["close"] for row in told["data"]]
    assert set(rows["name"].to_pylist()) == {ODD_NAME}
    assert rows["pe"].null_count == rows.num_rows


@pytest.mark.parametrize("form", [Format.CSV, Format.ARROW, Format.PARQUET])
def test_a_cross_section_in_every_form(api: Client, form: Format) -> None:
    answer = api.get("/api/v1/cross-section", date=NEWEST, format=form)
    told = api.get("/api/v1/cross-section", date=NEWEST).json()
    rows = read(form, answer.content)
    assert rows.column_names == told["columns"]
    assert rows["close"].to_pylist() == [row["close"] for row in told["data"]]


def test_a_column_that_is_named_twice_is_there_once(api: Client) -> None:
    # A file with two columns of one name is none that pandas reads.
    for path, where in (
        ("/api/v1/cross-section", {"date": NEWEST}),
        ("/api/v1/ohlcv", {"code": "600000.SH"}),
        ("/api/v1/tables/daily_prices/rows", {"date": NEWEST}),
    ):
        asked = {**where, "fields": "close,date,code,close,date"}
        assert sorted(api.get(path, **asked).json()["columns"]) == ["close", "code", "date"]


def test_an_empty_answer_keeps_its_columns_in_every_form(api: Client) -> None:
    asked = {"code": "600000.SH", "start": NEWEST, "end": DAYS[0]}
    for form in (Format.CSV, Format.ARROW, Format.PARQUET):
        rows = read(form, api.get("/api/v1/ohlcv", **asked, format=form).content)
        assert rows.num_rows == 0
        assert rows.column_names[:2] == ["date", "open"]


def test_arrow_is_one_batch() -> None:
    pieces = pa.concat_tables([pa.table({"x": [1.0]}), pa.table({"x": [2.0]})])
    with pa.ipc.open_stream(table_bytes(pieces, Format.ARROW)) as stream:
        assert [len(batch) for batch in stream] == [2]
