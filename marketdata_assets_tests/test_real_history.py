"""What the recorded years become: the vendor's units, names of the day, factors, limits, halts."""

import datetime as dt
import functools
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from marketdata_assets.checks.days import CHECKED_TOGETHER
from marketdata_assets.checks.excuses import NONE
from marketdata_assets_tests.checks.judging import before, check_days
from marketdata_assets_tests.checks.market_day import LATER
from marketdata_assets_tests.real_history import SPANS, Tables, chunks, days, needs_real_history

pytestmark = needs_real_history

# A few sessions of every span.
STRETCHES = {
    "2005": ("2005-01-20", "2005-01-21"),
    "2006": ("2006-05-12", "2006-05-16"),
    "2015H1": ("2015-02-16", "2015-02-17"),
    "2018H2": ("2018-08-23", "2018-08-24"),
    "2022H2": ("2022-08-02", "2022-08-03"),
}


@functools.cache
def stretch(span: str, first: str, last: str) -> dict[dt.date, Tables]:
    return dict(days(span, dt.date.fromisoformat(first), dt.date.fromisoformat(last)))


def tables_of(span: str, day: str) -> Tables:
    return stretch(span, day, day)[dt.date.fromisoformat(day)]


def row(tables: Tables, table: str, code: str) -> Any:
    """The row of a share, or None."""
    found = tables[table].filter(pc.equal(tables[table]["ts_code"], code)).to_pylist()
    assert len(found) <= 1
    return found[0] if found else None


def limits(tables: Tables, code: str) -> tuple[float, float] | None:
    found = row(tables, "price_limits", code)
    return found and (found["up_limit"], found["down_limit"])


@pytest.mark.parametrize("span", SPANS)
def test_every_day_has_every_table_as_it_is_declared(span: str) -> None:
    made = stretch(span, *STRETCHES[span])
    assert [str(day) for day in (min(made), max(made))] == list(STRETCHES[span])
    for day, tables in made.items():
        assert list(tables) == [table.name for table in CHECKED_TOGETHER]
        for table in CHECKED_TOGETHER:
            data = tables[table.name]
            assert data.schema.equals(table.schema)
            assert table.repeated_keys(data) == []
            assert set(pc.unique(data["trade_date"]).to_pylist()) <= {day}
            assert not any(
                data[column.name].null_count for column in table.columns if not column.nullable
            )


@pytest.mark.parametrize("span", SPANS)
def test_nothing_speaks_against_a_few_real_days(span: str) -> None:
    found = check_days(stretch(span, *STRETCHES[span]), before([]), LATER, NONE)
    assert [one.in_words() for one in found if one.fails] == []


def test_chunks_are_of_so_many_sessions_and_a_day_is_the_same_in_each() -> None:
    span, (first, last) = "2006", map(dt.date.fromisoformat, ("2006-05-08", "2006-05-12"))
    sizes = [len(chunk) for chunk in chunks(span, first, last, sessions=2)]
    assert sizes == [2, 2, 1]
    whole, halves = dict(days(span, first, last)), dict(days(span, last, last))
    assert whole[last] == halves[last]


def test_bars_are_in_the_vendors_units() -> None:
    assert row(tables_of("2005", "2005-01-05"), "daily_kline", "000001.SZ") == {
        "ts_code": "000001.SZ",
        "trade_date": dt.date(2005, 1, 5),
        "open": 6.52,
        "high": 6.55,
        "low": 6.35,
        "close": 6.46,
        "pre_close": 6.52,
        "change": -0.06,
        "pct_chg": -0.92,
        "vol": 32221.44,
        "amount": 20718.559,
    }


@pytest.mark.parametrize(
    ("span", "day", "code", "pct_chg"),
    [
        # 0.544959 %: once it would be 0.54.
        ("2005", "2005-09-28", "000007.SZ", 0.55),
        ("2018H2", "2018-07-19", "000001.SZ", 0.34),
        ("2018H2", "2018-07-20", "000001.SZ", 4.3528),
        ("2022H2", "2022-08-01", "000001.SZ", -2.0505),
    ],
)
def test_pct_chg_is_rounded_as_it_was(span: str, day: str, code: str, pct_chg: float) -> None:
    bar = row(tables_of(span, day), "daily_kline", code)
    assert bar["pct_chg"] == pct_chg


def test_factors_follow_ex_dates_and_are_held_while_a_share_is_halted() -> None:
    made = stretch("2018H2", "2018-07-17", "2018-07-18")
    cum, ex = (row(tables, "adj_factor", "601186.SH") for tables in made.values())
    bar = row(list(made.values())[1], "daily_kline", "601186.SH")
    assert ex["adj_factor"] / cum["adj_factor"] == pytest.approx(8.48 / bar["pre_close"], rel=5e-4)

    halted = [
        (row(tables, "adj_factor", "600388.SH"), row(tables, "suspensions", "600388.SH"))
        for tables in stretch("2006", "2006-05-11", "2006-05-15").values()
    ]
    (_, first), (factor, second), (jumped, traded) = halted
    assert [one and one["suspend_type"] for one in (first, second, traded)] == ["S", "S", None]
    assert second["suspend_timing"] is None
    assert jumped["adj_factor"] / factor["adj_factor"] == pytest.approx(1.28, abs=1e-4)


def test_names_are_those_of_the_day_where_they_are_known() -> None:
    day = dt.date(2005, 1, 21)
    tables = tables_of("2005", str(day))
    listed = row(tables, "stock_list", "600855.SH")
    assert (listed["name"], listed["names_as_of"]) == ("N 航  天", day)
    assert row(tables, "stock_list", "600018.SH") is None
    assert row(tables, "daily_kline", "600018.SH") is not None
    assert row(tables, "adj_factor", "600018.SH") is None

    later = row(tables_of("2022H2", "2022-08-02"), "stock_list", "688766.SH")
    assert (later["names_as_of"], later["market"]) == (dt.date(2023, 3, 16), "科创板")


def test_there_are_no_limits_before_2007() -> None:
    assert tables_of("2006", "2006-12-29")["price_limits"].num_rows == 0


@pytest.mark.parametrize(
    ("span", "day", "code", "expected"),
    [
        ("2018H2", "2018-07-20", "000001.SZ", (9.6, 7.86)),
        # A reform that is not agreed on, by the name of the day.
        ("2015H1", "2015-01-05", "600182.SH", (17.79, 16.09)),
        ("2018H2", "2018-08-24", "000629.SZ", (999999.999, 0.01)),
        # Marked today, not yet on that day; and still marked a while after.
        ("2022H2", "2022-08-02", "002742.SZ", (6.9, 5.64)),
        ("2022H2", "2022-12-30", "002742.SZ", (4.87, 4.41)),
        # The fourth session of ChiNext's new rule.
        ("2022H2", "2022-08-03", "301269.SZ", (999999.999, 0.01)),
        ("2022H2", "2022-08-02", "430047.BJ", None),
    ],
)
def test_limits_are_those_of_the_rules(
    span: str, day: str, code: str, expected: tuple[float, float] | None
) -> None:
    assert limits(tables_of(span, day), code) == expected


def test_a_listing_before_the_reform_is_capped_and_a_halted_share_has_limits_too() -> None:
    tables = tables_of("2015H1", "2015-02-17")
    new = tables["stock_list"].filter(
        pc.equal(tables["stock_list"]["list_date"], pa.scalar(dt.date(2015, 2, 17)))
    )
    assert new.num_rows == 14
    for code in new["ts_code"].to_pylist():
        bar, found = row(tables, "daily_kline", code), limits(tables, code)
        assert found[0] == pytest.approx(bar["pre_close"] * 1.44, abs=0.005 + 1e-9)
        assert bar["high"] <= found[0]
    halted = set(tables["suspensions"]["ts_code"].to_pylist())
    assert halted & set(tables["price_limits"]["ts_code"].to_pylist())


def test_a_listed_share_without_a_bar_is_halted_where_halts_are_not_known() -> None:
    tables = tables_of("2022H2", "2022-08-01")
    codes = {name: set(tables[name]["ts_code"].to_pylist()) for name in tables}
    assert codes["suspensions"] == codes["stock_list"] - codes["daily_kline"]
    assert len(codes["suspensions"]) == 311
