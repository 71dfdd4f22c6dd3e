import datetime as dt
import itertools
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets.storage.durable_files import ABANDONED_AFTER_SECONDS, DiskRefuses
from marketdata_assets.storage.lake import (
    DamagedPartitions,
    Lake,
    MissingPartitions,
    Outcome,
    UnfitPartitions,
)
from marketdata_assets.tables import INSTRUMENT_HISTORY, PRICE_LIMITS, TRADE_CALENDAR
from marketdata_assets_tests.conftest import costly
from marketdata_assets_tests.disks import full_disk
from marketdata_assets_tests.storage.tables_for_tests import DAY, NEXT_DAY, contents, flip, limits


def earlier_versions(lake: Lake) -> list[str]:
    folder = lake.root / "superseded"
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*.parquet"))


def test_a_partition_is_one_file_named_by_table_year_and_date(lake: Lake) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=11.0))
    path = lake.root / "lake" / "price_limits" / "2024" / "2024-09-30.parquet"
    assert lake.path(PRICE_LIMITS, DAY) == path
    assert pq.read_table(path, partitioning=None).schema.equals(PRICE_LIMITS.schema)


def test_a_file_says_where_it_comes_from_and_since_when_it_is_known(lake: Lake) -> None:
    before = dt.datetime.now(dt.UTC)
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=11.0))
    labels = pq.read_schema(lake.path(PRICE_LIMITS, DAY)).metadata
    assert labels[b"origin"] == b"test"
    assert before <= dt.datetime.fromisoformat(labels[b"stored_at"].decode())


def test_rows_are_stored_in_the_order_of_the_key(lake: Lake) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, c=3.0, a=1.0, b=2.0))
    assert lake.read(PRICE_LIMITS, DAY)["ts_code"].to_pylist() == ["a", "b", "c"]


def test_an_identical_rewrite_changes_nothing_on_disk(lake: Lake) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=11.0, b=12.0))
    path = lake.path(PRICE_LIMITS, DAY)
    before = path.stat()
    again = lake.write(PRICE_LIMITS, DAY, limits(DAY, b=12.0, a=11.0))
    assert again.outcome is Outcome.UNCHANGED
    assert path.stat().st_ino == before.st_ino
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert earlier_versions(lake) == []


def test_different_content_keeps_the_superseded_file_with_its_time(lake: Lake) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=11.0))
    before = dt.datetime.now(dt.UTC)
    replaced = lake.write(PRICE_LIMITS, DAY, limits(DAY, a=11.5))
    assert replaced.outcome is Outcome.REPLACED
    [name] = earlier_versions(lake)
    assert name.startswith("price_limits/2024/2024-09-30/")
    until = dt.datetime.strptime(name.split("/")[-1], "%Y%m%dT%H%M%S.%fZ.parquet")
    assert before <= until.replace(tzinfo=dt.UTC) <= dt.datetime.now(dt.UTC)
    kept = pq.read_table(lake.root / "superseded" / name, partitioning=None)
    assert kept.equals(limits(DAY, a=11.0))
    assert lake.read(PRICE_LIMITS, DAY).equals(limits(DAY, a=11.5))


@costly()
@given(versions=st.lists(contents, min_size=1, max_size=6))
def test_every_version_that_was_ever_true_is_still_there(
    versions: list[dict[str, float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"), "test")
    for version in versions:
        lake.write(PRICE_LIMITS, DAY, limits(DAY, **version))
    changes = [versions[0]]
    changes += [new for old, new in itertools.pairwise(versions) if old != new]
    files = [lake.root / "superseded" / name for name in earlier_versions(lake)]
    stored = [pq.read_table(file, partitioning=None) for file in files]
    stored.append(lake.read(PRICE_LIMITS, DAY))
    assert len(stored) == len(changes)
    for table, version in zip(stored, changes, strict=True):
        assert table.equals(limits(DAY, **dict(sorted(version.items()))))


def test_missing_partitions_are_named_with_their_table(lake: Lake) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=11.0))
    with pytest.raises(MissingPartitions, match=r"price_limits is not stored for 1 .*2024-10-08"):
        lake.paths(PRICE_LIMITS, [DAY, NEXT_DAY])
    with pytest.raises(MissingPartitions, match="trade_calendar is not stored"):
        lake.paths(TRADE_CALENDAR, [None])


def test_stored_days_are_listed_in_order(lake: Lake) -> None:
    assert lake.days(PRICE_LIMITS) == []
    for day in (NEXT_DAY, DAY):
        lake.write(PRICE_LIMITS, day, limits(day, a=11.0))
    assert lake.days(PRICE_LIMITS) == [DAY, NEXT_DAY]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (limits(DAY, a=float("nan")), "up_limit holds NaN"),
        (limits(DAY, a=float("inf")), "up_limit holds NaN or infinity"),
        (limits(NEXT_DAY, a=1.0), "holds rows of 2024-10-08"),
        (limits(DAY, a=1.0).drop_columns(["up_limit"]), "columns are not the declared ones"),
        (
            pa.concat_tables([limits(DAY, a=1.0), limits(DAY, a=2.0)]),
            "2024-09-30 a .*more than once",
        ),
    ],
    ids=["nan", "infinity", "another day", "a column less", "a key twice"],
)
def test_what_does_not_fit_the_declaration_is_refused_with_table_and_day(
    lake: Lake, data: pa.Table, complaint: str
) -> None:
    with pytest.raises(ValueError, match=f"price_limits 2024-09-30: .*{complaint}"):
        lake.write(PRICE_LIMITS, DAY, data)
    assert lake.days(PRICE_LIMITS) == []


def test_a_null_where_none_is_allowed_is_refused(lake: Lake) -> None:
    holed = limits(DAY, a=1.0).set_column(
        1, PRICE_LIMITS.schema.field("ts_code"), pa.array([None], pa.string())
    )
    with pytest.raises(ValueError, match="ts_code is NULL on 1 row"):
        lake.write(PRICE_LIMITS, DAY, holed)


def test_what_a_killed_writer_left_is_swept_once_it_is_old(lake: Lake) -> None:
    folder = lake.path(PRICE_LIMITS, DAY).parent
    folder.mkdir(parents=True)
    old, young = (folder / f".2024-09-30.{name}.unfinished" for name in ("old", "young"))
    for file in (old, young):
        file.write_bytes(b"half a file")
    long_ago = time.time() - ABANDONED_AFTER_SECONDS - 1
    os.utime(old, (long_ago, long_ago))
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=11.0))
    assert not old.exists()
    assert young.exists()
    assert lake.days(PRICE_LIMITS) == [DAY]


def test_a_partition_with_other_columns_is_not_taken_for_a_stored_one(lake: Lake) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=11.0))
    assert lake.describe(PRICE_LIMITS, DAY).rows == 1
    assert lake.describe(PRICE_LIMITS, NEXT_DAY) is None
    path = lake.path(PRICE_LIMITS, DAY)
    pq.write_table(limits(DAY, a=11.0).drop_columns(["down_limit"]), path)
    assert lake.describe(PRICE_LIMITS, DAY) is None


@pytest.mark.parametrize(
    ("label", "value", "said"),
    [
        ("stored_at", "2024-09-3?", "it does not say when it was stored"),
        ("origin", None, "it does not say when it was stored"),
        ("schema_version", "2.0", "its columns are version 2.0"),
        ("stored_at", b"\xff", "it does not say when it was stored"),
        ("schema_version", b"\xff", "its columns are version"),
    ],
)
def test_a_file_with_other_labels_than_are_written_is_named_and_made_again(
    lake: Lake, label: str, value: str | bytes | None, said: str
) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    path = lake.path(PRICE_LIMITS, DAY)
    rows = pq.read_table(path, partitioning=None)
    # As before there were checksums: they tell of no damage.
    labels: dict[str, str | bytes | None]
    labels = {"origin": "test", "stored_at": "2024-09-30T09:00:00+00:00", "schema_version": "1"}
    labels = {name: one for name, one in (labels | {label: value}).items() if one is not None}
    pq.write_table(rows.replace_schema_metadata(labels), path)
    with pytest.raises(UnfitPartitions, match=said):
        lake.load(PRICE_LIMITS, DAY)
    assert lake.read(PRICE_LIMITS, DAY) is None
    assert lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0)).outcome is Outcome.REPLACED


def test_two_writers_of_one_partition_lose_no_version(lake: Lake) -> None:
    def write(first: int) -> None:
        for number in range(first, 24, 2):
            Lake(lake.root, "test").write(PRICE_LIMITS, DAY, limits(DAY, a=float(number + 1)))

    with ThreadPoolExecutor(2) as writers:
        list(writers.map(write, (0, 1)))
    files = [lake.root / "superseded" / name for name in earlier_versions(lake)]
    values = [pq.read_table(file)["up_limit"][0].as_py() for file in files]
    values.append(lake.read(PRICE_LIMITS, DAY)["up_limit"][0].as_py())
    assert sorted(values) == [float(number + 1) for number in range(24)]


def test_a_writer_killed_before_publishing_leaves_no_version_twice(lake: Lake) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    aside = lake.root / "superseded" / "price_limits" / "2024" / "2024-09-30"
    aside.mkdir(parents=True)
    os.link(lake.path(PRICE_LIMITS, DAY), aside / "20241001T000000.000000Z.parquet")
    before = dt.datetime.now(dt.UTC)
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=2.0))
    [name] = earlier_versions(lake)
    until = dt.datetime.strptime(name.split("/")[-1], "%Y%m%dT%H%M%S.%fZ.parquet")
    assert until.replace(tzinfo=dt.UTC) >= before


def test_a_clock_that_was_set_back_does_not_change_the_order_of_versions(lake: Lake) -> None:
    for value in (1.0, 2.0):
        lake.write(PRICE_LIMITS, DAY, limits(DAY, a=value))
    [name] = earlier_versions(lake)
    file = lake.root / "superseded" / name
    file.rename(file.with_name("29990101T000000.000000Z.parquet"))
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=3.0))
    files = [lake.root / "superseded" / name for name in earlier_versions(lake)]
    assert [pq.read_table(file)["up_limit"][0].as_py() for file in files] == [1.0, 2.0]


@pytest.mark.parametrize("content", [b"", b"PAR1 and then nothing"])
def test_a_damaged_file_is_named_when_read_and_replaced_when_written(
    lake: Lake, content: bytes
) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    lake.path(PRICE_LIMITS, DAY).write_bytes(content)
    assert lake.read(PRICE_LIMITS, DAY) is None
    named = r"is damaged in 1 file\(s\): lake/price_limits/2024/2024-09-30.parquet \(.*\)\. "
    with pytest.raises(DamagedPartitions, match=named + "Materialize price_limits again"):
        lake.paths(PRICE_LIMITS, [DAY])
    with pytest.raises(DamagedPartitions, match=named):
        lake.load(PRICE_LIMITS, DAY)
    assert lake.write(PRICE_LIMITS, DAY, limits(DAY, a=2.0)).outcome is Outcome.REPLACED
    assert lake.read(PRICE_LIMITS, DAY)["up_limit"].to_pylist() == [2.0]
    [(_, aside)] = lake.earlier_versions(PRICE_LIMITS, DAY)
    assert (aside.suffix, aside.read_bytes()) == (".damaged", content)


def test_whatever_lies_in_the_place_of_a_partition_is_kept_aside(lake: Lake) -> None:
    path = lake.path(PRICE_LIMITS, DAY)
    (path / "below").mkdir(parents=True)
    assert lake.read(PRICE_LIMITS, DAY) is None
    assert lake.write(PRICE_LIMITS, DAY, limits(DAY, a=2.0)).outcome is Outcome.REPLACED
    assert lake.read(PRICE_LIMITS, DAY)["up_limit"].to_pylist() == [2.0]
    [(_, aside)] = lake.earlier_versions(PRICE_LIMITS, DAY)
    assert (aside / "below").is_dir()


def test_the_same_rows_replace_a_file_that_is_damaged(lake: Lake) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    flip(lake.path(PRICE_LIMITS, DAY), 800)
    assert lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0)).outcome is Outcome.REPLACED
    assert lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0)).outcome is Outcome.UNCHANGED


@given(places=st.lists(st.integers(0), min_size=1, max_size=3, unique=True))
def test_a_flipped_bit_is_never_read_and_always_mended(
    tmp_path_factory: pytest.TempPathFactory, places: list[int]
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"), "test")
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0, b=2.0))
    for place in places:
        flip(lake.path(PRICE_LIMITS, DAY), place)
        assert lake.read(PRICE_LIMITS, DAY) is None
        assert lake.describe(PRICE_LIMITS, DAY) is None
        with pytest.raises(DamagedPartitions):
            lake.paths(PRICE_LIMITS, [DAY])
        lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0, b=2.0))
        assert lake.read(PRICE_LIMITS, DAY)["up_limit"].to_pylist() == [1.0, 2.0]
    assert [path.suffix for _, path in lake.earlier_versions(PRICE_LIMITS, DAY)] == [
        ".damaged"
    ] * len(places)


def test_other_programs_files_are_no_partitions(lake: Lake) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    folder = lake.path(PRICE_LIMITS, DAY).parent
    names = ("2024-09-30-copy.parquet", "._2024-09-30.parquet", "notes.txt", "2024-02-30.parquet")
    for name in (*names, "2023-10-09.parquet"):
        (folder / name).write_bytes(b"?")
    assert lake.days(PRICE_LIMITS) == [DAY]


def test_other_programs_files_are_no_codes(lake: Lake) -> None:
    folder = lake.path(INSTRUMENT_HISTORY, "HSI").parent
    folder.mkdir(parents=True)
    for name in ("HSI.parquet", "HSI (1).parquet", "._HSI.parquet", "HSI.parquet.txt"):
        (folder / name).write_bytes(b"?")
    assert lake.codes(INSTRUMENT_HISTORY) == ["HSI"]


def test_other_programs_files_are_no_versions(lake: Lake) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    folder = lake.versions_folder(PRICE_LIMITS, DAY)
    folder.mkdir(parents=True)
    for name in (".DS_Store", "20241008T000000.000000Z (1).parquet", "copy.damaged"):
        (folder / name).write_bytes(b"?")
    assert lake.earlier_versions(PRICE_LIMITS, DAY) == []
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=2.0))
    assert len(lake.earlier_versions(PRICE_LIMITS, DAY)) == 1


def test_a_disk_that_refuses_is_told_with_table_and_day_and_leaves_nothing(lake: Lake) -> None:
    lake.write(PRICE_LIMITS, DAY, limits(DAY, a=1.0))
    (lake.root / "superseded").write_text("a file where a folder should be")
    with pytest.raises(DiskRefuses, match="price_limits 2024-09-30 could not be stored"):
        lake.write(PRICE_LIMITS, DAY, limits(DAY, a=2.0))
    assert lake.read(PRICE_LIMITS, DAY)["up_limit"].to_pylist() == [1.0]
    assert not list(lake.path(PRICE_LIMITS, DAY).parent.glob("*.unfinished"))


def test_a_full_disk_is_told_of_a_file_beside_the_partitions_and_leaves_it(lake: Lake) -> None:
    lake.root.mkdir(parents=True, exist_ok=True)
    lake.change_beside("excuses.csv", lambda _: b"one")
    refused = pytest.raises(DiskRefuses, match=r"excuses\.csv could not be written.*Make room")
    with refused, full_disk():
        lake.change_beside("excuses.csv", lambda _: b"two")
    assert lake.beside("excuses.csv") == b"one"


@pytest.mark.parametrize("code", ["../HSI", "HSI/x", "hsi", "", "AU.SHF.x", "A B"])
def test_a_code_that_is_no_safe_name_of_a_file_is_refused(lake: Lake, code: str) -> None:
    with pytest.raises(ValueError, match="is not the form of a code"):
        lake.path(INSTRUMENT_HISTORY, code)


def test_a_file_by_code_holds_rows_of_its_code_alone(lake: Lake) -> None:
    table = INSTRUMENT_HISTORY
    row = dict.fromkeys(table.column_names)
    row |= {"code": "HSI", "date": dt.date(2025, 4, 3), "close": 1.0, "currency": "HKD"}
    row |= {"volume_unit": "shares", "source": "A", "source_unit": "x"}
    data = pa.Table.from_pylist([row], schema=table.schema)
    assert lake.write(table, "HSI", data).outcome == "new"
    assert lake.write(table, "HSI", data).outcome == "unchanged"
    with pytest.raises(ValueError, match="instrument_history NDX: holds rows of HSI"):
        lake.write(table, "NDX", data)
    with pytest.raises(MissingPartitions, match=r"for 1 code\(s\): NDX"):
        lake.paths(table, ["HSI", "NDX"])
