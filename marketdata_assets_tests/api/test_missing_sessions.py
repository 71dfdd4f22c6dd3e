"""A range with sessions that were never stored says so, in every form, or is refused."""

import datetime as dt
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from marketdata_assets.serving.exports import write_export
from marketdata_assets.serving.gaps import ExplainedAbsences, MissingSessions
from marketdata_assets.serving.requests import Request
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import refresh
from marketdata_assets.tables import (
    ADJ_FACTOR,
    COVERAGE,
    DAILY_PRICES,
    ETF_PREMIUM,
    INSTRUMENT_HISTORY,
    STOCK_LIST,
)
from marketdata_assets_tests.api.serving import Client, served
from marketdata_assets_tests.api.stored_world import (
    DAYS,
    FUND,
    SHARES,
    history_of,
    prices_of,
    rows_of,
)

SHARE, LATE, GONE = SHARES[2], SHARES[1], SHARES[0]
HOLE = DAYS[10:25]
STALE = DAYS[-2:]
STORED = [day for day in DAYS if day not in (*HOLE, *STALE)]
# Of all three shares one came after the hole, and one left before it.
AFTER, BEFORE = DAYS[28], DAYS[5]


def text(days: list[dt.date]) -> list[str]:
    return [str(day) for day in days]


@pytest.fixture(scope="module")
def holed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server over a profile with a hole and a stale end."""
    root = tmp_path_factory.mktemp("holed")
    lake = Lake(root, "test")
    for day in STORED:
        codes = [SHARE]
        codes += [LATE] if day >= AFTER else []
        codes += [GONE] if day <= BEFORE else []
        lake.write(DAILY_PRICES, day, prices_of(day, codes=sorted(codes)))
        count = len(codes)
        factors: dict[str, Any] = {"ts_code": sorted(codes), "trade_date": [day] * count}
        lake.write(ADJ_FACTOR, day, rows_of(ADJ_FACTOR, count, **factors))
        fund = rows_of(ETF_PREMIUM, 1, ts_code=[FUND], trade_date=[day])
        lake.write(ETF_PREMIUM, day, fund)
    listed = rows_of(
        STOCK_LIST,
        2,
        trade_date=[STORED[-1]] * 2,
        ts_code=[LATE, SHARE],
        list_date=[AFTER, dt.date(1999, 11, 10)],
    )
    lake.write(STOCK_LIST, STORED[-1], listed)
    # Why the share has no bar on the first day of the hole is known, though nobody has the day.
    known = rows_of(
        COVERAGE,
        1,
        trade_date=HOLE[:1],
        ts_code=[SHARE],
        daily_kline=[False],
        missing=[""],
        reason=["suspended"],
    )
    lake.write(COVERAGE, HOLE[0], known)
    unknown = rows_of(
        COVERAGE,
        1,
        trade_date=HOLE[1:2],
        ts_code=[SHARE],
        daily_kline=[False],
        missing=["daily_kline"],
        reason=["unexplained"],
    )
    lake.write(COVERAGE, HOLE[1], unknown)
    for table in (DAILY_PRICES, ADJ_FACTOR, ETF_PREMIUM):
        refresh(lake, table)
    lake.write(INSTRUMENT_HISTORY, "HSI", history_of("HSI", STORED))
    with served(root, default_wait=0) as client:
        yield client


def missing(api: Client, code: str, **more: object) -> object:
    told = api.get("/api/v1/ohlcv", **{"code": code, "start": DAYS[0], **more}).json()
    return told["missing_sessions"]


@pytest.mark.parametrize("more", [{}, {"adjust": "qfq"}, {"adjust": "hfq"}, {"fields": "close"}])
def test_the_sessions_that_nobody_has_are_named(holed: Client, more: dict[str, str]) -> None:
    assert missing(holed, SHARE, **more) == text([*HOLE[1:], *STALE])


def test_only_those_of_the_range_are(holed: Client) -> None:
    assert missing(holed, SHARE, start=HOLE[3], end=HOLE[5]) == text(HOLE[3:6])
    assert missing(holed, SHARE, end=DAYS[9]) == []
    assert missing(holed, SHARE, start=STALE[0]) == text(STALE)
    # Neither before the first day that is stored, nor after the last session that is over.
    assert missing(holed, SHARE, start="1991-01-01", end=DAYS[9]) == []
    assert missing(holed, SHARE, end="2099-01-01") == missing(holed, SHARE)
    assert missing(holed, SHARE, start=DAYS[30], end=DAYS[2]) == []


def test_a_share_lacks_no_day_on_which_it_was_not_listed(holed: Client) -> None:
    assert missing(holed, LATE) == text(STALE)
    assert missing(holed, GONE) == []


def test_a_fund_lacks_them_too_and_a_history_by_code_can_not_tell(holed: Client) -> None:
    assert missing(holed, FUND) == text([*HOLE, *STALE])
    assert missing(holed, "HSI") is None
    nav = {"code": FUND, "start": HOLE[0], "end": HOLE[-1]}
    told = holed.get("/api/v1/etf/nav", **nav).json()
    assert told["missing_sessions"] == text(HOLE)
    assert holed.get("/api/v1/etf/nav", **nav, strict="true").status_code == 409


@pytest.mark.parametrize("form", ["csv", "arrow", "parquet"])
def test_files_say_it_in_a_header(holed: Client, form: str) -> None:
    asked = {"code": SHARE, "format": form}
    told = holed.get("/api/v1/ohlcv", start=HOLE[1], end=HOLE[3], **asked)
    assert told.headers["X-Missing-Sessions"] == f"3: {','.join(text(HOLE[1:4]))}"
    none = holed.get("/api/v1/ohlcv", start=DAYS[0], end=DAYS[9], **asked)
    assert none.headers["X-Missing-Sessions"] == "0"
    index = holed.get("/api/v1/ohlcv", code="HSI", format=form)
    assert "X-Missing-Sessions" not in index.headers


def test_a_batch_says_it_of_every_code(holed: Client) -> None:
    body = {"codes": [SHARE, LATE, "HSI"], "start": str(DAYS[0])}
    results = holed.post("/api/v1/ohlcv/batch", body).json()["results"]
    told = {code: one["missing_sessions"] for code, one in results.items()}
    assert told == {SHARE: text([*HOLE[1:], *STALE]), LATE: text(STALE), "HSI": None}


def test_a_strict_question_is_refused_with_the_days(holed: Client) -> None:
    answer = holed.get("/api/v1/ohlcv", code=SHARE, start=HOLE[1], end=DAYS[30], strict="true")
    assert answer.status_code == 409
    told = answer.json()
    assert told["missing_sessions"] == text(HOLE[1:])
    assert told["asset"] == "daily_prices"
    assert "Materialize daily_prices for these days, then price_series" in told["error"]
    whole = holed.get("/api/v1/ohlcv", code=SHARE, start=DAYS[0], end=DAYS[9], strict="true")
    assert whole.json()["count"] == 10


def test_a_strict_batch_fails_the_codes_that_lack_some(holed: Client) -> None:
    body = {"codes": [SHARE, GONE], "start": str(DAYS[0]), "end": str(DAYS[30]), "strict": True}
    told = holed.post("/api/v1/ohlcv/batch", body).json()
    assert (told["success_count"], told["failed_count"]) == (1, 1)
    assert told["results"][SHARE]["missing_sessions"] == text(HOLE[1:])
    assert "Materialize daily_prices" in told["results"][SHARE]["error"]
    assert told["results"][GONE]["count"] == 6


def test_a_former_moment_has_its_own_missing_sessions(holed: Client) -> None:
    now = dt.datetime.now(dt.UTC).isoformat()
    assert missing(holed, SHARE, as_of=now) == text([*HOLE[1:], *STALE])
    assert missing(holed, FUND, as_of=now) == text([*HOLE, *STALE])


def test_why_a_share_has_no_bar_is_seen_though_its_folder_tells_no_change(tmp_path: Path) -> None:
    lake, [day, other] = Lake(tmp_path, "test"), DAYS[:2]
    code = SHARES[0]
    halted: dict[str, Sequence[object]] = {
        "ts_code": [code],
        "daily_kline": [False],
        "missing": [""],
        "reason": ["suspended"],
    }
    lake.write(COVERAGE, other, rows_of(COVERAGE, 1, trade_date=[other], **halted))
    folder, explained = lake.path(COVERAGE, day).parent, ExplainedAbsences(lake)
    # As where two files come within one tick of the file system's clock, just now.
    moment = time.time_ns() + 10**12
    os.utime(folder, ns=(moment, moment))
    assert explained.days_of(code, [day, other]) == {other}
    lake.write(COVERAGE, day, rows_of(COVERAGE, 1, trade_date=[day], **halted))
    os.utime(folder, ns=(moment, moment))
    assert explained.days_of(code, [day, other]) == {day, other}


def test_what_is_stored_later_is_missing_no_more(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "test")
    for day in (DAYS[0], DAYS[2], DAYS[-1]):
        lake.write(DAILY_PRICES, day, prices_of(day))
    refresh(lake, DAILY_PRICES)
    with served(tmp_path) as client:
        assert missing(client, SHARE, end=DAYS[2]) == text(DAYS[1:2])
        lake.write(DAILY_PRICES, DAYS[1], prices_of(DAYS[1]))
        refresh(lake, DAILY_PRICES)
        assert missing(client, SHARE, end=DAYS[2]) == []


def exported(holed: Client, **more: object) -> Request:
    """An export that is asked for, and written as its run writes it."""
    body = {"codes": [SHARE, LATE, "HSI"], "start": str(DAYS[0]), "end": str(DAYS[-1]), **more}
    asked = holed.post("/api/v1/exports", body).json()
    [request] = holed.queue.claim(1)
    assert asked["missing_sessions"] is None
    export = write_export(holed.state.reader, request.export_query, holed.queue.exports, request.id)
    holed.queue.finish(request.id, export.file, export.rows)
    return request


@pytest.mark.parametrize("form", ["parquet", "csv", "arrow"])
def test_an_export_says_what_slices_say(holed: Client, form: str) -> None:
    path = f"/api/v1/exports/{exported(holed, format=form).id}"
    alone = holed.get("/api/v1/ohlcv", code=SHARE, start=DAYS[0], end=DAYS[-1]).json()[
        "missing_sessions"
    ]
    assert alone
    assert holed.get(path).json()["missing_sessions"] == alone
    told = holed.get(f"{path}/file").headers["X-Missing-Sessions"]
    assert told == f"{len(alone)}: {','.join(alone)}"
    assert [*HOLE[1:], *STALE] == [dt.date.fromisoformat(day) for day in alone]


def test_of_what_is_stored_by_code_an_export_says_nothing(holed: Client) -> None:
    path = f"/api/v1/exports/{exported(holed, codes=['HSI']).id}"
    assert holed.get(path).json()["missing_sessions"] is None
    assert "X-Missing-Sessions" not in holed.get(f"{path}/file").headers


def test_a_strict_export_has_no_file_that_lacks_sessions(holed: Client) -> None:
    with pytest.raises(MissingSessions, match=f"{SHARE} lacks"):
        exported(holed, strict=True)
    [asked] = holed.queue.running()
    holed.queue.fail(asked.id, "seen")
    assert not list(holed.queue.exports.glob(f"*{asked.id}*"))
    whole = exported(holed, strict=True, end=str(DAYS[3]))
    assert holed.get(f"/api/v1/exports/{whole.id}/file").headers["X-Missing-Sessions"] == "0"
