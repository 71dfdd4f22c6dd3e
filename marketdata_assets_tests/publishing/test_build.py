"""What is built: which rows, in which order, in which bytes, and what of it changes."""

import datetime as dt
import hashlib
import json
import random
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from marketdata_assets.publishing import layout
from marketdata_assets.publishing.adoption import LeftOut, NotAdoptable
from marketdata_assets.publishing.build import Content, OtherOrigin, build
from marketdata_assets.publishing.layout import Choices
from marketdata_assets.publishing.making import NotFitToPublish, counted_checks
from marketdata_assets.publishing.manifest import UnreadableManifest
from marketdata_assets.publishing.workspace import NotAsInManifest, Workspace
from marketdata_assets.storage.lake import DamagedPartitions, Lake, MissingPartitions
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.tables.daily_prices import ORIGINAL_COLUMNS
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.publishing.prices import (
    REPO,
    FolderPublished,
    assert_same_rows,
    pandas_csv,
    prices_of,
    store,
)
from marketdata_assets_tests.storage.tables_for_tests import flip

DAYS = sessions_between(dt.date(2023, 12, 25), dt.date(2024, 2, 5))
SMALL = [".last_update_date", "README.md", "manifest.json"]


class Desk:
    """A lake with all DAYS, a dataset in a folder, and the workspace between them."""

    def __init__(self, root: Path) -> None:
        self.lake = Lake(root / "lake", "Tushare, api.tushare.pro")
        self.published = FolderPublished(root / "published")
        self.workspace = Workspace(root / "work")
        self._root = root
        (root / "published").mkdir(parents=True)
        store(self.lake, DAYS)

    def build(self, days: list[dt.date], choices: Choices = Choices()) -> Content:  # noqa: B008
        return build(self.published, self.lake, days, choices, self.workspace, REPO)

    def publish(self, days: list[dt.date], choices: Choices = Choices()) -> list[str]:  # noqa: B008
        """Publish days and take the files over; what changed."""
        with self.workspace.locked(5):
            content = self.build(days, choices)
            changed = self.published.take(content)
            for path, made in content.files.items():
                self.workspace.keep(path, made)
        return changed

    def begin(self, *days: dt.date) -> None:
        """Publish the first days of all, as most tests begin: they are made once."""
        if days in _begun:
            for path, content in _begun[days].items():
                (self._root / path).parent.mkdir(parents=True, exist_ok=True)
                (self._root / path).write_bytes(content)
        else:
            self.publish([*days])
            folders = (self.published.folder, self._root / "work")
            files = (file for folder in folders for file in folder.rglob("*") if file.is_file())
            _begun[days] = {file.relative_to(self._root): file.read_bytes() for file in files}

    def text(self, path: str) -> str:
        return self.published.read(path).decode()

    def rows(self, days: list[dt.date]) -> pa.Table:
        return pa.concat_tables(
            self.lake.read(DAILY_PRICES, day).replace_schema_metadata(None) for day in days
        )

    def is_right(self, days: list[dt.date]) -> None:
        """The dataset holds exactly these days as the lake has them, in every form."""
        assert_same_rows(self.published.prices(), self.rows(days))
        assert self.published.read(layout.CSV) == pandas_csv(self.rows(days))
        manifest = json.loads(self.text(layout.MANIFEST))
        sessions = sessions_between(min(days), max(days))
        holes = [day for day in sessions if day not in days]
        complete_to = max(day for day in days if not holes or day < holes[0])
        assert manifest["missing_sessions"] == [str(day) for day in holes]
        assert manifest["complete_to"] == str(complete_to)
        assert self.text(layout.MARKER) == f"{max(days):%Y%m%d}"
        assert manifest["rows"] == len(self.rows(days))
        for path, facts in manifest["files"].items():
            content = self.published.read(path)
            assert facts["sha256"] == hashlib.sha256(content).hexdigest()
            assert facts["bytes"] == len(content)
        csv = manifest["files"][layout.CSV]
        assert csv["rows"] == self.text(layout.CSV).count("\n") - 1
        assert (csv["first"], csv["last"]) == (str(min(days)), str(max(days)))


_begun: dict[tuple[dt.date, ...], dict[Path, bytes]] = {}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_first_range_is_published_in_every_form(desk: Desk) -> None:
    desk.begin(*DAYS)
    desk.is_right(DAYS)
    assert set(desk.published.files) == {
        "data/prices-2023.parquet",
        "data/prices-2024.parquet",
        layout.CSV,
        layout.CALENDAR_CSV,
        layout.CALENDAR,
        *SMALL,
    }


def test_a_new_day_changes_its_year_the_csv_and_the_small_files(desk: Desk) -> None:
    desk.begin(*DAYS[:-1])
    assert desk.publish(DAYS[-1:]) == sorted([*SMALL, layout.CSV, "data/prices-2024.parquet"])
    desk.is_right(DAYS)


def test_day_by_day_and_as_one_range_make_the_same_bytes(desk: Desk, tmp_path: Path) -> None:
    other = Desk(tmp_path / "other")
    # Over the end of a year, and of a month.
    other.publish(DAYS[:12])
    for day in DAYS[:12]:
        desk.publish([day])
    for path in other.published.files:
        assert desk.published.read(path) == other.published.read(path), path


def test_publishing_again_changes_nothing(desk: Desk) -> None:
    desk.begin(*DAYS)
    assert desk.publish(DAYS) == []
    assert desk.publish(DAYS[3:4]) == []


def test_a_new_day_is_appended_to_the_local_csv(desk: Desk) -> None:
    desk.begin(*DAYS[:-1])
    copy = desk.workspace.base(layout.CSV)
    inode, size = copy.stat().st_ino, copy.stat().st_size
    desk.publish(DAYS[-1:])
    assert copy.stat().st_ino == inode
    assert copy.stat().st_size > size
    assert desk.published.fetched == []


def test_a_restated_day_replaces_its_rows_and_its_year_alone(desk: Desk) -> None:
    desk.begin(*DAYS)
    store(desk.lake, DAYS[1:2], version=1)
    assert desk.publish(DAYS[1:2]) == [layout.CSV, "data/prices-2023.parquet", "manifest.json"]
    desk.is_right(DAYS)


def test_an_earlier_stretch_goes_before_what_is_there(desk: Desk) -> None:
    desk.begin(*DAYS[10:])
    desk.publish(DAYS[:8])
    desk.is_right(DAYS[:8] + DAYS[10:])
    manifest = json.loads(desk.text(layout.MANIFEST))
    assert manifest["missing_sessions"] == [str(day) for day in DAYS[8:10]]
    desk.publish(DAYS[8:10])
    desk.is_right(DAYS)


def test_days_in_any_order_end_in_the_same_bytes(desk: Desk, tmp_path: Path) -> None:
    other = Desk(tmp_path / "other")
    other.publish(DAYS)
    desk.publish(DAYS[-1:])
    shuffled = list(DAYS[:-1])
    random.Random(1).shuffle(shuffled)
    for start in range(0, len(shuffled), 5):
        desk.publish(shuffled[start : start + 5])
    for path in other.published.files:
        assert desk.published.read(path) == other.published.read(path), path


def test_a_day_that_is_not_in_the_lake_is_named(desk: Desk) -> None:
    with pytest.raises(MissingPartitions, match=r"2024-02-06\. Materialize daily_prices first"):
        desk.publish([dt.date(2024, 2, 6)])


def test_what_a_killed_run_left_at_the_end_of_the_csv_is_cut_off(desk: Desk) -> None:
    desk.begin(*DAYS[:-1])
    with desk.workspace.base(layout.CSV).open("ab") as file:
        file.write(b"600000.SH,2024-02-05,half a ro")
    desk.publish(DAYS[-1:])
    desk.is_right(DAYS)
    assert desk.published.fetched == []


def test_a_local_copy_that_is_damaged_or_lost_is_fetched_again(desk: Desk) -> None:
    desk.begin(*DAYS[:-1])
    with desk.workspace.base(layout.CSV).open("r+b") as file:
        file.write(b"?")
    desk.workspace.base("data/prices-2024.parquet").unlink()
    desk.publish(DAYS[-1:])
    desk.is_right(DAYS)
    assert sorted(desk.published.fetched) == [layout.CSV, "data/prices-2024.parquet"]


def test_a_damaged_day_is_not_published(desk: Desk) -> None:
    desk.begin(*DAYS[:-2])
    flip(desk.lake.path(DAILY_PRICES, DAYS[-1]), 2_000)
    with pytest.raises(DamagedPartitions, match=rf"daily_prices/2024/{DAYS[-1]}\.parquet"):
        desk.publish(DAYS[-2:])
    desk.is_right(DAYS[:-2])


def test_a_published_file_that_somebody_changed_is_not_built_upon(desk: Desk) -> None:
    desk.begin(*DAYS[:-1])
    shard = desk.published.folder / "data/prices-2024.parquet"
    shard.write_bytes(shard.read_bytes()[:-1])
    desk.workspace.base("data/prices-2024.parquet").unlink()
    with pytest.raises(NotAsInManifest, match=r"data/prices-2024\.parquet is not what"):
        desk.publish(DAYS[-1:])


def test_a_day_that_is_restated_meanwhile_is_the_same_in_every_form(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.begin(*DAYS[:-1])
    desk.workspace.base(layout.CSV).unlink()
    fetch, before = desk.published.fetch, desk.rows(DAYS)

    def restate_then_fetch(path: str, target: Path) -> None:
        """The CSV is fetched when the year's shard is made."""
        store(desk.lake, DAYS[-1:], version=1)
        fetch(path, target)

    monkeypatch.setattr(desk.published, "fetch", restate_then_fetch)
    desk.publish(DAYS[-1:])
    assert_same_rows(desk.published.prices(), before)
    assert desk.published.read(layout.CSV) == pandas_csv(before)


def test_rows_of_another_origin_are_not_added(desk: Desk) -> None:
    desk.begin(*DAYS[:-1])
    desk.lake.origin = "sandbox: simulated, not a real market"
    with pytest.raises(OtherOrigin, match=r"come from 'Tushare, .* from 'sandbox: sim.*another"):
        desk.publish(DAYS[-1:])


def test_a_text_with_a_line_break_keeps_no_share_back_and_is_a_line_of_the_csv(desk: Desk) -> None:
    rows = desk.lake.read(DAILY_PRICES, DAYS[0])
    at, names = rows.schema.get_field_index("name"), rows["name"].to_pylist()
    names[0], names[2] = "two\r\nlines", '"\n'
    column = pa.array(names, pa.string())
    desk.lake.write(DAILY_PRICES, DAYS[0], rows.set_column(at, rows.schema.field(at), column))
    desk.publish(DAYS[:1])
    desk.publish(DAYS[1:3])
    assert_same_rows(desk.published.prices(), desk.rows(DAYS[:3]))
    checks = json.loads(desk.text(layout.MANIFEST))["files"][layout.shard(2023)]["checks"]
    assert checks["rows with a line break in a text"] == 2
    csv = pd.read_csv(desk.published.folder / layout.CSV)
    assert csv["name"].iloc[:2].tolist() == ["two lines", '" ']
    lines = pandas_csv(desk.rows(DAYS[:3])).count(b"\n") - 2
    assert len(csv) == desk.text(layout.CSV).count("\n") - 1 == lines - 1


def test_a_year_with_rows_that_come_twice_is_not_fit_to_publish(tmp_path: Path) -> None:
    rows = prices_of(DAYS[0])
    pq.write_table(pa.concat_tables([rows, rows.slice(0, 2)]), tmp_path / "year.parquet")
    with pytest.raises(NotFitToPublish, match=r"prices of 2023 are not fit .* 2 rows repeated"):
        counted_checks(tmp_path / "year.parquet", 2023)


STRANGE = '{"format": 1, "files": {"data/../../x": {}}}'
BAD_DATE = '{"format": 1, "origin": "", "csv_universe": "", "files": {}, "missing_sessions": ["x"]}'


@pytest.mark.parametrize("text", ["{}", "[]", "not json", '{"format": 99}', STRANGE, BAD_DATE])
def test_a_manifest_that_can_not_be_read_says_so(desk: Desk, text: str) -> None:
    (desk.published.folder / layout.MANIFEST).write_text(text)
    with pytest.raises(UnreadableManifest, match="the published manifest"):
        desk.publish(DAYS)


def test_another_universe_rewrites_the_csv_alone(desk: Desk) -> None:
    desk.begin(*DAYS)
    assert desk.publish(DAYS[-1:], Choices(universe="")) == [
        "README.md",
        layout.CSV,
        "manifest.json",
    ]
    assert desk.published.read(layout.CSV) == pandas_csv(desk.rows(DAYS), universe="")


HEADER = (
    "code,date,open,high,low,close,prev_close,quote_rate,volume,turnover,high_limit,low_limit,"
    "turnover_rate,turnover_rate_f,volume_ratio,pe,pe_ttm,pb,ps,ps_ttm,dv_ratio,dv_ttm,total_share,"
    "float_share,free_share,total_mv,circ_mv,name,area,industry,market,exchange,list_date"
)


def test_the_csv_keeps_its_first_columns_unless_all_are_asked_for(desk: Desk) -> None:
    desk.begin(*DAYS[:-2])
    assert desk.text(layout.CSV).splitlines()[0] == HEADER
    everything = Choices(csv_all_columns=True)
    assert desk.publish(DAYS[-2:-1], everything) == sorted(
        [*SMALL, layout.CSV, "data/prices-2024.parquet"]
    )
    desk.publish(DAYS[-1:], everything)
    columns = [*HEADER.split(","), "avg_price", "adj_factor", "is_st"]
    assert desk.published.read(layout.CSV) == pandas_csv(desk.rows(DAYS), columns=columns)
    assert "all columns" in desk.text(layout.CARD)
    assert json.loads(desk.text(layout.MANIFEST))["csv_all_columns"]
    desk.publish(DAYS[-1:])
    desk.is_right(DAYS)


def test_all_years_of_a_dataset_get_the_added_columns_with_its_next_day(desk: Desk) -> None:
    added = ["avg_price", "adj_factor", "is_st"]
    desk.publish(DAYS[:-1])
    manifest = json.loads(desk.text(layout.MANIFEST))
    for year in (2023, 2024):
        path = desk.published.folder / layout.shard(year)
        pq.write_table(pq.read_table(path, partitioning=None).drop_columns(added), path)
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        manifest["files"][layout.shard(year)] |= {"sha256": digest, "bytes": len(content)}
    for name in ("columns", "csv_all_columns"):
        del manifest[name]
    (desk.published.folder / layout.MANIFEST).write_text(json.dumps(manifest))
    csv = desk.published.read(layout.CSV)
    desk.workspace = Workspace(desk.published.folder.parent / "another")
    desk.publish(DAYS[-1:])
    for year in (2023, 2024):
        shard = pq.ParquetFile(desk.published.folder / layout.shard(year))
        assert shard.schema_arrow.equals(DAILY_PRICES.schema)
    rows = desk.published.prices()
    is_new = pc.equal(rows["date"], DAYS[-1])
    assert_same_rows(rows.filter(is_new), desk.rows(DAYS[-1:]))
    before = rows.filter(pc.invert(is_new))
    for name in added:
        assert before[name].null_count == before.num_rows
    kept = desk.rows(DAYS[:-1]).select(ORIGINAL_COLUMNS)
    assert_same_rows(before.select(ORIGINAL_COLUMNS), kept)
    assert desk.published.read(layout.CSV).startswith(csv)
    assert desk.publish(DAYS[-1:]) == []


@pytest.mark.parametrize("truths", [("True", "False"), ("1.0", "0.0"), ("1", "0")])
def test_an_adopted_csv_may_have_the_added_columns(desk: Desk, truths: tuple[str, str]) -> None:
    rows = desk.rows(DAYS[:1])
    text = pandas_csv(rows, "", DAILY_PRICES.column_names).decode()
    text = text.replace(",True\n", f",{truths[0]}\n").replace(",False\n", f",{truths[1]}\n")
    (desk.published.folder / layout.CSV).write_text(text)
    desk.publish(DAYS[1:2])
    found = desk.published.prices()
    kept = found.filter(pc.equal(found["date"], DAYS[0])).sort_by("code")
    for name in ("avg_price", "adj_factor", "is_st"):
        assert kept[name].to_pylist() == rows.sort_by("code")[name].to_pylist()


def test_the_csv_can_be_switched_off_and_on_again(desk: Desk) -> None:
    desk.begin(*DAYS[:-1])
    desk.publish(DAYS[-1:], Choices(csv=False))
    assert layout.CSV not in desk.published.files
    assert layout.CSV not in desk.text("README.md")
    desk.publish(DAYS[-1:])
    desk.is_right(DAYS)


def test_a_shard_is_sorted_compressed_and_has_a_row_group_a_month(desk: Desk) -> None:
    desk.begin(*DAYS)
    shard = pq.ParquetFile(desk.published.folder / "data/prices-2024.parquet")
    keys = shard.read(["date", "code"]).to_pylist()
    assert keys == sorted(keys, key=lambda row: (row["date"], row["code"]))
    assert shard.metadata.num_row_groups == 2
    column = shard.metadata.row_group(0).column(0)
    assert column.compression == "ZSTD"
    assert column.has_column_index
    assert shard.schema_arrow.equals(DAILY_PRICES.schema)


def test_the_calendar_is_published_as_the_original_one_and_in_full(desk: Desk) -> None:
    desk.begin(*DAYS)
    lines = desk.text(layout.CALENDAR_CSV).splitlines()
    assert lines[:2] == ["cal_date", "20050104"]
    assert lines[-1] == "20241231"
    days = pq.read_table(desk.published.folder / layout.CALENDAR, partitioning=None)
    assert days.num_rows == (dt.date(2024, 12, 31) - dt.date(2005, 1, 4)).days + 1
    assert sum(days["is_open"].to_pylist()) == len(lines) - 1


def test_the_card_tells_columns_units_coverage_and_how_to_load(desk: Desk) -> None:
    desk.begin(*DAYS)
    card = desk.text(layout.CARD)
    assert "configs:" in card
    assert "path: data/prices-*.parquet" in card
    assert "dataset_info" not in card
    assert f"| {DAYS[-1]} |" in card
    for column in DAILY_PRICES.columns:
        line = f"| `{column.name}` | {column.type} | {column.unit} |"
        assert f"{line} {column.doc} | {column.doc_zh} |" in card
    assert "Simulated" not in card


def test_a_simulated_market_is_labelled_in_the_card(desk: Desk) -> None:
    desk.lake.origin = "sandbox: simulated, not a real market"
    desk.publish(DAYS)
    assert "Simulated data, not a real market" in desk.text(layout.CARD)
    assert "模拟数据" in desk.text(layout.CARD)


def original_csv(folder: FolderPublished, days: list[dt.date], repeated: list[dt.date]) -> bytes:
    """The dataset as the original pipeline leaves it: by stock, then days appended, some twice."""
    rows = pa.concat_tables(prices_of(day, version=9) for day in days)
    by_stock = rows.to_pandas().sort_values(["code", "date"])
    none = DAILY_PRICES.schema.empty_table()
    again = pa.concat_tables([none, *(prices_of(day) for day in repeated)]).to_pandas()
    main = [
        frame.loc[frame["market"] == layout.MAIN_BOARD, list(ORIGINAL_COLUMNS)]
        for frame in (by_stock, again)
    ]
    text = main[0].to_csv(index=False) + main[1].to_csv(index=False, header=False)
    (folder.folder / layout.CSV).write_text(text)
    (folder.folder / layout.MARKER).write_text(f"{max(days):%Y%m%d}")
    return text.encode()


def test_a_dataset_in_the_original_form_is_adopted(desk: Desk) -> None:
    before, repeated = DAYS[:-3], DAYS[2:6]
    original_csv(desk.published, before, repeated)
    with desk.workspace.locked(5):
        content = desk.build(DAYS[-3:])
        desk.published.take(content)
    per_day = 3
    assert content.adopted.rows_read == per_day * (len(before) + len(repeated))
    assert content.adopted.left_out[LeftOut.REPEATED] == per_day * len(repeated)
    assert content.adopted.rows_kept == per_day * len(before)
    assert "repeated" in content.adopted.in_words()
    versions = [prices_of(day, version=0 if day in repeated else 9) for day in before]
    main = pa.concat_tables(versions).filter(pa.compute.field("market") == layout.MAIN_BOARD)
    expected = pa.concat_tables([main, desk.rows(DAYS[-3:])])
    assert desk.published.read(layout.CSV) == pandas_csv(expected)
    keys = desk.published.prices().select(["date", "code"]).to_pylist()
    assert len(keys) == len({(row["date"], row["code"]) for row in keys})
    assert json.loads(desk.text(layout.MANIFEST))["missing_sessions"] == []


def test_an_adopted_dataset_goes_on_like_any_other(desk: Desk) -> None:
    original_csv(desk.published, DAYS[:-3], [])
    desk.publish(DAYS[-3:-1])
    assert desk.publish(DAYS[-3:-1]) == []
    desk.publish(DAYS)
    desk.is_right(DAYS)


def test_rows_without_a_price_are_left_out_and_counted(desk: Desk) -> None:
    original_csv(desk.published, DAYS[:3], [])
    csv = desk.published.folder / layout.CSV
    csv.write_text(csv.read_text() + f"600009.SH,{DAYS[0]}" + "," * 31 + "\n")
    with desk.workspace.locked(5):
        content = desk.build(DAYS[3:4])
    assert content.adopted.left_out[LeftOut.INCOMPLETE] == 1


def test_a_csv_without_the_columns_is_not_adopted(desk: Desk) -> None:
    (desk.published.folder / layout.CSV).write_text("code,date\n600000.SH,2024-01-02\n")
    with pytest.raises(NotAdoptable, match=r"lacks close: it"):
        desk.publish(DAYS)
