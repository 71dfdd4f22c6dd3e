"""The content of the next commit: what is published, with the days of a run as the lake has them.

A pure function of the two, whatever happened before: built twice it is the same, and on top of
what it made itself it changes nothing. Days that are not the run's stay as they are published.
"""

import datetime as dt
import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from marketdata_assets.publishing import layout
from marketdata_assets.publishing.adoption import Adopted, adopting
from marketdata_assets.publishing.calendar_files import calendar_csv, calendar_parquet
from marketdata_assets.publishing.card import dataset_card
from marketdata_assets.publishing.content_checks import counted_checks
from marketdata_assets.publishing.csv_file import first_and_last, merge_days, write_csv
from marketdata_assets.publishing.layout import Choices
from marketdata_assets.publishing.manifest import Facts, Manifest, from_json, hash_of
from marketdata_assets.publishing.shards import (
    RowsBetween,
    changed_days,
    published_rows,
    write_shard,
)
from marketdata_assets.publishing.workspace import Published, Workspace
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.trading_calendar import sessions_between


class OtherOrigin(ValueError):
    """The published rows come from elsewhere."""


class GapAhead(ValueError):
    """Publishing these days would leave days between them and what is published."""


@dataclass
class Content:
    """The files that may differ from the published ones, and those to be removed."""

    manifest: Manifest
    files: dict[str, Path] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    adopted: Adopted | None = None


def build(
    published: Published,
    lake: Lake,
    days: Collection[dt.date],
    choices: Choices,
    workspace: Workspace,
    repository: str,
) -> Content:
    """Raises `MissingPartitions`, `GapAhead`, `OtherOrigin`, `UnreadableManifest`, ..."""
    lake.paths(DAILY_PRICES, sorted(days))
    return _Builder(published, lake, set(days), choices, workspace).build(repository)


class _Builder:
    def __init__(
        self,
        published: Published,
        lake: Lake,
        days: set[dt.date],
        choices: Choices,
        workspace: Workspace,
    ) -> None:
        self.published = published
        self.lake = lake
        self.days = days
        self.choices = choices
        self.workspace = workspace
        self.facts: dict[str, Facts] = {}
        self.made: dict[str, Path] = {}
        workspace.clear()

    def build(self, repository: str) -> Content:
        before, adopted = self._before()
        if before:
            refuse_other_origin(before.origin, self.lake.origin)
        present = before.days() if before else set(adopted.days) if adopted else set()
        refuse_gap(present, self.days)
        if before:
            self._update(before)
        present |= self.days
        self._calendar(max(present))
        missing = sorted(set(sessions_between(min(present), max(present))) - present)
        manifest = Manifest(self.lake.origin, self._universe(), self.facts, tuple(missing))
        # Who goes on from the marker must not miss what is filled in later.
        self._write(layout.MARKER, f"{manifest.complete_to:%Y%m%d}".encode())
        self._write(layout.MANIFEST, manifest.to_json())
        self._write(layout.CARD, dataset_card(manifest, repository))
        removed = [] if self.choices.csv else [layout.CSV]
        return Content(
            manifest, self.made, [p for p in removed if p in self.published.files], adopted
        )

    def _before(self) -> tuple[Manifest | None, Adopted | None]:
        """The published manifest; without one, the CSV is adopted, or everything is made new."""
        if layout.MANIFEST in self.published.files:
            return from_json(self.published.read(layout.MANIFEST)), None
        adopted = None
        with adopting(self.workspace.new("adoption").parent) as adoption:
            if layout.CSV in self.published.files:
                csv = self.workspace.new(f"{layout.CSV}.arriving")
                self.published.fetch(layout.CSV, csv)
                adopted = adoption.read(csv)
                csv.unlink()
            for year in sorted({*(adopted.years if adopted else ()), *_years(self.days)}):
                was_there = adopted is not None and year in adopted.years
                rows = adoption.rows(year) if was_there else published_rows(None)
                self._shard(year, rows)
        self._whole_csv()
        return None, adopted

    def _update(self, before: Manifest) -> None:
        self.facts = dict(before.files)
        for year in sorted(_years(self.days)):
            path = layout.shard(year)
            known = self.facts.get(path)
            copy = self.workspace.copy_of(self.published, path, known) if known else None
            rows = published_rows(copy)
            ours = {day for day in self.days if day.year == year}
            if changed_days(rows, ours, self._day):
                self._shard(year, rows)
        known = self.facts.pop(layout.CSV, None)
        if known is None or before.universe != self._universe():
            self._whole_csv()
        elif self.choices.csv:
            self._merged_csv(known)

    def _shard(self, year: int, rows: RowsBetween) -> None:
        path = layout.shard(year)
        target = self.workspace.new(path)
        write_shard(target, year, rows, {d for d in self.days if d.year == year}, self._day)
        checks = counted_checks(target, year)
        self.made[path] = target
        self.facts[path] = _facts(target, *_rows_first_last(target), checks)

    def _whole_csv(self) -> None:
        """The CSV from all shards: once, and when another universe is chosen."""
        if not self.choices.csv:
            return
        shards = sorted(path for path in self.facts if path.startswith("data/"))
        target = self.workspace.new(layout.CSV)
        rows = write_csv(target, self._local(shards), self.choices.universe)
        self.made[layout.CSV] = target
        self.facts[layout.CSV] = _facts(target, rows, *first_and_last(target))

    def _merged_csv(self, known: Facts) -> None:
        copy = self.workspace.copy_of(self.published, layout.CSV, known)
        patch = self.workspace.new("days.csv")
        # From the shards, not from the lake: a day that is restated meanwhile is in both or none.
        shards = self._local(layout.shard(year) for year in sorted(_years(self.days)))
        write_csv(patch, shards, self.choices.universe, self.days)
        merged = merge_days(copy, patch, self.days, self.workspace.new(layout.CSV))
        if merged is None:
            self.facts[layout.CSV] = known
            return
        rows = (known.rows or 0) + merged.rows_added
        self.made[layout.CSV] = merged.path
        self.facts[layout.CSV] = _facts(merged.path, rows, *first_and_last(merged.path))

    def _local(self, paths: Iterable[str]) -> list[Path]:
        """Files as they were made just now, or else as they are published."""
        return [
            self.made.get(path) or self.workspace.copy_of(self.published, path, self.facts[path])
            for path in paths
        ]

    def _calendar(self, last: dt.date) -> None:
        for path, content in (
            (layout.CALENDAR_CSV, calendar_csv(last)),
            (layout.CALENDAR, calendar_parquet(last)),
        ):
            self._write(path, content)
            self.facts[path] = Facts(hashlib.sha256(content).hexdigest(), len(content))

    def _write(self, path: str, content: bytes) -> None:
        self.made[path] = self.workspace.new(path)
        self.made[path].write_bytes(content)

    def _day(self, day: dt.date) -> pa.Table:
        data = self.lake.read(DAILY_PRICES, day)
        assert data is not None, f"daily_prices {day} vanished while it was being published"
        return data.replace_schema_metadata(None)

    def _universe(self) -> str:
        return self.choices.universe if self.choices.csv else ""


def refuse_other_origin(published: str, ours: str) -> None:
    """Raise `OtherOrigin` when simulated and real rows, or those of two vendors, would mix."""
    if published != ours:
        raise OtherOrigin(
            f"the published rows come from {published!r}, those of this lake from {ours!r}. "
            "Nothing was sent. Publish to another dataset (HF_DATASET_REPO, or `repository` in "
            "the run's config)."
        )


def refuse_gap(present: Collection[dt.date], days: Collection[dt.date]) -> None:
    """Raise `GapAhead` when sessions between the last published day and these would be missing."""
    if not present:
        return
    last = max(present)
    between = [day for day in sessions_between(last, max(days)) if day > last] if days else []
    if skipped := [day for day in between if day not in set(days)]:
        shown = ", ".join(map(str, skipped[:5])) + (" …" if len(skipped) > 5 else "")
        raise GapAhead(
            f"{shown}: not published yet, and {max(days)} comes after. Nothing was sent. "
            "Materialize hf_dataset from the first of these days on, as one range."
        )


def _years(days: Collection[dt.date]) -> set[int]:
    return {day.year for day in days}


def _rows_first_last(shard: Path) -> tuple[int, dt.date | None, dt.date | None]:
    file = pq.read_metadata(shard)
    at = DAILY_PRICES.column_names.index("date")
    groups = [file.row_group(n).column(at).statistics for n in range(file.num_row_groups)]
    dates = [date for group in groups for date in (group.min, group.max)]
    return file.num_rows, min(dates, default=None), max(dates, default=None)


def _facts(
    path: Path,
    rows: int,
    first: dt.date | None,
    last: dt.date | None,
    checks: dict[str, int] | None = None,
) -> Facts:
    digest = hash_of(path).hexdigest()
    return Facts(digest, path.stat().st_size, rows, first, last, checks or {})
