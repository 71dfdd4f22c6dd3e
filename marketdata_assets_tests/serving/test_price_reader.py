"""Slices against plain DuckDB over the lake's files, and what is said where there is none."""

import datetime as dt
import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets.errors import MarketdataError
from marketdata_assets.instruments import Kind, UnknownCode, identify
from marketdata_assets.serving.adjusting import MissingFactors, NotAdjustable
from marketdata_assets.serving.answers import NotStored, Slice
from marketdata_assets.serving.bars import Frequency
from marketdata_assets.serving.caches import Histories
from marketdata_assets.serving.instrument_list import Listed
from marketdata_assets.serving.ohlcv_view import OHLCV, NoSuchColumn
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.serving.queries import Adjust, RangeQuery
from marketdata_assets.serving.table_rows import NoSuchDay
from marketdata_assets.storage.lake import Lake, UnfitPartitions
from marketdata_assets.storage.series import DamagedSeries, NoSeries, Series, refresh
from marketdata_assets.tables import (
    ADJ_FACTOR,
    DAILY_PRICES,
    ETF_PREMIUM,
    INSTRUMENT_HISTORY,
    Table,
)
from marketdata_assets.tables.daily_prices import ADJUSTED_COLUMNS
from marketdata_assets_tests.conftest import costly
from marketdata_assets_tests.serving.stored import (
    FUND_BY_CODE,
    FUNDS,
    GONE,
    INDEX,
    SESSIONS,
    SHARE_BY_CODE,
    SHARES,
    STORED,
    history_of,
    store_everything,
    store_factors,
    store_history,
    store_shares,
    store_stock_list,
)

days = st.none() | st.dates(SESSIONS[0] - dt.timedelta(9), SESSIONS[-1] + dt.timedelta(9))
# What plain SQL over the day files says canonical OHLCV is.
SPOKEN = {
    DAILY_PRICES.name: "date, open, high, low, close, round(volume * 100, 2) AS volume, "
    "round(turnover * 1000, 2) AS turnover, pe, high_limit, prev_close, code",
    ETF_PREMIUM.name: "trade_date AS date, open, high, low, close, round(vol * 100, 2) AS volume, "
    "round(amount * 1000, 2) AS turnover, premium, pre_close, ts_code AS code",
    INSTRUMENT_HISTORY.name: "date, open, high, low, close, volume, turnover, currency, code",
}
MORE = {
    DAILY_PRICES.name: ["pe", "high_limit", "prev_close", "code"],
    ETF_PREMIUM.name: ["premium", "pre_close", "code"],
    INSTRUMENT_HISTORY.name: ["currency", "code"],
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("stored"), "test")
    store_everything(lake)
    return lake


@pytest.fixture(scope="module")
def reader(stored: Lake) -> PriceReader:
    return PriceReader(stored.root)


def source_of(code: str) -> Table:
    if code in (*SHARES, GONE):
        return DAILY_PRICES
    return ETF_PREMIUM if code in FUNDS else INSTRUMENT_HISTORY


def plain(
    lake: Lake,
    code: str,
    start: dt.date | None,
    end: dt.date | None,
    columns: Sequence[str],
    adjust: Adjust = Adjust.NONE,
    anchor: dt.date | None = None,
) -> pa.Table:
    """The same question put to the files, adjusted in SQL."""
    table, folder = source_of(code), lake.root / "lake"
    with duckdb.connect() as connection:
        rows = connection.read_parquet(f"{folder}/{table.name}/**/*.parquet")
        if adjust is not Adjust.NONE:
            factors = connection.read_parquet(f"{folder}/{ADJ_FACTOR.name}/**/*.parquet")
            scale = "adj_factor"
            if adjust is Adjust.QFQ:
                [(last,)] = rows.aggregate("max(date)").fetchall()
                before = f"FILTER (trade_date <= DATE '{anchor or last}')"
                at_anchor = f"arg_max(adj_factor, trade_date) {before} OVER (PARTITION BY ts_code)"
                scale = f"(adj_factor / {at_anchor})"
            scales = factors.select(f"ts_code, trade_date, {scale} AS scale")
            names = [name for name in ADJUSTED_COLUMNS if name in table.column_names]
            prices = ", ".join(f"{name} * scale AS {name}" for name in names)
            rows = rows.join(scales, "code = ts_code AND date = trade_date").select(
                f"* EXCLUDE (ts_code, trade_date, scale) REPLACE ({prices})"
            )
        spoken = rows.select(SPOKEN[table.name])
        wanted = spoken.filter(
            f"code = '{code}' AND date BETWEEN '{start or dt.date.min}' AND '{end or dt.date.max}'"
        )
        return wanted.order("date").select(*columns).to_arrow_table()


def same(found: Slice, expected: pa.Table) -> bool:
    assert found.rows.column_names == expected.column_names
    return bool(found.rows.to_pylist() == expected.to_pylist())


@costly()
@given(st.data(), st.sampled_from(STORED), days, days)
def test_a_slice_is_what_plain_sql_finds_in_the_files(
    stored: Lake, reader: PriceReader, data: st.DataObject, code: str, start: dt.date, end: dt.date
) -> None:
    names = [*OHLCV, *MORE[source_of(code).name]]
    columns = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    found = reader.ohlcv(code, start, end, columns)
    assert same(found, plain(stored, code, start, end, columns))
    assert found.source is source_of(code)
    everything = plain(stored, code, None, None, ["date"])["date"]
    assert found.available == (everything[0].as_py(), everything[-1].as_py())


@costly()
@given(
    st.sampled_from([*SHARES, GONE]),
    days,
    days,
    st.sampled_from([Adjust.QFQ, Adjust.HFQ]),
    st.none() | st.sampled_from(SESSIONS),
)
def test_adjusted_prices_are_those_of_the_storage_to_the_bit(
    stored: Lake,
    reader: PriceReader,
    code: str,
    start: dt.date,
    end: dt.date,
    adjust: Adjust,
    anchor: dt.date,
) -> None:
    columns = ["close", "high_limit", "prev_close", "volume"]
    found = reader.ohlcv(code, start, end, columns, adjust, anchor)
    assert same(found, plain(stored, code, start, end, columns, adjust, anchor))


@pytest.mark.parametrize("code", [*SHARES, *FUNDS])
def test_units_are_converted_as_exact_decimals_would_be(reader: PriceReader, code: str) -> None:
    raw = {"volume": "vol", "turnover": "amount"} if code in FUNDS else {}
    series = reader.series(source_of(code))
    assert series is not None
    found = reader.ohlcv(code).rows
    for name, scale in (("volume", 100), ("turnover", 1_000)):
        vendor = series.slice(code)[raw.get(name, name)].to_pylist()
        assert found[name].to_pylist() == [float(Decimal(repr(one)) * scale) for one in vendor]


def test_codes_are_taken_as_people_write_them(reader: PriceReader) -> None:
    found = reader.ohlcv("sh600000", SESSIONS[0], SESSIONS[0])
    assert (found.code, found.instrument) == ("600000.SH", identify("600000.SH"))
    with pytest.raises(UnknownCode, match=r"Did you mean 600000.SH"):
        reader.ohlcv("600000")


def test_what_a_code_does_not_have_is_said(reader: PriceReader) -> None:
    with pytest.raises(NotStored, match="NDX is not stored") as caught:
        reader.ohlcv("NDX")
    assert caught.value.code == "NDX"
    with pytest.raises(NoSuchColumn, match="daily_prices has no column premium"):
        reader.ohlcv("600000.SH", columns=["close", "premium"])
    with pytest.raises(NoSuchColumn, match="instrument_history has no column pe"):
        reader.ohlcv(INDEX, columns=["pe"])
    with pytest.raises(
        NotAdjustable, match="factors of A-shares, funds and main contracts of futures alone"
    ):
        reader.ohlcv(INDEX, adjust=Adjust.QFQ)
    for code, table in ((SHARE_BY_CODE, ADJ_FACTOR), (FUND_BY_CODE, ETF_PREMIUM)):
        with pytest.raises(MissingFactors, match=f"stored by code alone.*{table.name} for its"):
            reader.ohlcv(code, adjust=Adjust.HFQ)


def test_factors_that_are_missing_are_named(lake: Lake) -> None:
    store_shares(lake, SESSIONS)
    refresh(lake, DAILY_PRICES)
    reader = PriceReader(lake.root)
    with pytest.raises(MissingFactors, match="has no series yet"):
        reader.ohlcv("600000.SH", adjust=Adjust.HFQ)
    store_factors(lake, [day for day in SESSIONS[:-1] if day != SESSIONS[3]])
    refresh(lake, ADJ_FACTOR)
    with pytest.raises(MissingFactors, match=f"for 2 of the prices: 600000.SH {SESSIONS[3]}"):
        reader.ohlcv("600000.SH", adjust=Adjust.HFQ)
    early = reader.ohlcv("600000.SH", end=SESSIONS[2], adjust=Adjust.QFQ, anchor=SESSIONS[2])
    assert early.rows.num_rows == 3
    with pytest.raises(MissingFactors, match=f"up to {SESSIONS[-2]} only"):
        reader.ohlcv("600000.SH", end=SESSIONS[2], adjust=Adjust.QFQ)


def test_navs_and_premiums(reader: PriceReader) -> None:
    columns = ["date", "close", "unit_nav", "premium", "no_premium"]
    found = reader.ohlcv("513100.sh", SESSIONS[0], SESSIONS[4], columns)
    assert found.rows.column_names == columns
    rows = found.rows.to_pylist()
    assert [row["date"] for row in rows] == SESSIONS[:5]
    for row in rows[:4]:
        assert row["premium"] == row["close"] / row["unit_nav"] - 1
        assert row["no_premium"] is None
    assert rows[4]["close"] is not None
    assert rows[4]["unit_nav"] is rows[4]["premium"] is None
    assert rows[4]["no_premium"] == "nav not published"
    with pytest.raises(NoSuchColumn, match="instrument_history has no column unit_nav"):
        reader.ohlcv(FUND_BY_CODE, columns=columns)


def test_a_cross_section_has_every_share_of_the_day_or_every_fund(reader: PriceReader) -> None:
    section = reader.cross_section(SESSIONS[0])
    assert section.rows["code"].to_pylist() == [
        code for code in sorted([*SHARES, GONE]) if code != "688981.SH"
    ]
    for row in section.rows.to_pylist():
        [alone] = reader.ohlcv(row["code"], SESSIONS[0], SESSIONS[0]).rows.to_pylist()
        assert row == {"code": row["code"], **alone}
    funds = reader.cross_section(SESSIONS[0], ["code", "premium"], Kind.CHINA_ETF)
    assert funds.rows["code"].to_pylist() == sorted(FUNDS)
    with pytest.raises(NoSuchDay, match="2025-01-01 is no trading day"):
        reader.cross_section(dt.date(2025, 1, 1))
    with pytest.raises(NoSuchColumn):
        reader.cross_section(SESSIONS[0], ["premium"])


def test_nothing_is_stored_yet(tmp_path: Path) -> None:
    reader = PriceReader(tmp_path)
    for code in ("600000.SH", "510300.SH", "HSI"):
        with pytest.raises(NotStored):
            reader.ohlcv(code)
    with pytest.raises(NoSeries, match="Materialize"):
        reader.cross_section(SESSIONS[0])
    assert reader.instruments() == []


def test_that_days_are_not_by_code_yet_is_told(lake: Lake) -> None:
    """As after a restore, until the copies by code are made."""
    store_shares(lake, SESSIONS[:2])
    reader = PriceReader(lake.root)
    said = "is not stored by code: daily_prices has no series yet. Materialize price_series."
    with pytest.raises(NotStored, match=said):
        reader.ohlcv("600000.SH")
    for code in ("510300.SH", "HSI"):
        with pytest.raises(NotStored, match=r"is not stored\. Request"):
            reader.ohlcv(code)
    store_history(lake, "600000.SH", SESSIONS[:1])
    assert reader.ohlcv("600000.SH").source == INSTRUMENT_HISTORY


def test_every_code_of_a_query_has_rows_or_a_reason(reader: PriceReader) -> None:
    query = RangeQuery(codes=["HSI", "NDX", "sz000001"], columns=["close", "pe"])
    found = dict(reader.each(query))
    assert list(found) == query.codes
    assert isinstance(found["HSI"], NoSuchColumn)
    assert isinstance(found["NDX"], NotStored)
    assert isinstance(found["000001.SZ"], Slice)
    assert found["000001.SZ"] == reader.ohlcv("000001.SZ", columns=["close", "pe"])


@pytest.mark.parametrize("columns", [list(OHLCV), ["close", "code"], ["premium", "date"]])
def test_many_codes_have_what_each_of_them_has_alone(
    reader: PriceReader, columns: list[str]
) -> None:
    codes = [*SHARES, SHARE_BY_CODE, *FUNDS, FUND_BY_CODE, INDEX, *STORED, GONE, "NDX"]
    query = RangeQuery(codes=codes, start=SESSIONS[1], end=SESSIONS[-2], columns=columns)
    for code, together in reader.each(query):
        if isinstance(together, MarketdataError):
            with pytest.raises(type(together), match=re.escape(str(together))):
                reader.ohlcv(code, query.start, query.end, columns)
        else:
            assert together == reader.ohlcv(code, query.start, query.end, columns)


def test_instruments_are_found_by_code_and_by_name(reader: PriceReader) -> None:
    assert {one.code for one in reader.instruments()} == {*STORED, "301999.SZ"}
    [bank] = reader.instruments("浦发")
    assert bank == Listed("600000.SH", "浦发银行", Kind.A_SHARE, "daily_prices")
    assert [one.code for one in reader.instruments("6000")] == ["600000.SH", GONE]
    [gone] = reader.instruments("退市")
    assert gone.code == GONE
    [new] = reader.instruments("新股")
    assert new.stored_in is None
    assert reader.instruments("５１３１００") == [
        Listed("513100.SH", None, Kind.CHINA_ETF, "etf_premium")
    ]
    [index] = reader.instruments("hsi")
    assert index.stored_in == "instrument_history"
    assert len(reader.instruments(limit=2)) == 2


def test_the_newest_of_everything_is_served(lake: Lake) -> None:
    reader = PriceReader(lake.root)
    store_history(lake, "600000.SH", SESSIONS[:2])
    by_code = reader.ohlcv("600000.SH")
    assert (by_code.source, by_code.rows.num_rows) == (INSTRUMENT_HISTORY, 2)
    store_history(lake, "600000.SH", SESSIONS[:3])
    longer = reader.ohlcv("600000.SH")
    assert longer.available == (SESSIONS[0], SESSIONS[2])
    assert longer.generation is not None
    assert longer.generation > (by_code.generation or 0)
    store_shares(lake, SESSIONS[:4])
    refresh(lake, DAILY_PRICES)
    daily = reader.ohlcv("600000.SH")
    assert (daily.source, daily.rows.num_rows) == (DAILY_PRICES, 4)
    store_shares(lake, SESSIONS[:5], version=1)
    refresh(lake, DAILY_PRICES)
    newer = reader.ohlcv("600000.SH")
    assert newer.generation == (daily.generation or 0) + 1
    assert newer.rows.num_rows == 5
    assert newer.stored_at > daily.stored_at
    assert [one.name for one in reader.instruments("600000")] == ["浦发银行"]
    store_stock_list(lake, SESSIONS[5], {"600000.SH": "新名"})
    store_shares(lake, SESSIONS[5:6])
    refresh(lake, DAILY_PRICES)
    assert [one.name for one in reader.instruments("600000")] == ["新名"]


def test_histories_in_memory_are_bounded_and_belong_to_their_file(lake: Lake) -> None:
    codes = ["HSI", "NDX", "SPX"]
    for code in codes:
        store_history(lake, code, SESSIONS)
    bytes_of_one = history_of("HSI", SESSIONS).nbytes
    kept = Histories(lake, most_codes=10, most_bytes=int(bytes_of_one * 2.5))
    for code in codes * 2:
        assert kept.get(code) is not None
    used = kept.remembered()
    assert (used.codes, used.hits, used.misses) == (2, 0, 6)
    assert used.bytes <= bytes_of_one * 2.5
    assert kept.get("SPX") is kept.get("SPX")
    store_history(lake, "SPX", SESSIONS, version=1)
    renewed = kept.get("SPX")
    assert renewed is not None
    assert renewed.rows.equals(history_of("SPX", SESSIONS, version=1))
    lake.path(INSTRUMENT_HISTORY, "SPX").unlink()
    assert kept.get("SPX") is None
    kept.forget()
    assert kept.remembered()[2:4] == (0, 0)
    lake.path(INSTRUMENT_HISTORY, "SPX").write_bytes(b"no parquet")
    with pytest.raises(UnfitPartitions, match="SPX"):
        kept.get("SPX")


def test_a_shelf_keeps_what_it_has_open(stored: Lake, reader: PriceReader) -> None:
    assert reader.series(DAILY_PRICES) is reader.series(DAILY_PRICES)
    assert Series.open(stored.root, DAILY_PRICES).generation == reader.ohlcv(GONE).generation


def test_what_some_codes_of_many_lack_costs_the_others_nothing(reader: PriceReader) -> None:
    query = RangeQuery(
        codes=["000001.SZ", "600000.SH", "510300.SH"],
        start=SESSIONS[1],
        end=SESSIONS[-2],
        columns=["date", "unit_nav"],
    )
    found = reader.together(query)
    assert set(found.rows["code"].to_pylist()) == {"510300.SH"}
    assert {code: type(why) for code, why in found.failed.items()} == {
        "000001.SZ": NoSuchColumn,
        "600000.SH": NoSuchColumn,
    }


@pytest.mark.parametrize("as_of", [None, dt.datetime.now(dt.UTC)])
def test_a_damaged_series_costs_those_alone_that_are_in_it(
    lake: Lake, as_of: dt.datetime | None
) -> None:
    store_everything(lake)
    (lake.root / "series" / DAILY_PRICES.name / "generation.json").write_text("{}")
    moment = as_of and dt.datetime.now(dt.UTC)
    former = "830799.BJ"
    query = RangeQuery(
        codes=[former, *FUNDS, INDEX], start=SESSIONS[1], end=SESSIONS[-2], as_of=moment
    )
    reader = PriceReader(lake.root)
    found = reader.together(query)
    assert set(found.rows["code"].to_pylist()) == {*FUNDS, INDEX}
    assert [type(why) for why in found.failed.values()] == [DamagedSeries]
    shares = reader.together(query.model_copy(update={"codes": [*SHARES, INDEX], "as_of": None}))
    assert set(shares.rows["code"].to_pylist()) == {INDEX}
    assert list(shares.failed) == list(SHARES)


@pytest.mark.parametrize(("code", "is_over"), [("HSI", True), ("BTC", False)])
def test_a_week_that_ends_on_a_friday_is_over_but_for_coins(
    lake: Lake, code: str, is_over: bool
) -> None:
    friday = dt.date(2025, 1, 10)
    code = identify(code).code
    store_history(lake, code, SESSIONS)
    week = PriceReader(lake.root).ohlcv(code, end=friday, frequency=Frequency.WEEK)
    assert week.unfinished == (None if is_over else friday)
