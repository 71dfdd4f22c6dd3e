import datetime as dt

import dagster as dg
import pytest

from marketdata_assets.automation import evenings
from marketdata_assets.automation.chains import FUNDS
from marketdata_assets.automation.day_runs import Lacking, requests_for
from marketdata_assets.automation.evenings import missing_etf_partitions_sensor, of_evening
from marketdata_assets.automation.refetching import (
    in_words,
    late_navs,
    late_navs_sensor,
    sessions_waited_for,
    waited_for,
)
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.tables import ETF_NAV, ETF_PREMIUM, STORED_TABLES
from marketdata_assets.trading_calendar import SHANGHAI, sessions_between
from marketdata_assets_tests.conftest import ETF_CHAIN, Platform
from marketdata_assets_tests.small_funds import ABROAD, LOF, SmallFunds

DAYS = sessions_between(dt.date(2024, 9, 23), dt.date(2024, 10, 11))
THURSDAY, FRIDAY, MONDAY = (dt.date(2024, 9, day) for day in (26, 27, 30))


def shanghai(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


@pytest.fixture
def market() -> SmallFunds:
    return SmallFunds()


def days_of(request: dg.RunRequest) -> tuple[str, str]:
    tags = request.tags
    return tags["dagster/asset_partition_range_start"], tags["dagster/asset_partition_range_end"]


def lacking_in(platform: Platform, days: list[dt.date]) -> Lacking:
    return FUNDS.lacking(platform.instance, platform.lake, days, FUNDS.names)


def run(platform: Platform, request: dg.RunRequest) -> None:
    first, last = map(dt.date.fromisoformat, days_of(request))
    assert platform.run(first, last, [key.path[-1] for key in request.asset_selection]).success


def test_a_late_value_is_asked_for_on_the_next_trading_mornings_until_it_is_there(
    platform: Platform, market: SmallFunds
) -> None:
    market.late = {FRIDAY: {ABROAD}}
    assert platform.run(THURSDAY, FRIDAY, ETF_CHAIN).success
    for too_early in ("2024-09-28 12:00", "2024-09-30 08:59"):
        assert isinstance(late_navs(platform.lake, shanghai(too_early), None), dg.SkipReason)

    first = late_navs(platform.lake, shanghai("2024-09-30 09:00"), None)
    [request] = first.run_requests
    assert days_of(request) == (str(FRIDAY), str(FRIDAY))
    asked = {key.path[-1] for key in request.asset_selection}
    assert asked == {"etf_nav", "etf_coverage", "etf_premium"}
    run(platform, request)
    again = late_navs(platform.lake, shanghai("2024-09-30 09:30"), first.cursor)
    assert (
        again.skip_message
        == f"asked this morning already; waiting for {FRIDAY}: 1 fund(s), {ABROAD}"
    )

    # The next trading morning is after the holidays.
    assert isinstance(late_navs(platform.lake, shanghai("2024-10-07 09:30"), None), dg.SkipReason)
    market.late = {}
    [request] = late_navs(platform.lake, shanghai("2024-10-08 09:30"), first.cursor).run_requests
    run(platform, request)
    done = late_navs(platform.lake, shanghai("2024-10-08 10:00"), None)
    assert done.skip_message == "no net asset value is waited for"


def test_today_is_not_waited_for_and_a_value_only_for_ten_sessions() -> None:
    waited = sessions_waited_for(shanghai("2024-10-15 22:00"))
    assert (len(waited), waited[-1]) == (10, dt.date(2024, 10, 14))
    assert sessions_waited_for(shanghai("2024-10-15 09:00")) == waited


def test_on_the_first_days_of_a_platform_everybody_is_waited_for(
    platform: Platform, market: SmallFunds
) -> None:
    market.late = {FRIDAY: {ABROAD}, MONDAY: {ABROAD}}
    assert platform.run(FRIDAY, MONDAY, ETF_CHAIN).success
    assert waited_for(platform.lake, [FRIDAY, MONDAY]) == {FRIDAY: [ABROAD], MONDAY: [ABROAD]}


def test_a_fund_that_has_long_been_silent_is_waited_for_no_longer(
    platform: Platform, market: SmallFunds
) -> None:
    days = sessions_between(dt.date(2024, 9, 2), dt.date(2024, 9, 24))
    market.late = {day: {LOF} for day in days[1:]} | {days[-1]: {LOF, ABROAD}}
    assert platform.run(days[0], days[-1], ETF_CHAIN).success
    waited = waited_for(platform.lake, days)
    assert waited == {day: [LOF] for day in days[1:11]} | {days[-1]: [ABROAD]}
    # What lies further back than is looked at changes nothing.
    assert waited_for(platform.lake, days[-2:]) == {days[-1]: [ABROAD]}


def test_every_waited_day_is_asked_for_in_a_run_of_its_own(
    platform: Platform, market: SmallFunds
) -> None:
    days = [DAYS[1], DAYS[2], DAYS[4]]
    market.late = {day: {ABROAD} for day in days}
    assert platform.run(DAYS[0], DAYS[5], ETF_CHAIN).success
    found = late_navs(platform.lake, shanghai("2024-10-08 09:00"), None)
    assert [days_of(request) for request in found.run_requests] == [
        (str(day), str(day)) for day in days
    ]
    assert len({request.run_key for request in found.run_requests}) == 3


def test_values_that_their_premiums_do_not_know_are_noticed(
    platform: Platform, market: SmallFunds
) -> None:
    market.late = {FRIDAY: {ABROAD}}
    assert platform.run(THURSDAY, FRIDAY, ETF_CHAIN).success
    assert lacking_in(platform, [THURSDAY, FRIDAY]).names == {}
    market.late = {}
    # The run that fetched the value ended before it made the premium.
    assert platform.run(THURSDAY, FRIDAY, ["etf_nav"]).success
    missing = lacking_in(platform, [THURSDAY, FRIDAY]).names
    assert missing == {FRIDAY: {"etf_premium"}}
    assert platform.run(FRIDAY, assets=["etf_premium"]).success
    assert lacking_in(platform, [THURSDAY, FRIDAY]).names == {}


def test_a_value_that_makes_no_premium_is_not_asked_for_again_and_again(
    platform: Platform, market: SmallFunds
) -> None:
    assert platform.run(FRIDAY, assets=ETF_CHAIN).success
    date = f"{FRIDAY:%Y%m%d}"
    market.more_navs = [("511000.SH", date, date, 1.0, "0")]
    assert platform.run(FRIDAY, assets=["etf_nav"]).success
    assert lacking_in(platform, [FRIDAY]).names == {}


def test_who_is_waited_for_is_told_in_short() -> None:
    codes = [f"{513_000 + n}.SH" for n in range(12)]
    told = in_words({FRIDAY: codes, MONDAY: codes[:1]})
    assert told.startswith("2024-09-27: 12 fund(s), 513000.SH, ")
    assert told.endswith(" …; 2024-09-30: 1 fund(s), 513000.SH")


def test_the_sensors_ask_nothing_of_a_platform_that_lacks_nothing(platform: Platform) -> None:
    resource = LakeResource(root=str(platform.lake.root), origin="test")
    context = dg.build_sensor_context(
        instance=platform.instance, definitions=platform.definitions, sensor_name="sensor"
    )
    assert isinstance(late_navs_sensor(context, lake=resource), dg.SkipReason)
    everything = missing_etf_partitions_sensor(context, lake=resource)
    [request] = everything.run_requests
    assert {key.path[-1] for key in request.asset_selection} == set(ETF_CHAIN)


def test_what_is_missing_is_asked_for_and_without_premiums_all_of_the_day(
    platform: Platform,
) -> None:
    assert platform.run(DAYS[0], DAYS[2], ETF_CHAIN).success
    assert lacking_in(platform, DAYS[:3]).names == {}
    platform.lake.path(STORED_TABLES["etf_list"], DAYS[1]).unlink()
    platform.lake.path(ETF_PREMIUM, DAYS[2]).unlink()
    assert lacking_in(platform, DAYS[:4]).names == {
        DAYS[1]: {"etf_coverage", "etf_list", "etf_premium"},
        DAYS[2]: set(ETF_CHAIN),
        DAYS[3]: set(ETF_CHAIN),
    }


def test_a_day_without_its_values_is_in_a_run_of_its_own(platform: Platform) -> None:
    days = DAYS[:10]
    # Premiums are made for a range at once: one bad day leaves all of them without.
    assert platform.run(days[0], days[-1], ETF_CHAIN[:-1]).success
    platform.lake.path(ETF_NAV, days[4]).unlink()
    missing = lacking_in(platform, days)
    runs = [
        (*days_of(request), {key.path[-1] for key in request.asset_selection})
        for request in requests_for(days, missing, shanghai(f"{days[-1]} 22:30"))
    ]
    assert runs == [
        (str(days[0]), str(days[3]), set(ETF_CHAIN)),
        (str(days[4]), str(days[4]), {"etf_coverage", "etf_nav", "etf_premium"}),
        (str(days[5]), str(days[9]), set(ETF_CHAIN)),
    ]


def test_the_funds_evening_is_half_past_nine_on_trading_days(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evenings, "start_date", lambda: dt.date(2024, 9, 30))
    for day, runs in (("2024-09-30", True), ("2024-10-01", False)):
        moment = shanghai(f"{day} 21:30")
        told = of_evening(FUNDS, moment, platform.instance, platform.lake, moment)
        assert isinstance(told, dg.RunRequest) is runs
        if runs:
            assert told.partition_key == day
