"""The CSV's bytes are those of pandas, whatever the values are."""

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketdata_assets.publishing.csv_file import NotInOrder, first_and_last, write_csv
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets_tests.conftest import costly
from marketdata_assets_tests.publishing.prices import pandas_csv, prices_of

DAY = dt.date(2024, 1, 2)
ROWS = prices_of(DAY)
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.none()
texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=8) | st.none()


@settings(costly(), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pe=st.lists(numbers, min_size=6, max_size=6), names=st.lists(texts, min_size=6, max_size=6))
def test_any_number_and_any_text_is_written_as_pandas_writes_it(
    tmp_path: Path, pe: list[float | None], names: list[str | None]
) -> None:
    rows = ROWS
    for name, values in (("pe", pe), ("name", names)):
        at, field = rows.schema.get_field_index(name), rows.schema.field(name)
        rows = rows.set_column(at, field, pa.chunked_array([pa.array(values, field.type)]))
    pq.write_table(rows, tmp_path / "rows.parquet")
    assert write_csv(tmp_path / "rows.csv", [tmp_path / "rows.parquet"], "") == 6
    assert (tmp_path / "rows.csv").read_bytes() == pandas_csv(rows, universe="")


def test_a_truth_is_written_as_pandas_writes_it_beside_a_missing_one(tmp_path: Path) -> None:
    at, field = ROWS.schema.get_field_index("is_st"), ROWS.schema.field("is_st")
    truths = pa.array([True, False, None, None, False, True])
    rows = ROWS.set_column(at, field, truths)
    pq.write_table(rows, tmp_path / "rows.parquet")
    columns = DAILY_PRICES.column_names
    write_csv(tmp_path / "rows.csv", [tmp_path / "rows.parquet"], "", (), columns)
    assert (tmp_path / "rows.csv").read_bytes() == pandas_csv(rows, "", columns)


def test_a_universe_without_rows_is_a_header(tmp_path: Path) -> None:
    pq.write_table(ROWS, tmp_path / "rows.parquet")
    assert write_csv(tmp_path / "rows.csv", [tmp_path / "rows.parquet"], "CDR") == 0
    assert (tmp_path / "rows.csv").read_bytes() == pandas_csv(ROWS, universe="CDR")
    assert first_and_last(tmp_path / "rows.csv") == (None, None)


@pytest.mark.parametrize("universe", ["主板", "创业板", ""])
def test_first_and_last_dates_are_read_from_the_ends(tmp_path: Path, universe: str) -> None:
    pq.write_table(ROWS, tmp_path / "rows.parquet")
    write_csv(tmp_path / "rows.csv", [tmp_path / "rows.parquet"], universe)
    assert first_and_last(tmp_path / "rows.csv") == (DAY, DAY)


@pytest.mark.parametrize("wrong", ["swapped", "repeated", "files swapped"])
def test_rows_that_are_not_in_order_are_refused(tmp_path: Path, wrong: str) -> None:
    later = prices_of(DAY + dt.timedelta(1))
    rows = [ROWS, later]
    if wrong == "swapped":
        rows[0] = ROWS.take([1, 0, 2])
    elif wrong == "repeated":
        rows[0] = ROWS.take([0, 1, 1])
    else:
        rows = [later, ROWS]
    files = [tmp_path / "first.parquet", tmp_path / "second.parquet"]
    for file, some in zip(files, rows, strict=True):
        pq.write_table(some, file)
    with pytest.raises(NotInOrder, match=r"first\.parquet … second\.parquet: 1 rows"):
        write_csv(tmp_path / "rows.csv", files, "")


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "it's [a] *folder*"
    folder.mkdir()
    pq.write_table(ROWS, folder / "rows.parquet")
    write_csv(folder / "rows.csv", [folder / "rows.parquet"], "")
    assert (folder / "rows.csv").read_bytes() == pandas_csv(ROWS, universe="")
