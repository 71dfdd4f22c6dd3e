"""Days asked for again: what changed is remembered, made again and published, and nothing else."""

import datetime as dt
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from marketdata_assets.assets.restatements import differences, restated_days
from marketdata_assets.automation.refetching import once_more
from marketdata_assets.storage.as_of import as_of
from marketdata_assets.storage.sealed_parquet import LABEL
from marketdata_assets.tables import DAILY_KLINE, DAILY_PRICES, PRICE_LIMITS, RESTATEMENTS
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.conftest import CHAIN, Platform, metadata_of
from marketdata_assets_tests.published_folder import rows
from marketdata_assets_tests.small_market import CODES, SmallMarket
from marketdata_assets_tests.storage.tables_for_tests import flip
from marketdata_sandbox import faults
from marketdata_sandbox.columns import Columns
from marketdata_sandbox.protocol import TushareProtocol
from marketdata_sandbox.server import TushareServer

DAYS = sessions_between(dt.date(2024, 10, 9), dt.date(2024, 10, 11))
DAY = DAYS[1]
WHOLE_CHAIN = [*CHAIN, "hf_dataset"]
# What is another one where a bar is.
RESTATED = ["daily_kline", "coverage", "daily_prices", "restatements"]


class RestatingMarket(SmallMarket):
    """A small market whose closes of some days were changed by the vendor afterwards."""

    def __init__(self, restated: Mapping[dt.date, float]) -> None:
        super().__init__()
        self.restated = restated

    def daily(self, day: dt.date) -> Columns:
        bars = super().daily(day)
        if day in self.restated:
            bars["high"] = [self.restated[day], *bars["high"][1:]]
        return bars


def restate(server: TushareServer, day: dt.date, close: float) -> None:
    """From now on the vendor answers another close for the first share of a day."""
    server.protocol = TushareProtocol(RestatingMarket({day: close}))


def files(root: Path) -> dict[Path, int]:
    """What is stored and what is published, with the times of the last change."""
    folders = (root / name for name in ("lake", "superseded", "dataset"))
    found = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    return {file: file.stat().st_mtime_ns for file in found if not is_lock(file)}


def is_lock(file: Path) -> bool:
    return file.name.endswith("lock") or file.name.startswith(".writing")


def published_close(root: Path) -> float:
    """The close of the restated share on DAY in the published folder."""
    published = rows(root).to_pylist()
    [close] = [row["high"] for row in published if (row["date"], row["code"]) == (DAY, CODES[0])]
    return close


def again(platform: Platform, days: Sequence[dt.date] = DAYS) -> dg.ExecuteInProcessResult:
    """What the schedules ask for."""
    [request] = once_more(days, "again")
    return platform.run(days[0], days[-1], WHOLE_CHAIN, more_tags=request.tags)


def remembered(platform: Platform, day: dt.date = DAY) -> list[dict]:
    return platform.lake.read(RESTATEMENTS, day).to_pylist()


def test_a_restated_day_is_remembered_made_again_and_published_and_then_all_is_quiet(
    platform: Platform, server: TushareServer
) -> None:
    root = platform.lake.root
    assert platform.run(DAYS[0], DAYS[-1], WHOLE_CHAIN).success
    assert all(remembered(platform, day) == [] for day in DAYS)
    before = dt.datetime.now(dt.UTC)
    assert published_close(root) == 10.5

    restate(server, DAY, 11.25)
    result = again(platform)
    assert result.success
    told = {row["table_name"]: row for row in remembered(platform)}
    assert set(told) == {"daily_kline", "daily_prices"}
    for name, row in told.items():
        assert (row["ts_code"], row["column_name"]) == (CODES[0], "high"), name
        assert (row["kind"], row["old"], row["new"]) == ("changed", "10.5", "11.25")
        assert row["first_seen"] < before < row["replaced_at"]
    assert [day for day in DAYS if remembered(platform, day)] == [DAY]
    metadata = metadata_of(result, "restatements", DAY)
    assert metadata["restatements"] == 2
    assert "| daily_kline | changed | 1 |" in metadata["by table"]
    for table in (DAILY_KLINE, DAILY_PRICES):
        [kept] = platform.lake.versions_folder(table, DAY).iterdir()
        assert 10.5 in pq.read_table(kept, partitioning=None)["high"].to_pylist()
    assert published_close(root) == 11.25
    assert metadata_of(result, "hf_dataset", DAY)["outcome"] == "committed"
    with (
        duckdb.connect() as connection,
        as_of(connection, platform.lake, DAILY_PRICES, DAYS, before) as prices,
    ):
        connection.execute("SET enable_progress_bar = false")
        known = prices.filter(f"date = '{DAY}' AND code = '{CODES[0]}'").project("high")
        assert known.fetchall() == [(10.5,)]

    all_files = files(root)
    result = again(platform)
    assert result.success
    assert metadata_of(result, "hf_dataset", DAY)["outcome"] == "already there"
    assert files(root) == all_files


def test_days_asked_for_again_are_fetched_even_where_an_interrupted_run_has_just_stored_them(
    platform: Platform, server: TushareServer
) -> None:
    server.faults["adj_factor"] = deque([faults.refusal(40203, "抱歉，您每天最多访问该接口1次")])
    assert not platform.run(DAYS[0], DAYS[1], ["daily_kline", "adj_factor"]).success
    server.requests.clear()
    assert platform.run(DAYS[0], DAYS[1], ["daily_kline"]).success
    assert not [request for request in server.requests if request.call == "daily"]
    [again] = once_more(DAYS[:2], "again")
    assert platform.run(DAYS[0], DAYS[1], ["daily_kline"], more_tags=again.tags).success
    assert len([request for request in server.requests if request.call == "daily"]) == 2


def test_restatements_can_be_made_again_at_any_time_with_the_same_result(
    platform: Platform, server: TushareServer
) -> None:
    assert platform.run(DAYS[0], DAYS[-1]).success
    for close in (11.25, 10.5, 11.5):
        restate(server, DAY, close)
        assert platform.run(DAY, assets=RESTATED).success
    rows = remembered(platform)
    closes = [(row["old"], row["new"]) for row in rows if row["table_name"] == "daily_kline"]
    assert closes == [("10.5", "11.25"), ("11.25", "10.5"), ("10.5", "11.5")]
    platform.lake.path(RESTATEMENTS, DAY).unlink()
    assert platform.run(DAYS[0], DAYS[-1], ["restatements"]).success
    assert remembered(platform) == rows


def test_a_damaged_version_is_named_and_its_neighbours_are_compared(
    platform: Platform, server: TushareServer, caplog: pytest.LogCaptureFixture
) -> None:
    assert platform.run(DAY, assets=["daily_kline"]).success
    for close in (11.0, 11.5):
        restate(server, DAY, close)
        assert platform.run(DAY, assets=["daily_kline"]).success
    [_, second] = sorted(platform.lake.versions_folder(DAILY_KLINE, DAY).iterdir())
    second.write_bytes(b"PAR1 and then nothing")
    log = logging.getLogger("test_restatements")
    [(day, found, not_compared)] = restated_days(platform.lake, [DAY], log)
    assert (day, not_compared) == (DAY, [])
    assert found.select(["old", "new"]).to_pylist() == [{"old": "10.5", "new": "11.5"}]
    assert f"daily_kline 2024-10-10: {second} is damaged" in caplog.text


def test_a_flipped_bit_restates_nothing_and_the_next_fetch_mends_it(platform: Platform) -> None:
    assert platform.run(DAY, assets=["daily_kline", "restatements"]).success
    for bit in range(40, 12_000, 1_500):
        flip(platform.lake.path(DAILY_KLINE, DAY), bit)
        assert platform.run(DAY, assets=["daily_kline", "restatements"]).success, bit
        assert remembered(platform) == [], bit
        assert platform.lake.read(DAILY_KLINE, DAY) is not None, bit


def test_a_table_that_cannot_be_compared_is_named_and_counted_and_stops_no_day(
    platform: Platform, server: TushareServer, caplog: pytest.LogCaptureFixture
) -> None:
    assert platform.run(DAY).success
    for close in (11.0, 11.5):
        restate(server, DAY, close)
        assert platform.run(DAY, assets=RESTATED).success
    # The footer can be read; what it points to is gone. Before there were checksums it could be.
    first, _ = sorted(platform.lake.versions_folder(DAILY_KLINE, DAY).iterdir())
    rows = pq.read_table(first, partitioning=None)
    labels = {name: text for name, text in rows.schema.metadata.items() if name != LABEL}
    pq.write_table(rows.replace_schema_metadata(labels), first)
    content = first.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    first.write_bytes(b"PAR1" + b"\xff" * (footer - 4) + content[footer:])
    result = platform.run(DAY, assets=["restatements"])
    assert result.success
    assert {row["table_name"] for row in remembered(platform)} == {"daily_prices"}
    assert metadata_of(result, "restatements", DAY)["not compared"] == 1
    log = logging.getLogger("test_restatements")
    [compared] = restated_days(platform.lake, [DAY], log)
    assert compared.not_compared == [DAILY_KLINE]
    [told] = [record.getMessage() for record in caplog.records if record.name == log.name]
    assert f"daily_kline {DAY}: its versions can't be compared" in told
    assert "materialize restatements for the day again" in told


@pytest.mark.parametrize(
    "fault",
    [duckdb.IOException("x"), pa.ArrowInvalid("x"), OSError("x"), AssertionError("x")],
    ids=lambda fault: type(fault).__name__,
)
def test_whatever_odd_files_raise_the_other_tables_are_compared(
    platform: Platform,
    server: TushareServer,
    monkeypatch: pytest.MonkeyPatch,
    fault: Exception,
) -> None:
    chain = ["daily_kline", "price_limits"]
    assert platform.run(DAY, assets=chain).success
    restate(server, DAY, 11.0)
    assert platform.run(DAY, assets=chain).success
    changed = platform.lake.read(PRICE_LIMITS, DAY)
    platform.lake.write(PRICE_LIMITS, DAY, changed.slice(1))

    def failing(*args: Any) -> pa.Table:
        if args[1] is DAILY_KLINE:
            raise fault
        return differences(*args)

    monkeypatch.setattr("marketdata_assets.assets.restatements.differences", failing)
    [compared] = restated_days(platform.lake, [DAY], logging.getLogger("test_restatements"))
    assert compared.not_compared == [DAILY_KLINE]
    assert set(compared.found["table_name"].to_pylist()) == {"price_limits"}
