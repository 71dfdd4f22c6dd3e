"""A few shares of several boards with prices that differ from day to day, in a lake."""

import datetime as dt
import hashlib
import random
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from marketdata_assets.publishing import layout
from marketdata_assets.publishing.build import Content
from marketdata_assets.storage.io_manager import conform
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_PRICES, FINDINGS, SUSPENDED
from marketdata_assets.tables.daily_prices import ORIGINAL_COLUMNS

SHARES = {
    "000001.SZ": ("平安银行", "主板"),
    "300750.SZ": ("宁德时代", "创业板"),
    "600000.SH": ('*ST, "quoted"', "主板"),
    "600001.SH": ("", "主板"),
    "688981.SH": ("#中芯", "科创板"),
    "920001.BJ": (None, None),
}
REPO = "someone/prices"


def prices_of(day: dt.date, codes: Sequence[str] = tuple(SHARES), version: int = 0) -> pa.Table:
    """Rows of one day; another `version` is a restatement."""
    numbers = random.Random(f"{day} {version}")
    rows = []
    for code in codes:
        name, market = SHARES.get(code, ("某股", "主板"))
        low = round(numbers.uniform(1, 2_000), 2)
        row: dict[str, object] = {
            c.name: numbers.choice([None, 0.0, 1e-7, 1e16, 123456789.12, numbers.uniform(-9, 9)])
            for c in DAILY_PRICES.columns
            if c.type == pa.float64()
        }
        row["is_st"] = numbers.choice([None, True, False])
        row |= {"open": low + 0.01, "high": low + 0.02, "low": low, "close": low + 0.01}
        row |= {"prev_close": low, "quote_rate": -0.5, "volume": 100.0, "turnover": 1e8}
        row |= {"code": code, "date": day, "name": name, "market": market, "area": None}
        row |= {"industry": "银行", "exchange": "SSE", "list_date": dt.date(1999, 11, 10)}
        rows.append(row)
    return conform(DAILY_PRICES, pa.Table.from_pylist(rows, schema=DAILY_PRICES.schema))


def store(lake: Lake, days: Iterable[dt.date], version: int = 0) -> None:
    for day in days:
        path, known = lake.path(DAILY_PRICES, day), (lake.origin, day, version)
        if path.exists() or known not in _files:
            lake.write(DAILY_PRICES, day, prices_of(day, version=version))
            _files.setdefault(known, path.read_bytes())
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_files[known])


# The partitions that were written once, by origin, day and version: most tests begin with them.
_files: dict[tuple[str, dt.date, int], bytes] = {}


def find(lake: Lake, day: dt.date, *found: tuple[str, str, str, str]) -> None:
    """Store the findings of a day: each a table, a code, a check and an outcome."""
    at = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)
    names = ("table_name", "ts_code", "check_name", "outcome")
    told = {"trade_date": day, "seen": "0", "expected": "1", "reason": None, "first_seen": at}
    rows = [told | dict(zip(names, one, strict=True)) for one in found]
    lake.write(FINDINGS, day, pa.Table.from_pylist(rows, schema=FINDINGS.schema))


def suspend(lake: Lake, day: dt.date, *shares: tuple[str, bool | None, str, str | None]) -> None:
    """Store the suspended shares of a day: each a code, is_paused, reason and timing."""
    names = ("ts_code", "is_paused", "reason", "suspend_timing")
    rows = [{"trade_date": day} | dict(zip(names, one, strict=True)) for one in shares]
    lake.write(SUSPENDED, day, pa.Table.from_pylist(rows, schema=SUSPENDED.schema))


class FolderPublished:
    """A published dataset in a folder, as a repository at one commit would show it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.revision = ""
        self.fetched: list[str] = []

    @property
    def files(self) -> dict[str, str]:
        found = [path for path in self.folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)): "" for path in found}

    def read(self, path: str) -> bytes:
        return (self.folder / path).read_bytes()

    def fetch(self, path: str, target: Path) -> None:
        self.fetched.append(path)
        shutil.copyfile(self.folder / path, target)

    def holds(self, path: str, file: Path, sha256: str) -> bool:
        return sha256 == hashlib.sha256(self.read(path)).hexdigest()

    def take(self, content: Content) -> list[str]:
        """Publish; the files that changed."""
        changed = []
        for path, made in content.files.items():
            target = self.folder / path
            if not target.exists() or target.read_bytes() != made.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(made, target)
                changed.append(path)
        for path in content.removed:
            (self.folder / path).unlink()
            changed.append(path)
        return sorted(changed)

    def prices(self) -> pa.Table:
        shards = sorted(self.folder.glob(layout.PRICES))
        return pa.concat_tables(pq.read_table(shard, partitioning=None) for shard in shards)


def pandas_csv(
    rows: pa.Table,
    universe: str = layout.MAIN_BOARD,
    columns: Sequence[str] = ORIGINAL_COLUMNS,
) -> bytes:
    """What pandas writes of these rows."""
    frame = rows.select(columns).to_pandas().sort_values(["date", "code"])
    if universe:
        frame = frame[frame["market"] == universe]
    return frame.to_csv(index=False).encode()


def assert_same_rows(found: pa.Table, expected: pa.Table) -> None:
    order = [("date", "ascending"), ("code", "ascending")]
    pd.testing.assert_frame_equal(
        found.sort_by(order).to_pandas(), expected.sort_by(order).to_pandas()
    )
