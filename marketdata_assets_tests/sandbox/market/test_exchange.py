"""The tables of the simulated exchange: what the vendor would print for a day.

Here belong the laws every day must obey and the determinism of the whole. The rules behind the
limits are tested in `test_price_path`, the population in `test_listings`.
"""

import datetime as dt
import json
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from marketdata_assets import trading_calendar
from marketdata_sandbox.market.exchange import SimulatedExchange

LATEST = trading_calendar.last_published_session()
DAYS = [
    dt.date(2005, 1, 4),
    dt.date(2006, 12, 29),
    dt.date(2009, 10, 30),
    dt.date(2013, 6, 24),
    dt.date(2015, 7, 9),
    dt.date(2018, 7, 19),
    dt.date(2018, 7, 20),
    dt.date(2019, 7, 22),
    dt.date(2020, 8, 24),
    dt.date(2021, 11, 15),
    dt.date(2023, 4, 10),
    dt.date(2024, 6, 20),
    dt.date(2025, 4, 3),
    dt.date(2026, 7, 6),
    LATEST,
]
every_day = pytest.mark.parametrize("day", DAYS, ids=str)
SENTINELS = {"SH": (99999.999, 0.01), "SZ": (999999.999, 0.01), "BJ": (99999.99, 0.0)}


def _frame(table: dict[str, list[Any]]) -> pd.DataFrame:
    return pd.DataFrame(table).set_index("ts_code", drop=False)


def _is_printed_with(values: pd.Series, decimals: int) -> bool:
    """Whether every value is the float nearest to a decimal of that many places."""
    return bool((values.dropna() == values.dropna().round(decimals)).all())


@every_day
def test_the_tables_are_plain_and_equally_long(exchange: SimulatedExchange, day: dt.date) -> None:
    for table in (
        exchange.stock_basic(day),
        exchange.daily(day),
        exchange.stk_limit(day),
        exchange.daily_basic(day),
    ):
        assert len({len(values) for values in table.values()}) == 1
        json.dumps(table, allow_nan=False)
        assert len(set(table["ts_code"])) == len(table["ts_code"])
        for values in table.values():
            assert {type(value) for value in values} <= {float, str, int, type(None)}


@every_day
def test_bars_obey_their_laws(exchange: SimulatedExchange, day: dt.date) -> None:
    bars = _frame(exchange.daily(day))
    limits = _frame(exchange.stk_limit(day)).loc[bars.index]
    assert set(bars["trade_date"]) == {f"{day:%Y%m%d}"}
    assert (bars["low"] <= bars[["open", "close"]].min(axis=1)).all()
    assert (bars["high"] >= bars[["open", "close"]].max(axis=1)).all()
    assert (bars["low"] >= limits["down_limit"]).all()
    assert (bars["high"] <= limits["up_limit"]).all()
    assert (bars["pre_close"] == limits["pre_close"]).all()
    assert (bars["change"] == (bars["close"] - bars["pre_close"]).round(2)).all()
    average = bars["amount"] * 10 / bars["vol"]
    assert ((average >= bars["low"]) & (average <= bars["high"])).all()
    for column in ("open", "high", "low", "close", "pre_close", "change", "vol"):
        assert _is_printed_with(bars[column], 2)
    assert _is_printed_with(bars["amount"], 3)


@every_day
def test_pct_chg_is_rounded_half_up_on_the_exact_ratio(
    exchange: SimulatedExchange, day: dt.date
) -> None:
    bars = exchange.daily(day)
    step = Decimal("0.0001") if day >= dt.date(2018, 7, 20) else Decimal("0.01")
    columns = (bars["close"], bars["pre_close"], bars["pct_chg"])
    for close, pre_close, printed in zip(*columns, strict=True):
        before = Decimal(str(pre_close))
        exact = (Decimal(str(close)) - before) * 100 / before
        assert Decimal(str(printed)) == exact.quantize(step, ROUND_HALF_UP)


@every_day
def test_bars_are_those_of_the_listed_stocks_that_were_not_halted(
    exchange: SimulatedExchange, day: dt.date
) -> None:
    stocks = _frame(exchange.stock_basic(day))
    listed = set(stocks.index[stocks["list_status"] != "D"])
    paused = set(stocks.index[stocks["list_status"] == "P"])
    traded = set(exchange.daily(day)["ts_code"])
    assert traded <= listed - paused
    halted_part = 1 - len(traded) / len(listed)
    assert 0 < halted_part < (0.6 if day.year == 2015 else 0.06)
    if day.year >= 2018:
        assert halted_part < 0.008
    assert listed <= set(exchange.stk_limit(day)["ts_code"])


@every_day
def test_a_day_continues_the_day_before(exchange: SimulatedExchange, day: dt.date) -> None:
    if day == DAYS[0]:
        pytest.skip("nothing comes before the first session")
    bars = _frame(exchange.daily(day))
    earlier = _frame(exchange.daily(trading_calendar.previous_session(day)))
    both = bars.index.intersection(earlier.index)
    same = bars.loc[both, "pre_close"] == earlier.loc[both, "close"]
    assert same.mean() > 0.95
    # Where they differ, the price went ex: a dividend or bonus shares lower it.
    differing = both[~same.to_numpy()]
    assert (bars.loc[differing, "pre_close"] < earlier.loc[differing, "close"]).all()


@every_day
def test_basics_follow_from_the_bars(exchange: SimulatedExchange, day: dt.date) -> None:
    bars, basics = _frame(exchange.daily(day)), _frame(exchange.daily_basic(day))
    has_bse = day >= dt.date(2024, 1, 1)
    expected = [code for code in bars.index if has_bse or not code.endswith(".BJ")]
    assert list(basics.index) == expected
    bars = bars.loc[expected]
    assert (basics["close"] == bars["close"]).all()
    assert (basics["free_share"] <= basics["float_share"]).all()
    assert (basics["float_share"] <= basics["total_share"]).all()
    for rate, shares in (("turnover_rate", "float_share"), ("turnover_rate_f", "free_share")):
        assert np.allclose(basics[rate], bars["vol"] / basics[shares], rtol=0, atol=6e-5)
    for value, shares in (("total_mv", "total_share"), ("circ_mv", "float_share")):
        assert np.allclose(basics[value], basics["close"] * basics[shares], rtol=1e-12, atol=6e-5)
    assert _is_printed_with(basics["volume_ratio"].astype(float), 2)
    for column in basics.columns.drop(["ts_code", "trade_date", "close", "volume_ratio"]):
        assert _is_printed_with(basics[column].astype(float), 4)


def test_the_gaps_in_the_basics_are_as_frequent_as_in_reality(exchange: SimulatedExchange) -> None:
    missing = _frame(exchange.daily_basic(dt.date(2025, 4, 3))).isna().mean()
    expected = {"pe": 0.203, "pe_ttm": 0.258, "dv_ratio": 0.166, "dv_ttm": 0.38, "pb": 0.006}
    for column, part in expected.items():
        assert missing[column] == pytest.approx(part, rel=0.3)
    assert missing["volume_ratio"] < 0.003
    assert missing["ps"] < 0.002


def test_volume_ratio_is_missing_on_the_first_session_of_a_listing(
    exchange: SimulatedExchange,
) -> None:
    day = dt.date(2019, 7, 22)
    basics = _frame(exchange.daily_basic(day))
    first_day = basics["volume_ratio"][basics.index.str.startswith("688")]
    assert len(first_day) >= 20
    assert first_day.isna().all()


@pytest.mark.parametrize(
    ("day", "least", "most"),
    [(dt.date(2025, 4, 3), 6950, 7200), (dt.date(2026, 8, 10), 7550, 7850)],
)
def test_the_table_of_limits_is_as_long_as_in_reality(
    exchange: SimulatedExchange, day: dt.date, least: int, most: int
) -> None:
    assert least <= len(exchange.stk_limit(day)["ts_code"]) <= most


@every_day
def test_limits_bracket_the_last_close_and_mark_days_without_limit(
    exchange: SimulatedExchange, day: dt.date
) -> None:
    limits = _frame(exchange.stk_limit(day))
    is_unlimited = limits["up_limit"] > 90_000
    ordinary = limits[~is_unlimited]
    assert (ordinary["down_limit"] < ordinary["pre_close"]).all()
    assert (ordinary["pre_close"] < ordinary["up_limit"]).all()
    for code, row in limits[is_unlimited].iterrows():
        assert (row["up_limit"], row["down_limit"]) == SENTINELS[str(code)[-2:]]
    has_three_decimals = limits.index.str.match(r"1[568]\d{4}[.]|5|900")
    for column in ("pre_close", "up_limit", "down_limit"):
        assert _is_printed_with(ordinary[column], 3)
        assert _is_printed_with(limits[column][~has_three_decimals & ~is_unlimited], 2)
    wide = ordinary[ordinary.index.str.match("1599|588")]
    if day >= dt.date(2020, 8, 24):
        ratio = wide["up_limit"] / wide["pre_close"]
        assert ratio.between(1.19, 1.21).all()


def test_first_days_without_limit(exchange: SimulatedExchange) -> None:
    opening_day = _frame(exchange.stk_limit(dt.date(2019, 7, 22)))
    star = opening_day.index[opening_day.index.str.startswith("688")]
    fifth_day = _frame(exchange.stk_limit(dt.date(2019, 7, 26))).loc[star]
    assert (fifth_day["up_limit"] == 99999.999).all()
    sixth_day = _frame(exchange.stk_limit(dt.date(2019, 7, 29))).loc[star]
    assert (sixth_day["up_limit"] < 90_000).all()


@pytest.mark.parametrize("prefix", ["000", "600", "200", "900", "15", "16", "50", "51"])
def test_every_kind_of_instrument_has_limits(exchange: SimulatedExchange, prefix: str) -> None:
    codes = exchange.stk_limit(dt.date(2026, 8, 10))["ts_code"]
    chosen = [code for code in codes if code.startswith(prefix)]
    assert chosen
    if prefix == "900":
        assert all(code.endswith(".BJ") for code in chosen)


@pytest.mark.parametrize(
    "day", [dt.date(2004, 12, 31), dt.date(2025, 4, 4), dt.date(2025, 4, 5), dt.date(1990, 12, 19)]
)
def test_a_day_that_is_no_session_is_refused(exchange: SimulatedExchange, day: dt.date) -> None:
    for question in (
        exchange.daily,
        exchange.stk_limit,
        exchange.daily_basic,
        exchange.adj_factor,
        exchange.suspend_d,
    ):
        with pytest.raises(ValueError, match="not a session"):
            question(day)


def test_answers_depend_neither_on_the_order_nor_on_the_object(
    exchange: SimulatedExchange,
) -> None:
    fresh = SimulatedExchange()
    for day in (LATEST, dt.date(2020, 8, 24), dt.date(2005, 1, 4)):
        assert fresh.daily_basic(day) == exchange.daily_basic(day)
        assert fresh.stk_limit(day) == exchange.stk_limit(day)
        assert fresh.daily(day) == exchange.daily(day)
        assert fresh.stock_basic(day) == exchange.stock_basic(day)


def test_another_seed_gives_another_market(exchange: SimulatedExchange) -> None:
    other = SimulatedExchange(seed=1).daily(dt.date(2005, 1, 4))
    assert other["close"] != exchange.daily(dt.date(2005, 1, 4))["close"]
