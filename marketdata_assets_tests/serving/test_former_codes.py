"""A share that changed its code: asked for by either, it answers with its whole past, once."""

import datetime as dt
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.ipc
import pyarrow.parquet
import pytest

from marketdata_assets.instruments import UnknownCode
from marketdata_assets.serving.adjusting import MissingFactors, NotAdjustable
from marketdata_assets.serving.exports import write_export
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.serving.queries import Adjust, ExportQuery, RangeQuery
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import refresh
from marketdata_assets.tables import ADJ_FACTOR, DAILY_PRICES, STOCK_LIST
from marketdata_assets_tests.api.serving import Client, served
from marketdata_assets_tests.api.stored_world import DAYS, NEWEST, rows_of

OLD, NEW = "000022.SZ", "001872.SZ"
OLD_BEIJING, NEW_BEIJING, LOST_BEIJING = "430047.BJ", "920047.BJ", "830799.BJ"
# On the first of these days both codes have a row.
CHANGED, MOVED = DAYS[30], DAYS[50]
LISTED = dt.date(2020, 7, 27)


def codes_of(day: dt.date) -> list[str]:
    codes = [OLD] if day <= CHANGED else []
    codes += [NEW] if day >= CHANGED else []
    return [*codes, OLD_BEIJING if day < MOVED else NEW_BEIJING]


def close_of(code: str, day: dt.date) -> float:
    return round(10 + DAYS.index(day) / 100 + (0.5 if code in (NEW, NEW_BEIJING) else 0), 2)


def store_list(lake: Lake, day: dt.date, named: Sequence[tuple[str, str]]) -> None:
    codes, names = zip(*named, strict=True)
    count = len(named)
    rows = rows_of(
        STOCK_LIST,
        count,
        trade_date=[day] * count,
        ts_code=codes,
        name=names,
        list_date=[LISTED] * count,
    )
    lake.write(STOCK_LIST, day, rows)


def store(lake: Lake, factor_of_old: float = 2.0) -> None:
    for day in DAYS:
        codes = codes_of(day)
        count = len(codes)
        closes = [close_of(code, day) for code in codes]
        prices = rows_of(DAILY_PRICES, count, code=codes, date=[day] * count, close=closes)
        lake.write(DAILY_PRICES, day, prices)
        factors = [factor_of_old if code == OLD else 2.0 for code in codes]
        lake.write(
            ADJ_FACTOR,
            day,
            rows_of(ADJ_FACTOR, count, ts_code=codes, trade_date=[day] * count, adj_factor=factors),
        )
    last_before = DAYS[DAYS.index(MOVED) - 1]
    store_list(lake, last_before, [(OLD_BEIJING, "诺思兰德"), (LOST_BEIJING, "艾融软件")])
    store_list(lake, NEWEST, [(NEW_BEIJING, "诺思兰德"), ("920799.BJ", "另一家")])
    for table in (DAILY_PRICES, ADJ_FACTOR):
        refresh(lake, table)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = Lake(tmp_path_factory.mktemp("changed"), "test: not a real market")
    store(lake)
    return lake.root


@pytest.fixture(scope="module")
def reader(root: Path) -> PriceReader:
    return PriceReader(root)


@pytest.fixture(scope="module")
def api(root: Path) -> Iterator[Client]:
    with served(root) as client:
        yield client


@pytest.mark.parametrize(
    ("old", "new", "since"), [(OLD, NEW, CHANGED), (OLD_BEIJING, NEW_BEIJING, MOVED)]
)
def test_either_code_has_the_whole_past_every_day_once(
    reader: PriceReader, old: str, new: str, since: dt.date
) -> None:
    expected = [close_of(new if day >= since else old, day) for day in DAYS]
    for asked in (old, new):
        found = reader.ohlcv(asked, columns=["date", "close"])
        assert found.code == new
        assert found.instrument.renamed_from == (old if asked == old else "")
        assert found.rows["date"].to_pylist() == DAYS
        assert found.rows["close"].to_pylist() == expected
        assert found.available == (DAYS[0], NEWEST)
        assert found.missing == ()
    part = reader.ohlcv(old, DAYS[5], DAYS[9], columns=["close", "code"])
    assert part.rows["code"].to_pylist() == [old] * 5


def test_a_former_code_whose_successor_no_list_tells_is_refused(reader: PriceReader) -> None:
    with pytest.raises(UnknownCode, match="no stored list tells which one it became"):
        reader.ohlcv(LOST_BEIJING)


def test_one_query_has_both_codes_under_the_codes_as_asked(reader: PriceReader) -> None:
    query = RangeQuery(codes=[OLD, OLD_BEIJING, LOST_BEIJING], columns=["close"])
    assert query.codes == [NEW, OLD_BEIJING, LOST_BEIJING]
    found = dict(reader.each(query))
    assert found[NEW] == reader.ohlcv(NEW, columns=["close"])
    assert found[OLD_BEIJING] == reader.ohlcv(OLD_BEIJING, columns=["close"])
    assert isinstance(found[LOST_BEIJING], UnknownCode)


def test_factors_of_both_codes_adjust_where_they_agree(reader: PriceReader) -> None:
    plain = reader.ohlcv(OLD, columns=["close"]).rows["close"].to_pylist()
    adjusted = reader.ohlcv(OLD, columns=["close"], adjust=Adjust.HFQ).rows["close"].to_pylist()
    assert adjusted == [close * 2.0 for close in plain]


def test_factors_that_disagree_adjust_nothing(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "test: not a real market")
    store(lake, factor_of_old=3.0)
    with pytest.raises(MissingFactors, match=NEW):
        PriceReader(tmp_path).ohlcv(OLD, adjust=Adjust.HFQ)


def test_a_former_moment_knows_both_codes_and_adjusts_neither(reader: PriceReader) -> None:
    now = dt.datetime.now(dt.UTC)
    found = reader.ohlcv(OLD, columns=["date", "close"], as_of=now)
    assert found.rows == reader.ohlcv(OLD, columns=["date", "close"]).rows
    with pytest.raises(NotAdjustable, match=f"{NEW} was {OLD} on"):
        reader.ohlcv(NEW, adjust=Adjust.HFQ, as_of=now)


def test_what_its_former_code_alone_lacks_is_told_of_a_former_moment_too(tmp_path: Path) -> None:
    lake, absent = Lake(tmp_path, "test: not a real market"), DAYS[5]
    for day in DAYS:
        if day != absent:
            lake.write(DAILY_PRICES, day, rows_of(DAILY_PRICES, 1, code=[OLD], date=[day]))
    refresh(lake, DAILY_PRICES)
    reader = PriceReader(tmp_path)
    for moment in (None, dt.datetime.now(dt.UTC)):
        assert reader.ohlcv(NEW, DAYS[0], DAYS[9], as_of=moment).missing == (absent,)


@pytest.mark.parametrize(("old", "new"), [(OLD, NEW), (OLD_BEIJING, NEW_BEIJING)])
def test_the_api_says_which_code_it_was(api: Client, old: str, new: str) -> None:
    told = api.get("/api/v1/ohlcv", code=old, start=f"{DAYS[0]:%Y%m%d}", end=f"{NEWEST:%Y%m%d}")
    body = told.json()
    assert (body["code"], body["renamed_from"], body["count"]) == (new, old, len(DAYS))
    assert api.get("/api/v1/ohlcv", code=new).json()["renamed_from"] is None
    file = api.get("/api/v1/ohlcv", code=old, start=DAYS[0], format="arrow")
    assert (file.headers["X-Code"], file.headers["X-Renamed-From"]) == (new, old)
    assert pyarrow.ipc.open_stream(io.BytesIO(file.content)).read_all().num_rows == len(DAYS)
    assert "X-Renamed-From" not in api.get("/api/v1/ohlcv", code=new, format="csv").headers
    kind = api.get("/api/v1/asset-type", code=old).json()
    assert (kind["canonical_code"], kind["renamed_from"]) == (new, old)
    batch = api.post("/api/v1/ohlcv/batch", {"codes": [old, new], "start": str(DAYS[0])}).json()
    results = batch["results"]
    assert [(one["code"], one["renamed_from"]) for one in results.values()] == [
        (new, old),
        (new, None),
    ]


def test_an_export_has_every_share_once_and_says_which_code_was_asked_for(
    api: Client,
) -> None:
    asked = [OLD, NEW, NEW_BEIJING, OLD_BEIJING, LOST_BEIJING]
    body = {"codes": asked, "start": str(DAYS[0]), "end": str(NEWEST)}
    path = f"/api/v1/exports/{api.post('/api/v1/exports', body).json()['id']}"
    [request] = api.queue.claim(1)
    export = write_export(api.state.reader, request.export_query, api.queue.exports, request.id)
    api.queue.finish(request.id, export.file, export.rows)
    assert list(export.codes) == [NEW, NEW_BEIJING]
    assert list(export.missing) == [LOST_BEIJING]
    assert export.rows == 2 * len(DAYS)
    rows = pyarrow.parquet.read_table(api.queue.exports / export.file)
    assert set(rows["code"].to_pylist()) == {NEW, NEW_BEIJING}
    assert api.get(path).json()["renamed_from"] == {NEW: OLD}
    assert api.get(f"{path}/file").headers["X-Renamed-From"] == f"1: {NEW}={OLD}"


def test_an_export_of_present_codes_says_nothing_of_former_ones(
    reader: PriceReader, tmp_path: Path
) -> None:
    export = write_export(reader, ExportQuery(codes=[NEW, OLD], columns=["close"]), tmp_path, "a1")
    assert export.renamed_from == {}
    of_beijing = ExportQuery(codes=[OLD_BEIJING], columns=["close"])
    assert write_export(reader, of_beijing, tmp_path, "a2").renamed_from == {
        NEW_BEIJING: OLD_BEIJING
    }


@pytest.mark.parametrize("columns", [["close"], ["code", "close"], ["close", "code"]])
def test_rows_of_many_codes_are_under_present_ones_asked_for_or_not(
    reader: PriceReader, tmp_path: Path, columns: list[str]
) -> None:
    query = ExportQuery(codes=[OLD, NEW_BEIJING], start=DAYS[0], columns=columns)
    export = write_export(reader, query, tmp_path, "a1")
    rows = pyarrow.parquet.read_table(tmp_path / export.file)
    assert Counter(rows["code"].to_pylist()) == {NEW: len(DAYS), NEW_BEIJING: len(DAYS)}


def test_the_api_refuses_a_code_whose_successor_nobody_knows(api: Client) -> None:
    answer = api.get("/api/v1/ohlcv", code=LOST_BEIJING)
    assert answer.status_code == 400
    assert "moved to codes 920xxx" in answer.json()["error"]
