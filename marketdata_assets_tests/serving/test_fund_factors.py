"""Funds through splits, dividends and sessions without a bar, as their bars tell them."""

import csv
import datetime as dt
import itertools
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets import trading_calendar
from marketdata_assets.serving.adjusting import MissingFactors, NotAdjustable, fund_factors
from marketdata_assets.serving.exports import write_export
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.serving.queries import Adjust, ExportQuery
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import refresh
from marketdata_assets.tables import ETF_PREMIUM
from marketdata_assets.trading_calendar import FIRST_SESSION, CalendarExhausted, sessions_between
from marketdata_assets_tests.replay import REAL_DATA, needs_real_data
from marketdata_assets_tests.serving.stored import filled

CODE = "510210.SH"
SESSIONS = sessions_between(dt.date(2021, 1, 18), dt.date(2021, 2, 5))
FIRST, LAST = dt.date.min, dt.date.max
Bar = tuple[dt.date, float | None, float | None]


def bars_of(rows: Iterable[Bar]) -> pa.Table:
    """`trade_date`, `close` and `pre_close` of one fund."""
    days, closes, before = zip(*rows, strict=True)
    numbers = (pa.array(one, pa.float64()) for one in (closes, before))
    return pa.table([pa.array(days, pa.date32()), *numbers], ["trade_date", "close", "pre_close"])


def factors(rows: Sequence[Bar], since: dt.date = FIRST, until: dt.date = LAST) -> list[float]:
    found: list[float] = fund_factors(CODE, bars_of(rows), since, until)["adj_factor"].to_pylist()
    return found


# A fifth of the price after the fifth session, a dividend of 0.02 after the ninth.
THROUGH_A_SPLIT: list[Bar] = [
    *((day, 5.0, 5.0) for day in SESSIONS[:5]),
    (SESSIONS[5], 1.02, 1.0),
    *((day, 1.02, 1.02) for day in SESSIONS[6:9]),
    (SESSIONS[9], 1.01, 1.0),
    *((day, 1.01, 1.01) for day in SESSIONS[10:]),
]


@st.composite
def histories(draw: st.DrawFn) -> list[Bar]:
    """Bars in ticks of 0.001 yuan, all sessions there, some of them after a split or dividend."""
    close = draw(st.integers(500, 50_000))
    rows: list[Bar] = []
    for day in SESSIONS:
        parts = draw(st.sampled_from([1, 1, 1, 2, 5, 0.2, 1.7]))
        paid = draw(st.sampled_from([0, 0, 3, 40]))
        before = max(round(close / parts) - paid, 100)
        close = max(round(before * draw(st.floats(0.8, 1.2))), 100)
        rows.append((day, close / 1000, before / 1000))
    return rows


@given(rows=histories(), start=st.integers(0, len(SESSIONS) - 1))
def test_adjusted_closes_return_what_the_exchange_says(rows: list[Bar], start: int) -> None:
    own = factors(rows)
    assert own[0] == 1.0
    adjusted = [(close or 0) * factor for (_, close, _), factor in zip(rows, own, strict=True)]
    for number in range(1, len(rows)):
        _, close, before = rows[number]
        assert close
        assert before
        assert adjusted[number] / adjusted[number - 1] == pytest.approx(close / before, rel=1e-12)
    assert factors(rows, since=rows[start][0]) == own


def test_a_day_without_an_event_keeps_the_factor_to_the_bit() -> None:
    assert factors(THROUGH_A_SPLIT) == [1.0] * 5 + [5.0] * 4 + [5.0 * (1.02 / 1.0)] * 6


def without(*days: dt.date) -> list[Bar]:
    return [row for row in THROUGH_A_SPLIT if row[0] not in days]


def test_a_session_without_a_bar_is_none_the_worse_where_pre_close_goes_on() -> None:
    quiet = without(SESSIONS[2], SESSIONS[3])
    assert factors(quiet) == [1.0] * 3 + [5.0] * 4 + [5.1] * 6


def test_a_halt_before_a_split_into_whole_parts_is_understood() -> None:
    assert factors(without(SESSIONS[4])) == [1.0] * 4 + [5.0] * 4 + [5.1] * 6
    merged: list[Bar] = [(SESSIONS[0], 0.566, 0.566), (SESSIONS[2], 2.885, 2.83)]
    assert factors(merged) == [1.0, 0.566 / 2.83]


def test_a_session_without_a_bar_before_a_dividend_or_a_move_is_refused_and_named() -> None:
    holed = without(SESSIONS[7], SESSIONS[8])
    holed[5:7] = [(SESSIONS[5], 1.02, 1.0), (SESSIONS[6], 1.01, 1.02)]
    with pytest.raises(MissingFactors) as refused:
        factors(holed)
    told = str(refused.value)
    assert f"{CODE} has no factor on {SESSIONS[9]}: its pre_close is 1.0" in told
    assert f"no bar of it on 2 session(s), {SESSIONS[7]} to {SESSIONS[8]}" in told
    assert "then etf_price_series" in told
    # What lies on one side of it needs nothing of the other.
    assert factors(holed, until=SESSIONS[6])[:7] == [1.0] * 5 + [5.0] * 2
    assert len(set(factors(holed, since=SESSIONS[9])[7:])) == 1


@pytest.mark.parametrize("told", [None, 0.0, 5.0], ids=["absent", "zero", "split on one side"])
def test_a_pre_close_that_tells_nothing_is_refused(told: float | None) -> None:
    rows = [(day, close, told if day == SESSIONS[5] else b) for day, close, b in THROUGH_A_SPLIT]
    with pytest.raises(MissingFactors, match=f"on {SESSIONS[5]}.* don't belong together"):
        factors(rows)
    assert factors(rows, since=SESSIONS[5])[-1] > 0


def test_no_bars_have_no_factors() -> None:
    nothing = bars_of(THROUGH_A_SPLIT).slice(0, 0)
    assert fund_factors(CODE, nothing, FIRST, LAST).num_rows == 0


@needs_real_data
@pytest.mark.parametrize("code", ["513100", "510300"])
def test_a_real_fund_has_no_jump_left(code: str) -> None:
    with (REAL_DATA / "funds/ex_events.csv").open(encoding="utf-8") as file:
        events = {
            row["trade_date"]: float(row["pre_close"])
            for row in csv.DictReader(file)
            if row["ts_code"] == f"{code}.SH"
        }
    with (REAL_DATA / f"etf/close_{code}.csv").open(encoding="utf-8") as file:
        closes = [(row["date"], float(row["close"])) for row in csv.DictReader(file)]
    # The events are known up to the middle of 2023.
    closes = [one for one in closes if one[0] < "2023-06"]
    rows = [
        (dt.date.fromisoformat(day), close, events.get(day, before))
        for (_, before), (day, close) in itertools.pairwise(closes)
    ]
    own = factors(rows)
    changes = [
        row[0] for row, last, one in zip(rows[1:], own, own[1:], strict=False) if one != last
    ]
    assert [str(day) for day in changes] == [day for day in events if day > str(rows[0][0])]
    adjusted = [(close or 0) * factor for (_, close, _), factor in zip(rows, own, strict=True)]
    assert max(abs(b / a - 1) for a, b in itertools.pairwise(adjusted)) < 0.101


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> PriceReader:
    """The fund through its split, and a premium of every day."""
    lake = Lake(tmp_path_factory.mktemp("funds"), "test")
    for day, close, before in THROUGH_A_SPLIT:
        prices = {"open": close, "high": close, "low": close, "close": close, "pre_close": before}
        row = {"trade_date": day, "ts_code": CODE, "vol": 7.0, "premium": 0.01, **prices}
        lake.write(ETF_PREMIUM, day, filled(ETF_PREMIUM, [row], "fund"))
    refresh(lake, ETF_PREMIUM)
    return PriceReader(lake.root)


def test_forward_and_backward_prices_of_a_fund(reader: PriceReader) -> None:
    columns = ["date", "low", "close", "pre_close", "volume", "premium"]
    plain = reader.ohlcv(CODE, columns=columns).rows
    forward = reader.ohlcv(CODE, columns=columns, adjust=Adjust.QFQ).rows
    backward = reader.ohlcv(CODE, columns=columns, adjust=Adjust.HFQ).rows
    assert forward.column_names == columns
    assert forward.slice(9).equals(plain.slice(9))
    assert backward.slice(0, 5).equals(plain.slice(0, 5))
    assert backward["close"].to_pylist()[5:9] == pytest.approx([5.1] * 4)
    assert forward["close"].to_pylist()[:5] == pytest.approx([5 / 5.1] * 5)
    for rows in (forward, backward):
        assert rows.select(["date", "volume", "premium"]).equals(
            plain.select(["date", "volume", "premium"])
        )
        closes, before = rows["close"].to_pylist(), rows["pre_close"].to_pylist()
        assert before[1:] == pytest.approx(closes[:-1])
        assert rows["low"].equals(rows["close"])


def test_a_part_of_a_fund_is_as_the_whole(reader: PriceReader) -> None:
    for adjust, anchor in ((Adjust.HFQ, None), (Adjust.QFQ, None), (Adjust.QFQ, SESSIONS[2])):
        whole = reader.ohlcv(CODE, adjust=adjust, anchor=anchor).rows
        part = reader.ohlcv(CODE, SESSIONS[3], SESSIONS[6], adjust=adjust, anchor=anchor).rows
        assert part.equals(whole.slice(3, 4))
        weekend = reader.ohlcv(CODE, SESSIONS[4] + dt.timedelta(1), SESSIONS[4], adjust=adjust)
        assert weekend.rows.num_rows == 0


def test_an_anchor_before_or_after_what_is_stored_of_a_fund_is_refused(
    reader: PriceReader,
) -> None:
    with pytest.raises(MissingFactors, match=r"etf_premium has no factor of .* on or before"):
        reader.ohlcv(CODE, adjust=Adjust.QFQ, anchor=SESSIONS[0] - dt.timedelta(7))
    later = SESSIONS[-1] + dt.timedelta(30)
    with pytest.raises(MissingFactors, match=r"etf_premium is there up to .* etf_price_series"):
        reader.ohlcv(CODE, adjust=Adjust.QFQ, anchor=later)


def test_adjusted_funds_of_a_former_moment_are_refused_in_a_sentence(reader: PriceReader) -> None:
    with pytest.raises(NotAdjustable, match="not known of a former moment"):
        reader.ohlcv(CODE, adjust=Adjust.HFQ, as_of=dt.datetime.now(dt.UTC))


def test_an_export_has_the_same_adjusted_fund(
    reader: PriceReader, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("exports")
    write_export(reader, ExportQuery(codes=[CODE], adjust=Adjust.HFQ), folder, "one")
    exported = pq.read_table(folder / "one.parquet").drop_columns(["code"])
    assert exported.to_pylist() == reader.ohlcv(CODE, adjust=Adjust.HFQ).rows.to_pylist()


def test_beyond_the_published_calendar_what_needs_no_calendar_is_adjusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    up_to_the_dividend = THROUGH_A_SPLIT[:9]
    known = factors(up_to_the_dividend)
    published = tuple(sessions_between(FIRST_SESSION, dt.date(2020, 12, 31)))
    monkeypatch.setattr(trading_calendar, "_sessions", lambda: published)
    assert factors(up_to_the_dividend) == known
    # Whether a session lies between, only a newer package can tell.
    with pytest.raises(CalendarExhausted, match="pip install --upgrade exchange_calendars"):
        factors(THROUGH_A_SPLIT)
    assert factors(THROUGH_A_SPLIT, until=SESSIONS[8])[:9] == known
