"""Exports: the file has the rows of the slices, and its note says what there is and is not."""

import datetime as dt
import resource
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from marketdata_assets.serving.answers import Slice
from marketdata_assets.serving.caches import Histories
from marketdata_assets.serving.exports import ExportFiles, write_export
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.serving.queries import Adjust, ExportQuery, Format, RangeQuery
from marketdata_assets.storage.durable_files import DiskRefuses
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import INSTRUMENT_HISTORY
from marketdata_assets_tests.disks import full_disk
from marketdata_assets_tests.serving.stored import (
    FUNDS,
    INDEX,
    SESSIONS,
    SHARE_BY_CODE,
    SHARES,
    store_everything,
    store_history,
)

CODES = [*FUNDS, INDEX, *SHARES, "NDX"]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> PriceReader:
    lake = Lake(tmp_path_factory.mktemp("stored"), "test")
    store_everything(lake)
    return PriceReader(lake.root)


def read(path: Path, form: Format) -> pa.Table:
    if form is Format.PARQUET:
        return pq.read_table(path)
    if form is Format.ARROW:
        return pa.ipc.open_file(path).read_all()
    types = {"date": pa.date32(), "code": pa.string(), "close": pa.float64(), "name": pa.string()}
    options = arrow_csv.ConvertOptions(column_types=types, strings_can_be_null=True)
    return arrow_csv.read_csv(path, convert_options=options)


@pytest.mark.parametrize("form", [form for form in Format if form is not Format.JSON])
def test_a_file_has_the_rows_of_every_code_and_the_note_says_which_are_missing(
    reader: PriceReader, tmp_path: Path, form: Format
) -> None:
    query = ExportQuery(codes=CODES, columns=["close", "name"], start=SESSIONS[2], format=form)
    export = write_export(reader, query, tmp_path / "exports", "a1")
    rows = read(tmp_path / "exports" / f"a1.{form}", form)
    assert rows.column_names == export.columns == ["code", "close", "name"]
    expected = []
    for code in [*FUNDS, *SHARES]:
        alone = reader.ohlcv(code, SESSIONS[2], columns=["code", "close", "name"]).rows
        expected += alone.to_pylist()
        assert export.codes[code].rows == len(alone)
    assert rows.to_pylist() == expected
    assert export.rows == len(expected)
    assert export.missing == {
        INDEX: str(dict(reader.each(query))[INDEX]),
        "NDX": "NDX is not stored. Request its history, or track it.",
    }
    assert "instrument_history has no column name" in export.missing[INDEX]
    assert export.generations == {
        "daily_prices": reader.ohlcv("600000.SH").generation,
        "etf_premium": reader.ohlcv("510300.SH").generation,
    }
    assert (export.codes["600000.SH"].first, export.codes["600000.SH"].last) == (
        SESSIONS[2],
        SESSIONS[-1],
    )
    assert ExportFiles(tmp_path / "exports").note("a1") == export
    assert ExportFiles(tmp_path / "exports").note("b2") is None
    assert sorted(path.name for path in (tmp_path / "exports").iterdir()) == sorted(
        ["a1.json", f"a1.{form}"]
    )


def test_adjusted_rows_and_codes_without_any(reader: PriceReader, tmp_path: Path) -> None:
    query = ExportQuery(codes=["600000.SH", SHARE_BY_CODE], adjust=Adjust.HFQ)
    export = write_export(reader, query, tmp_path, "a1")
    rows = pq.read_table(tmp_path / "a1.parquet")
    adjusted = reader.ohlcv("600000.SH", adjust=Adjust.HFQ).rows
    assert rows.drop_columns(["code"]).to_pylist() == adjusted.to_pylist()
    assert "stored by code alone" in export.missing[SHARE_BY_CODE]
    weekend = ExportQuery(codes=["600000.SH"], start="2025-01-04", end="2025-01-05")
    nothing = write_export(reader, weekend, tmp_path, "a2")
    assert pq.read_table(tmp_path / "a2.parquet").num_rows == nothing.rows == 0
    assert nothing.codes["600000.SH"].first is None


def test_weeks_are_exported_and_one_that_is_not_over_is_named(
    reader: PriceReader, tmp_path: Path
) -> None:
    middle = next(day for day in SESSIONS[5:] if day.weekday() == 2)
    asked = {"codes": ["000001.SZ"], "end": middle, "frequency": "W", "columns": ["date", "close"]}
    export = write_export(reader, ExportQuery.model_validate(asked), tmp_path, "a1")
    assert export.unfinished == {"000001.SZ": middle}
    days = pq.read_table(tmp_path / export.file)["date"].to_pylist()
    assert days[-1] == middle
    assert len({day.isocalendar()[:2] for day in days}) == len(days)


def test_a_file_that_cannot_be_written_leaves_nothing(reader: PriceReader, tmp_path: Path) -> None:
    (tmp_path / "a1.parquet").mkdir()
    with pytest.raises(DiskRefuses, match=r"The export a1\.parquet could not be written"):
        write_export(reader, ExportQuery(codes=["HSI"]), tmp_path, "a1")
    assert [path.name for path in tmp_path.iterdir()] == ["a1.parquet"]


@pytest.mark.parametrize("form", ["parquet", "csv", "arrow"])
@pytest.mark.parametrize("room", [0, 100])
def test_a_full_disk_is_told_and_the_export_can_be_made_again(
    reader: PriceReader, tmp_path: Path, form: Format, room: int
) -> None:
    query = ExportQuery(codes=["HSI"], format=form)
    refused = pytest.raises(
        DiskRefuses, match=r"could not be written \(.*File too large.*Make room"
    )
    with refused, full_disk(room):
        write_export(reader, query, tmp_path, "a1")
    assert list(tmp_path.iterdir()) == []
    assert write_export(reader, query, tmp_path, "a1").rows > 0


def test_memory_does_not_grow_with_the_number_of_codes(lake: Lake, tmp_path: Path) -> None:
    codes = [f"{100_000 + n}.CSI" for n in range(300)]
    decade = [dt.date(2010, 1, 1) + dt.timedelta(n) for n in range(2_500)]
    store_history(lake, codes[0], decade)
    table = pq.read_table(lake.path(INSTRUMENT_HISTORY, codes[0]), partitioning=None)
    for code in codes[1:]:
        own = table.set_column(0, "code", pa.repeat(pa.scalar(code), len(table)))
        lake.write(
            INSTRUMENT_HISTORY, code, own.cast(INSTRUMENT_HISTORY.schema).replace_schema_metadata()
        )
    reader = PriceReader(lake.root)
    reader.histories = Histories(lake, most_codes=2)
    write_export(reader, ExportQuery(codes=codes[:20]), tmp_path, "a1")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    export = write_export(reader, ExportQuery(codes=codes, format=Format.CSV), tmp_path, "a2")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert export.rows == 750_000
    # All rows in Arrow are 50 MB, and twice that while they are written.
    assert grown < 35_000


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"codes": []}, "at least 1 item"),
        ({"codes": [f"{n:06}.CSI" for n in range(501)]}, "at most 500 items"),
        ({"codes": ["nonsense"]}, "'nonsense' is no code that is understood"),
        ({"codes": ["600000"]}, r"Did you mean 600000\.SH"),
        ({"start": "2024-02-30"}, "start"),
        ({"start": "202402"}, "YYYY-MM-DD"),
        ({"start": 1_700_000_000}, "YYYY-MM-DD"),
        ({"start": "2024-02-02", "end": "2024-02-01"}, "lies after end"),
        ({"columns": ["close", "clsoe"]}, "no prices have a column clsoe; there are code"),
        ({"columns": ["is_paused"]}, "is_paused is in the table suspended; there are code"),
        ({"columns": []}, "at least 1 item"),
        ({"adjust": "both"}, "'none', 'qfq' or 'hfq'"),
        ({"anchor": "2024-02-01"}, "adjust=qfq alone"),
        ({"as_of": "2024-02-01T00:00:00"}, "timezone"),
        ({"as_of": "2999-02-01T00:00:00Z"}, "in the future"),
        (
            {"as_of": "2024-02-01T00:00:00Z", "codes": [f"{n:06}.CSI" for n in range(51)]},
            "up to 50",
        ),
        ({"format": "xls"}, "'parquet', 'csv' or 'arrow'"),
        ({"limit": 3}, "Extra inputs"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ExportQuery.model_validate({"codes": ["HSI"], **wrong})


def test_a_question_is_canonical() -> None:
    query = RangeQuery(codes=["sh600000", " hsi ", "600000.XSHG"], columns=["close", "close"])
    assert query.codes == ["600000.SH", "HSI"]
    assert query.columns == ["close"]
    assert RangeQuery.model_validate_json(query.model_dump_json()) == query


def test_slices_of_a_query_are_of_one_generation(reader: PriceReader) -> None:
    answers = reader.each(RangeQuery(codes=list(SHARES)))
    assert len({one.generation for _, one in answers if isinstance(one, Slice)}) == 1
