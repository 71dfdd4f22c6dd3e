"""Who did not trade on a day though he was listed: by which evidence, and with which hours."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from marketdata_assets.assets.coverage import suspended_shares
from marketdata_assets.checks import ledger
from marketdata_assets.checks.days import CHECKED_TOGETHER, side_by_side
from marketdata_assets.checks.excuses import NONE
from marketdata_assets.storage.io_manager import conform
from marketdata_assets.tables import COVERAGE, SUSPENDED, SUSPENSIONS
from marketdata_assets.trading_calendar import previous_session, sessions_between
from marketdata_assets_tests.checks.judging import before
from marketdata_assets_tests.checks.market_day import LATER
from marketdata_assets_tests.conftest import Platform, metadata_of
from marketdata_assets_tests.edited_market import EditedMarket, platform_over, without
from marketdata_assets_tests.real_history import days as real_days
from marketdata_assets_tests.real_history import needs_real_history

DAY = dt.date(2024, 3, 1)
SHARE = "600000.SH"


def ledger_row(**known: object) -> pa.Table:
    row = dict.fromkeys(COVERAGE.column_names, False) | {"missing": "", "ts_code": SHARE}
    return pa.Table.from_pylist([row | known], schema=COVERAGE.schema)


def made(
    notices: Sequence[tuple[str | None, str]] = (),
    reason: str | None = None,
    listed: bool = True,
    suspended: bool = False,
    bar: bool = False,
) -> list[tuple[bool | None, str, str | None]]:
    """(is_paused, reason, suspend_timing) of a share that the ledger has so, with these notices."""
    known = {"listed": listed, "suspended": suspended, "daily_kline": bar, "reason": reason}
    keys = {"trade_date": DAY, "ts_code": SHARE}
    names = ("suspend_timing", "suspend_type")
    told = [keys | dict(zip(names, one, strict=True)) for one in notices]
    with duckdb.connect() as connection:
        rows = suspended_shares(
            connection.from_arrow(ledger_row(**known, trade_date=DAY)),
            connection.from_arrow(pa.Table.from_pylist(told, schema=SUSPENSIONS.schema)),
        )
        found = conform(SUSPENDED, rows.to_arrow_table()).to_pylist()
    return [(row["is_paused"], row["reason"], row["suspend_timing"]) for row in found]


def test_a_notice_of_the_whole_day_pauses_a_share() -> None:
    found = made([(None, "S")], "suspended", suspended=True)
    assert found == [(True, "suspended", None)]


@pytest.mark.parametrize("timing", ["09:30-09:30", " "])
def test_a_timing_of_no_width_or_none_is_the_whole_day(timing: str) -> None:
    [(is_paused, _, _)] = made([(timing, "S")], "suspended", suspended=True)
    assert is_paused
    # The bar is the better evidence.
    assert made([(timing, "S")], "suspension contradicted", suspended=True, bar=True) == []


def test_a_share_that_has_not_traded_for_long_is_halted_without_a_notice() -> None:
    assert made(reason="halted") == [(True, "halted", None)]


@pytest.mark.parametrize("reason", ["unexplained", "late upstream", "excused"])
def test_of_a_bar_that_is_missing_nobody_knows_whether_the_share_was_paused(reason: str) -> None:
    assert made(reason=reason) == [(None, reason, None)]


def test_a_halt_of_some_hours_pauses_nothing_and_tells_the_hours_once() -> None:
    notices = [("13:00-14:00", "S"), ("09:30-10:00", "S"), ("09:30-10:00", "S"), (None, "R")]
    found = made(notices, bar=True)
    assert found == [(False, "part of the day", "09:30-10:00, 13:00-14:00")]


def test_a_timed_notice_without_a_bar_keeps_the_reason_of_the_ledger() -> None:
    assert made([("09:30-15:00", "S")], "unexplained") == [(None, "unexplained", "09:30-15:00")]


def test_who_traded_resumed_or_is_not_listed_is_not_among_them() -> None:
    assert made(bar=True) == []
    assert made([(None, "R")], bar=True) == []
    assert made([(None, "S")], "delisted", listed=False, suspended=True) == []


def test_every_day_that_has_a_ledger_is_stored_though_it_be_empty(sandbox: Platform) -> None:
    days = sessions_between(dt.date(2024, 3, 1), dt.date(2024, 3, 6))
    for day in days:
        # Files with no timing at all, as on most days.
        halt = {"ts_code": SHARE, "trade_date": day, "suspend_type": "S", "suspend_timing": None}
        notices = pa.Table.from_pylist([halt], schema=SUSPENSIONS.schema)
        sandbox.lake.write(SUSPENSIONS, day, notices)
        if day != days[2]:
            halted = ledger_row(reason="halted", listed=day == days[1], trade_date=day)
            sandbox.lake.write(COVERAGE, day, halted)
    result = sandbox.run(days[0], days[-1], ["suspended"])
    assert result.success
    assert sandbox.lake.days(SUSPENDED) == [days[0], days[1], days[3]]
    found = [sandbox.lake.read(SUSPENDED, day).num_rows for day in sandbox.lake.days(SUSPENDED)]
    assert found == [0, 1, 0]
    told = [metadata_of(result, "suspended", day)["halted 停牌"] for day in (days[0], days[1])]
    assert told == [0, 1]


def test_who_has_no_bar_on_the_first_day_that_is_stored_may_have_lost_it(tmp_path: Path) -> None:
    edits = {(call, DAY): without(SHARE) for call in ("daily", "daily_basic")}
    with platform_over(EditedMarket(edits), tmp_path) as platform:
        assert platform.run(DAY).success
        told = {row["ts_code"]: row for row in platform.lake.read(SUSPENDED, DAY).to_pylist()}
        assert told[SHARE]["is_paused"] is None
        assert told[SHARE]["reason"] == "session before not stored"
        assert platform.run(previous_session(DAY)).success
        assert platform.run(DAY, assets=["coverage"]).success
        reasons = platform.lake.read(COVERAGE, DAY).filter(pc.field("ts_code") == SHARE)["reason"]
        assert reasons.to_pylist() == [ledger.UNEXPLAINED]


@needs_real_history
def test_on_real_days_who_is_listed_has_a_bar_or_is_among_them() -> None:
    days = dict(real_days("2015H1", dt.date(2015, 2, 12), dt.date(2015, 2, 13)))
    with duckdb.connect() as connection:
        tables = {
            table.name: connection.from_arrow(
                pa.concat_tables(one[table.name] for one in days.values())
            )
            for table in CHECKED_TOGETHER
        }
        together = side_by_side(list(days), tables, before([]).lookback, LATER, NONE)
        rows = ledger.coverage(together.facts, NONE).to_arrow_table()
        found = suspended_shares(connection.from_arrow(rows), tables[SUSPENSIONS.name])
        suspended = conform(SUSPENDED, found.to_arrow_table()).to_pylist()
    listed = [row for row in rows.to_pylist() if row["listed"]]
    without_bar = {(row["trade_date"], row["ts_code"]) for row in listed if not row["daily_kline"]}
    assert len(without_bar) > 400
    assert {(row["trade_date"], row["ts_code"]) for row in suspended} == without_bar
    first, second = days
    told = {(row["trade_date"], row["is_paused"], row["reason"]) for row in suspended}
    assert told == {
        (first, True, "suspended"),
        # Nobody knows here who traded on the session before, and so who lost his bar.
        (first, None, "session before not stored"),
        (second, True, "suspended"),
        (second, True, "halted"),
    }
