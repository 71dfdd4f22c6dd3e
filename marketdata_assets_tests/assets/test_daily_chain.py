"""The chain over a small market on a real server: what is stored, kept, retried and refused."""

import datetime as dt
import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from marketdata_assets.tables import (
    COVERAGE,
    DAILY_KLINE,
    DAILY_PRICES,
    PRICE_LIMITS,
    STORED_TABLES,
    SUSPENSIONS,
)
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.asked_days import days_asked_for
from marketdata_assets_tests.conftest import (
    CHAIN,
    Platform,
    check_outcomes,
    failure_text,
    metadata_of,
    unhurried_tushare,
)
from marketdata_assets_tests.instance_in_memory import instance_in_memory
from marketdata_assets_tests.small_market import CODES, SmallMarket
from marketdata_sandbox import faults
from marketdata_sandbox.protocol import TushareProtocol
from marketdata_sandbox.server import TushareServer

TOKEN = "secret-token-5f2a"
DAYS = sessions_between(dt.date(2024, 9, 26), dt.date(2024, 10, 10))
FIRST, LAST = DAYS[0], DAYS[-1]
DAILY = [STORED_TABLES[name] for name in CHAIN]


@pytest.fixture
def server() -> Iterator[TushareServer]:
    with TushareServer(TushareProtocol(SmallMarket(), token=TOKEN)).running() as server:
        yield server


@pytest.fixture
def platform(server: TushareServer, tmp_path: Path, instance: dg.DagsterInstance) -> Platform:
    return Platform(tmp_path, unhurried_tushare(server.url, tmp_path, TOKEN), instance)


def test_a_range_is_stored_day_by_day_in_every_table(platform: Platform) -> None:
    assert platform.run(FIRST, LAST).success
    for table in DAILY:
        assert platform.lake.days(table) == DAYS, table.name
    for day in DAYS:
        prices = platform.lake.read(DAILY_PRICES, day)
        assert prices["code"].to_pylist() == sorted(CODES)
        assert set(prices["date"].to_pylist()) == {day}


def test_a_day_tells_where_its_file_is_and_its_first_rows(platform: Platform) -> None:
    told = metadata_of(platform.run(FIRST, assets=["daily_kline"]), "daily_kline", FIRST)
    assert Path(told["path"]) == platform.lake.path(DAILY_KLINE, FIRST)
    first = told["first rows"].records[0]
    assert first.data["ts_code"] == platform.lake.read(DAILY_KLINE, FIRST)["ts_code"][0].as_py()
    assert first.data["trade_date"] == str(FIRST)


def test_a_single_day_and_a_range_store_the_same(
    platform: Platform, server: TushareServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    days = DAYS[:2]
    assert platform.run(days[0], days[-1]).success
    with instance_in_memory() as instance:
        root = tmp_path_factory.mktemp("one by one")
        one_by_one = Platform(root, unhurried_tushare(server.url, root, TOKEN), instance)
        for day in days:
            assert one_by_one.run(day).success
        for table in DAILY:
            for day in days:
                assert one_by_one.lake.read(table, day).equals(platform.lake.read(table, day))


def test_running_again_asks_again_and_changes_nothing(
    platform: Platform, server: TushareServer
) -> None:
    days = DAYS[:3]
    platform.run(days[0], days[-1])
    files = {file: file.stat().st_mtime_ns for file in platform.lake.root.rglob("*.parquet")}
    server.requests.clear()
    result = platform.run(days[0], days[-1])
    assert days_asked_for(server.requests, "daily") == days
    assert all(metadata_of(result, "daily_kline", day)["file"] == "unchanged" for day in days)
    again = {file: file.stat().st_mtime_ns for file in platform.lake.root.rglob("*.parquet")}
    assert again == files


def test_days_before_limits_were_published_have_empty_limits_and_keep_their_bars(
    platform: Platform,
) -> None:
    day = dt.date(2006, 12, 29)
    result = platform.run(day)
    assert result.success, failure_text(result, "daily_prices")
    assert platform.lake.read(PRICE_LIMITS, day).num_rows == 0
    prices = platform.lake.read(DAILY_PRICES, day)
    assert prices["code"].to_pylist() == sorted(CODES)
    assert prices["high_limit"].null_count == len(CODES)
    assert prices["total_mv"].null_count == 0


def test_the_merged_prices_have_the_mean_price_and_the_factor_of_the_day(
    platform: Platform,
) -> None:
    assert platform.run(FIRST).success
    prices = platform.lake.read(DAILY_PRICES, FIRST)
    # Only today's names are known of a past day.
    assert prices["is_st"].null_count == len(CODES)
    for row in prices.to_pylist():
        assert row["avg_price"] == pytest.approx(row["close"])
        assert row["adj_factor"] == 1.0


def test_an_empty_answer_is_not_published_yet_and_never_stored(
    platform: Platform, server: TushareServer
) -> None:
    server.faults["daily"] = deque([faults.edited(lambda a: a["data"].update(items=[]))])
    result = platform.run(FIRST, assets=["daily_kline"])
    text = failure_text(result, "daily_kline")
    assert "no row for daily_kline on 2024-09-26" in text
    assert "not published it yet" in text
    assert platform.lake.days(DAILY_KLINE) == []


def test_a_day_on_which_nobody_was_suspended_is_stored_as_an_empty_day(
    platform: Platform, server: TushareServer
) -> None:
    server.faults["suspend_d"] = deque([faults.edited(lambda a: a["data"].update(items=[]))])
    assert platform.run(FIRST).success
    assert platform.lake.read(SUSPENSIONS, FIRST).equals(SUSPENSIONS.schema.empty_table())


def spoil(edit):
    """A fault that changes the data of an answer in place: `edit(fields, items)`."""
    return faults.edited(lambda answer: edit(answer["data"]["fields"], answer["data"]["items"]))


def previous_day(fields, items):
    for row in items:
        row[fields.index("trade_date")] = "20240925"


def a_column_less(fields, items):
    at = fields.index("pre_close")
    for row in (fields, *items):
        del row[at]


def an_empty_column(fields, items):
    for row in items:
        row[fields.index("vol")] = None


def a_row_twice(fields, items):
    items.append(list(items[0]))


def texts_for_numbers(fields, items):
    for row in items:
        row[fields.index("close")] = "--"


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (previous_day, "asked for daily_kline on 2024-09-26, got rows of 2024-09-25"),
        (a_column_less, "the answer lacks pre_close"),
        (an_empty_column, "vol is NULL on all 3 rows"),
        (a_row_twice, "1 keys occur more than once"),
        (texts_for_numbers, "close holds a value that is not double"),
    ],
)
def test_a_spoilt_answer_is_told_with_call_and_cure_and_nothing_of_it_is_stored(
    platform: Platform, server: TushareServer, edit, complaint: str
) -> None:
    server.faults["daily"] = deque([spoil(edit)])
    result = platform.run(FIRST, assets=["daily_kline", "daily_prices"])
    text = failure_text(result, "daily_kline")
    assert "Tushare daily(trade_date=20240926)" in text
    assert complaint in text
    assert "Nothing was stored" in text or "not published it yet" in text
    assert platform.lake.days(DAILY_KLINE) == []
    assert platform.lake.days(DAILY_PRICES) == []


def test_a_column_nobody_knows_is_ignored(platform: Platform, server: TushareServer) -> None:
    def one_more(fields, items):
        for row, value in zip((fields, *items), ("ah_vol", 1, 2, 3), strict=True):
            row.insert(2, value)

    server.faults["daily"] = deque([spoil(one_more)])
    assert platform.run(FIRST, assets=["daily_kline"]).success
    assert platform.lake.read(DAILY_KLINE, FIRST).column_names == DAILY_KLINE.column_names


def test_a_failed_range_keeps_its_good_days_and_the_next_run_asks_for_the_rest_only(
    platform: Platform, server: TushareServer
) -> None:
    refused = faults.refusal(40203, "抱歉，您每天最多访问该接口100次")
    good = faults.edited(lambda answer: None)
    server.faults["daily"] = deque([good] + [refused] * 20)
    result = platform.run(FIRST, LAST, assets=["daily_kline"])
    assert "quota" in failure_text(result, "daily_kline")
    kept = platform.lake.days(DAILY_KLINE)
    assert set(kept) < set(DAYS)
    assert not platform.instance.get_materialized_partitions(dg.AssetKey("daily_kline"))
    server.faults.clear()
    server.requests.clear()
    result = platform.run(FIRST, LAST, assets=["daily_kline"])
    assert result.success
    assert days_asked_for(server.requests, "daily") == [day for day in DAYS if day not in kept]
    assert platform.lake.days(DAILY_KLINE) == DAYS


def test_a_refusal_is_a_failure_that_is_not_retried_and_hides_the_token(
    server: TushareServer, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    wrong = "wrong-token-77aa"
    platform = Platform(tmp_path, unhurried_tushare(server.url, tmp_path, wrong), instance)
    result = platform.run(FIRST)
    text = failure_text(result, "daily_kline")
    assert "daily(trade_date=20240926)" in text
    assert "TUSHARE_TOKEN" in text
    assert len([r for r in server.requests if r.call == "daily"]) == 1
    events = instance.all_logs(result.run_id)
    assert wrong not in "".join(str(event) for event in events)
    assert wrong not in "".join(json.dumps(str(file)) for file in tmp_path.rglob("*"))


def test_a_day_of_the_future_is_refused_before_anything_is_asked(
    platform: Platform, server: TushareServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Holiday(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return dt.datetime(2024, 9, 26, 1, 0, tzinfo=dt.UTC)

    monkeypatch.setattr("marketdata_assets.assets.fetching.dt.datetime", Holiday)
    result = platform.run(FIRST, assets=["daily_kline"])
    assert "2024-09-26: not closed yet" in failure_text(result, "daily_kline")
    assert server.requests == []


def on_first(edit):
    """Faults for two answers, of which the one of the first day is changed by `edit`."""

    def of_first(fields, items):
        if items[0][fields.index("trade_date")] == f"{FIRST:%Y%m%d}":
            edit(fields, items)

    return deque([spoil(of_first)] * 2)


def drop_first(fields, items):
    del items[0]


def test_a_share_that_other_tables_lack_is_in_the_ledger_and_stops_nothing(
    platform: Platform, server: TushareServer
) -> None:
    server.faults = {call: on_first(drop_first) for call in ("stk_limit", "daily_basic")}
    assert platform.run(FIRST, DAYS[1]).success
    assert platform.lake.days(DAILY_PRICES) == DAYS[:2]
    ledger = platform.lake.read(COVERAGE, FIRST).to_pylist()
    [gap] = [row for row in ledger if row["reason"] is not None]
    assert (gap["ts_code"], gap["reason"]) == (CODES[0], "unexplained")
    assert gap["missing"] == "price_limits, daily_basic"
    outcomes = check_outcomes(platform, "daily_prices")
    assert outcomes["limits_missing"] is False
    assert outcomes["indicators_missing"] is False
    assert outcomes["within_limits"] is True


def test_dagster_looks_up_what_was_made_before_once_a_check(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, fetch = [], dg.DagsterInstance.fetch_materializations

    def counted(*arguments: Any, **more: Any) -> Any:
        asked.append(arguments)
        return fetch(*arguments, **more)

    monkeypatch.setattr(dg.DagsterInstance, "fetch_materializations", counted)
    result = platform.run(FIRST, assets=["daily_kline"])
    assert len(asked) == len(result.get_asset_check_evaluations()) > 5


def test_a_restated_day_replaces_the_file_and_keeps_the_old_one(
    platform: Platform, server: TushareServer
) -> None:
    platform.run(FIRST)

    def restate(answer):
        answer["data"]["items"][0][answer["data"]["fields"].index("high")] = 10.6

    server.faults["daily"] = deque([faults.edited(restate)])
    result = platform.run(FIRST)
    assert metadata_of(result, "daily_kline")["file"] == "replaced"
    assert 10.6 in platform.lake.read(DAILY_PRICES, FIRST)["high"].to_pylist()
    folder = platform.lake.root / "superseded"
    assert {file.relative_to(folder).parts[0] for file in folder.rglob("*.parquet")} == {
        "daily_kline",
        "daily_prices",
        "restatements",
    }
