"""A gap, from a share that is missing on a day to the published dataset, and its repair."""

import datetime as dt
from collections import deque

import dagster as dg
import pytest

from marketdata_assets.automation import evenings
from marketdata_assets.automation.evenings import missing_partitions_sensor
from marketdata_assets.checks.excuses import FILE, Excuse, as_csv
from marketdata_assets.checks.ledger import BEFORE_UNKNOWN, UNEXPLAINED
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.tables import COVERAGE, DAILY_BASIC, DAILY_PRICES
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.conftest import CHAIN, Platform
from marketdata_assets_tests.published_folder import marker
from marketdata_assets_tests.publishing.prices import store
from marketdata_assets_tests.small_market import CODES
from marketdata_sandbox import faults
from marketdata_sandbox.server import TushareServer

DAYS = sessions_between(dt.date(2024, 9, 23), dt.date(2024, 9, 30))
HOLE = DAYS[2]
EVERYTHING = (*CHAIN, "hf_dataset")
DERIVED = {"coverage", "suspended", "daily_prices", "findings", "restatements", "hf_dataset"}


@pytest.fixture
def platform(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    monkeypatch.setattr(evenings, "sessions_due", lambda *_: DAYS)
    return platform


def without_a_share(call: str, server: TushareServer, *days: dt.date) -> None:
    """The answers of `call` lack a share on `days`; those of other days are whole."""

    def drop(answer: dict) -> None:
        fields, items = answer["data"]["fields"], answer["data"]["items"]
        for day in days:
            dates = [row[fields.index("trade_date")] for row in items]
            if f"{day:%Y%m%d}" in dates:
                del items[dates.index(f"{day:%Y%m%d}")]

    server.faults[call] = deque([faults.edited(drop)] * 2 * len(DAYS))


def asked_for(platform: Platform) -> list[tuple[dt.date, dt.date, set[str]]]:
    """What the sensor requests; nothing where it has nothing to ask for."""
    context = dg.build_sensor_context(
        instance=platform.instance, definitions=platform.definitions, sensor_name="sensor"
    )
    lake = LakeResource(root=str(platform.lake.root), origin="test")
    result = missing_partitions_sensor(context, lake=lake)
    requests = result.run_requests if isinstance(result, dg.SensorResult) else []
    return [
        (
            dt.date.fromisoformat(request.tags["dagster/asset_partition_range_start"]),
            dt.date.fromisoformat(request.tags["dagster/asset_partition_range_end"]),
            {key.path[-1] for key in request.asset_selection},
        )
        for request in requests
    ]


def watermark(platform: Platform) -> dt.date:
    return dt.datetime.strptime(marker(platform.lake.root), "%Y%m%d").date()


def test_a_share_that_lacks_a_row_is_asked_for_alone_and_then_published(
    platform: Platform, server: TushareServer
) -> None:
    without_a_share("daily_basic", server, HOLE)
    assert platform.run(DAYS[0], DAYS[-1], EVERYTHING).success
    server.faults.clear()
    assert platform.lake.read(DAILY_BASIC, HOLE).num_rows == len(CODES) - 1
    [gap] = [row for row in platform.lake.read(COVERAGE, HOLE).to_pylist() if row["missing"]]
    assert (gap["ts_code"], gap["missing"]) == (CODES[0], "daily_basic")

    asked = asked_for(platform)
    assert (HOLE, HOLE, {"daily_basic"} | DERIVED) in asked
    fetched_again = len(server.requests)
    for first, last, names in asked:
        assert platform.run(first, last, sorted(names)).success
    assert {request.call for request in server.requests[fetched_again:]} == {"daily_basic"}

    assert platform.lake.days(DAILY_PRICES) == DAYS
    assert watermark(platform) == DAYS[-1]
    assert asked_for(platform) == []


def test_a_day_is_judged_again_when_the_session_before_it_is_there(
    platform: Platform, server: TushareServer
) -> None:
    def reasons() -> list[str | None]:
        return platform.lake.read(COVERAGE, DAYS[1])["reason"].to_pylist()

    for call in ("daily", "daily_basic"):
        without_a_share(call, server, DAYS[1])
    assert platform.run(DAYS[1], assets=EVERYTHING).success
    server.faults.clear()
    assert BEFORE_UNKNOWN in reasons()
    again = (DAYS[1], DAYS[1], set(DERIVED))
    assert again not in asked_for(platform)
    assert platform.run(DAYS[0], assets=EVERYTHING).success
    assert again in asked_for(platform)
    assert platform.run(DAYS[1], assets=sorted(DERIVED)).success
    assert UNEXPLAINED in reasons()
    assert BEFORE_UNKNOWN not in reasons()


def test_what_is_excused_or_a_week_old_is_not_asked_for_again(
    platform: Platform, server: TushareServer
) -> None:
    without_a_share("daily_basic", server, *DAYS)
    assert platform.run(DAYS[0], DAYS[-1], EVERYTHING).success
    server.faults.clear()
    asked = {"daily_basic"} | DERIVED
    # The first day is the sixth session back.
    assert asked_for(platform) == [(DAYS[1], DAYS[-1], asked)]
    span = (DAYS[0], DAYS[3], "the vendor has none", "me")
    lines = as_csv([Excuse("daily_prices.indicators_missing", CODES[0], *span)])
    (platform.lake.root / FILE).write_text(lines, "utf-8")
    assert asked_for(platform) == [(DAYS[4], DAYS[-1], asked)]


def test_a_day_that_was_refused_is_asked_for_as_a_whole(
    platform: Platform, server: TushareServer
) -> None:
    def shares_for_lots(answer: dict) -> None:
        fields = answer["data"]["fields"]
        for row in answer["data"]["items"]:
            row[fields.index("turnover_rate")] *= 100

    server.faults["daily_basic"] = deque([faults.edited(shares_for_lots)])
    assert not platform.run(DAYS[-1], assets=EVERYTHING).success
    first, last, names = asked_for(platform)[-1]
    assert (first, last, names) == (DAYS[-1], DAYS[-1], set(EVERYTHING))
    assert platform.run(first, last, sorted(names)).success
    assert asked_for(platform) == [(DAYS[0], DAYS[-2], set(EVERYTHING))]


def test_the_watermark_passes_a_hole_and_never_goes_back(platform: Platform) -> None:
    store(platform.lake, [day for day in DAYS if day != HOLE])

    def publish(first: dt.date, last: dt.date) -> bool:
        return platform.run(first, last, ["hf_dataset"]).success

    assert publish(DAYS[3], DAYS[3])
    assert watermark(platform) == DAYS[3]
    # Earlier days come in: neither they nor the hole that shows move it back.
    assert publish(DAYS[0], DAYS[1])
    assert watermark(platform) == DAYS[3]
    assert publish(DAYS[4], DAYS[-1])
    assert watermark(platform) == DAYS[-1]
    assert not publish(HOLE, HOLE)
    store(platform.lake, [HOLE])
    assert publish(HOLE, HOLE)
    assert watermark(platform) == DAYS[-1]
