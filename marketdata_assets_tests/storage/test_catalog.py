import datetime as dt
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketdata_assets.storage.catalog import publish_catalog
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import (
    DAILY_PRICES,
    INSTRUMENT_HISTORY,
    PRICE_LIMITS,
    STORED_TABLES,
)
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.conftest import costly
from marketdata_assets_tests.disks import full_disk
from marketdata_assets_tests.storage.tables_for_tests import DAY, NEXT_DAY, flip, limits

SESSION = """
import os, signal, sys, duckdb
session = duckdb.connect(sys.argv[1])
session.execute("CREATE TABLE mine AS SELECT 1 AS x")
os.kill(os.getpid(), signal.SIGKILL)
"""


def query(catalog: Path, sql: str) -> list[tuple[Any, ...]]:
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


EX_DATE = [(1.0, 10.0), (1.0, 11.0), (2.0, 5.0)]


def priced(day: dt.date, factor: float | None, close: float) -> pa.Table:
    """A row of `daily_prices` of one share."""
    row = {"code": "600000.SH", "date": day, "close": close, "adj_factor": factor}
    return pa.Table.from_pylist([row], schema=DAILY_PRICES.schema)


def test_adjusted_prices_are_continuous_and_the_last_ones_as_they_were(lake: Lake) -> None:
    days = sessions_between(dt.date(2024, 10, 8), dt.date(2024, 10, 10))
    for day, (factor, close) in zip(days, EX_DATE, strict=True):
        lake.write(DAILY_PRICES, day, priced(day, factor, close))
    catalog = publish_catalog(lake.root)
    asked = "SELECT close_qfq, close_hfq, open_qfq FROM daily_prices_adjusted ORDER BY date"
    expected = [(5.0, 10.0, None), (5.5, 11.0, None), (5.0, 10.0, None)]
    assert query(catalog, asked) == expected
    [(comment,)] = query(
        catalog, "SELECT comment FROM duckdb_views() WHERE view_name = 'daily_prices_adjusted'"
    )
    assert "_qfq" in comment


def test_a_day_without_a_factor_is_not_adjusted_and_costs_the_others_nothing(lake: Lake) -> None:
    first, second = sessions_between(dt.date(2024, 10, 8), dt.date(2024, 10, 9))
    lake.write(DAILY_PRICES, first, priced(first, 2.0, 10.0))
    lake.write(DAILY_PRICES, second, priced(second, None, 11.0))
    asked = "SELECT close, close_qfq, close_hfq FROM daily_prices_adjusted ORDER BY date"
    assert query(publish_catalog(lake.root), asked) == [(10.0, 10.0, 20.0), (11.0, None, None)]


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


def test_a_catalog_that_was_changed_is_as_one_that_is_made_of_all(lake: Lake) -> None:
    def told() -> list[tuple[Any, ...]]:
        views = query(catalog, "SELECT view_name, sql, comment FROM duckdb_views() ORDER BY 1")
        columns = "SELECT table_name, column_name, data_type, comment FROM duckdb_columns()"
        return views + query(catalog, f"{columns} ORDER BY 1, column_index")

    catalog = publish_catalog(lake.root)
    before = told()
    lake.write(PRICE_LIMITS, DAY, limits(DAY))
    publish_catalog(lake.root)
    lake.write(DAILY_PRICES, DAY, priced(DAY, 1.0, 10.0))
    publish_catalog(lake.root)
    changed = told()
    assert changed != before
    catalog.unlink()
    publish_catalog(lake.root)
    assert told() == changed


def test_a_table_that_has_another_name_now_leaves_no_view_of_the_old_one(lake: Lake) -> None:
    catalog = publish_catalog(lake.root)
    with duckdb.connect(str(catalog)) as connection:
        connection.execute("ALTER VIEW moneyflow RENAME TO flows")
    headline = f"-- catalog.duckdb is sha256:{hashlib.sha256(catalog.read_bytes()).hexdigest()}"
    script = catalog.with_suffix(".sql")
    _, *views = script.read_text("utf-8").splitlines()
    renamed = [line.replace("VIEW moneyflow", "VIEW flows") for line in views]
    script.write_text("\n".join([headline, *renamed]), "utf-8")
    publish_catalog(lake.root)
    names = {name for (name,) in query(catalog, "SELECT view_name FROM duckdb_views()")}
    assert "moneyflow" in names
    assert "flows" not in names


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


def test_what_a_mac_leaves_beside_a_code_keeps_no_table_from_being_seen(lake: Lake) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    beside = lake.path(INSTRUMENT_HISTORY, "HSI").with_name("._HSI.parquet")
    beside.parent.mkdir(parents=True)
    beside.write_bytes(b"?" * 4_096)
    assert query(publish_catalog(lake.root), "SELECT count(*) FROM price_limits") == [(1,)]


def test_a_damaged_file_costs_the_view_of_its_table_and_no_other(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    damaged = lake.path(DAILY_PRICES, DAY)
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"?" * 4_096)
    assert query(publish_catalog(lake.root), "SELECT count(*) FROM price_limits") == [(1,)]
    assert "The catalog has no view daily_prices until it can be read" in caplog.text
    assert "The catalog has no view daily_prices_adjusted" in caplog.text
    damaged.unlink()
    assert_is_right(publish_catalog(lake.root))


@pytest.fixture
def published(lake: Lake) -> Path:
    """The catalog of a lake with one row."""
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    return publish_catalog(lake.root)


def views(catalog: Path) -> int:
    [[count]] = query(catalog, "SELECT count(*) FROM duckdb_views() WHERE NOT internal")
    assert isinstance(count, int)
    return count


def assert_is_right(catalog: Path) -> None:
    assert views(catalog) == len(STORED_TABLES) + 1
    assert query(catalog, "SELECT ts_code, up_limit FROM price_limits") == [("a", 1.0)]
    left = {path.name for path in catalog.parent.glob("*catalog*")}
    assert left == {"catalog.duckdb", "catalog.sql", ".catalog.lock"}


@settings(costly(), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bit=st.integers(0, 8 << 20), name=st.sampled_from(["catalog.duckdb", "catalog.sql"]))
def test_a_bit_that_flips_anywhere_is_noticed_and_mended(
    published: Path, bit: int, name: str
) -> None:
    flip(published.with_name(name), bit)
    publish_catalog(published.parent)
    assert_is_right(published)


def without_views(catalog: Path) -> None:
    catalog.unlink()
    duckdb.connect(str(catalog)).close()


SPOILED: dict[str, Callable[[Path], object]] = {
    "cut off": lambda catalog: catalog.write_bytes(catalog.read_bytes()[:40_000]),
    "empty": lambda catalog: catalog.write_bytes(b""),
    "zeros": lambda catalog: catalog.write_bytes(bytes(catalog.stat().st_size)),
    "gone": lambda catalog: catalog.unlink(),
    "without views": without_views,
    "without its source": lambda catalog: catalog.with_suffix(".sql").unlink(),
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_catalog_in_any_state_is_made_again(published: Path, how: str) -> None:
    SPOILED[how](published)
    publish_catalog(published.parent)
    assert_is_right(published)


def test_the_log_of_a_session_that_was_killed_goes_with_what_it_wrote(published: Path) -> None:
    subprocess.run([sys.executable, "-c", SESSION, str(published)], check=False)
    assert published.with_name("catalog.duckdb.wal").exists()
    publish_catalog(published.parent)
    assert_is_right(published)


def test_what_a_user_writes_is_gone_with_the_next_one_and_his_session_goes_on(
    published: Path,
) -> None:
    with duckdb.connect(str(published)) as session:
        session.execute("CREATE TABLE mine AS SELECT 1 AS x")
        publish_catalog(published.parent)
        assert session.execute("SELECT x FROM mine").fetchall() == [(1,)]
        session.execute("INSERT INTO mine VALUES (2)")
    publish_catalog(published.parent)
    assert_is_right(published)


@pytest.mark.parametrize("room", [0, 4_096, 50_000, 200_000])
def test_a_full_disk_is_told_and_leaves_the_catalog_as_it_was(published: Path, room: int) -> None:
    before = published.read_bytes()
    published.with_suffix(".sql").unlink()
    refused = pytest.raises(OSError, match=r"could not be written.*Make room or give write perm")
    with refused, full_disk(room):
        publish_catalog(published.parent)
    assert published.read_bytes() == before
    publish_catalog(published.parent)
    assert_is_right(published)


def test_every_duckdb_since_1_0_can_read_it(published: Path) -> None:
    # The head of a database: 8 bytes of checksum, "DUCK", the version of the format. 64 is 1.0's.
    head = published.read_bytes()[8:20]
    assert head == b"DUCK" + (64).to_bytes(8, "little")
