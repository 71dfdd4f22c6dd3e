"""What is published next: what is there, with the days of a run as the lake has them.

A pure function of the two, whatever happened before: built twice it is the same, and on top of
what it made itself it changes nothing. Days that are not the run's stay as they are published. A
session that is missing keeps no other day back: the manifest tells of it.
"""

import datetime as dt
import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from marketdata_assets.errors import MarketdataError
from marketdata_assets.listening import is_simulated
from marketdata_assets.publishing import layout
from marketdata_assets.publishing.adoption import adopting
from marketdata_assets.publishing.beside_prices import (
    calendar_csv,
    calendar_parquet,
    refusals,
    update_findings,
    update_suspended,
    why_missing,
)
from marketdata_assets.publishing.card import dataset_card, origin_on, with_block
from marketdata_assets.publishing.csv_file import (
    first_and_last,
    has_columns,
    merge_days,
    write_csv,
)
from marketdata_assets.publishing.layout import Choices
from marketdata_assets.publishing.making import (
    Making,
    RowsBetween,
    changed_days,
    counted_checks,
    published_rows,
    stored_rows,
)
from marketdata_assets.publishing.manifest import Adopted, Facts, Manifest, from_json
from marketdata_assets.publishing.workspace import Published, Workspace
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.trading_calendar import sessions_between

COLUMNS = tuple(DAILY_PRICES.column_names)


class OtherOrigin(MarketdataError, is_final=True):
    """The published rows come from elsewhere."""


@dataclass
class Content:
    """The files that may differ from the published ones, and those to be removed.

    `adopted` is what is taken over now. Of the days that are `caught_up` the dataset gets suspended
    shares, though they are not of the run.
    """

    manifest: Manifest
    files: dict[str, Path] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    adopted: Adopted | None = None
    caught_up: Collection[dt.date] = ()


def build(
    published: Published,
    lake: Lake,
    days: Collection[dt.date],
    choices: Choices,
    workspace: Workspace,
    repository: str,
    left_out: Collection[dt.date] = (),
) -> Content:
    """`left_out` are days of the run that are not stored: of them the findings are published.

    Raises `MissingPartitions`, `OtherOrigin`, `UnreadableManifest`, ...
    """
    lake.paths(DAILY_PRICES, sorted(days))
    return _Builder(published, lake, set(days), choices, workspace).build(repository, left_out)


@dataclass
class _Builder:
    published: Published
    lake: Lake
    days: set[dt.date]
    choices: Choices
    workspace: Workspace

    def __post_init__(self) -> None:
        self.making = Making(self.published, self.workspace)
        self.read = stored_rows(self.lake, DAILY_PRICES)

    def build(self, repository: str, left_out: Collection[dt.date]) -> Content:
        before, adopted = self._before()
        present = set(adopted.days) if adopted else set()
        held_over = adopted
        if before:
            refuse_other_origin(before.origin, self.lake.origin)
            self.making.go_on_from(before)
            present = self._still_there(before)
            held_over = before.adopted and before.adopted.without(before.days() - present)
            self._update(before)
        present |= self.days
        self._calendar(max(present).year)
        missing = set(sessions_between(min(present), max(present))) - present
        refused = refusals(self.lake, missing)
        # A refused day is never of a run that publishes it: its findings come when it is passed.
        update_findings(self.making, self.lake, {*self.days, *left_out, *refused})
        lacking, caught_up = update_suspended(self.making, self.lake, self.days, present, before)
        reasons = why_missing(self.lake, missing, refused)
        manifest = Manifest(
            self.lake.origin,
            self._universe(),
            self.making.facts,
            reasons,
            COLUMNS,
            self.choices.csv and self.choices.csv_all_columns,
            lacking,
            held_over and held_over.without(self.days),
        )
        self.making.write(layout.MARKER, f"{manifest.last:%Y%m%d}".encode())
        self.making.write(layout.MANIFEST, manifest.to_json())
        self.making.write(layout.CARD, self._card(manifest, repository))
        removed = [] if self.choices.csv else [layout.CSV]
        return Content(
            manifest,
            self.making.made,
            [p for p in removed if p in self.published.files],
            adopted,
            caught_up,
        )

    def _before(self) -> tuple[Manifest | None, Adopted | None]:
        """The published manifest; without one, the CSV is adopted, or everything is made new."""
        if layout.MANIFEST in self.published.files:
            return from_json(self.published.read(layout.MANIFEST)), None
        self._refuse_rows_of_other_origin()
        adopted = None
        with adopting(self.workspace.new("adoption").parent) as adoption:
            if layout.CSV in self.published.files:
                csv = self.workspace.new(f"{layout.CSV}.arriving")
                self.published.fetch(layout.CSV, csv)
                adopted = adoption.read(csv)
                csv.unlink()
            taken_over = _years(adopted.days if adopted else ())
            for year in sorted(taken_over | _years(self.days)):
                there = year in taken_over
                self._shard(
                    year, adoption.rows(year) if there else published_rows(DAILY_PRICES, None)
                )
        self._whole_csv()
        return None, adopted

    def _refuse_rows_of_other_origin(self) -> None:
        """Raise `OtherOrigin` where rows lie without a manifest that may not join this lake's.

        The card tells their origin, if it is one of ours. If not they may be anybody's: simulated
        rows don't join them.
        """
        files = self.published.files
        there = [path for path in files if path == layout.CSV or fnmatch(path, layout.SHARDS)]
        if not there:
            return
        told = origin_on(self.published.read(layout.CARD)) if layout.CARD in files else ""
        if told:
            refuse_other_origin(told, self.lake.origin)
        elif is_simulated(self.lake.origin):
            raise OtherOrigin(
                f"{min(there)} is in the dataset and no manifest tells where its rows come from; "
                f"those of this lake come from {self.lake.origin!r}. Nothing was sent. Publish to "
                "another dataset, or move it away."
            )

    def _card(self, manifest: Manifest, repository: str) -> bytes:
        there = layout.CARD in self.published.files
        before = self.published.read(layout.CARD) if there else b""
        return with_block(before, *dataset_card(manifest, repository))

    def _still_there(self, before: Manifest) -> set[dt.date]:
        """The published days, but for those of files that somebody has removed."""
        days = before.days()
        years = {year for year in _years(days) if layout.shard(year) in self.making.facts}
        return {day for day in days if day.year in years}

    def _update(self, before: Manifest) -> None:
        years = _years(self.days)
        # Shards that differ in their columns are no one dataset to those who load them.
        has_grown = before.columns != COLUMNS
        if has_grown:
            years |= _years(self._still_there(before))
        for year in sorted(years):
            rows = self.making.rows(DAILY_PRICES, layout.shard(year))
            ours = {day for day in self.days if day.year == year}
            if has_grown or changed_days(DAILY_PRICES, rows, ours, self.read):
                self._shard(year, rows)
        known = self.making.facts.pop(layout.CSV, None)
        if known is None or before.universe != self._universe():
            self._whole_csv()
        elif self.choices.csv:
            self._merged_csv(known)

    def _shard(self, year: int, rows: RowsBetween) -> None:
        path = layout.shard(year)
        self.making.write_year(DAILY_PRICES, path, year, rows, self.days, self.read, counted_checks)

    def _whole_csv(self) -> None:
        """The CSV from all shards: once, and when universe or columns are others."""
        if not self.choices.csv:
            return
        shards = sorted(filter(layout.is_shard, self.making.facts))
        target = self.workspace.new(layout.CSV)
        columns = self.choices.csv_columns
        rows = write_csv(target, self.making.local(shards), self.choices.universe, (), columns)
        self.making.add(layout.CSV, target, rows, *first_and_last(target))

    def _merged_csv(self, known: Facts) -> None:
        copy = self.workspace.copy_of(self.published, layout.CSV, known)
        columns = self.choices.csv_columns
        if not has_columns(copy, columns):
            self._whole_csv()
            return
        patch = self.workspace.new("days.csv")
        # From the shards, not from the lake: a day that is restated meanwhile is in both or none.
        shards = self.making.local(layout.shard(year) for year in sorted(_years(self.days)))
        write_csv(patch, shards, self.choices.universe, self.days, columns)
        spliced = self.workspace.new(layout.CSV)
        merged = merge_days(copy, patch, self.days, spliced, self.workspace.may_grow)
        if merged is None:
            self.making.facts[layout.CSV] = known
            return
        file, added = merged
        self.making.add(layout.CSV, file, (known.rows or 0) + added, *first_and_last(file))

    def _calendar(self, year: int) -> None:
        for path, content in (
            (layout.CALENDAR_CSV, calendar_csv(year)),
            (layout.CALENDAR, calendar_parquet(year)),
        ):
            self.making.write(path, content)
            self.making.facts[path] = Facts(hashlib.sha256(content).hexdigest(), len(content))

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


def _years(days: Collection[dt.date]) -> set[int]:
    return {day.year for day in days}
