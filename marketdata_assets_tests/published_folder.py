"""The dataset that a profile publishes in its folder, as a reader finds it."""

import datetime as dt
import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from marketdata_assets.publishing import layout
from marketdata_assets.publishing.manifest import Manifest, from_json
from marketdata_assets.resources.publisher import DatasetFolder


def dataset_folder(root: Path) -> DatasetFolder:
    return DatasetFolder(folder=str(root / "dataset"))


def manifest(root: Path) -> Manifest:
    return from_json((root / "dataset" / layout.MANIFEST).read_bytes())


def marker(root: Path) -> str:
    return (root / "dataset" / layout.MARKER).read_text()


def rows(root: Path) -> pa.Table:
    shards = sorted((root / "dataset").glob(layout.PRICES))
    return pa.concat_tables(pq.read_table(shard, partitioning=None) for shard in shards)


def keys(root: Path) -> list[tuple[dt.date, str]]:
    """(date, code) of every published row, in order; none where nothing is published."""
    if not (root / "dataset" / layout.MANIFEST).exists():
        return []
    found = rows(root)
    return list(zip(found["date"].to_pylist(), found["code"].to_pylist(), strict=True))


def is_whole(root: Path) -> bool:
    """Whether every file is the one that the manifest tells of."""
    return all(
        hashlib.sha256((root / "dataset" / path).read_bytes()).hexdigest() == facts.sha256
        for path, facts in manifest(root).files.items()
    )
