"""Files of former declarations, with fewer columns or fewer that might be NULL, are as good as new.

Everywhere: what a column that was not declared then holds is NULL.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets.assets.restatements import differences
from marketdata_assets.publishing.making import (
    changed_days,
    published_rows,
    stored_rows,
    write_shard,
)
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.serving.queries import Adjust
from marketdata_assets.storage.as_of import NotReadableAsOf, as_of, files_as_of, held_still
from marketdata_assets.storage.catalog import publish_catalog
from marketdata_assets.storage.fitting import as_declared, misfits
from marketdata_assets.storage.io_manager import conform
from marketdata_assets.storage.lake import Lake, Outcome, UnfitPartitions
from marketdata_assets.storage.reading import rows_of
from marketdata_assets.storage.sealed_parquet import sealed
from marketdata_assets.storage.series import Series, refresh
from marketdata_assets.tables import ADJ_FACTOR, DAILY_PRICES, INSTRUMENT_HISTORY, Table
from marketdata_assets_tests.conftest import costly
from marketdata_assets_tests.publishing.prices import store

ADDED = ["industry", "turnover_rate", "high_limit"]
DAYS = [dt.date(2024, 9, 27), dt.date(2024, 9, 30)]
STRICT, LENIENT = DAYS
AS_OF_STORING = dt.datetime(2024, 10, 1, tzinfo=dt.UTC)


def under(data: pa.Table, nullable: Callable[[str], bool]) -> pa.Table:
    """The same values and labels under another nullability."""
    fields = [field.with_nullable(nullable(field.name)) for field in data.schema]
    schema = pa.schema(fields, metadata=data.schema.metadata)
    return pa.Table.from_arrays(data.columns, schema=schema)


def strict(data: pa.Table) -> pa.Table:
    """The same values where whatever is never NULL may not be, as was declared in former days."""
    return under(data, lambda name: data[name].null_count > 0)


def former(data: pa.Table, added: Sequence[str] = ()) -> pa.Table:
    """The same values as they were stored before the `added` columns were."""
    return strict(data.drop_columns(list(added)))


def rewrite(lake: Lake, table: Table, part: dt.date | str, added: Sequence[str] = ()) -> pa.Table:
    """Give a stored file the schema of former days; what it holds, under that of now."""
    path = lake.path(table, part)
    data = pq.read_table(path, partitioning=None)
    labels = {**data.schema.metadata, b"stored_at": AS_OF_STORING.isoformat().encode()}
    stored = former(data.replace_schema_metadata(labels), added)
    assert not stored.schema.equals(table.schema)
    path.write_bytes(sealed(stored))
    return conform(table, without(data, added))


def without(data: pa.Table, added: Sequence[str]) -> pa.Table:
    """The same rows with NULL in the `added` columns."""
    for name in added:
        at = data.column_names.index(name)
        data = data.set_column(at, name, pa.nulls(len(data), data[name].type))
    return data


@pytest.fixture(params=[[], ADDED], ids=["nothing NULL", "columns added"])
def added(request: pytest.FixtureRequest) -> list[str]:
    """The columns that were not declared when STRICT was stored."""
    return request.param


@pytest.fixture
def rows(lake: Lake, added: list[str]) -> pa.Table:
    """What is stored of STRICT, under the schema of former days; LENIENT is stored as of now."""
    store(lake, DAYS)
    return rewrite(lake, DAILY_PRICES, STRICT, added)


def test_columns_that_may_be_null_may_be_absent_and_all_else_has_to_agree() -> None:
    schema = DAILY_PRICES.schema
    code, date, price = (schema.get_field_index(name) for name in ("code", "date", "open"))
    assert misfits(DAILY_PRICES, schema) == []
    assert misfits(DAILY_PRICES, pa.schema([f.with_nullable(not f.nullable) for f in schema])) == []
    assert misfits(DAILY_PRICES, pa.schema(list(schema)[::-1])) == []
    assert misfits(DAILY_PRICES, pa.schema([f for f in schema if not f.nullable])) == []
    assert misfits(DAILY_PRICES, schema.remove(code)) == ["code is not stored"]
    assert misfits(DAILY_PRICES, schema.append(pa.field("x", pa.int8()))) == [
        "x is not declared any more"
    ]
    assert misfits(DAILY_PRICES, schema.set(price, pa.field("open", pa.float32()))) == [
        "open is float, declared is double"
    ]
    newer = replace(DAILY_PRICES, version=2)
    assert misfits(newer, schema) == ["its columns are version 1, declared is version 2"]
    assert misfits(newer, schema.with_metadata({"schema_version": "2"})) == []
    assert misfits(DAILY_PRICES, schema.set(date, pa.field("date", pa.string()))) == [
        "date is string, declared is date32[day]"
    ]


def test_columns_have_the_declared_order_and_labels_stay() -> None:
    schema = DAILY_PRICES.schema
    loose = under(schema.empty_table().replace_schema_metadata({"origin": "x"}), lambda _: True)
    assert as_declared(DAILY_PRICES, loose).schema.equals(schema)
    assert as_declared(DAILY_PRICES, loose).schema.metadata == {b"origin": b"x"}
    turned = loose.select(loose.column_names[::-1])
    assert as_declared(DAILY_PRICES, turned).schema.equals(schema)


def test_another_version_of_a_table_is_refused_with_what_to_do(lake: Lake) -> None:
    store(lake, DAYS)
    newer = replace(DAILY_PRICES, version=2)
    said = (
        r"daily_prices has other columns than declared in 2 file\(s\): .*2024-09-27\.parquet, .* "
        r"\(its columns are version 1, declared is version 2\)\. Materialize daily_prices again"
    )
    with pytest.raises(UnfitPartitions, match=said):
        lake.paths(newer, DAYS)
    rows = lake.load(DAILY_PRICES, STRICT).rows.replace_schema_metadata()
    assert lake.write(newer, STRICT, rows).outcome is Outcome.REPLACED
    assert lake.load(newer, STRICT).rows.equals(rows)
    now = dt.datetime.now(dt.UTC)
    told = pytest.raises(NotReadableAsOf, match=r"version 1, declared is version 2\. Its f")
    with told, files_as_of(lake, newer, [LENIENT], now):
        pass


NULLABLE = [column.name for column in DAILY_PRICES.columns if column.nullable]


@costly()
@given(added=st.lists(st.sampled_from(NULLABLE), unique=True, max_size=len(NULLABLE)))
def test_whatever_columns_were_added_an_old_lake_is_read_published_and_restored(
    tmp_path_factory: pytest.TempPathFactory, added: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("lake")
    lake, published = Lake(folder, "test"), folder / "shard.parquet"
    store(lake, DAYS)
    read = stored_rows(lake, DAILY_PRICES)
    write_shard(DAILY_PRICES, published, 2024, published_rows(DAILY_PRICES, None), DAYS, read)
    pq.write_table(former(pq.read_table(published), added), published)
    expected = [rewrite(lake, DAILY_PRICES, day, added) for day in DAYS]
    bytes_of = [lake.path(DAILY_PRICES, day).read_bytes() for day in DAYS]
    assert [lake.read(DAILY_PRICES, day) for day in DAYS] == expected
    with duckdb.connect() as connection:
        relation = rows_of(connection, DAILY_PRICES, lake.paths(DAILY_PRICES, DAYS))
        found = conform(DAILY_PRICES, relation.order("date, code").to_arrow_table())
    assert found.equals(pa.concat_tables(expected))
    with duckdb.connect(str(publish_catalog(lake.root)), read_only=True) as connection:
        view = connection.sql("FROM daily_prices ORDER BY date, code").to_arrow_table()
    assert conform(DAILY_PRICES, view).equals(pa.concat_tables(expected))
    rows = published_rows(DAILY_PRICES, published)
    assert changed_days(DAILY_PRICES, rows, DAYS, read) == []
    for day, known in zip(DAYS, expected, strict=True):
        restored = rows(day, day + dt.timedelta(1))
        assert restored.equals(known)
        assert lake.write(DAILY_PRICES, day, restored).outcome is Outcome.UNCHANGED
    assert [lake.path(DAILY_PRICES, day).read_bytes() for day in DAYS] == bytes_of


def test_the_lake_describes_reads_and_keeps_it(lake: Lake, rows: pa.Table) -> None:
    stored = lake.describe(DAILY_PRICES, STRICT)
    assert stored is not None
    assert (stored.rows, stored.stored_at) == (rows.num_rows, AS_OF_STORING)
    read = lake.read(DAILY_PRICES, STRICT)
    assert read is not None
    assert read.equals(rows)
    assert read.schema.equals(DAILY_PRICES.schema)
    assert lake.paths(DAILY_PRICES, DAYS) == [lake.path(DAILY_PRICES, day) for day in DAYS]
    assert lake.keep(DAILY_PRICES, STRICT).outcome is Outcome.KEPT


def test_the_same_values_again_change_nothing_on_disk(lake: Lake, rows: pa.Table) -> None:
    path = lake.path(DAILY_PRICES, STRICT)
    before = path.stat()
    assert lake.write(DAILY_PRICES, STRICT, rows).outcome is Outcome.UNCHANGED
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert not lake.versions_folder(DAILY_PRICES, STRICT).exists()


def without_open(rows: pa.Table) -> pa.Table:
    """The same day restated: the first share has no open any more."""
    told = rows.to_pylist()
    told[0]["open"] = None
    return pa.Table.from_pylist(told, schema=DAILY_PRICES.schema)


def test_a_value_that_is_withdrawn_is_a_version_of_its_own_and_told(
    lake: Lake, rows: pa.Table
) -> None:
    assert lake.write(DAILY_PRICES, STRICT, without_open(rows)).outcome is Outcome.REPLACED
    with duckdb.connect() as connection, held_still(lake) as versions:
        found = differences(
            connection, DAILY_PRICES, STRICT, versions.of(DAILY_PRICES, STRICT)
        ).to_pylist()
    [one] = found
    assert (one["ts_code"], one["column_name"], one["kind"]) == (
        rows["code"][0].as_py(),
        "open",
        "changed",
    )
    assert (float(one["old"]), one["new"]) == (rows["open"][0].as_py(), None)


def test_it_is_known_as_of_then_beside_later_days(lake: Lake, rows: pa.Table) -> None:
    lake.write(DAILY_PRICES, STRICT, without_open(rows))
    with (
        duckdb.connect() as connection,
        as_of(connection, lake, DAILY_PRICES, [STRICT], AS_OF_STORING) as then,
    ):
        assert conform(DAILY_PRICES, then.order("code").to_arrow_table()).equals(rows)
    now = dt.datetime.now(dt.UTC)
    with duckdb.connect() as connection, as_of(connection, lake, DAILY_PRICES, DAYS, now) as known:
        assert known.filter("open IS NULL").count("*").fetchall() == [(1,)]


def test_duckdb_reads_it_beside_files_of_now(lake: Lake, rows: pa.Table) -> None:
    lenient = lake.read(DAILY_PRICES, LENIENT)
    assert lenient is not None
    lake.write(DAILY_PRICES, LENIENT, without_open(lenient))
    paths = lake.paths(DAILY_PRICES, DAYS)
    for order in (paths, paths[::-1]):
        with duckdb.connect() as connection:
            relation = rows_of(connection, DAILY_PRICES, order)
            assert relation.filter("open IS NULL").count("*").fetchall() == [(1,)]
    with duckdb.connect(str(publish_catalog(lake.root))) as connection:
        [(count,)] = connection.execute("SELECT count(open) FROM daily_prices").fetchall()
    assert count == rows.num_rows + lenient.num_rows - 1


def test_a_series_holds_it_and_slices_it(lake: Lake, rows: pa.Table) -> None:
    refresh(lake, DAILY_PRICES)
    series = Series.open(lake.root, DAILY_PRICES)
    assert series.cross_section(STRICT).equals(rows)
    code = rows["code"][0].as_py()
    shown = series.slice(code, STRICT, STRICT)
    assert shown.equals(rows.slice(0, 1))
    assert shown.schema.equals(DAILY_PRICES.schema)


def test_a_shard_with_it_is_published_and_not_taken_for_changed(
    lake: Lake, rows: pa.Table, tmp_path: Path
) -> None:
    def read(day: dt.date) -> pa.Table:
        data = lake.read(DAILY_PRICES, day)
        assert data is not None
        return data

    shard = tmp_path / "shard.parquet"
    write_shard(DAILY_PRICES, shard, 2024, published_rows(DAILY_PRICES, None), DAYS, read)
    pq.write_table(strict(pq.read_table(shard)), shard)
    assert changed_days(DAILY_PRICES, published_rows(DAILY_PRICES, shard), DAYS, read) == []
    lake.write(DAILY_PRICES, STRICT, without_open(rows))
    assert changed_days(DAILY_PRICES, published_rows(DAILY_PRICES, shard), DAYS, read) == [STRICT]
    again = tmp_path / "again.parquet"
    write_shard(DAILY_PRICES, again, 2024, published_rows(DAILY_PRICES, shard), [STRICT], read)
    assert pq.read_table(again).equals(pa.concat_tables(map(read, DAYS)))


def test_the_shelf_serves_shares_and_histories_of_it(lake: Lake, rows: pa.Table) -> None:
    codes = rows["code"].to_pylist()
    factors = pa.table(
        {
            "ts_code": codes * 2,
            "trade_date": [day for day in DAYS for _ in codes],
            "adj_factor": [1.0] * len(codes) + [None] + [2.0] * (len(codes) - 1),
        }
    )
    for day in DAYS:
        of_day = factors.filter(pa.compute.equal(factors["trade_date"], pa.scalar(day)))
        lake.write(ADJ_FACTOR, day, conform(ADJ_FACTOR, of_day))
    rewrite(lake, ADJ_FACTOR, STRICT)
    for table in (DAILY_PRICES, ADJ_FACTOR):
        refresh(lake, table)
    reader = PriceReader(lake.root)
    asked: dict[str, Any] = {"start": STRICT, "end": STRICT, "columns": ["close"]}
    expected = rows["close"][0].as_py()
    assert reader.ohlcv(codes[0], **asked).rows["close"].to_pylist() == [expected]
    # A factor that is not told is none: the last one that is told counts at the anchor.
    forward = reader.ohlcv(codes[0], **asked, adjust=Adjust.QFQ, anchor=LENIENT)
    assert forward.rows["close"].to_pylist() == [expected]


def test_a_history_by_code_is_served_from_it(lake: Lake) -> None:
    bar = {name: 1.5 for name in INSTRUMENT_HISTORY.column_names}
    texts = {c.name: "x" for c in INSTRUMENT_HISTORY.columns if c.type == pa.string()}
    row = bar | texts | {"code": "AAPL.US", "date": STRICT}
    data = pa.Table.from_pylist([row], schema=INSTRUMENT_HISTORY.schema)
    lake.write(INSTRUMENT_HISTORY, "AAPL.US", data)
    rewrite(lake, INSTRUMENT_HISTORY, "AAPL.US")
    history = PriceReader(lake.root).histories.get("AAPL.US")
    assert history is not None
    assert history.rows.equals(data)
