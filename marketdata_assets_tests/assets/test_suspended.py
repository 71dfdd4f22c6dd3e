"""Who did not trade on a day though he was listed: by which evidence, and with which hours."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from marketdata_assets.assets.suspended import suspended_shares
from marketdata_assets.storage.io_manager import conform
from marketdata_assets.tables import COVERAGE, SUSPENDED, SUSPENSIONS
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.edited_market import EditedMarket, platform_over, without
from marketdata_assets_tests.small_market import CODES

DAY = dt.date(2024, 3, 1)
SHARE = "600000.SH"


def made(
    notices: Sequence[tuple[str | None, str]] = (),
    reason: str | None = None,
    listed: bool = True,
    suspended: bool = False,
    bar: bool = False,
) -> list[tuple[bool | None, str, str | None]]:
    """(is_paused, reason, suspend_timing) of a share that the ledger has so, with these notices."""
    ledger = dict.fromkeys(COVERAGE.column_names, False) | {"missing": "", "reason": reason}
    ledger |= {"listed": listed, "suspended": suspended, "daily_kline": bar}
    keys = {"trade_date": DAY, "ts_code": SHARE}
    names = ("suspend_timing", "suspend_type")
    told = [keys | dict(zip(names, one, strict=True)) for one in notices]
    with duckdb.connect() as connection:
        rows = suspended_shares(
            connection.from_arrow(pa.Table.from_pylist([ledger | keys], schema=COVERAGE.schema)),
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


def test_the_chain_stores_every_day_and_one_without_any_is_empty(tmp_path: Path) -> None:
    days = sessions_between(dt.date(2024, 3, 1), dt.date(2024, 3, 5))
    edits = {("suspend_d", day): without(*CODES) for day in (days[0], days[2])}
    edits |= {("suspend_d", days[1]): lambda rows: [rows[0] | {"suspend_timing": None}, rows[1]]}
    edits["daily", days[1]] = without(CODES[0])
    with platform_over(EditedMarket(edits), tmp_path) as platform:
        assert platform.run(days[0], days[-1]).success
        assert platform.lake.days(SUSPENDED) == days
        found = [platform.lake.read(SUSPENDED, day).to_pylist() for day in days]
        assert found[0] == found[2] == []
        told = {row["ts_code"]: (row["is_paused"], row["reason"]) for row in found[1]}
        assert told == {CODES[0]: (True, "suspended"), CODES[1]: (False, "part of the day")}


def test_a_day_without_a_ledger_is_left_out_and_holds_no_other_up(tmp_path: Path) -> None:
    days = sessions_between(dt.date(2024, 3, 1), dt.date(2024, 3, 5))
    with platform_over(EditedMarket({}), tmp_path) as platform:
        platform.run(days[0], days[-1])
        for table in (COVERAGE, SUSPENDED):
            platform.lake.path(table, days[1]).unlink()
        result = platform.run(days[0], days[-1], ["suspended"])
        assert result.success
        assert platform.lake.days(SUSPENDED) == [days[0], days[2]]
