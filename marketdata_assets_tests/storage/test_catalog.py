import shutil
from pathlib import Path

import duckdb
import pytest

from marketdata_assets.storage.catalog import publish_catalog
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import PRICE_LIMITS, STORED_TABLES
from marketdata_assets_tests.storage.tables_for_tests import DAY, NEXT_DAY, limits


def query(catalog: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(catalog), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_every_table_is_seen_by_its_name_even_before_its_first_partition(lake: Lake) -> None:
    catalog = publish_catalog(lake.root)
    for name, table in STORED_TABLES.items():
        columns = query(catalog, f"DESCRIBE {name}")
        assert [column[0] for column in columns] == table.column_names
        assert query(catalog, f"SELECT count(*) FROM {name}") == [(0,)]


def test_views_and_columns_carry_comments_with_units(lake: Lake) -> None:
    catalog = publish_catalog(lake.root)
    [(comment,)] = query(
        catalog,
        "SELECT comment FROM duckdb_columns() WHERE table_name = 'daily_kline' "
        "AND column_name = 'vol'",
    )
    assert "手, 100 shares" in comment
    [(comment,)] = query(
        catalog, "SELECT comment FROM duckdb_views() WHERE view_name = 'price_limits'"
    )
    assert "stk_limit" in comment


def test_new_days_are_seen_without_publishing_again(lake: Lake) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    catalog = publish_catalog(lake.root)
    unchanged = catalog.stat().st_ino
    lake.write(PRICE_LIMITS, NEXT_DAY, limits(NEXT_DAY, a=1.0, b=2.0))
    publish_catalog(lake.root)
    assert catalog.stat().st_ino == unchanged
    assert query(catalog, "SELECT count(*) FROM price_limits") == [(3,)]


def test_a_tables_first_day_is_seen_after_publishing(lake: Lake) -> None:
    catalog = publish_catalog(lake.root)
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    publish_catalog(lake.root)
    assert query(catalog, "SELECT ts_code, up_limit FROM price_limits") == [("a", 1.0)]


def test_a_reader_with_the_old_catalog_open_does_not_block_publishing(lake: Lake) -> None:
    catalog = publish_catalog(lake.root)
    with duckdb.connect(str(catalog)) as reader:
        lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
        publish_catalog(lake.root)
        assert reader.execute("SELECT count(*) FROM price_limits").fetchall() == [(0,)]
    assert query(catalog, "SELECT count(*) FROM price_limits") == [(1,)]


@pytest.mark.parametrize("name", ["with 'quotes'", "with [12] and *", "中文"])
def test_a_moved_folder_gets_views_that_point_to_it(
    lake: Lake, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    publish_catalog(lake.root)
    moved = tmp_path_factory.mktemp("elsewhere") / name
    shutil.move(lake.root, moved)
    assert query(publish_catalog(moved), "SELECT count(*) FROM price_limits") == [(1,)]


def test_other_programs_files_are_not_counted(lake: Lake) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    path = lake.path(PRICE_LIMITS, DAY)
    shutil.copy(path, path.with_name("2024-09-30-copy.parquet"))
    assert query(publish_catalog(lake.root), "SELECT count(*) FROM price_limits") == [(1,)]
