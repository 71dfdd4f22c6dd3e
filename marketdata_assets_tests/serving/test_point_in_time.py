"""Yesterday's answers, asked for today: what was answered then, adjusted with factors of then."""

import datetime as dt
from typing import NamedTuple

import pytest

from marketdata_assets import trading_calendar
from marketdata_assets.serving.adjusting import MissingFactors, NotAdjustable
from marketdata_assets.serving.answers import Slice
from marketdata_assets.serving.ohlcv_view import NoSuchColumn
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.serving.queries import Adjust, RangeQuery
from marketdata_assets.storage.as_of import NotKnownThen
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import refresh
from marketdata_assets.tables import ADJ_FACTOR, DAILY_PRICES
from marketdata_assets.trading_calendar import FIRST_SESSION, sessions_between
from marketdata_assets_tests.serving.stored import (
    FUNDS,
    GONE,
    INDEX,
    SESSIONS,
    SHARE_BY_CODE,
    SHARES,
    STORED,
    store_everything,
    store_factors,
    store_history,
    store_shares,
)

COLUMNS = ["date", "close", "volume"]
LONG_AGO = dt.datetime(2025, 2, 1, tzinfo=dt.UTC)
START, END = SESSIONS[4], SESSIONS[-8]


class Past(NamedTuple):
    """What was answered at `moment`, before much of it was restated."""

    reader: PriceReader
    moment: dt.datetime
    answers: dict[tuple[str, Adjust, dt.date | None], list[dict[str, object]]]


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    lake = Lake(tmp_path_factory.mktemp("stored"), "test")
    store_everything(lake)
    reader = PriceReader(lake.root)
    asked: list[tuple[str, Adjust, dt.date | None]]
    asked = [(code, Adjust.NONE, None) for code in STORED]
    for code in (*SHARES, GONE):
        asked += [(code, Adjust.HFQ, None), (code, Adjust.QFQ, None), (code, Adjust.QFQ, END)]
    answers = {
        one: reader.ohlcv(one[0], START, END, COLUMNS, one[1], one[2]).rows.to_pylist()
        for one in asked
    }
    moment = dt.datetime.now(dt.UTC)
    store_shares(lake, SESSIONS[6:9], version=1)
    store_factors(lake, SESSIONS[6:9], version=1)
    store_history(lake, INDEX, SESSIONS[3:], version=1)
    for table in (DAILY_PRICES, ADJ_FACTOR):
        refresh(lake, table)
    return Past(reader, moment, answers)


def test_what_was_answered_then_is_answered_now(past: Past) -> None:
    for (code, adjust, anchor), rows in past.answers.items():
        known = past.reader.ohlcv(code, START, END, COLUMNS, adjust, anchor, as_of=past.moment)
        assert known.rows.to_pylist() == rows, (code, adjust, anchor)
        assert (known.generation, known.stored_at) == (None, past.moment)
        assert known.available == (rows[0]["date"], rows[-1]["date"])
        now = past.reader.ohlcv(code, START, END, COLUMNS, adjust, anchor).rows.to_pylist()
        is_restated = code not in (*FUNDS, SHARE_BY_CODE, "159915.SZ")
        assert (now != rows) == is_restated, (code, adjust, anchor)


def test_many_codes_are_answered_as_each_alone(past: Past) -> None:
    codes = [*STORED, "NDX", "000002.SZ"]
    query = RangeQuery(codes=codes, start=START, end=END, columns=COLUMNS, as_of=past.moment)
    found = dict(past.reader.each(query))
    assert list(found) == codes
    for code in STORED:
        one = found[code]
        assert isinstance(one, Slice)
        assert one.rows.to_pylist() == past.answers[code, Adjust.NONE, None]
    assert isinstance(found["NDX"], NotKnownThen)
    # The days were known, and this share was not among them.
    nothing = found["000002.SZ"]
    assert isinstance(nothing, Slice)
    assert (nothing.rows.num_rows, nothing.available) == (0, None)


def test_one_code_without_an_answer_does_not_take_the_others_with_it(past: Past) -> None:
    query = RangeQuery(
        codes=["600000.SH", INDEX, SHARE_BY_CODE],
        start=START,
        end=END,
        columns=COLUMNS,
        adjust=Adjust.HFQ,
        as_of=past.moment,
    )
    found = dict(past.reader.each(query))
    shares = found["600000.SH"]
    assert isinstance(shares, Slice)
    assert shares.rows.to_pylist() == past.answers["600000.SH", Adjust.HFQ, None]
    assert isinstance(found[INDEX], NotAdjustable)


def test_a_moment_before_anything_was_stored(past: Past) -> None:
    for code in ("600000.SH", INDEX):
        with pytest.raises(NotKnownThen, match="was not known at"):
            past.reader.ohlcv(code, as_of=LONG_AGO)
    with pytest.raises(NoSuchColumn):
        past.reader.ohlcv("600000.SH", columns=["premium"], as_of=past.moment)
    with pytest.raises(ValueError, match="has no time zone"):
        past.reader.ohlcv("600000.SH", as_of=dt.datetime(2025, 2, 1))


def test_a_share_by_code_alone_has_no_factors_then_either(past: Past) -> None:
    with pytest.raises(MissingFactors, match="without factors"):
        past.reader.ohlcv(SHARE_BY_CODE, adjust=Adjust.HFQ, as_of=past.moment)


def test_a_suspended_share_has_no_rows_then_as_now_though_it_has_a_history_by_code(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    lake = Lake(tmp_path_factory.mktemp("suspended"), "test")
    store_shares(lake, SESSIONS)
    store_history(lake, "688981.SH", SESSIONS)
    refresh(lake, DAILY_PRICES)
    reader, [suspended, *_] = PriceReader(lake.root), [day for day in SESSIONS if day.day % 4 == 0]
    now = dt.datetime.now(dt.UTC)
    for as_of in (None, now):
        found = reader.ohlcv("688981.SH", suspended, suspended, as_of=as_of)
        assert (found.rows.num_rows, found.source) == (0, DAILY_PRICES)


def test_an_anchor_on_a_weekend_before_the_days_is_in_the_money_of_its_friday(past: Past) -> None:
    friday, sunday = dt.date(2024, 12, 20), dt.date(2024, 12, 22)
    for code in SHARES:
        rows = [
            past.reader.ohlcv(
                code, SESSIONS[6], END, COLUMNS, Adjust.QFQ, anchor, as_of=past.moment
            ).rows
            for anchor in (friday, sunday)
        ]
        assert rows[0].num_rows > 0
        assert rows[0] == rows[1]


def test_a_weekend_has_no_rows_then_as_now(past: Past) -> None:
    saturday, sunday = dt.date(2024, 12, 21), dt.date(2024, 12, 22)
    for code in STORED:
        for adjust in (Adjust.NONE, Adjust.HFQ) if code in SHARES else (Adjust.NONE,):
            found = past.reader.ohlcv(code, saturday, sunday, adjust=adjust, as_of=past.moment)
            assert (found.rows.num_rows, found.missing or ()) == (0, ())


def test_a_moment_beyond_the_published_calendar_is_answered(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A package of exchange_calendars that nobody has upgraded since.
    published = tuple(sessions_between(FIRST_SESSION, SESSIONS[-1]))
    monkeypatch.setattr(trading_calendar, "_sessions", lambda: published)
    for code in STORED:
        found = past.reader.ohlcv(code, START, as_of=past.moment)
        assert found.rows["date"][-1].as_py() <= SESSIONS[-1]
        assert found.missing in ((), None)


def test_what_is_stored_beyond_the_published_calendar_is_answered_as_known(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Stored by a host whose package is newer.
    published = tuple(sessions_between(FIRST_SESSION, dt.date(START.year - 1, 12, 31)))
    monkeypatch.setattr(trading_calendar, "_sessions", lambda: published)
    for (code, adjust, anchor), rows in past.answers.items():
        known = past.reader.ohlcv(code, START, END, COLUMNS, adjust, anchor, as_of=past.moment)
        assert known.rows.to_pylist() == rows, (code, adjust, anchor)
        whole = past.reader.ohlcv(code, START, None, COLUMNS, adjust, anchor, as_of=past.moment)
        assert whole.rows.to_pylist()[: len(rows)] == rows, (code, adjust, anchor)
