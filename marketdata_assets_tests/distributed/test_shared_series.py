"""The series of several hosts: made by one, brought to the others, and nothing of it torn."""

import datetime as dt
import os
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from filelock import FileLock

pytest.importorskip("obstore", reason="the extra `distributed` is not installed")

from marketdata_assets.hosts import Hosts
from marketdata_assets.storage.catalog import publish_catalog
from marketdata_assets.storage.durable_files import DiskRefuses
from marketdata_assets.storage.lake import Lake, MissingPartitions
from marketdata_assets.storage.objects import StoreRefuses
from marketdata_assets.storage.series import (
    DamagedSeries,
    NoSeries,
    Series,
    WithdrawnSeries,
    difference,
    refresh,
)
from marketdata_assets.storage.series.following import Following, NotFollowing
from marketdata_assets.storage.series.generation import read_manifest
from marketdata_assets.storage.series.shared_place import SharedPlace
from marketdata_assets.storage.shared_lake import SharedLake, WrittenMeanwhile
from marketdata_assets.tables import INSTRUMENT_HISTORY, PRICE_LIMITS, STORED_TABLES
from marketdata_assets_tests.api.stored_world import history_of
from marketdata_assets_tests.disks import full_disk
from marketdata_assets_tests.killed_dev import until
from marketdata_assets_tests.storage.quotes_for_tests import DAYS, QUOTES, store, whole
from marketdata_assets_tests.storage.tables_for_tests import DAY, NEXT_DAY, flip, limits

# Of two years.
FEW = [*DAYS[:3], *DAYS[-3:]]


@pytest.fixture
def lake(tmp_path: Path, shared: Hosts) -> SharedLake:
    return SharedLake(tmp_path / "one" / "sandbox", "test", shared)


@pytest.fixture
def other(tmp_path: Path, shared: Hosts) -> SharedLake:
    """The same lake, on another host."""
    return SharedLake(tmp_path / "other" / "sandbox", "test", shared)


def pull(lake: SharedLake) -> Series:
    SharedPlace(lake, QUOTES).pull()
    return Series.open(lake.root, QUOTES)


def rows(series: Series) -> pa.Table:
    return series.slices(series.codes())


def segments(lake: Lake) -> list[bytes]:
    folder = lake.root / "series" / "quotes"
    return [(folder / one.file).read_bytes() for one in read_manifest(folder)[0].segments]


def test_hosts_have_the_series_that_one_machine_makes(
    lake: SharedLake, other: SharedLake, tmp_path: Path
) -> None:
    alone = Lake(tmp_path / "alone", "test")
    with pytest.raises(NoSeries):
        pull(other)
    for host, days, price in ((lake, FEW[:5], 1.0), (other, FEW[5:], 2.0), (lake, FEW[:1], 3.0)):
        for one in (alone, host):
            store(one, days, price)
            assert refresh(one, QUOTES).difference
        series = [pull(lake), pull(other)]
        assert segments(lake) == segments(other) == segments(alone)
        assert len({one.generation for one in series}) == 1
        assert not difference(lake, QUOTES)
        assert not difference(other, QUOTES)
    assert rows(series[1]).equals(whole(alone))
    # Nothing is written again where nothing has changed.
    manifest = other.root / "series" / "quotes" / "generation.json"
    before = manifest.stat()
    assert pull(other).generation == refresh(other, QUOTES).generation
    assert manifest.stat() == before


def test_a_series_is_withdrawn_from_all_hosts_while_no_day_is_stored(
    lake: SharedLake, other: SharedLake
) -> None:
    store(lake, FEW, 1.0)
    refresh(lake, QUOTES)
    before = rows(pull(other))
    lake.objects.delete([one.key for one in lake.objects.listed("lake/quotes")])
    with pytest.raises(MissingPartitions):
        refresh(lake, QUOTES)
    with pytest.raises(WithdrawnSeries, match="No day of quotes is stored any more"):
        pull(other)
    store(lake, FEW, 1.0)
    refresh(lake, QUOTES)
    assert rows(pull(other)).equals(before)


def test_a_series_that_one_machine_left_in_the_folder_is_of_no_host(
    lake: SharedLake, tmp_path: Path
) -> None:
    alone = Lake(lake.root, "test")
    store(alone, FEW[:1], 1.0)
    refresh(alone, QUOTES)
    with pytest.raises(NoSeries):
        pull(lake)


@pytest.mark.parametrize("who", ["who has it whole", "who has not"])
def test_a_damaged_object_is_taken_by_no_host_and_made_again(
    who: str, lake: SharedLake, other: SharedLake
) -> None:
    store(lake, FEW[:2], 1.0)
    refresh(lake, QUOTES)
    before = pull(other)
    store(lake, FEW[2:], 2.0)
    refresh(lake, QUOTES)
    newest = read_manifest(lake.root / "series" / "quotes")[0].segments[-1].file
    [found] = [one for one in lake.objects.listed("series/quotes") if newest in one.key]
    raw = bytearray(lake.objects.get(found.key)[1])
    raw[len(raw) // 2] ^= 1
    lake.objects.put(found.key, bytes(raw), found.etag)
    with pytest.raises(DamagedSeries, match=newest):
        pull(other)
    kept = before.newest()
    assert (kept.generation, rows(kept)) == (before.generation, rows(before))
    assert difference(lake, QUOTES).damaged == [newest]
    maker = lake if who == "who has it whole" else other
    assert refresh(maker, QUOTES).difference.damaged == [newest]
    pull(other)
    assert not difference(lake, QUOTES)
    assert rows(pull(lake)).equals(whole(lake))
    assert rows(before.newest()).equals(whole(lake))


def test_what_is_damaged_on_one_host_is_brought_again(lake: SharedLake, other: SharedLake) -> None:
    # So many that what is told at opening is not all of the file.
    store(lake, FEW[:1], 1.0, [f"c{number:05}" for number in range(20_000)])
    refresh(lake, QUOTES)
    place = SharedPlace(other, QUOTES)
    place.pull()
    folder = other.root / "series" / "quotes"
    [segment] = read_manifest(folder)[0].segments
    flip(folder / segment.file, (segment.numbers[0] + 70_000) * 8)
    series = Series.open(other.root, QUOTES)
    with pytest.raises(DamagedSeries):
        series.cross_section(FEW[0])
    place.pull()
    # Who has it open is told of it until he opens it anew, and it is brought once more.
    with pytest.raises(DamagedSeries):
        series.cross_section(FEW[0])
    place.pull()
    assert series.newest().cross_section(FEW[0]).equals(whole(lake))
    assert not difference(lake, QUOTES)
    for file in folder.iterdir():
        file.unlink()
    place.pull()
    assert Series.open(other.root, QUOTES).cross_section(FEW[0]).equals(whole(lake))


def test_a_refresh_that_has_lost_its_turn_publishes_nothing(
    lake: SharedLake, other: SharedLake
) -> None:
    store(lake, FEW[:1], 1.0)
    refresh(lake, QUOTES)
    late = SharedPlace(other, QUOTES)
    late.pull()
    old = late.newest()
    store(lake, FEW[1:], 1.0)
    made = refresh(lake, QUOTES)
    with pytest.raises(WrittenMeanwhile, match="series of quotes"):
        late.publish(old.model_copy(update={"number": old.number + 1}))
    late.pull()
    assert Series.open(other.root, QUOTES).generation == made.generation
    assert rows(Series.open(other.root, QUOTES)).equals(whole(lake))


def test_what_no_generation_has_any_more_goes_when_it_is_old(lake: SharedLake) -> None:
    store(lake, FEW[:1], 1.0)
    refresh(lake, QUOTES)
    store(lake, FEW[:1], 2.0)
    refresh(lake, QUOTES)
    [segment] = read_manifest(lake.root / "series" / "quotes")[0].segments
    kept = {f"series/quotes/{segment.file}", "series/quotes/generation.json"}
    # Who fetches it may be at it.
    assert len(lake.objects.listed("series/quotes")) == len(kept) + 1
    lake.objects.remove_old("series/quotes", kept, dt.timedelta(seconds=-1))
    assert {one.key for one in lake.objects.listed("series/quotes")} == kept


def test_a_host_that_does_not_follow_any_more_says_so(shared: Hosts, tmp_path: Path) -> None:
    lake = SharedLake(tmp_path / "sandbox", "test", shared)
    following = Following(lake, [QUOTES])
    following.begin()
    following.prove()
    seen = lake.root / "series" / ".seen"
    with FileLock(lake.root / "series" / ".following.lock"):
        os.utime(seen, (0, 0))
        with pytest.raises(NotFollowing, match="MARKETDATA_LAKE"):
            following.prove()
    until(lambda: seen.stat().st_mtime > 0, "it follows again", 60)
    following.prove()


def test_what_keeps_a_host_from_following_is_told_each_time_it_does(
    lake: SharedLake, other: SharedLake, caplog: pytest.LogCaptureFixture
) -> None:
    store(lake, FEW[:1], 1.0)
    refresh(lake, QUOTES)
    Following(other, [QUOTES]).begin()
    key, seen = "series/quotes/generation.json", other.root / "series" / ".seen"
    for times in (1, 2):
        lake.objects.put_file(key, b"?")
        until(lambda n=times: caplog.text.count("object is damaged") == n, "it is told", 60)
        refresh(lake, QUOTES)
        os.utime(seen, (0, 0))
        until(lambda: seen.stat().st_mtime > 0, "it follows again", 60)


def test_a_host_whose_disk_is_full_says_so_and_serves_what_it_has(
    lake: SharedLake, other: SharedLake
) -> None:
    store(lake, FEW[:1], 1.0)
    refresh(lake, QUOTES)
    with full_disk(), pytest.raises(DiskRefuses, match="series of quotes could not be brought"):
        Following(other, [QUOTES]).begin()
    before = pull(other)
    (other.root / "series" / ".seen").touch()
    store(lake, FEW[:1], 2.0)
    refresh(lake, QUOTES)
    with full_disk():
        Following(other, [QUOTES]).begin()
        assert rows(before.newest()).equals(rows(before))


def test_a_host_that_has_nothing_and_gets_nothing_does_not_begin(
    shared: Hosts, tmp_path: Path
) -> None:
    lake = SharedLake(tmp_path / "sandbox", "test", shared._replace(lake="s3://no-such-bucket/x"))
    with pytest.raises(StoreRefuses, match="no-such-bucket"):
        Following(lake, [QUOTES]).begin()


def test_the_catalog_of_a_host_has_what_it_has_read_and_says_what_it_has_not(
    lake: SharedLake, other: SharedLake
) -> None:
    def told(question: str) -> list[tuple]:
        tables = STORED_TABLES.items()
        catalog = publish_catalog(other.root, {name: other.held(table) for name, table in tables})
        with duckdb.connect(str(catalog), read_only=True) as connection:
            return connection.execute(question).fetchall()

    prices, held = "SELECT trade_date, up_limit FROM price_limits", "FROM held"
    assert (told(prices), told(held)) == ([], [])
    for day in (DAY, NEXT_DAY):
        lake.write(PRICE_LIMITS, day, limits(day, a=11.0))
    assert (told(prices), told(held)) == ([], [("price_limits", 2024, 2, 0)])
    other.read(PRICE_LIMITS, DAY)
    other.read(PRICE_LIMITS, NEXT_DAY)
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=12.0))
    # What was read of a day before is not what is stored now.
    assert (told(prices), told(held)) == ([(NEXT_DAY, 11.0)], [("price_limits", 2024, 2, 1)])
    other.read(PRICE_LIMITS, DAY)
    assert sorted(told(prices)) == [(DAY, 12.0), (NEXT_DAY, 11.0)]
    lake.write(INSTRUMENT_HISTORY, "HSI", history_of("HSI", FEW))
    other.read(INSTRUMENT_HISTORY, "HSI")
    assert told("SELECT DISTINCT code FROM instrument_history") == [("HSI",)]
    assert ("instrument_history", 0, 1, 1) in told(held)
