"""Is what is published what the lake holds? And the way back: a lake from what is published.

Both work on a dataset at one revision, wherever it is.
"""

import datetime as dt
import hashlib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pyarrow.parquet as pq

from marketdata_assets.errors import MarketdataError
from marketdata_assets.publishing import layout
from marketdata_assets.publishing.beside_prices import NOT_PUBLISHED
from marketdata_assets.publishing.build import OtherOrigin
from marketdata_assets.publishing.making import published_rows
from marketdata_assets.publishing.manifest import Facts, Manifest, from_json, spans
from marketdata_assets.publishing.workspace import NotAsInManifest, Published, Workspace
from marketdata_assets.storage.lake import Lake, Stored, UnfitPartitions
from marketdata_assets.tables import DAILY_PRICES, SUSPENDED, Table

ONE = dt.timedelta(1)


class NothingPublished(MarketdataError):
    """The repository holds no dataset of this form."""


def manifest_of(published: Published) -> Manifest:
    if layout.MANIFEST not in published.files:
        raise NothingPublished(
            "there is no manifest.json: nothing was published here yet. Materialize hf_dataset, or "
            "run the publish command."
        )
    return from_json(published.read(layout.MANIFEST))


def differences(published: Published, lake: Lake, workspace: Workspace) -> Iterator[str]:
    """A line for everything that is not as the manifest says, or not as in the lake.

    Days that are not in the lake are compared with the manifest alone.
    """
    manifest = manifest_of(published)
    stored = set(lake.days(DAILY_PRICES))
    days = manifest.days()
    with_suspended = (days - manifest.without_suspended).intersection(lake.days(SUSPENDED))
    compared = {
        path: (table, [day for day in sorted(of_table) if path_of(day.year) == path])
        for table, files, of_table, path_of in (
            (DAILY_PRICES, manifest.shards, days & stored, layout.shard),
            (SUSPENDED, manifest.suspended, with_suspended, layout.suspended),
        )
        for path in files
    }
    last = f"{manifest.last:%Y%m%d}" if manifest.last else ""
    if layout.MARKER not in published.files:
        yield f"{layout.MARKER} is missing"
    elif (marker := published.read(layout.MARKER).decode(errors="replace").strip()) != last:
        yield f"{layout.MARKER} says {marker}, the last day that is published is {last}"
    for path, facts in manifest.files.items():
        if path not in published.files:
            yield f"{path} is in the manifest and not in the dataset"
        elif path in compared or path == layout.CSV:
            try:
                copy = workspace.copy_of(published, path, facts)
            except NotAsInManifest as error:
                yield str(error)
                continue
            # The copy may be from before somebody changed the file.
            if not published.holds(path, copy, facts.sha256):
                yield f"{path} is not what the manifest says"
            elif path in compared:
                yield from _shard_differences(path, copy, facts, lake, *compared[path])
        elif hashlib.sha256(published.read(path)).hexdigest() != facts.sha256:
            yield f"{path} is not what the manifest says"
    for path in sorted(published.files):
        if fnmatch(path, layout.SHARDS) and path not in manifest.files:
            yield f"{path} is in the dataset and not in the manifest"
    for what, unpublished in {
        "": stored - days,
        "suspended shares ": manifest.without_suspended.intersection(lake.days(SUSPENDED)),
    }.items():
        # A line a stretch: of a repository that was recreated they are thousands of days.
        for span in spans(dict.fromkeys(unpublished, NOT_PUBLISHED)):
            until = f" … {span.last}" if span.last > span.first else ""
            yield f"{span.first}{until}: {what}in the lake and not published"


def _shard_differences(
    path: str, copy: Path, facts: Facts, lake: Lake, table: Table, days: list[dt.date]
) -> Iterator[str]:
    if (rows := pq.read_metadata(copy).num_rows) != facts.rows:
        yield f"{path} has {rows} rows, the manifest says {facts.rows}"
    read, what = published_rows(table, copy), "" if table is DAILY_PRICES else f"{table.name} "
    for day in days:
        try:
            ours, theirs = lake.load(table, day).rows, read(day, day + ONE)
        except UnfitPartitions as fault:
            yield str(fault)
            continue
        if not theirs.equals(ours):
            counts = f"{theirs.num_rows} rows published, {ours.num_rows} others in the lake"
            yield f"{day}: {what}{counts}"


def restore(
    published: Published, lake: Lake, workspace: Workspace
) -> Iterator[tuple[dt.date, Stored]]:
    """Write every published day into the lake; a different one there moves to `superseded`.

    Each is told with what became of its prices; its suspended shares come along. Days that hold
    rows of an adopted CSV are left out: in a lake they would pass for the whole market. Raises
    `OtherOrigin` when the rows come from another profile than the lake's.
    """
    manifest = manifest_of(published)
    if manifest.origin != lake.origin:
        raise OtherOrigin(
            f"the dataset's rows come from {manifest.origin!r} and this lake's from "
            f"{lake.origin!r}: restore it into a lake of the same origin."
        )
    suspended = {
        path: published_rows(SUSPENDED, workspace.copy_of(published, path, facts))
        for path, facts in manifest.suspended.items()
    }
    adopted = manifest.adopted.days if manifest.adopted else frozenset()
    for path, facts in sorted(manifest.shards.items()):
        copy = workspace.copy_of(published, path, facts)
        file, read = pq.ParquetFile(copy), published_rows(DAILY_PRICES, copy)
        for group in range(file.num_row_groups):
            dates = file.read_row_group(group, columns=["date"])["date"]
            for day in sorted(set(dates.to_pylist()) - adopted):
                if day not in manifest.without_suspended:
                    rows = suspended[layout.suspended(day.year)](day, day + ONE)
                    lake.write(SUSPENDED, day, rows)
                yield day, lake.write(DAILY_PRICES, day, read(day, day + ONE))
