"""Adjusted prices against an independent computation."""

import datetime as dt
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata_assets.resources.tushare_answers import typed_table
from marketdata_assets.storage.adjusting import (
    ADJUSTED_COLUMNS,
    MissingFactors,
    Relation,
    backward,
    forward,
)
from marketdata_assets.tables import ADJ_FACTOR, DAILY_KLINE, DAILY_PRICES, Table
from marketdata_assets.trading_calendar import sessions_between
from marketdata_sandbox.market.exchange import SimulatedExchange

AROUND_EX_DATES = sessions_between(dt.date(2023, 6, 19), dt.date(2023, 7, 7))
SESSIONS = sessions_between(dt.date(2024, 9, 23), dt.date(2024, 10, 18))
SATURDAY = dt.date(2024, 10, 12)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        yield connection


class Profile(NamedTuple):
    """Relations of one connection."""

    prices: Relation
    factors: Relation


def simulated(
    connection: duckdb.DuckDBPyConnection, exchange: SimulatedExchange, days: list[dt.date]
) -> Profile:
    def table(of: Table, call: Any) -> Relation:
        parts = [call(day) for day in days]
        rows = [row for part in parts for row in zip(*part.values(), strict=True)]
        return connection.from_arrow(typed_table(of, list(parts[0]), rows, {}))

    prices = table(DAILY_KLINE, exchange.daily).select(
        "ts_code AS code, trade_date AS date, open, high, low, close, pre_close AS prev_close, "
        "pct_chg AS quote_rate, vol AS volume, amount AS turnover"
    )
    return Profile(prices, table(ADJ_FACTOR, exchange.adj_factor))


@pytest.fixture(scope="module")
def ex_dates(connection: duckdb.DuckDBPyConnection, exchange: SimulatedExchange) -> Profile:
    return simulated(connection, exchange, AROUND_EX_DATES)


def in_pandas(relation: Relation, *key: str) -> Any:
    return relation.to_arrow_table().to_pandas().set_index(list(key)).sort_index()


def listed_all_along(profile: Profile) -> Relation:
    """The prices of the shares that are listed on the first day: any day can be their anchor."""
    first = [code for code, day, _ in profile.factors.fetchall() if day == AROUND_EX_DATES[0]]
    is_one = duckdb.ColumnExpression("code").isin(*map(duckdb.ConstantExpression, first))
    return profile.prices.filter(is_one)


def test_simulated_prices_are_adjusted_as_pandas_does_it(ex_dates: Profile) -> None:
    raw = in_pandas(ex_dates.prices, "code", "date")
    factors = in_pandas(ex_dates.factors, "ts_code", "trade_date")["adj_factor"]
    factor = factors.reindex(raw.index)
    last = factors.groupby(level=0).last().reindex(raw.index.get_level_values(0)).to_numpy()
    for adjusted, scale in (
        (backward(ex_dates.prices, ex_dates.factors), factor),
        (forward(ex_dates.prices, ex_dates.factors), factor / last),
    ):
        got = in_pandas(adjusted, "code", "date")
        assert list(got.columns) == list(raw.columns)
        for column in raw.columns:
            expected = raw[column] * scale if column in ADJUSTED_COLUMNS else raw[column]
            pd.testing.assert_series_equal(got[column], expected, rtol=1e-12, check_names=False)


def test_across_ex_dates_returns_are_continuous(ex_dates: Profile) -> None:
    prices = listed_all_along(ex_dates)
    raw = in_pandas(prices, "code", "date")
    true_return = raw["close"] / raw["prev_close"] - 1
    before = raw["close"].groupby(level=0).shift()
    goes_ex = before.notna() & (before != raw["prev_close"])
    assert goes_ex.sum() > 1000
    for adjusted in (
        backward(prices, ex_dates.factors),
        forward(prices, ex_dates.factors),
        forward(prices, ex_dates.factors, AROUND_EX_DATES[3]),
    ):
        close = in_pandas(adjusted, "code", "date")["close"]
        error = (close.groupby(level=0).pct_change() - true_return).abs()
        assert error[goes_ex].max() < 5e-4 * 1.5
        assert error[~goes_ex & before.notna()].max() < 1e-12
    unadjusted = (raw["close"].groupby(level=0).pct_change() - true_return).abs()
    assert unadjusted[goes_ex].max() > 0.1


def test_rows_at_the_anchor_keep_their_prices_to_the_bit(ex_dates: Profile) -> None:
    anchor = AROUND_EX_DATES[7]
    prices = listed_all_along(ex_dates)
    adjusted = in_pandas(forward(prices, ex_dates.factors, anchor), "date", "code")
    assert adjusted.loc[anchor].equals(in_pandas(prices, "date", "code").loc[anchor])


def prices_of(
    connection: duckdb.DuckDBPyConnection, rows: list[tuple[str, dt.date, float]]
) -> Relation:
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
    return connection.from_arrow(pa.Table.from_arrays(columns, names=DAILY_PRICES.column_names))


def factors_of(
    connection: duckdb.DuckDBPyConnection, rows: list[tuple[str, dt.date, float]]
) -> Relation:
    codes, days, factors = zip(*rows, strict=True) if rows else ((), (), ())
    columns = [pa.array(codes, pa.string()), pa.array(days, pa.date32()), pa.array(factors)]
    table = pa.Table.from_arrays(columns, names=ADJ_FACTOR.column_names)
    return connection.from_arrow(table.cast(ADJ_FACTOR.schema))


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


@settings(deadline=None, max_examples=30)
@given(market=markets(), number=st.integers(0, len(SESSIONS) - 1))
def test_any_prices_are_adjusted_as_exact_fractions_are(
    connection: duckdb.DuckDBPyConnection,
    market: tuple[dict[tuple[str, dt.date], int], dict[str, list[int]]],
    number: int,
) -> None:
    closes, factors = market
    prices = prices_of(connection, [(*place, tick / 100) for place, tick in closes.items()])
    known = factors_of(
        connection,
        [
            (code, day, factor / 10_000)
            for code, own in factors.items()
            for day, factor in zip(SESSIONS, own, strict=True)
        ],
    )
    last = SESSIONS.index(max(day for _, day in closes))
    for adjusted, anchor in (
        (backward(prices, known), None),
        (forward(prices, known, SESSIONS[number]), number),
        (forward(prices, known), last),
    ):
        rows = adjusted.to_arrow_table().to_pylist()
        assert adjusted.columns == DAILY_PRICES.column_names
        assert {(row["code"], row["date"]) for row in rows} == set(closes)
        assert len(rows) == len(closes)
        for row in rows:
            own = factors[row["code"]]
            base = 10_000 if anchor is None else own[anchor]
            tick = Fraction(closes[row["code"], row["date"]], 100)
            exact = tick * own[SESSIONS.index(row["date"])] / base
            assert row["close"] == pytest.approx(float(exact), rel=1e-14)
        untouched = "code, date, volume, high_limit"
        assert sorted(adjusted.select(untouched).fetchall()) == sorted(
            prices.select(untouched).fetchall()
        )


def flat(*codes: str, factor: float = 2.0) -> list[tuple[str, dt.date, float]]:
    return [(code, day, factor) for code in codes for day in SESSIONS]


@pytest.mark.parametrize("factor", [None, 0.0], ids=["absent", "zero"])
@pytest.mark.parametrize("adjust", [backward, forward])
def test_a_price_without_a_factor_is_named_and_never_filled(
    connection: duckdb.DuckDBPyConnection, adjust: Any, factor: float | None
) -> None:
    prices = prices_of(connection, flat("a", "b"))
    rows = [row for row in flat("a", "b") if row[:2] != ("b", SESSIONS[4])]
    if factor is not None:
        rows.append(("b", SESSIONS[4], factor))
    with pytest.raises(MissingFactors, match=f"for 1 of the prices: b {SESSIONS[4]}"):
        adjust(prices, factors_of(connection, rows))


def test_an_anchor_that_does_not_trade_is_the_session_before(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    rows = [("a", day, 1.0 + n) for n, day in enumerate(SESSIONS)]
    prices, factors = prices_of(connection, flat("a")), factors_of(connection, rows)
    on_saturday = forward(prices, factors, SATURDAY).order("date").fetchall()
    on_friday = forward(prices, factors, SATURDAY - dt.timedelta(1)).order("date").fetchall()
    assert on_saturday == on_friday != forward(prices, factors).order("date").fetchall()


def test_a_share_that_is_gone_at_the_anchor_takes_its_last_factor(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    gone = [("gone", SESSIONS[0], 2.0), ("gone", SESSIONS[1], 4.0)]
    prices = prices_of(connection, [*flat("a"), *gone])
    adjusted = forward(prices, factors_of(connection, [*flat("a"), *gone]), SESSIONS[-1])
    closes = adjusted.filter("code = 'gone'").order("date").select("close").fetchall()
    assert closes == [(2.0 * 2 / 4,), (4.0,)]


def test_an_anchor_before_a_share_was_listed_or_after_the_factors_end_is_refused(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    new = flat("new")[5:]
    prices = prices_of(connection, [*flat("a"), *new])
    factors = factors_of(connection, [*flat("a"), *new])
    with pytest.raises(MissingFactors, match=f"on or before the anchor {SESSIONS[2]} .*: new"):
        forward(prices, factors, SESSIONS[2])
    later = SESSIONS[-1] + dt.timedelta(7)
    with pytest.raises(MissingFactors, match=f"up to {SESSIONS[-1]} only, .* {later}"):
        forward(prices, factors, later)


def test_no_prices_are_no_adjusted_prices(connection: duckdb.DuckDBPyConnection) -> None:
    nothing, factors = prices_of(connection, []), factors_of(connection, flat("a"))
    for adjusted in (backward(nothing, factors), forward(nothing, factors)):
        assert adjusted.columns == DAILY_PRICES.column_names
        assert adjusted.fetchall() == []
