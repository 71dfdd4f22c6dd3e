import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets.partitions import BACKFILL_POLICY, TRADING_DAYS
from marketdata_assets.storage.io_manager import (
    FetchedDays,
    LakeIOManager,
    LakeResource,
    conform,
    split_by_day,
)
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import PRICE_LIMITS, SUSPENSIONS, TRADE_CALENDAR
from marketdata_assets_tests.conftest import QUIET, failure_text, metadata_of
from marketdata_assets_tests.storage.tables_for_tests import DAY, NEXT_DAY, limits

DAYS = [dt.date(2024, 9, 27), DAY, NEXT_DAY]


def materialize(
    lake: Lake, output: object, days: list[dt.date], instance: dg.DagsterInstance
) -> dg.ExecuteInProcessResult:
    """Materialize an asset named price_limits that returns `output` for a range of days."""

    @dg.asset(
        name="price_limits",
        partitions_def=TRADING_DAYS,
        backfill_policy=BACKFILL_POLICY,
        io_manager_key="lake_io",
    )
    def price_limits():
        return output

    return run([price_limits], lake, days, instance)


def run(
    assets: Sequence[dg.AssetsDefinition | dg.AssetSpec],
    lake: Lake,
    days: list[dt.date],
    instance: dg.DagsterInstance,
) -> dg.ExecuteInProcessResult:
    resource = LakeResource(root=str(lake.root), origin="test")
    return dg.materialize(
        assets,
        resources={"lake_io": LakeIOManager(lake=resource)},
        tags={
            "dagster/asset_partition_range_start": days[0].isoformat(),
            "dagster/asset_partition_range_end": days[-1].isoformat(),
        },
        run_config=QUIET,
        instance=instance,
        raise_on_error=False,
    )


def all_days() -> pa.Table:
    return pa.concat_tables(limits(day, b=2.0, a=1.0) for day in reversed(DAYS))


@pytest.mark.parametrize(
    "made_as",
    [
        lambda data: data,
        lambda data: data.to_pandas(),
        lambda data: duckdb.connect().from_arrow(data),
        lambda data: FetchedDays([], iter([(day, limits(day, a=1.0, b=2.0)) for day in DAYS])),
    ],
    ids=["arrow", "pandas", "duckdb", "day by day"],
)
def test_a_range_is_split_into_a_file_a_day(lake: Lake, instance, made_as) -> None:
    result = materialize(lake, made_as(all_days()), DAYS, instance)
    assert result.success
    assert lake.days(PRICE_LIMITS) == DAYS
    for day in DAYS:
        assert lake.read(PRICE_LIMITS, day).equals(limits(day, a=1.0, b=2.0))


def test_every_partition_of_a_range_tells_its_own_rows_bytes_and_outcome(
    lake: Lake, instance
) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0, b=2.0))
    result = materialize(lake, all_days(), DAYS, instance)
    for day, outcome in zip(DAYS, ("new", "unchanged", "new"), strict=True):
        metadata = metadata_of(result, "price_limits", day)
        assert metadata["dagster/partition_row_count"] == 2
        assert metadata["bytes"] == lake.path(PRICE_LIMITS, day).stat().st_size
        assert metadata["file"] == outcome
        assert metadata["origin"] == "test"


def test_a_day_without_rows_fails_the_run_and_is_not_stored(lake: Lake, instance) -> None:
    result = materialize(lake, limits(DAY, a=1.0), [DAY, NEXT_DAY], instance)
    assert "price_limits 2024-10-08: no rows were made" in failure_text(result, "price_limits")
    assert lake.days(PRICE_LIMITS) == [DAY]


def test_a_computed_day_without_rows_is_empty_where_the_table_may_be(lake: Lake, instance) -> None:
    @dg.asset(
        name="suspensions",
        partitions_def=TRADING_DAYS,
        backfill_policy=BACKFILL_POLICY,
        io_manager_key="lake_io",
    )
    def computed():
        return SUSPENSIONS.schema.empty_table()

    assert run([computed], lake, [DAY, NEXT_DAY], instance).success
    for day in (DAY, NEXT_DAY):
        assert lake.read(SUSPENSIONS, day).equals(SUSPENSIONS.schema.empty_table())


def test_a_fetched_day_that_did_not_come_is_never_taken_for_an_empty_one(
    lake: Lake, instance
) -> None:
    @dg.asset(
        name="suspensions",
        partitions_def=TRADING_DAYS,
        backfill_policy=BACKFILL_POLICY,
        io_manager_key="lake_io",
    )
    def fetched():
        return FetchedDays([], iter([(DAY, SUSPENSIONS.schema.empty_table())]))

    assert run([fetched], lake, [DAY, NEXT_DAY], instance).success
    assert lake.days(SUSPENSIONS) == [DAY]
    assert recorded(instance, "suspensions") == {str(DAY)}


def test_a_day_that_stays_as_it_is_stored_is_recorded_and_not_touched(lake: Lake, instance) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    before = lake.describe(PRICE_LIMITS, DAY)
    days = iter([(DAY, None), (NEXT_DAY, limits(NEXT_DAY, a=2.0))])
    assert materialize(lake, FetchedDays([], days), [DAY, NEXT_DAY], instance).success
    assert lake.describe(PRICE_LIMITS, DAY) == before
    assert recorded(instance, "price_limits") == {str(DAY), str(NEXT_DAY)}


def test_what_is_downstream_of_an_absent_day_goes_on_with_the_others(lake: Lake, instance) -> None:
    lake.write(PRICE_LIMITS, NEXT_DAY, limits(NEXT_DAY, a=2.0))
    seen: list[pa.Table] = []
    upstream = dg.AssetSpec("price_limits", partitions_def=TRADING_DAYS)
    assert run([downstream(seen), upstream], lake, [DAY, NEXT_DAY], instance).success
    [loaded] = seen
    assert set(loaded["trade_date"].to_pylist()) == {NEXT_DAY}


def recorded(instance: dg.DagsterInstance, asset: str) -> set[str]:
    return instance.get_materialized_partitions(dg.AssetKey(asset))


def test_days_before_a_tables_beginning_are_empty_and_typed(lake: Lake, instance) -> None:
    early = [dt.date(2006, 12, 28), dt.date(2006, 12, 29)]
    assert materialize(lake, FetchedDays([], iter(())), early, instance).success
    for day in early:
        assert lake.read(PRICE_LIMITS, day).equals(PRICE_LIMITS.schema.empty_table())


def test_rows_of_a_day_that_was_not_asked_for_are_refused(lake: Lake, instance) -> None:
    result = materialize(lake, all_days(), [DAY], instance)
    assert "which this run does not make" in failure_text(result, "price_limits")


def test_days_are_stored_as_they_come_so_a_failure_keeps_the_earlier_ones(
    lake: Lake, instance
) -> None:
    def broken():
        yield DAYS[0], limits(DAYS[0], a=1.0)
        raise ConnectionError("the vendor is gone")

    result = materialize(lake, FetchedDays([], broken()), DAYS, instance)
    assert "the vendor is gone" in failure_text(result, "price_limits")
    assert lake.days(PRICE_LIMITS) == DAYS[:1]


def downstream(seen: list[pa.Table]) -> dg.AssetsDefinition:
    @dg.asset(
        ins={"price_limits": dg.AssetIn(input_manager_key="lake_io")},
        partitions_def=TRADING_DAYS,
        backfill_policy=BACKFILL_POLICY,
    )
    def price_limits_reader(price_limits: pa.Table) -> None:
        seen.append(price_limits)

    return price_limits_reader


def loaded(lake: Lake, instance: dg.DagsterInstance) -> pa.Table:
    seen: list[pa.Table] = []
    upstream = dg.AssetSpec("price_limits", partitions_def=TRADING_DAYS)
    assert run([downstream(seen), upstream], lake, DAYS, instance).success
    return seen[0]


def test_a_range_arrives_as_one_table(lake: Lake, instance) -> None:
    for day in DAYS:
        lake.write(PRICE_LIMITS, day, limits(day, a=1.0, b=2.0))
    arrow = loaded(lake, instance)
    assert arrow.schema.equals(PRICE_LIMITS.schema)
    assert arrow["trade_date"].to_pylist() == [day for day in DAYS for _ in range(2)]


def test_a_missing_upstream_names_table_and_dates(lake: Lake, instance) -> None:
    upstream = dg.AssetSpec("price_limits", partitions_def=TRADING_DAYS)
    result = run([downstream([]), upstream], lake, DAYS, instance)
    text = failure_text(result, "price_limits_reader")
    assert "price_limits is not stored for 3 day(s): 2024-09-27, 2024-09-30, 2024-10-08" in text


def test_files_of_another_declaration_are_refused_and_named(lake: Lake, instance) -> None:
    for day in DAYS:
        lake.write(PRICE_LIMITS, day, limits(day, a=1.0))
    path = lake.path(PRICE_LIMITS, DAY)
    whole_numbers = pq.read_table(path, partitioning=None)
    pq.write_table(whole_numbers.set_column(2, "up_limit", pa.array([1], pa.int64())), path)
    upstream = dg.AssetSpec("price_limits", partitions_def=TRADING_DAYS)
    result = run([downstream([]), upstream], lake, DAYS, instance)
    text = failure_text(result, "price_limits_reader")
    assert "price_limits has other columns than declared in 1 file(s)" in text
    assert "2024-09-30" in text


def test_only_this_lakes_files_are_read_whatever_its_folder_is_called(
    tmp_path: Path, instance
) -> None:
    ours, others = Lake(tmp_path / "home[12]", "test"), Lake(tmp_path / "home1", "test")
    for day in DAYS:
        ours.write(PRICE_LIMITS, day, limits(day, a=1.0))
        others.write(PRICE_LIMITS, day, limits(day, a=9.0))
    assert set(loaded(ours, instance)["up_limit"].to_pylist()) == {1.0}


def test_the_days_before_a_failure_are_in_the_catalog(lake: Lake, instance) -> None:
    def broken():
        yield DAYS[0], limits(DAYS[0], a=1.0)
        raise ConnectionError("the vendor is gone")

    result = materialize(lake, FetchedDays([], broken()), DAYS, instance)
    assert "the vendor is gone" in failure_text(result, "price_limits")
    with duckdb.connect(str(lake.root / "catalog.duckdb"), read_only=True) as catalog:
        assert catalog.execute("SELECT count(*) FROM price_limits").fetchall() == [(1,)]


def test_a_catalog_that_cannot_be_written_is_told_and_costs_no_day(lake: Lake, instance) -> None:
    (lake.root / "catalog.sql").mkdir()
    result = materialize(lake, limits(DAY, a=1.0), [DAY], instance)
    assert result.success
    told = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    errors = [entry.dagster_event.engine_event_data.error for entry in told]
    [error] = [error for error in errors if error]
    assert "could not be written" in error.message


def test_a_table_without_partitions_is_one_file(lake: Lake, instance) -> None:
    calendar = pa.Table.from_pylist(
        [{"exchange": "SSE", "cal_date": DAY, "is_open": 1, "pretrade_date": None}],
        schema=TRADE_CALENDAR.schema,
    )

    @dg.asset(io_manager_key="lake_io")
    def trade_calendar():
        return calendar

    resource = LakeResource(root=str(lake.root), origin="test")
    result = dg.materialize(
        [trade_calendar],
        resources={"lake_io": LakeIOManager(lake=resource)},
        run_config=QUIET,
        instance=instance,
    )
    assert lake.read(TRADE_CALENDAR, None).equals(calendar)
    assert metadata_of(result, "trade_calendar")["dagster/row_count"] == 1


@given(
    rows=st.lists(st.tuples(st.sampled_from(DAYS), st.floats(0.01, 99)), max_size=40),
    batch=st.integers(1, 7),
)
def test_splitting_loses_no_row_wherever_batches_end(
    rows: list[tuple[dt.date, float]], batch: int
) -> None:
    rows.sort()
    parts = [limits(day, **{f"c{n}": up}) for n, (day, up) in enumerate(rows)]
    table = pa.concat_tables(parts) if parts else PRICE_LIMITS.schema.empty_table()
    reader = table.combine_chunks().to_reader(max_chunksize=batch)
    pieces = list(split_by_day(PRICE_LIMITS, reader))
    assert [day for day, _ in pieces] == sorted({day for day, _ in rows})
    if pieces:
        assert pa.concat_tables(piece for _, piece in pieces).equals(conform(PRICE_LIMITS, table))


def test_rows_without_a_day_are_refused() -> None:
    undated = limits(DAY, a=1.0).to_pylist()
    undated[0]["trade_date"] = None
    loose = pa.schema([field.with_nullable(True) for field in PRICE_LIMITS.schema])
    reader = pa.Table.from_pylist(undated, schema=loose).to_reader()
    with pytest.raises(ValueError, match="price_limits: 1 rows have no day"):
        list(split_by_day(PRICE_LIMITS, reader))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (limits(DAY, a=1.0).drop_columns(["up_limit"]), "column up_limit is missing"),
        (
            limits(DAY, a=1.0).set_column(2, "up_limit", pa.array(["10.5"])),
            "up_limit is string, not double",
        ),
    ],
    ids=["missing", "text"],
)
def test_what_does_not_conform_is_refused_with_the_table(data: pa.Table, complaint: str) -> None:
    with pytest.raises(ValueError, match=f"price_limits: .*{complaint}"):
        conform(PRICE_LIMITS, data)


def test_a_stream_that_is_not_sorted_by_day_is_refused() -> None:
    unsorted = pa.concat_tables([limits(NEXT_DAY, a=1.0), limits(DAY, a=1.0)])
    with pytest.raises(ValueError, match="rows of 2024-09-30 come after 2024-10-08"):
        list(split_by_day(PRICE_LIMITS, unsorted.to_reader(max_chunksize=1)))
