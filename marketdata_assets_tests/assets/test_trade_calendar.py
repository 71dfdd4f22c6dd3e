import datetime as dt
from collections import deque
from pathlib import Path

import dagster as dg
import pytest

from marketdata_assets.assets.trade_calendar import disagreements
from marketdata_assets.tables import TRADE_CALENDAR
from marketdata_assets_tests.conftest import Platform, failure_text, metadata_of, unhurried_tushare
from marketdata_assets_tests.small_market import SmallMarket
from marketdata_sandbox import faults
from marketdata_sandbox.protocol import TushareProtocol
from marketdata_sandbox.server import TushareServer


def check_calendar(edit, root: Path, instance: dg.DagsterInstance):
    with TushareServer(TushareProtocol(SmallMarket())).running() as server:
        tushare = unhurried_tushare(server.url, root)
        platform = Platform(root, tushare, instance)
        server.faults["trade_cal"] = deque([faults.edited(edit)])
        return platform, platform.run(assets=["trade_calendar"])


def flip(day: str):
    def edit(answer):
        data = answer["data"]
        at, is_open = data["fields"].index("cal_date"), data["fields"].index("is_open")
        for row in data["items"]:
            if row[at] == day:
                row[is_open] = 1 - row[is_open]

    return edit


def test_an_agreeing_calendar_is_stored_whole(tmp_path: Path, instance) -> None:
    platform, result = check_calendar(lambda answer: None, tmp_path, instance)
    assert result.success
    stored = platform.lake.read(TRADE_CALENDAR, None)
    assert metadata_of(result, "trade_calendar")["dagster/row_count"] == stored.num_rows
    assert disagreements(stored, dt.date(2024, 10, 8)) == []


@pytest.mark.parametrize(
    ("day", "line"),
    [
        ("20241001", "2024-10-01 is open in trade_cal and closed in exchange_calendars"),
        ("20241008", "2024-10-08 is closed in trade_cal and open in exchange_calendars"),
    ],
)
def test_a_disagreement_fails_loudly_and_is_not_stored(
    tmp_path: Path, instance, day: str, line: str
) -> None:
    platform, result = check_calendar(flip(day), tmp_path, instance)
    text = failure_text(result, "trade_calendar")
    assert line in text
    assert "Upgrade exchange_calendars" in text
    assert platform.lake.read(TRADE_CALENDAR, None) is None


def test_a_day_that_is_left_out_is_a_disagreement(tmp_path: Path, instance) -> None:
    def edit(answer):
        del answer["data"]["items"][100]

    _, result = check_calendar(edit, tmp_path, instance)
    missing = dt.date(2005, 1, 4) + dt.timedelta(100)
    assert f"{missing} is not in trade_cal" in failure_text(result, "trade_calendar")


def test_a_calendar_that_covers_only_part_of_the_time_is_refused(tmp_path: Path, instance) -> None:
    def edit(answer):
        answer["data"]["items"] = answer["data"]["items"][-300:]

    platform, result = check_calendar(edit, tmp_path, instance)
    assert "2005-01-04 is not in trade_cal" in failure_text(result, "trade_calendar")
    assert platform.lake.read(TRADE_CALENDAR, None) is None


def test_another_exchanges_calendar_is_refused(tmp_path: Path, instance) -> None:
    def edit(answer):
        column = answer["data"]["fields"].index("exchange")
        for row in answer["data"]["items"]:
            row[column] = "CFFEX"

    _, result = check_calendar(edit, tmp_path, instance)
    assert "got another exchange" in failure_text(result, "trade_calendar")
