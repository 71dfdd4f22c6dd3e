"""Adjusted prices against an independent computation."""

import datetime as dt
import itertools
from fractions import Fraction
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets.resources.tushare_answers import typed_table
from marketdata_assets.serving.adjusting import (
    Factors,
    MissingFactors,
    adjusted,
)
from marketdata_assets.tables import ADJ_FACTOR, DAILY_KLINE, DAILY_PRICES, Table
from marketdata_assets.tables.daily_prices import ADJUSTED_COLUMNS
from marketdata_assets.trading_calendar import (
    CalendarExhausted,
    last_published_session,
    sessions_between,
)
from marketdata_sandbox.market.exchange import SimulatedExchange

AROUND_EX_DATES = sessions_between(dt.date(2023, 6, 19), dt.date(2023, 7, 7))
SESSIONS = sessions_between(dt.date(2024, 9, 23), dt.date(2024, 10, 18))
SATURDAY = dt.date(2024, 10, 12)


class Market:
    """The prices and the factors of some shares and days, each share's by date."""

    def __init__(self, prices: pa.Table, factors: pa.Table) -> None:
        self.prices, self.factors = prices, factors
        self._no_prices = prices.slice(0, 0)
        self._own = by_code(prices, "code", "date")
        self._factors = by_code(factors, "ts_code", "trade_date")
        self._until = pc.max(factors["trade_date"]).as_py()

    def adjusted(self, code: str, anchor: dt.date | None) -> pa.Table:
        """The prices of one code, by date, as they are asked for."""
        own = self._own.get(code, self._no_prices)
        return adjusted(code, own, Factors(self._factors[code], self._until), anchor)

    def all_adjusted(self, anchor: dt.date | None) -> pa.Table:
        return pa.concat_tables(self.adjusted(code, anchor) for code in self._own)


def by_code(table: pa.Table, code: str, date: str) -> dict[str, pa.Table]:
    """The rows of each code, by date."""
    ordered = table.sort_by([(code, "ascending"), (date, "ascending")]).combine_chunks()
    counted = pc.value_counts(ordered[code]).to_pylist()
    ends = itertools.accumulate(one["counts"] for one in counted)
    return {
        one["values"]: ordered.slice(end - one["counts"], one["counts"])
        for one, end in zip(counted, ends, strict=True)
    }


@pytest.fixture(scope="module")
def ex_dates(exchange: SimulatedExchange) -> Market:
    def table(of: Table, call: Any) -> pa.Table:
        parts = [call(day) for day in AROUND_EX_DATES]
        rows = [row for part in parts for row in zip(*part.values(), strict=True)]
        return typed_table(of, list(parts[0]), rows, {})

    names = {"ts_code": "code", "trade_date": "date", "pre_close": "prev_close"}
    prices = table(DAILY_KLINE, exchange.daily)
    prices = prices.rename_columns([names.get(name, name) for name in prices.column_names])
    factors = table(ADJ_FACTOR, exchange.adj_factor)
    # Those listed on the first day, of which any day can be the anchor.
    first = factors.filter(pc.equal(factors["trade_date"], AROUND_EX_DATES[0]))["ts_code"]
    return Market(prices.filter(pc.is_in(prices["code"], first)), factors)


def in_pandas(table: pa.Table, *key: str) -> pd.DataFrame:
    return table.to_pandas().set_index(list(key)).sort_index()


def test_simulated_prices_are_adjusted_as_pandas_does_it(ex_dates: Market) -> None:
    raw = in_pandas(ex_dates.prices, "code", "date")
    factors = in_pandas(ex_dates.factors, "ts_code", "trade_date")["adj_factor"]
    factor = factors.reindex(raw.index)
    last = factors.groupby(level=0).last().reindex(raw.index.get_level_values(0)).to_numpy()
    for anchor, scale in ((None, factor), (AROUND_EX_DATES[-1], factor / last)):
        got = in_pandas(ex_dates.all_adjusted(anchor), "code", "date")
        assert list(got.columns) == list(raw.columns)
        for column in raw.columns:
            expected = raw[column] * scale if column in ADJUSTED_COLUMNS else raw[column]
            pd.testing.assert_series_equal(got[column], expected, rtol=1e-12, check_names=False)


def test_across_ex_dates_returns_are_continuous(ex_dates: Market) -> None:
    raw = in_pandas(ex_dates.prices, "code", "date")
    true_return = raw["close"] / raw["prev_close"] - 1
    before = raw["close"].groupby(level=0).shift()
    goes_ex = before.notna() & (before != raw["prev_close"])
    assert goes_ex.sum() > 1000
    for anchor in (None, AROUND_EX_DATES[-1], AROUND_EX_DATES[3]):
        close = in_pandas(ex_dates.all_adjusted(anchor), "code", "date")["close"]
        error = (close.groupby(level=0).pct_change() - true_return).abs()
        assert error[goes_ex].max() < 5e-4 * 1.5
        assert error[~goes_ex & before.notna()].max() < 1e-12
    unadjusted = (raw["close"].groupby(level=0).pct_change() - true_return).abs()
    assert unadjusted[goes_ex].max() > 0.1


def test_rows_at_the_anchor_keep_their_prices_to_the_bit(ex_dates: Market) -> None:
    anchor = AROUND_EX_DATES[7]
    got = in_pandas(ex_dates.all_adjusted(anchor), "date", "code")
    prices = in_pandas(ex_dates.prices, "date", "code")
    assert got.loc[[anchor]].equals(prices.loc[[anchor]])


def prices_of(rows: list[tuple[str, dt.date, float]]) -> pa.Table:
    """Prices of one share and day a row, all columns of the published dataset, others NULL."""
    filled = {
        **{name: [float(close) for _, _, close in rows] for name in ADJUSTED_COLUMNS},
        "code": [code for code, _, _ in rows],
        "date": [day for _, day, _ in rows],
        "volume": [float(number) for number, _ in enumerate(rows)],
        "high_limit": [close * 1.1 for _, _, close in rows],
    }
    columns = [
        pa.array(filled.get(field.name, [None] * len(rows)), field.type)
        for field in DAILY_PRICES.schema
    ]
    return pa.Table.from_arrays(columns, names=DAILY_PRICES.column_names)


def factors_of(rows: list[tuple[str, dt.date, float]]) -> pa.Table:
    codes, days, factors = zip(*rows, strict=True) if rows else ((), (), ())
    columns = [pa.array(codes, pa.string()), pa.array(days, pa.date32()), pa.array(factors)]
    return pa.Table.from_arrays(columns, names=ADJ_FACTOR.column_names).cast(ADJ_FACTOR.schema)


ticks = st.integers(1, 10**6)
ten_thousandths = st.integers(10_000, 2_000_000)


@st.composite
def markets(draw: st.DrawFn) -> tuple[dict[tuple[str, dt.date], int], dict[str, list[int]]]:
    """Closes in 0.01 yuan on some of the sessions; a factor in 0.0001 on each."""
    codes = draw(st.lists(st.sampled_from("abcde"), min_size=1, max_size=4, unique=True))
    places = st.tuples(st.sampled_from(codes), st.sampled_from(SESSIONS))
    closes = draw(st.dictionaries(places, ticks, min_size=1, max_size=20))
    whole = st.lists(ten_thousandths, min_size=len(SESSIONS), max_size=len(SESSIONS))
    return closes, {code: draw(whole) for code in codes}


@given(market=markets(), number=st.integers(0, len(SESSIONS) - 1))
def test_any_prices_are_adjusted_as_exact_fractions_are(
    market: tuple[dict[tuple[str, dt.date], int], dict[str, list[int]]], number: int
) -> None:
    closes, factors = market
    prices = prices_of([(*place, tick / 100) for place, tick in closes.items()])
    known = factors_of(
        [
            (code, day, factor / 10_000)
            for code, own in factors.items()
            for day, factor in zip(SESSIONS, own, strict=True)
        ]
    )
    for anchor in (None, number, len(SESSIONS) - 1):
        asked = None if anchor is None else SESSIONS[anchor]
        found = Market(prices, known).all_adjusted(asked)
        assert found.column_names == DAILY_PRICES.column_names
        rows = found.to_pylist()
        assert {(row["code"], row["date"]) for row in rows} == set(closes)
        assert len(rows) == len(closes)
        for row in rows:
            own = factors[row["code"]]
            base = 10_000 if anchor is None else own[anchor]
            tick = Fraction(closes[row["code"], row["date"]], 100)
            exact = tick * own[SESSIONS.index(row["date"])] / base
            assert row["close"] == pytest.approx(float(exact), rel=1e-14)
        order, untouched = [("code", "ascending"), ("date", "ascending")], ["volume", "high_limit"]
        assert (
            found.sort_by(order).select(untouched).equals(prices.sort_by(order).select(untouched))
        )


def flat(*codes: str, factor: float = 2.0) -> list[tuple[str, dt.date, float]]:
    return [(code, day, factor) for code in codes for day in SESSIONS]


@pytest.mark.parametrize("factor", [None, 0.0], ids=["absent", "zero"])
@pytest.mark.parametrize("anchor", [None, SESSIONS[-1]], ids=["backward", "forward"])
def test_a_price_without_a_factor_is_named_and_never_filled(
    anchor: dt.date | None, factor: float | None
) -> None:
    rows = [row for row in flat("a", "b") if row[:2] != ("b", SESSIONS[4])]
    if factor is not None:
        rows.append(("b", SESSIONS[4], factor))
    market = Market(prices_of(flat("a", "b")), factors_of(rows))
    with pytest.raises(MissingFactors, match=f"for 1 of the prices: b {SESSIONS[4]}") as refused:
        market.adjusted("b", anchor)
    # The vendor may have none for ever, as of 600018.SH before its listing.
    assert str(refused.value).endswith("ask for other days, or with adjust=none.")
    assert market.adjusted("a", anchor).num_rows == len(SESSIONS)


def test_an_anchor_that_does_not_trade_is_the_session_before() -> None:
    rows = [("a", day, 1.0 + n) for n, day in enumerate(SESSIONS)]
    market = Market(prices_of(flat("a")), factors_of(rows))
    on_saturday = market.adjusted("a", SATURDAY)
    assert on_saturday.equals(market.adjusted("a", SATURDAY - dt.timedelta(1)))
    assert not on_saturday.equals(market.adjusted("a", SESSIONS[-1]))


def test_a_share_that_is_gone_at_the_anchor_takes_its_last_factor() -> None:
    gone = [("gone", SESSIONS[0], 2.0), ("gone", SESSIONS[1], 4.0)]
    market = Market(prices_of([*flat("a"), *gone]), factors_of([*flat("a"), *gone]))
    closes = market.adjusted("gone", SESSIONS[-1])["close"].to_pylist()
    assert closes == [2.0 * 2 / 4, 4.0]


def test_an_anchor_before_a_share_was_listed_or_after_the_factors_end_is_refused() -> None:
    new = flat("new")[5:]
    market = Market(prices_of([*flat("a"), *new]), factors_of([*flat("a"), *new]))
    with pytest.raises(MissingFactors, match=f"of new on or before the anchor {SESSIONS[2]}"):
        market.adjusted("new", SESSIONS[2])
    later = SESSIONS[-1] + dt.timedelta(7)
    with pytest.raises(MissingFactors, match=f"up to {SESSIONS[-1]} only, .* {later}"):
        market.adjusted("a", later)


def test_no_prices_are_no_adjusted_prices() -> None:
    market = Market(prices_of([]), factors_of(flat("a")))
    found = market.adjusted("a", None)
    assert found.column_names == DAILY_PRICES.column_names
    assert found.num_rows == 0


def test_the_last_session_that_is_published_can_be_the_anchor() -> None:
    last = last_published_session()
    rows = pa.table({"date": [last - dt.timedelta(1), last], "close": [8.0, 4.0]})
    days = rows["date"].cast(pa.date32())
    factors = pa.table({"trade_date": days, "adj_factor": [1.0, 2.0]})
    found = adjusted("600000.SH", rows.set_column(0, "date", days), Factors(factors, last), last)
    assert found["close"].to_pylist() == [4.0, 4.0]


def test_a_day_that_is_stored_beyond_the_published_calendar_can_be_the_anchor() -> None:
    # Stored by a host whose package is newer.
    beyond = dt.date(last_published_session().year + 1, 1, 5)
    days = pa.array([beyond - dt.timedelta(1), beyond])
    rows = pa.table({"date": days, "close": [8.0, 4.0]})
    factors = Factors(pa.table({"trade_date": days, "adj_factor": [1.0, 2.0]}), beyond)
    assert adjusted("600000.SH", rows, factors, beyond)["close"].to_pylist() == [4.0, 4.0]
    with pytest.raises(CalendarExhausted):
        adjusted("600000.SH", rows, factors, beyond + dt.timedelta(1))
