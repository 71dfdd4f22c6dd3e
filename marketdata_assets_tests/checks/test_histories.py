import datetime as dt
from collections.abc import Sequence

import pyarrow as pa
import pytest

from marketdata_assets.checks.histories import (
    Flaw,
    begins_late,
    closed_days,
    ends_early,
    faults_of,
    lacked_alike,
    sessions,
)
from marketdata_assets.instruments import identify
from marketdata_assets.resources.sources.history import BARS

FIRST, LAST = dt.date(2025, 1, 2), dt.date(2025, 6, 30)
SHARE, INDEX = identify("600000.SH"), identify("000300.SH")


def bars(days: Sequence[dt.date], **columns: Sequence[float | None]) -> pa.Table:
    count = len(days)
    prices = dict.fromkeys(("open", "high", "low", "close"), [10.0] * count)
    traded = {"volume": [1e6] * count, "turnover": [1e7] * count}
    return pa.table({"date": days, **prices, **traded, **columns}, schema=BARS)


def flaws(code: str, table: pa.Table, last: dt.date = LAST) -> dict[Flaw, int]:
    return {one.flaw: len(one.days) for one in faults_of(identify(code), table, last)}


CODES = ["600000.SH", "000300.SH", "AU.SHF", "513100.SH", "HSI", "NDX", "AAPL", "CL.NYM", "BTC"]


@pytest.mark.parametrize("code", CODES)
def test_a_bar_on_every_session_is_a_whole_history(code: str) -> None:
    assert flaws(code, bars(sessions(identify(code), FIRST, LAST))) == {}


def test_a_session_without_a_bar_is_known_in_mainland_china_and_of_coins_alone() -> None:
    for code in CODES:
        days = sessions(identify(code), FIRST, LAST)
        known = code in ("600000.SH", "000300.SH", "AU.SHF", "513100.SH", "BTC")
        assert flaws(code, bars(days[:20] + days[21:])) == ({Flaw.SESSIONS: 1} if known else {})


def test_no_market_abroad_is_closed_for_more_than_ten_weekdays() -> None:
    days = sessions(identify("HSI"), FIRST, LAST)
    assert flaws("HSI", bars(days[:20] + days[30:])) == {}
    assert flaws("HSI", bars(days[:20] + days[31:])) == {Flaw.SESSIONS: 11}


def test_explained_sessions_are_not_lacked() -> None:
    days = sessions(SHARE, FIRST, LAST)
    halted = bars(days[:20] + days[60:])
    assert faults_of(SHARE, halted, LAST, days[20:60]) == []
    [left] = faults_of(SHARE, halted, LAST, days[20:58])
    assert left.days == tuple(days[58:60])


@pytest.mark.parametrize(("code", "few"), [("000300.SH", 3), ("BTC", 3), ("HSI", 10)])
def test_a_history_may_end_a_few_sessions_early(code: str, few: int) -> None:
    days = sessions(identify(code), FIRST, LAST)
    assert flaws(code, bars(days[:-few])) == {}
    assert not ends_early(identify(code), days[-few - 1], LAST)
    assert flaws(code, bars(days[: -few - 1])) == {Flaw.END: few + 1}
    assert ends_early(identify(code), days[-few - 2], LAST)


def test_another_sources_beginning_tells_of_a_late_one() -> None:
    days = sessions(INDEX, FIRST, LAST)
    assert begins_late(INDEX, days[3], days[0]) == []
    [late] = begins_late(INDEX, days[4], days[0])
    assert late.days == tuple(days[:4])


def test_bars_of_closed_days_and_of_the_future_are_found() -> None:
    days = sessions(INDEX, FIRST, LAST)
    saturday = dt.date(2025, 3, 8)
    assert flaws("000300.SH", bars(sorted([*days, saturday]))) == {Flaw.CLOSED: 1}
    assert closed_days(identify("HSI"), [saturday]) == [saturday]
    # A coin trades then, and oil has a session on Sunday evenings.
    assert not closed_days(identify("BTC"), [saturday])
    assert not closed_days(identify("CL.NYM"), [dt.date(2025, 3, 9)])
    assert flaws("000300.SH", bars(days), last=days[-2]) == {Flaw.OPEN: 1}


@pytest.mark.parametrize("times", [100.0, 0.01])
@pytest.mark.parametrize(
    ("code", "turnover"), [("600000.SH", 1e7), ("000300.SH", 2e8), ("AU.SHF", 1e10), ("HSI", None)]
)
def test_single_days_in_another_unit_are_found(
    code: str, turnover: float | None, times: float
) -> None:
    days = sessions(identify(code), FIRST, LAST)
    volume = [1e6 * (times if n in (5, 50, 70) else 1 + n % 3) for n in range(len(days))]
    value = [turnover and turnover * (1 + n % 3) for n in range(len(days))]
    table = bars(days, volume=volume, turnover=value)
    assert flaws(code, table)[Flaw.UNITS] == 3


def test_a_lasting_step_of_an_indexs_volume_is_no_other_unit() -> None:
    days = sessions(INDEX, FIRST, LAST)
    volume = [1e6 if n < 50 else 1e8 for n in range(len(days))]
    assert flaws("000300.SH", bars(days, volume=volume, turnover=[None] * len(days))) == {}


def test_a_mean_price_may_leave_the_day_by_rounding_alone() -> None:
    days = sessions(SHARE, FIRST, LAST)
    count = len(days)
    # 1.75 all day: 15,921 lots, and 27,861.8 yuan of 2,786.18 千元 cut to two decimals.
    one_price = dict.fromkeys(("open", "high", "low", "close"), [1.75] * count)
    volume, turnover = [1_592_100.0] * count, [2_786_180.0] * count
    assert flaws("600000.SH", bars(days, **one_price, volume=volume, turnover=turnover)) == {}
    turnover[7] *= 1.03
    found = flaws("600000.SH", bars(days, **one_price, volume=volume, turnover=turnover))
    assert found == {Flaw.PRICES: 1}


def test_two_sources_that_lack_the_same_sessions_explain_them_of_a_share() -> None:
    days = sessions(SHARE, FIRST, LAST)
    halted = days[:20] + days[60:]
    lacking = days[20:60]
    assert lacked_alike(SHARE, lacking, halted, [halted]) == set(lacking)
    assert lacked_alike(SHARE, lacking, halted, [days[:20] + days[40:]]) == set(days[20:40])
    assert lacked_alike(SHARE, lacking, halted, [halted, days]) == set()
    # One that had ended by then, or not begun, does not tell.
    assert lacked_alike(SHARE, lacking, halted, [days[:10]]) == set()
    assert lacked_alike(SHARE, lacking, halted, [days[60:]]) == set()
    assert lacked_alike(SHARE, lacking, halted, []) == set()
    assert lacked_alike(INDEX, lacking, halted, [halted]) == set()


def test_a_share_that_two_sources_end_with_has_left_the_market() -> None:
    days = sessions(SHARE, FIRST, LAST)
    assert lacked_alike(SHARE, days[60:], days[:60], [days[:59]]) == set(days[60:])
    assert lacked_alike(SHARE, days[60:], days[:60], [days[:80]]) == set()
