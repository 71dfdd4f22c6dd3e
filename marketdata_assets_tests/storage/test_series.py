"""A series answers what its table's files hold, refreshes what differs, and says what is wrong."""

import datetime as dt
import os
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets.storage.durable_files import DiskRefuses
from marketdata_assets.storage.lake import Lake, MissingPartitions, UnfitPartitions
from marketdata_assets.storage.series import (
    DamagedSeries,
    DayNotInSeries,
    NoSeries,
    Series,
    WithdrawnSeries,
    difference,
    refresh,
)
from marketdata_assets.storage.series.generation import load_generation
from marketdata_assets.storage.series.refresh import DAYS_BESIDE
from marketdata_assets.tables import DAILY_PRICES, TRADE_CALENDAR
from marketdata_assets_tests.conftest import costly
from marketdata_assets_tests.disks import full_disk
from marketdata_assets_tests.publishing import prices
from marketdata_assets_tests.storage.quotes_for_tests import (
    CODES,
    DAYS,
    QUOTES,
    plain_slice,
    quotes,
    store,
    whole,
)

YEAR = [dt.date(2024, 1, 1) + dt.timedelta(n) for n in range(DAYS_BESIDE + 10)]

rows = st.tuples(
    st.none() | st.floats(-1e9, 1e9, allow_nan=False),
    st.none() | st.sampled_from(["", "某股", "x"]),
    st.none() | st.sampled_from(DAYS),
)
contents = st.dictionaries(st.sampled_from(CODES), rows)
numbers = st.integers(0, len(DAYS) - 1)
stretches = st.tuples(numbers, st.integers(1, DAYS_BESIDE + 5), contents)
# What the folders' times are set to, as a copy of a lake would have them.
times = st.none() | st.integers(0, 1)
steps = st.tuples(st.lists(stretches, max_size=2), st.sets(numbers, max_size=3), times)


def set_times(lake: Lake, seconds: int) -> None:
    """Have the folders of all years changed at that second of 1970, as far as anybody can."""
    for folder in lake.path(QUOTES, None).parent.glob("[0-9]*"):
        os.utime(folder, (seconds, seconds))


def files(lake: Lake) -> set[str]:
    folder = lake.root / "series" / "quotes"
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def inodes(lake: Lake) -> dict[str, int]:
    folder = lake.root / "series" / "quotes"
    return {path.name: path.stat().st_ino for path in folder.glob("*.arrow")}


def assert_answers(series: Series, expected: pa.Table, days: list[dt.date]) -> None:
    """Every kind of answer, beside the plain computation over the same rows."""
    assert series.days == days
    assert series.codes() == sorted(set(expected["symbol"].to_pylist()))
    for code in (*CODES, "unknown"):
        of_code = plain_slice(expected, code)
        assert series.slice(code).equals(of_code)
        span = (of_code["day"][0].as_py(), of_code["day"][-1].as_py()) if len(of_code) else None
        assert series.span(code) == span
    start, end = days[len(days) // 3], days[2 * len(days) // 3]
    several = [plain_slice(expected, code, start, end) for code in ("c", "a")]
    assert series.slices(["c", "a", "c"], start, end).equals(pa.concat_tables(several))
    for day in days:
        of_day = expected.filter(pa.compute.equal(expected["day"], pa.scalar(day)))
        assert series.cross_section(day).equals(of_day)
        assert series.cross_section(day, ["name", "symbol"]).equals(
            of_day.select(["name", "symbol"])
        )


@costly()
@given(history=st.lists(steps, min_size=1, max_size=4))
def test_every_answer_is_what_the_lake_held_at_the_refresh(
    history: list[tuple[list[tuple[int, int, dict]], set[int], int | None]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"), "test")
    kept: list[tuple[Series, pa.Table, list[dt.date]]] = []
    for stretches, removals, seconds in history:
        for first, count, content in stretches:
            for day in DAYS[first : first + count]:
                lake.write(QUOTES, day, quotes(day, content))
        for number in removals:
            lake.path(QUOTES, DAYS[number]).unlink(missing_ok=True)
        if seconds is not None:
            set_times(lake, seconds)
        if lake.days(QUOTES):
            refresh(lake, QUOTES)
            assert not difference(lake, QUOTES)
            series = kept[-1][0].newest() if kept else Series.open(lake.root, QUOTES)
            kept.append((series, whole(lake), lake.days(QUOTES)))
    # Those opened earlier, too: a reader keeps its generation.
    for series, expected, days in kept:
        assert_answers(series, expected, days)
    if kept:
        series, expected, days = kept[-1]
        assert_answers(Series.open(lake.root, QUOTES), expected, days)
        assert len(files(lake)) == 1 + sum(len(years) for years in segments_by_year(lake).values())


def segments_by_year(lake: Lake) -> dict[str, list[str]]:
    by_year: dict[str, list[str]] = {}
    for name in inodes(lake):
        by_year.setdefault(name[:4], []).append(name)
    assert all(len(names) <= 2 for names in by_year.values())
    return by_year


def test_the_published_prices_are_served_as_declared(lake: Lake) -> None:
    days = [dt.date(2023, 12, 28), dt.date(2023, 12, 29), dt.date(2024, 1, 2)]
    prices.store(lake, days)
    refresh(lake, DAILY_PRICES)
    series = Series.open(lake.root, DAILY_PRICES)
    stored = pa.concat_tables([lake.read(DAILY_PRICES, day) for day in days])
    for code in prices.SHARES:
        expected = stored.filter(pa.compute.equal(stored["code"], code))
        assert series.slice(code).equals(expected)
    some = series.slice("000001.SZ", days[1], days[1], ["date", "close"])
    assert some.schema.names == ["date", "close"]
    assert some["date"].to_pylist() == [days[1]]
    assert series.origins == ["test"]


def test_a_new_day_is_written_beside_the_year_and_merged_rarely(lake: Lake) -> None:
    merges = 0
    for number, day in enumerate(YEAR):
        store(lake, [day], float(number))
        before = inodes(lake) if number else {}
        done = refresh(lake, QUOTES)
        assert done.difference.new == [day]
        assert done.rows == (number + 1) * len(CODES)
        merges += not (before.keys() & inodes(lake).keys())
        assert len(inodes(lake)) <= 2
    # The first day makes the year's segment, the twenty-second finds twenty-one beside it.
    assert merges == 2
    assert_answers(Series.open(lake.root, QUOTES), whole(lake), YEAR)


def test_a_refresh_without_a_difference_leaves_everything(lake: Lake) -> None:
    store(lake, DAYS, 1.0)
    first = refresh(lake, QUOTES)
    before, manifest = inodes(lake), lake.root / "series" / "quotes" / "generation.json"
    status = manifest.stat()
    again = refresh(lake, QUOTES)
    assert (again.generation, again.written, inodes(lake)) == (first.generation, 0, before)
    assert not again.difference
    assert manifest.stat() == status


def test_only_the_years_that_differ_are_made_again(lake: Lake) -> None:
    store(lake, DAYS, 1.0)
    refresh(lake, QUOTES)
    before = segments_by_year(lake)
    store(lake, [DAYS[20]], 2.0)
    lake.path(QUOTES, DAYS[21]).unlink()
    assert difference(lake, QUOTES) == ([], [DAYS[20]], [DAYS[21]], [])
    done = refresh(lake, QUOTES)
    assert done.difference == ([], [DAYS[20]], [DAYS[21]], [])
    after = segments_by_year(lake)
    assert [year for year in after if after[year] != before[year]] == ["2023"]


def test_years_whose_folders_are_the_same_are_looked_at_when_nothing_else_is_new(
    lake: Lake,
) -> None:
    store(lake, DAYS, 1.0)
    set_times(lake, 0)
    refresh(lake, QUOTES)
    written_over = lake.path(QUOTES, DAYS[0])
    written_over.write_bytes(written_over.read_bytes())
    store(lake, [YEAR[0]], 2.0)
    assert refresh(lake, QUOTES).difference == ([], [YEAR[0]], [], [])
    assert refresh(lake, QUOTES).difference == ([], [DAYS[0]], [], [])
    assert not difference(lake, QUOTES)


def test_a_folder_whose_time_was_set_back_is_looked_at_all_the_same(lake: Lake) -> None:
    store(lake, DAYS[:1], 1.0)
    set_times(lake, 0)
    refresh(lake, QUOTES)
    store(lake, [DAYS[0], DAYS[-1]], 2.0)
    set_times(lake, 0)
    assert refresh(lake, QUOTES).difference == ([DAYS[-1]], [DAYS[0]], [], [])


def test_a_year_that_left_the_lake_leaves_the_series(lake: Lake) -> None:
    store(lake, DAYS, 1.0)
    refresh(lake, QUOTES)
    gone = [day for day in DAYS if day.year == 2023]
    for day in gone:
        lake.path(QUOTES, day).unlink()
    assert refresh(lake, QUOTES).difference.removed == gone
    assert set(segments_by_year(lake)) == {"2022", "2024"}


def test_a_reader_keeps_its_generation_and_follows_when_asked(lake: Lake) -> None:
    store(lake, [YEAR[0]], 1.0)
    first = refresh(lake, QUOTES).generation
    series = Series.open(lake.root, QUOTES)
    assert series.newest() is series
    store(lake, [YEAR[0]], 2.0)
    assert refresh(lake, QUOTES).generation == first + 1
    assert series.slice("a")["price"].to_pylist() == [1.0]
    newer = series.newest()
    assert newer.generation == first + 1
    assert newer.slice("a")["price"].to_pylist() == [2.0]
    assert series.slice("a")["price"].to_pylist() == [1.0]


def test_a_series_is_withdrawn_while_no_day_is_stored_and_kept_for_when_they_are_back(
    lake: Lake,
) -> None:
    store(lake, YEAR, 1.0)
    refresh(lake, QUOTES)
    series, made = Series.open(lake.root, QUOTES), inodes(lake)
    expected, folder = series.slice("a"), lake.path(QUOTES, None).parent
    aside = folder.rename(folder.with_name("aside"))
    assert difference(lake, QUOTES).removed == YEAR
    for _ in range(2):
        with pytest.raises(MissingPartitions, match="quotes is not stored"):
            refresh(lake, QUOTES)
        with pytest.raises(WithdrawnSeries, match=r"No day of quotes .*Bring lake/quotes back"):
            series.newest()
        assert not difference(lake, QUOTES)
    aside.rename(folder)
    assert difference(lake, QUOTES).new == YEAR
    refresh(lake, QUOTES)
    assert series.newest().slice("a").equals(expected)
    assert inodes(lake) == made
    assert not difference(lake, QUOTES)


def test_days_without_rows_are_there(lake: Lake) -> None:
    store(lake, YEAR[:2], 1.0, codes=())
    refresh(lake, QUOTES)
    series = Series.open(lake.root, QUOTES)
    assert series.days == YEAR[:2]
    assert series.codes() == []
    assert series.cross_section(YEAR[0]).equals(QUOTES.schema.empty_table())
    assert series.slice("a").equals(QUOTES.schema.empty_table())


def test_a_generation_records_which_versions_it_holds(lake: Lake) -> None:
    store(lake, [YEAR[0]], 1.0)
    refresh(lake, QUOTES)
    held = load_generation(lake.root, QUOTES)[0].days()[YEAR[0]]
    stored, _, file = lake.load(QUOTES, YEAR[0])
    assert held == (stored.stored_at, len(CODES), file)


def test_what_is_not_there_is_said_with_what_to_do(lake: Lake) -> None:
    with pytest.raises(NoSeries, match=r"quotes has no series yet\. Materialize quotes_series"):
        Series.open(lake.root, QUOTES)
    with pytest.raises(MissingPartitions, match="quotes is not stored"):
        refresh(lake, QUOTES)
    with pytest.raises(ValueError, match="trade_calendar is not keyed by a day and a code"):
        refresh(lake, TRADE_CALENDAR)
    store(lake, [YEAR[0]], 1.0)
    refresh(lake, QUOTES)
    series = Series.open(lake.root, QUOTES)
    with pytest.raises(DayNotInSeries, match=r"quotes 2024-01-05 is not in generation .* 1 days"):
        series.cross_section(YEAR[4])
    with pytest.raises(ValueError, match=r"quotes has no column pe, x\. It has: price, symbol"):
        series.slice("a", columns=["pe", "price", "x"])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def garble(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("spoil", [cut, garble, Path.unlink])
def test_a_spoiled_segment_is_named_and_made_again_by_the_next_refresh(lake: Lake, spoil) -> None:
    store(lake, DAYS, 1.0)
    before = refresh(lake, QUOTES)
    name = segments_by_year(lake)["2023"][0]
    spoil(lake.root / "series" / "quotes" / name)
    with pytest.raises(DamagedSeries, match=rf"quotes is damaged.*{name}.*Materialize quotes_ser"):
        Series.open(lake.root, QUOTES)
    after = refresh(lake, QUOTES)
    assert after.generation == before.generation + 1
    assert 0 < after.written < before.bytes
    assert_answers(Series.open(lake.root, QUOTES), whole(lake), DAYS)


def test_a_spoiled_manifest_is_named_and_made_again_with_a_number_never_used(lake: Lake) -> None:
    store(lake, DAYS, 1.0)
    before = refresh(lake, QUOTES).generation
    manifest = lake.root / "series" / "quotes" / "generation.json"
    manifest.write_bytes(manifest.read_bytes()[:-10])
    with pytest.raises(DamagedSeries, match=r"generation\.json can't be read.*Materialize"):
        Series.open(lake.root, QUOTES)
    assert refresh(lake, QUOTES).generation > before
    assert_answers(Series.open(lake.root, QUOTES), whole(lake), DAYS)


def test_a_series_of_other_columns_is_refused_and_made_again(lake: Lake) -> None:
    wide = replace(QUOTES, columns=(*QUOTES.columns, replace(QUOTES.columns[-1], name="more")))
    rows = quotes(YEAR[0], {"a": (1.0, "x", None)})
    lake.write(wide, YEAR[0], rows.append_column("more", rows["listed"]))
    before = refresh(lake, wide)
    old = Series.open(lake.root, wide)
    with pytest.raises(NoSeries, match=r"made for other columns\. Materialize"):
        Series.open(lake.root, QUOTES)
    with pytest.raises(UnfitPartitions, match=r"2024-01-01.*more is not declared any more"):
        refresh(lake, QUOTES)
    assert Series.open(lake.root, wide).slice("a").equals(old.slice("a"))
    store(lake, [YEAR[0]], 2.0)
    assert refresh(lake, QUOTES).generation == before.generation + 1
    assert_answers(Series.open(lake.root, QUOTES), whole(lake), [YEAR[0]])


def test_a_column_added_since_is_null_in_what_was_made_before(lake: Lake) -> None:
    store(lake, DAYS, 1.0)
    refresh(lake, QUOTES)
    old, before = Series.open(lake.root, QUOTES), files(lake)
    wide = replace(QUOTES, columns=(*QUOTES.columns, replace(QUOTES.columns[-1], name="more")))
    more = pa.field("more", wide["more"].type)

    def with_nulls(rows: pa.Table) -> pa.Table:
        nulls = pa.nulls(rows.num_rows, more.type)
        return rows.append_column(more, nulls)

    assert not difference(lake, wide)
    series = Series.open(lake.root, wide)
    assert series.slice("a").equals(with_nulls(old.slice("a")))
    assert series.slice("a", columns=["more", "symbol"]).column_names == ["more", "symbol"]
    assert series.cross_section(DAYS[0]).equals(with_nulls(old.cross_section(DAYS[0])))
    assert files(lake) == before
    # A new day has the column, and what was made before stays as it is.
    day = DAYS[-1] + dt.timedelta(days=1)
    rows = quotes(day, {"a": (1.0, "x", None)})
    lake.write(wide, day, rows.append_column(more, rows["listed"].fill_null(day)))
    assert refresh(lake, wide).difference.new == [day]
    assert Series.open(lake.root, wide).slice("a")["more"].to_pylist()[-2:] == [None, day]
    assert set(segments_by_year(lake)["2023"]) <= set(before)


def test_a_series_of_another_version_of_the_columns_is_made_again(lake: Lake) -> None:
    store(lake, DAYS, 1.0)
    refresh(lake, QUOTES)
    with pytest.raises(NoSeries, match=r"made for other columns\. Materialize"):
        Series.open(lake.root, replace(QUOTES, version=2))


def test_a_damaged_day_is_named_and_the_series_stays(lake: Lake) -> None:
    store(lake, YEAR[:3], 1.0)
    refresh(lake, QUOTES)
    before = files(lake)
    lake.path(QUOTES, YEAR[1]).write_bytes(b"PAR1 and then nothing")
    with pytest.raises(UnfitPartitions, match=r"quotes is damaged.*2024-01-02.*Materialize quotes"):
        refresh(lake, QUOTES)
    assert files(lake) == before
    assert Series.open(lake.root, QUOTES).days == YEAR[:3]
    store(lake, [YEAR[1]], 2.0)
    refresh(lake, QUOTES)
    assert_answers(Series.open(lake.root, QUOTES), whole(lake), YEAR[:3])


def test_a_file_with_another_days_rows_is_refused(lake: Lake) -> None:
    store(lake, YEAR[:2], 1.0)
    lake.path(QUOTES, YEAR[1]).replace(lake.path(QUOTES, YEAR[0]))
    with pytest.raises(UnfitPartitions, match="2024-01-01"):
        refresh(lake, QUOTES)


def test_a_disk_that_refuses_is_told_and_leaves_nothing(lake: Lake) -> None:
    store(lake, DAYS[:2], 1.0)
    refresh(lake, QUOTES)
    before = files(lake)
    store(lake, DAYS, 1.0)
    refused = pytest.raises(DiskRefuses, match=r"quotes could not be written.*as it was before")
    with refused, full_disk(1_000):
        refresh(lake, QUOTES)
    assert files(lake) == before
    refresh(lake, QUOTES)
    assert_answers(Series.open(lake.root, QUOTES), whole(lake), DAYS)


def test_what_others_left_in_the_folder_is_not_touched(lake: Lake) -> None:
    store(lake, YEAR[:1], 1.0)
    refresh(lake, QUOTES)
    folder = lake.root / "series" / "quotes"
    (folder / "notes.txt").write_text("?")
    (folder / "2024-00000000.arrow").write_bytes(b"half a segment of a killed refresh")
    (folder / ".generation.json.00000000.unfinished").write_bytes(b"{")
    refresh(lake, QUOTES)
    assert {name for name in files(lake) if "0000" in name or "txt" in name} == {"notes.txt"}
