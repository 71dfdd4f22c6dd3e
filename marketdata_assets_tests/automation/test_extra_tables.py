"""Tables beside the evening's: asked for where they are wanted, and in nobody's way."""

import datetime as dt
from collections import deque

import dagster as dg
import pyarrow as pa

from marketdata_assets.assets.fetching import RANGE_END, RANGE_START
from marketdata_assets.automation.chains import STOCKS
from marketdata_assets.automation.day_runs import incomplete_tables
from marketdata_assets.automation.evenings import (
    EXTRAS,
    extra_tables_sensor,
    missing_days,
    missing_extras,
)
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import COVERAGE, DAILY_PRICES, FINDINGS, STORED_TABLES
from marketdata_assets.tables.declaration import Chain
from marketdata_assets.trading_calendar import SHANGHAI
from marketdata_assets_tests.conftest import Platform, failure_text
from marketdata_sandbox import faults
from marketdata_sandbox.server import TushareServer

INDICES, MARGIN = "index_daily", "margin_detail"
FRIDAY, MONDAY, TUESDAY = (dt.date(2024, 9, day) for day in (20, 23, 24))
NAMES = [asset.key.path[-1] for asset in EXTRAS]
NO_PERMISSION = faults.refusal(40203, "抱歉，您没有接口(margin_detail)访问权限")


def shanghai(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def pretend_stored(lake: Lake, name: str, until: dt.date) -> None:
    """Every day of the months up to `until`; nobody reads them here."""
    for day in (until - dt.timedelta(n) for n in range(100)):
        path = lake.path(STORED_TABLES[name], day)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def asked(
    instance: dg.DagsterInstance, lake: Lake, now: str, *names: str
) -> list[tuple[str, str, set[str]]] | str:
    result = missing_extras(names, instance, lake, shanghai(now))
    if isinstance(result, dg.SkipReason):
        return result.skip_message or ""
    return [
        (
            request.tags[RANGE_START],
            request.tags[RANGE_END],
            {key.path[-1] for key in request.asset_selection or ()},
        )
        for request in result.run_requests or ()
    ]


def test_nothing_is_asked_for_that_nobody_wants(sandbox: Platform) -> None:
    context = dg.build_sensor_context(instance=sandbox.instance)
    lake = LakeResource(root=str(sandbox.lake.root), origin="test")
    result = extra_tables_sensor(context, lake=lake, extra_tables=[])
    assert isinstance(result, dg.SkipReason)
    assert result.skip_message == "EXTRA_TABLES names no table"


def test_every_day_that_is_missing_is_asked_for_from_when_it_is_out(
    instance: dg.DagsterInstance, lake: Lake
) -> None:
    for name in (INDICES, MARGIN):
        pretend_stored(lake, name, FRIDAY - dt.timedelta(days=1))
    pretend_stored(lake, DAILY_PRICES.name, FRIDAY)
    wanted = (INDICES, MARGIN)
    # Until its evening is over a day is the evening's.
    assert asked(instance, lake, "2024-09-20 22:29", *wanted) == (
        "nothing is missing in the last 60 trading days"
    )
    evening = [(str(FRIDAY), str(FRIDAY), {INDICES})]
    assert asked(instance, lake, "2024-09-20 22:30", *wanted) == evening
    # Balances of a Friday are out on Monday morning.
    assert asked(instance, lake, "2024-09-21 12:00", *wanted) == evening
    morning = [(str(FRIDAY), str(FRIDAY), {INDICES, MARGIN})]
    assert asked(instance, lake, "2024-09-23 09:30", *wanted) == morning
    assert asked(instance, lake, "2024-09-23 09:30", MARGIN) == [(str(FRIDAY),) * 2 + ({MARGIN},)]


def test_days_of_before_a_table_began_are_not_missing(
    instance: dg.DagsterInstance, lake: Lake
) -> None:
    pretend_stored(lake, DAILY_PRICES.name, dt.date(2020, 1, 6))
    begun = asked(instance, lake, "2020-01-06 12:00", "limit_list")
    assert begun == [("2020-01-02", "2020-01-03", {"limit_list"})]


def test_the_prices_of_a_day_come_first(instance: dg.DagsterInstance, lake: Lake) -> None:
    pretend_stored(lake, INDICES, FRIDAY - dt.timedelta(days=1))
    pretend_stored(lake, DAILY_PRICES.name, FRIDAY - dt.timedelta(days=1))
    nothing = "nothing is missing in the last 60 trading days"
    assert asked(instance, lake, "2024-09-20 23:00", INDICES) == nothing


def test_it_waits_for_whoever_makes_days_and_nobody_waits_for_it(
    instance: dg.DagsterInstance, lake: Lake
) -> None:
    def under_way(job: str) -> dg.DagsterRun:
        tags = {RANGE_START: str(MONDAY), RANGE_END: str(TUESDAY)}
        return dg.DagsterRun(job_name=job, status=dg.DagsterRunStatus.STARTED, tags=tags)

    run = under_way(Chain.EXTRAS.value)
    instance.add_run(run)
    waiting = missing_days(STOCKS, instance, lake, shanghai("2024-09-24 23:00"))
    assert isinstance(waiting, dg.SensorResult)
    assert asked(instance, lake, "2024-09-24 23:00", INDICES) == (
        "a run is under way; looking again afterwards"
    )
    instance.delete_run(run.run_id)
    instance.add_run(under_way("daily_chain"))
    assert "under way" in asked(instance, lake, "2024-09-24 23:00", INDICES)


def test_one_that_the_account_may_not_ask_for_costs_the_others_nothing(
    platform: Platform, server: TushareServer
) -> None:
    server.faults[MARGIN] = deque([NO_PERMISSION] * 10)
    others = ("daily_kline", "findings", INDICES, "dividends")
    result = platform.run(MONDAY, TUESDAY, [*others, MARGIN])
    assert "points don't open this call" in failure_text(result, MARGIN)
    for name in others:
        assert platform.lake.days(STORED_TABLES[name]) == [MONDAY, TUESDAY], name
    assert platform.lake.days(STORED_TABLES[MARGIN]) == []


def test_a_damaged_one_keeps_no_findings_up(platform: Platform) -> None:
    assert platform.run(MONDAY, MONDAY, [INDICES]).success
    path = platform.lake.path(STORED_TABLES[INDICES], MONDAY)
    raw = bytearray(path.read_bytes())
    raw[100] ^= 1
    path.write_bytes(raw)
    assert platform.run(MONDAY, MONDAY, ["findings"]).success


def test_one_that_was_refused_is_not_the_evenings_to_ask_for(lake: Lake) -> None:
    for table in (COVERAGE, DAILY_PRICES):
        lake.write(table, MONDAY, table.schema.empty_table())
    row = {"trade_date": MONDAY, "table_name": INDICES, "ts_code": "", "check_name": "row_count"}
    row |= {"outcome": "refused", "seen": "7", "expected": "8", "reason": None}
    row |= {"first_seen": dt.datetime(2024, 9, 23, 15, 0, tzinfo=dt.UTC)}
    lake.write(FINDINGS, MONDAY, pa.Table.from_pylist([row], schema=FINDINGS.schema))
    assert incomplete_tables(lake, [MONDAY], STOCKS.names) == {}


def test_an_index_that_goes_missing_is_a_day_that_is_refused(
    platform: Platform, server: TushareServer
) -> None:
    assert platform.run(MONDAY, MONDAY, [INDICES]).success
    gone = faults.edited(lambda answer: answer["data"].update(items=[]))
    server.faults[INDICES] = deque([gone])
    result = platform.run(TUESDAY, TUESDAY, [INDICES])
    assert "no index goes missing" in failure_text(result, INDICES)
    assert platform.lake.days(STORED_TABLES[INDICES]) == [MONDAY]
