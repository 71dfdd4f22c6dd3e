"""Days that came together: the same files as one by one, and what the run tells of its calls."""

import datetime as dt
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from marketdata_assets.assets.fetching import short_days
from marketdata_assets.resources.call_meter import Bottleneck
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import COVERAGE, STORED_TABLES
from marketdata_assets.tables.declaration import Chain
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.conftest import Platform, metadata_of, unhurried_tushare
from marketdata_assets_tests.small_market import SmallMarket, many_codes
from marketdata_sandbox import faults
from marketdata_sandbox.protocol import TushareProtocol
from marketdata_sandbox.server import TushareServer

# So many shares that four sessions fit into a call.
SHARES = 1_400
DAYS = sessions_between(dt.date(2024, 9, 2), dt.date(2024, 9, 13))
FETCHED = [table for table in STORED_TABLES.values() if table.chain is Chain.STOCKS]
NAMES = [table.name for table in FETCHED]


@pytest.fixture(scope="module")
def server() -> Iterator[TushareServer]:
    with TushareServer(TushareProtocol(SmallMarket(many_codes(SHARES)))).running() as server:
        yield server


def one_by_one(server: TushareServer, root: Path) -> Lake:
    """The days as `day` has them, written as any."""
    lake = Lake(root, "test")
    with unhurried_tushare(server.url, root).yield_for_execution(
        dg.build_init_resource_context()
    ) as tushare:
        for table in FETCHED:
            for day in DAYS:
                lake.write(table, day, tushare.day(table, day))
    return lake


def without_rows(count: int) -> Any:
    return faults.edited(lambda answer: answer["data"]["items"].__delitem__(slice(-count, None)))


def with_more_to_come(answer: dict[str, Any]) -> None:
    answer["data"]["has_more"] = True


def of_another_day(answer: dict[str, Any]) -> None:
    fields, items = answer["data"]["fields"], answer["data"]["items"]
    items[0][fields.index("trade_date")] = "20240102"


def test_a_range_among_faults_and_kills_stores_the_files_that_days_one_by_one_do(
    server: TushareServer,
    tmp_path: Path,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = one_by_one(server, tmp_path / "one by one")
    platform = Platform(
        tmp_path / "ranges", unhurried_tushare(server.url, tmp_path / "ranges"), instance
    )
    good = faults.edited(lambda answer: None)
    server.faults = {
        "daily": deque([good, faults.edited(with_more_to_come), faults.reset()]),
        "stk_limit": deque([good, good, without_rows(SHARES // 5)]),
        "daily_basic": deque([good, faults.refusal(50101, "必填参数, ts_code")]),
        "adj_factor": deque([good, faults.edited(of_another_day), faults.truncated()]),
        "suspend_d": deque([good, faults.html(), without_rows(SHARES)]),
        "moneyflow": deque([good, faults.cut(), without_rows(SHARES // 5)]),
    }
    write, left = Lake.write, [0]

    def until_killed(self: Lake, *arguments: Any) -> Any:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        return write(self, *arguments)

    monkeypatch.setattr(Lake, "write", until_killed)
    for writes in (7, 22):
        left[0] = writes
        assert not platform.run(DAYS[0], DAYS[-1], assets=NAMES).success
    left[0] = 10_000
    assert platform.run(DAYS[0], DAYS[-1], assets=NAMES).success
    assert not any(server.faults.values())
    for table in FETCHED:
        assert platform.lake.days(table) == DAYS
        for day in DAYS:
            ours, theirs = (lake.load(table, day) for lake in (platform.lake, expected))
            assert ours.rows.equals(theirs.rows), (table.name, day)
            assert ours.stored.bytes == theirs.stored.bytes
        folder = platform.lake.root / "superseded" / table.name
        assert not list(folder.rglob("*.parquet"))


def test_a_run_tells_its_calls_those_allowed_and_what_bound_it(
    server: TushareServer, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    platform = Platform(tmp_path, unhurried_tushare(server.url, tmp_path), instance)
    server.requests.clear()
    result = platform.run(DAYS[0], DAYS[-1], assets=["adj_factor"])
    for day in DAYS:
        told = metadata_of(result, "adj_factor", day)
        assert told["calls"] == len(server.requests) == 4
        assert told["calls allowed"] >= 1
        assert told["bound by"] in list(Bottleneck)


def test_a_day_that_came_with_others_and_is_refused_is_asked_for_by_itself_first(
    server: TushareServer, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    platform = Platform(tmp_path, unhurried_tushare(server.url, tmp_path), instance)
    first, *rest = DAYS[:5]
    assert platform.run(first, assets=["adj_factor"]).success
    # 3 % fewer rows than on the session before are too few; the cut itself is not seen.
    server.faults = {"adj_factor": deque([without_rows(SHARES * 3 // 100)])}
    server.requests.clear()
    assert platform.run(rest[0], rest[-1], assets=["adj_factor"]).success
    table = STORED_TABLES["adj_factor"]
    assert [platform.lake.load(table, day).rows.num_rows for day in rest] == [SHARES] * len(rest)
    assert [request.params.get("trade_date") for request in server.requests] == [
        None,
        f"{rest[0]:%Y%m%d}",
    ]


def test_a_day_that_came_with_others_and_lacks_a_share_with_a_bar_is_asked_for_by_itself(
    server: TushareServer, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    platform = Platform(tmp_path, unhurried_tushare(server.url, tmp_path), instance)
    good, days = faults.edited(lambda answer: None), DAYS[:5]
    names = ["daily_basic", "adj_factor", "daily_kline"]
    server.faults = {"adj_factor": deque([good, without_rows(1)])}
    server.requests.clear()
    assert platform.run(days[0], days[-1], assets=names).success
    for name in names:
        table = STORED_TABLES[name]
        assert [platform.lake.load(table, day).rows.num_rows for day in days] == [SHARES] * 5
    asked = [request for request in server.requests if request.call == "adj_factor"]
    assert [request.params.get("trade_date") for request in asked] == [
        f"{days[0]:%Y%m%d}",
        None,
        f"{days[1]:%Y%m%d}",
    ]
    assert len(server.requests) == 3 + 2 + 2


def test_a_day_that_the_ledger_finds_short_is_asked_for_by_itself_from_then_on(lake: Lake) -> None:
    row = dict.fromkeys(COVERAGE.column_names) | {"ts_code": "600000.SH", "listed": True}
    for day, missing in ((DAYS[0], "adj_factor"), (DAYS[1], "")):
        flags = {c.name: False for c in COVERAGE.columns if pa.types.is_boolean(c.type)}
        ledger = [row | flags | {"trade_date": day, "missing": missing, "reason": None}]
        lake.write(COVERAGE, day, pa.Table.from_pylist(ledger, schema=COVERAGE.schema))
    assert short_days(STORED_TABLES["adj_factor"], DAYS, lake) == {DAYS[0]}
    assert short_days(STORED_TABLES["daily_basic"], DAYS, lake) == set()
