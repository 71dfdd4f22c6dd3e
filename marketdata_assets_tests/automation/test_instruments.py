import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from marketdata_assets.automation.requests_sensor import (
    instrument_histories_schedule,
    tracked_codes_sensor,
)
from marketdata_assets.definitions import defs
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.tables import INSTRUMENT_HISTORY
from marketdata_assets.trading_calendar import SHANGHAI
from marketdata_sandbox.instruments import SandboxSources
from marketdata_sandbox.transport import sandbox_tushare

TRADING_DAY, HOLIDAY = dt.date(2026, 9, 30), dt.date(2026, 10, 1)


@pytest.fixture
def stored_instance() -> Iterator[dg.DagsterInstance]:
    """On disk: a schedule reads the tracked codes through a reference to it."""
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def sources(tmp_path: Path) -> SandboxSources:
    tushare = sandbox_tushare(tmp_path / "state")
    return SandboxSources(tracked_codes=["NDX", "BTC"], tushare=tushare)


def test_on_a_trading_day_every_tracked_code_has_a_run_of_its_own(
    stored_instance: dg.DagsterInstance, sources: SandboxSources, tmp_path: Path
) -> None:
    lake = LakeResource(root=str(tmp_path), origin="test")

    def evening_of(day: dt.date) -> Any:
        moment = dt.datetime.combine(day, dt.time(19), SHANGHAI)
        with dg.build_schedule_context(
            instance=stored_instance,
            scheduled_execution_time=moment,
            resources={"lake": lake, "instrument_sources": sources},
        ) as context:
            return instrument_histories_schedule(context)

    assert "no code is tracked" in evening_of(TRADING_DAY).skip_message
    # One of the setting, one that has a history, and one that was asked for in vain.
    stored_instance.add_dynamic_partitions("instrument", ["NDX", "AU.SHF", "000777.SH"])
    stored = INSTRUMENT_HISTORY.schema.empty_table()
    lake.open().write(INSTRUMENT_HISTORY, "AU.SHF", stored)
    requests = evening_of(TRADING_DAY)
    assert isinstance(requests, list)
    assert [request.partition_key for request in requests] == ["AU.SHF", "NDX"]
    assert len({request.run_key for request in requests}) == 2
    assert "not a trading day" in evening_of(HOLIDAY).skip_message


def evaluate(instance: dg.DagsterInstance, sources: SandboxSources) -> Any:
    with dg.build_sensor_context(
        instance=instance,
        definitions=defs,
        sensor_name="tracked_codes_sensor",
        resources={"instrument_sources": sources},
    ) as context:
        return tracked_codes_sensor(context)


def test_codes_of_the_setting_are_tracked_and_fetched_at_once(
    instance: dg.DagsterInstance, sources: SandboxSources
) -> None:
    instance.add_dynamic_partitions("instrument", ["HSI", "NDX"])
    result = evaluate(instance, sources)
    assert isinstance(result, dg.SensorResult)
    [added] = result.dynamic_partitions_requests
    assert added.partition_keys == ["BTC"]
    assert [request.partition_key for request in result.run_requests] == ["BTC"]
    instance.add_dynamic_partitions("instrument", ["BTC"])
    assert isinstance(evaluate(instance, sources), dg.SkipReason)
