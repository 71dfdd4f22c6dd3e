"""Histories as vendors have served them, over the wire: with holes, an early end, other units."""

import datetime as dt
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from marketdata_assets.instruments import Instrument, identify
from marketdata_assets.resources.sources.history import HistorySource
from marketdata_assets.resources.sources.tushare_history import TushareHistory
from marketdata_assets.tables import COVERAGE, INSTRUMENT_HISTORY
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.assets.scripted_source import ScriptedSource, asking
from marketdata_assets_tests.conftest import (
    Platform,
    check_outcomes,
    failure_text,
    metadata_of,
    unhurried_tushare,
)
from marketdata_assets_tests.small_market import SmallMarket
from marketdata_sandbox.instruments import SandboxSources
from marketdata_sandbox.protocol import TushareProtocol
from marketdata_sandbox.server import TushareServer
from marketdata_sandbox.transport import sandbox_tushare

STEP = "instrument_history"
FIRST = dt.date(2021, 1, 4)
ODD = (dt.date(2024, 9, 30), dt.date(2024, 10, 30), dt.date(2024, 12, 20))
HOLIDAY = dt.date(2024, 2, 9)


class TushareAlone(SandboxSources):
    """Only one source is there, so that what is wrong with it is seen."""

    def for_instrument(self, instrument: Instrument) -> Sequence[HistorySource]:
        client = self.tushare.client()
        self._open.callback(client.close)
        return [TushareHistory(self.tushare.url, lambda: client)]


class OneHistory(TushareProtocol):
    """Answers every call for bars with `days`; the volumes of some are multiplied.

    Which contract was the main one it does not know.
    """

    def __init__(self) -> None:
        super().__init__(SmallMarket())
        last = identify("000300.SH").market.last_final_day(dt.datetime.now(dt.UTC))
        self.days = sessions_between(FIRST, last)
        self.times: dict[dt.date, float] = {}

    def answer(self, body: bytes) -> bytes:
        request = json.loads(body)
        params, fields = request["params"], request["fields"].split(",")
        items = [
            [self._bar(params["ts_code"], day)[name] for name in fields]
            for day in self.days
            if request["api_name"] != "fut_mapping"
            and params["start_date"] <= f"{day:%Y%m%d}" <= params["end_date"]
        ]
        data = {"fields": fields, "items": items, "has_more": False}
        return json.dumps({"code": 0, "msg": "", "data": data}).encode()

    def without(self, first: dt.date, last: dt.date) -> None:
        self.days = [day for day in self.days if not first <= day <= last]

    def _bar(self, code: str, day: dt.date) -> dict[str, object]:
        price, lots = 1000.0 + day.toordinal() % 7, 120_000.0 + day.toordinal() % 911
        return {
            "ts_code": code,
            "trade_date": f"{day:%Y%m%d}",
            "open": price,
            "high": price + 3,
            "low": price - 3,
            "close": price + 1,
            "vol": lots * self.times.get(day, 1.0),
            "amount": lots * price / 10,
        }


@pytest.fixture
def vendor() -> OneHistory:
    return OneHistory()


@pytest.fixture
def platform(
    vendor: OneHistory, tmp_path: Path, instance: dg.DagsterInstance
) -> Iterator[Platform]:
    with TushareServer(vendor).running() as server:
        tushare = unhurried_tushare(server.url, tmp_path)
        sources = TushareAlone(tushare=tushare, first_day=FIRST.isoformat())
        yield Platform(tmp_path, tushare, instance, sources=sources)


def halted(code: str, day: dt.date) -> pa.Table:
    """The ledger of a day on which one share was suspended."""
    row = dict.fromkeys(COVERAGE.column_names, False)
    known = {"trade_date": day, "ts_code": code, "listed": True, "suspended": True}
    why = {"missing": "", "reason": "suspended"}
    return pa.Table.from_pylist([{**row, **known, **why}], schema=COVERAGE.schema)


def failing(platform: Platform) -> list[str]:
    return [name for name, passed in check_outcomes(platform, STEP).items() if not passed]


def warnings(platform: Platform, result: dg.ExecuteInProcessResult) -> str:
    logged = platform.instance.all_logs(result.run_id)
    return "\n".join(event.message for event in logged if int(event.level) >= 30)


def test_a_whole_history_passes_every_check(platform: Platform) -> None:
    result = platform.run_code("000300.SH")
    assert result.success
    assert failing(platform) == []
    assert warnings(platform, result) == ""


def ten_months_missing(vendor: OneHistory) -> None:
    vendor.without(dt.date(2022, 1, 4), dt.date(2022, 10, 31))


def frozen(vendor: OneHistory) -> None:
    vendor.without(dt.date(2023, 6, 14), dt.date.max)


def three_sessions_missing(vendor: OneHistory) -> None:
    for day in ODD:
        vendor.without(day, day)


def a_bar_on_a_holiday(vendor: OneHistory) -> None:
    vendor.days = [*vendor.days, HOLIDAY]


def a_hundredth_on_three_days(vendor: OneHistory) -> None:
    vendor.times = dict.fromkeys(ODD, 0.01)


def a_tenth_more_on_three_days(vendor: OneHistory) -> None:
    vendor.times = dict.fromkeys(ODD, 1.1)


@pytest.mark.parametrize(
    ("code", "spoil", "check", "said"),
    [
        ("000690.SH", ten_months_missing, "sessions_present", "198 session(s) without a bar"),
        ("000902.SH", frozen, "ends_in_time", "session(s) after its last bar, 2023-06-14"),
        ("AU.SHF", three_sessions_missing, "sessions_present", "3 session(s) without a bar"),
        ("000300.SH", a_bar_on_a_holiday, "no_bar_on_a_closed_day", "1 bar(s) of closed days"),
        ("588000.SH", a_hundredth_on_three_days, "one_unit", "3 day(s) with volume or turnover"),
        ("IF.CFX", a_hundredth_on_three_days, "one_unit", "3 day(s) with volume or turnover"),
        ("600000.SH", a_tenth_more_on_three_days, "mean_price_of_the_day", "3 day(s) with a mean"),
    ],
)
def test_what_no_source_has_better_is_stored_with_a_warning(
    platform: Platform,
    vendor: OneHistory,
    code: str,
    spoil: Callable[[OneHistory], None],
    check: str,
    said: str,
) -> None:
    spoil(vendor)
    result = platform.run_code(code)
    assert result.success
    assert failing(platform) == [check]
    assert said in warnings(platform, result)
    assert metadata_of(result, STEP)["source"] == "Tushare"


def test_a_history_that_is_in_another_unit_throughout_is_not_stored(
    platform: Platform, vendor: OneHistory
) -> None:
    vendor.times = dict.fromkeys(vendor.days, 100.0)
    result = platform.run_code("688981.SH")
    assert not result.success
    assert "in another unit" in failure_text(result, STEP)
    assert platform.lake.read(INSTRUMENT_HISTORY, "688981.SH") is None


def test_what_was_wrong_is_asked_for_again_and_mended(
    platform: Platform, vendor: OneHistory
) -> None:
    whole = vendor.days
    three_sessions_missing(vendor)
    assert platform.run_code("000300.SH").success
    vendor.days = whole
    told = metadata_of(platform.run_code("000300.SH"), STEP)
    assert told["fetched"] == "the whole history"
    assert told["restatement"].startswith("0 day(s) changed, 0 gone, 3 appeared")
    assert failing(platform) == []


def test_a_halt_that_the_ledger_explains_is_no_fault(
    platform: Platform, vendor: OneHistory
) -> None:
    three_sessions_missing(vendor)
    for day in ODD:
        platform.lake.write(COVERAGE, day, halted("600000.SH", day))
    result = platform.run_code("600000.SH")
    assert failing(platform) == []
    assert warnings(platform, result) == ""


def test_what_two_sources_lack_is_explained_on_the_next_evening_too(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    last = identify("600000.SH").market.last_final_day(dt.datetime.now(dt.UTC))
    halted_share, alike = ScriptedSource("A"), ScriptedSource("B")
    days = [day for day in sessions_between(FIRST, last) if day not in ODD]
    halted_share.closes = alike.closes = dict.fromkeys(days, 10.0)
    sources = asking(halted_share, alike, first_day=FIRST)
    platform = Platform(tmp_path, sandbox_tushare(tmp_path / "s"), instance, sources=sources)
    told = metadata_of(platform.run_code("600000.SH"), STEP)
    assert told["sessions that two sources lack"] == [str(day) for day in ODD]
    assert failing(platform) == []
    again = metadata_of(platform.run_code("600000.SH"), STEP)
    assert again["fetched"] == "what is new, with an overlap"
    assert len(alike.asked) == 1
    assert failing(platform) == []


def test_the_file_and_the_run_name_the_source_that_served(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    source = ScriptedSource("Sina", 30)
    platform = Platform(tmp_path, sandbox_tushare(tmp_path / "s"), instance, sources=asking(source))
    told = metadata_of(platform.run_code("HSI"), STEP)
    stored = platform.lake.describe(INSTRUMENT_HISTORY, "HSI")
    assert stored is not None
    assert told["origin"] == stored.origin == "Sina"
