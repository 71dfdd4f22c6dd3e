"""What noticing damage costs: a day read with its checksum, beside other ways and beside none."""

import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measuring import show
from benchmarks.synthetic import synthetic_lake
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.sealed_parquet import open_sealed
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.trading_calendar import FIRST_SESSION

CODES = 5_500
ROUNDS = 300


def main() -> None:
    with tempfile.TemporaryDirectory() as root:
        synthetic_lake(root, [FIRST_SESSION], CODES)
        day = Lake(Path(root), "benchmark").path(DAILY_PRICES, FIRST_SESSION)
        with_pages = Path(root) / "pages.parquet"
        pq.write_table(pq.read_table(day), with_pages, compression="zstd", write_page_checksum=True)
        unsealed = Path(root) / "unsealed.parquet"
        pq.write_table(pq.read_table(day), unsealed, compression="zstd")
        plain = "not looked at"
        ways: dict[str, Callable[[], object]] = {
            plain: lambda: _read(day.read_bytes()),
            "checksum of the file (as stored)": lambda: open_sealed(day)[0].read(),
            "SHA-256 of the file": lambda: _with_sha256(day),
            "parquet's checksums of pages": lambda: _read(with_pages.read_bytes(), True),
            "nothing, written as for pages": lambda: _read(unsealed.read_bytes()),
        }
        # In turns, so that whatever else the machine does is shared out evenly.
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, way in ways.items():
                began = time.perf_counter()
                way()
                taken[name].append(time.perf_counter() - began)
        medians = {name: statistics.median(times) * 1_000 for name, times in taken.items()}
    show(
        f"a day of daily_prices, {CODES:,} rows, read {ROUNDS} times",
        ("damage is noticed by", "ms", "ratio"),
        [(n, f"{ms:.2f}", f"{ms / medians[plain]:.2f}") for n, ms in medians.items()],
    )


def _read(raw: bytes, checked: bool = False) -> pa.Table:
    return pq.ParquetFile(pa.BufferReader(raw), page_checksum_verification=checked).read()


def _with_sha256(path: Path) -> pa.Table:
    raw = path.read_bytes()
    hashlib.sha256(raw).digest()
    return _read(raw)


if __name__ == "__main__":
    main()
