"""How assets write the lake, a file a partition, and how a range of partitions is read.

Here belongs the bridge between Dagster's partitions and `lake`. What a table holds is declared
in `tables`; what a file goes through is `lake`.
"""

import contextlib
import datetime as dt
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import dagster as dg
import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import PrivateAttr

from marketdata_assets.storage.catalog import publish_catalog
from marketdata_assets.storage.lake import Lake, MissingPartitions, Part, Stored
from marketdata_assets.storage.opening import open_lake
from marketdata_assets.tables import STORED_TABLES, Table

ROWS_PER_BATCH = 50_000
ROWS_SHOWN = 3
_TELLING = threading.Lock()


class LakeResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The lake of one profile: its folder and where its data come from."""

    root: str
    origin: str

    _run: str = PrivateAttr(default="")

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        self._run = context.run.run_id if context.run else ""

    def open(self) -> Lake:
        return open_lake(Path(self.root), self.origin, self._run)


class FetchedDays(NamedTuple):
    """An asset's output while it is still being made, one day at a time.

    `kept` days are already stored by an interrupted run; `days` yields the others in order, with
    None for one that stays as it is stored. Days that come in neither are absent: they are not
    recorded, and whoever made the output has said why. What `told` returns once all are stored is
    shown with each of them.
    """

    kept: list[dt.date]
    days: Iterator[tuple[dt.date, pa.Table | None]]
    told: Callable[[], Mapping[str, int | str]] = dict


class RecordedDays(NamedTuple):
    """An output that is stored elsewhere already; these days of it are recorded."""

    days: list[dt.date]


Data: TypeAlias = FetchedDays | RecordedDays | duckdb.DuckDBPyRelation | pa.Table | pd.DataFrame


class LakeIOManager(dg.ConfigurableIOManager):
    """Stores every partition as a file and loads a range as one Arrow table.

    An output may be a DuckDB relation, an Arrow table, a pandas frame or `FetchedDays`; it is
    streamed, so a range needs no more memory than a day (sorting a computed range spills to disk).
    """

    lake: LakeResource

    _lake: Lake = PrivateAttr()
    _has_stored: bool = PrivateAttr(default=False)

    @contextlib.contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["LakeIOManager"]:
        """Within a run, or a step that has a process of its own; then the catalog is published."""
        self.lake.setup_for_execution(context)
        self._lake = self.lake.open()
        try:
            # One run of a pool at a time makes days, so a step may take what it saw for what is
            # there.
            with self._lake.looking_once():
                yield self
        finally:
            # Its views are over a folder; a host of many has only what it has read.
            if self._has_stored and not self._lake.is_shared:
                publish_catalog(self._lake.root)

    def load_input(self, context: dg.InputContext) -> pa.Table:
        """The upstream's partitions, but for days that are not stored.

        Raises `MissingPartitions` naming table and days when none is.
        """
        table = STORED_TABLES[context.asset_key.path[-1]]
        parts = _parts(table, context)
        stored = [part for part in parts if self._lake.has(table, part)]
        if not stored:
            raise MissingPartitions(table, parts)
        return pa.concat_tables(self._lake.load(table, part).rows for part in stored)

    def handle_output(self, context: dg.OutputContext, obj: Data) -> None:
        """Store every partition of the run, each as soon as it is whole."""
        if isinstance(obj, RecordedDays):
            record_only(context, obj.days)
            return
        table, origin = STORED_TABLES[context.asset_key.path[-1]], self._lake.origin
        self._has_stored = True
        if context.has_asset_partitions and not table.code_column:
            self._store_range(context, table, obj)
            if isinstance(obj, FetchedDays):
                context.add_output_metadata(obj.told())
        else:
            [part] = _parts(table, context)
            one = self._lake.write(table, part, conform(table, _arrow(obj)))
            origin = one.origin
            context.add_output_metadata(
                {
                    "dagster/row_count": one.rows,
                    "bytes": one.bytes,
                    "file": one.outcome.value,
                }
            )
        context.add_output_metadata(
            {
                "folder": dg.MetadataValue.path(str(self._lake.root / "lake" / table.name)),
                "origin": origin,
            }
        )

    def _store_range(self, context: dg.OutputContext, table: Table, obj: Data) -> None:
        stored = self._store_days(table, _days(context), obj)
        record_only(context, list(stored))
        for day, one in stored.items():
            place = dg.MetadataValue.path(str(self._lake.path(table, day)))
            tell_of_day(context, day, {**partition_metadata(one), "path": place})
        if len(stored) == 1:
            [day] = stored
            rows = self._lake.read(table, day)
            if rows is not None:
                context.add_output_metadata({"first rows": first_rows(rows)})
        context.log.info(f"{table.name}: {in_words(stored)}")

    def _store_days(
        self, table: Table, expected: list[dt.date], obj: Data
    ) -> dict[dt.date, Stored]:
        stored: dict[dt.date, Stored] = {}
        pieces: Iterator[tuple[dt.date, pa.Table | None]]
        if isinstance(obj, FetchedDays):
            stored = {day: self._lake.keep(table, day) for day in obj.kept}
            pieces = obj.days
        else:
            pieces = by_day(table, obj)
        for day, piece in pieces:
            if day not in expected:
                raise ValueError(f"{table.name}: rows of {day}, which this run does not make.")
            if piece is None:
                stored[day] = self._lake.keep(table, day)
            else:
                stored[day] = self._lake.write(table, day, piece)
        for day in expected:
            if day in stored or (day >= table.first_date and isinstance(obj, FetchedDays)):
                continue
            if day >= table.first_date and not table.may_be_empty:
                raise ValueError(f"{table.name} {day}: no rows were made; nothing was stored.")
            stored[day] = self._lake.write(table, day, table.schema.empty_table())
        return stored


def record_only(context: dg.OutputContext, days: Sequence[dt.date]) -> None:
    """Have Dagster record these partitions of the run and no others.

    Dagster records every partition a run was started for, and has no public way to say that some
    were not made; what it reads to do so is this one field.
    """
    keys = [day.isoformat() for day in days]
    subset = context.asset_partitions_def.subset_with_partition_keys(keys)
    context._asset_partitions_subset = subset


def tell_of_day(
    context: dg.OutputContext | dg.AssetExecutionContext, day: dt.date, facts: Mapping[str, Any]
) -> None:
    """Have Dagster keep `facts` with one partition of the run.

    Its public way looks up every partition of the run for each of them, which in a quarter costs
    more than judging the days.
    """
    if isinstance(context, dg.OutputContext):
        step = context.step_context
    else:
        step = context.get_step_execution_context()
    # Days are told of while others are stored, and what is kept is replaced as a whole.
    with _TELLING:
        told = step._metadata_accumulator
        step._metadata_accumulator = told.with_additional_asset_metadata(
            context.asset_key, day.isoformat(), facts
        )


def conform(table: Table, data: pa.Table) -> pa.Table:
    """`data` with the declared columns in their order and types; values are never changed.

    Raises `ValueError` naming the table when a column is missing or holds text for numbers.
    """
    columns = []
    for field in table.schema:
        if field.name not in data.column_names:
            raise ValueError(f"{table.name}: column {field.name} is missing.")
        column = data[field.name]
        if column.type != field.type:
            if _is_text(column.type) != _is_text(field.type) and column.null_count < len(column):
                raise ValueError(f"{table.name}: {field.name} is {column.type}, not {field.type}.")
            column = column.cast(field.type)
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=table.schema)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def by_day(
    table: Table, data: duckdb.DuckDBPyRelation | pa.Table | pd.DataFrame
) -> Iterator[tuple[dt.date, pa.Table]]:
    """The days of `data` one after the other; of a relation, few rows are held at a time."""
    if isinstance(data, duckdb.DuckDBPyRelation):
        in_order = data.order(", ".join(table.key))
        return split_by_day(table, in_order.to_arrow_reader(ROWS_PER_BATCH))
    return _runs_of_one_day(table, [_arrow(data)])


def split_by_day(table: Table, reader: pa.RecordBatchReader) -> Iterator[tuple[dt.date, pa.Table]]:
    """Cut a stream that is sorted by day into whole days. Raises `ValueError` if it is not."""
    current: dt.date | None = None
    parts: list[pa.Table] = []
    for day, part in _runs_of_one_day(table, (pa.Table.from_batches([one]) for one in reader)):
        if day != current:
            if current is not None:
                yield current, pa.concat_tables(parts)
                if day < current:
                    raise ValueError(f"{table.name}: rows of {day} come after {current}.")
            current, parts = day, []
        parts.append(part)
    if current is not None:
        yield current, pa.concat_tables(parts)


def _runs_of_one_day(
    table: Table, pieces: Iterable[pa.Table]
) -> Iterator[tuple[dt.date, pa.Table]]:
    for piece in pieces:
        data = conform(table, piece)
        if undated := data[table.date_column].null_count:
            raise ValueError(f"{table.name}: {undated} rows have no day.")
        for day in sorted(pc.unique(data[table.date_column]).to_pylist()):
            yield day, data.filter(pc.equal(data[table.date_column], pa.scalar(day)))


def _parts(table: Table, context: dg.InputContext | dg.OutputContext) -> list[Part]:
    """The partitions of the run: days, codes, or None for a table without."""
    if not context.has_asset_partitions:
        return [None]
    return list(context.asset_partition_keys) if table.code_column else [*_days(context)]


def _days(context: dg.InputContext | dg.OutputContext) -> list[dt.date]:
    return [dt.date.fromisoformat(key) for key in context.asset_partition_keys]


def _arrow(obj: duckdb.DuckDBPyRelation | pa.Table | pd.DataFrame) -> pa.Table:
    if isinstance(obj, duckdb.DuckDBPyRelation):
        return obj.to_arrow_table()
    if isinstance(obj, pd.DataFrame):
        return pa.Table.from_pandas(obj, preserve_index=False)
    return obj


def partition_metadata(stored: Stored) -> dict[str, dg.MetadataValue]:
    """What the UI shows, and plots, of one partition."""
    return {
        "dagster/partition_row_count": dg.MetadataValue.int(stored.rows),
        "bytes": dg.MetadataValue.int(stored.bytes),
        "file": dg.MetadataValue.text(stored.outcome.value),
    }


def first_rows(rows: pa.Table) -> dg.TableMetadataValue:
    """The first rows as the UI shows a table; what is NULL is empty."""
    records = [
        dg.TableRecord(
            {
                name: value if isinstance(value, bool | int | float | str) else str(value or "")
                for name, value in row.items()
            }
        )
        for row in rows.slice(0, ROWS_SHOWN).to_pylist()
    ]
    columns = [dg.TableColumn(field.name, str(field.type)) for field in rows.schema]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def in_words(stored: Mapping[dt.date, Stored]) -> str:
    """One line for the log of a run: days by outcome, rows, size."""
    outcomes = Counter(one.outcome for one in stored.values())
    days = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    rows = sum(one.rows for one in stored.values())
    megabytes = sum(one.bytes for one in stored.values()) / 1e6
    return f"{len(stored)} day(s): {days}; {rows:,} rows, {megabytes:,.1f} MB"
