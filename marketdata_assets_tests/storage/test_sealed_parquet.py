import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets.storage.sealed_parquet import (
    LABEL,
    DamagedFile,
    open_sealed,
    sealed,
    unsealed,
)
from marketdata_assets_tests.storage.tables_for_tests import DAY, limits

ROWS = limits(DAY, a=11.0, b=12.5).replace_schema_metadata({"origin": "test"})
RAW = sealed(ROWS)


def test_a_sealed_file_is_a_parquet_file_with_its_labels(tmp_path: Path) -> None:
    path = tmp_path / "day.parquet"
    path.write_bytes(RAW)
    assert pq.read_table(path).equals(ROWS)
    labels = pq.read_metadata(path).metadata
    assert (labels[b"origin"], labels[LABEL][:6]) == (b"test", b"crc32:")
    file, stat = open_sealed(path)
    assert file.read().equals(ROWS)
    assert stat.st_ino == path.stat().st_ino


def test_every_bit_of_a_file_is_sealed() -> None:
    for bit in range(len(RAW) * 8):
        damaged = bytearray(RAW)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DamagedFile):
            unsealed(bytes(damaged))


@given(start=st.integers(0, len(RAW) - 1), other=st.binary(min_size=1, max_size=600))
def test_a_block_that_was_overwritten_or_lost_is_noticed(start: int, other: bytes) -> None:
    damaged = RAW[:start] + other + RAW[start + len(other) :]
    if damaged != RAW:
        with pytest.raises(DamagedFile):
            unsealed(damaged)
    with pytest.raises(DamagedFile):
        unsealed(RAW[:start])


def test_a_file_from_before_there_were_checksums_is_read(tmp_path: Path) -> None:
    path = tmp_path / "day.parquet"
    pq.write_table(ROWS, path)
    assert open_sealed(path)[0].read().equals(ROWS)


@pytest.mark.parametrize("rows", [ROWS.slice(0, 0), pa.table({"day": [dt.date(2024, 9, 30)]})])
def test_whatever_the_rows_are_they_come_back(rows: pa.Table) -> None:
    assert unsealed(sealed(rows)).read().equals(rows)


def test_a_folder_where_a_file_should_be_is_damage(tmp_path: Path) -> None:
    with pytest.raises(DamagedFile, match="directory"):
        open_sealed(tmp_path)
