import datetime as dt

import dagster as dg
import pytest

from marketdata_assets.automation.series_sensor import price_series_sensor
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.storage.series import Series
from marketdata_assets.tables import ADJ_FACTOR, DAILY_PRICES
from marketdata_assets_tests.conftest import Platform, failure_text, metadata_of
from marketdata_assets_tests.publishing.prices import SHARES, store
from marketdata_assets_tests.serving.stored import (
    SESSIONS,
    store_everything,
    store_factors,
    store_shares,
)

DAYS = [dt.date(2024, 1, 2), dt.date(2024, 1, 3), dt.date(2024, 1, 4)]


class Daemon:
    """Evaluates the sensor as the daemon does, the cursor handed on from tick to tick."""

    def __init__(self, sandbox: Platform) -> None:
        self.sandbox = sandbox
        self.cursor: str | None = None

    def tick(self) -> dg.SensorResult | dg.SkipReason:
        context = dg.build_sensor_context(
            instance=self.sandbox.instance,
            cursor=self.cursor,
            definitions=self.sandbox.definitions,
            sensor_name="sensor",
        )
        resource = LakeResource(root=str(self.sandbox.lake.root), origin="test")
        result = price_series_sensor(context, lake=resource)
        if isinstance(result, dg.SensorResult) and result.cursor is not None:
            self.cursor = result.cursor
        return result

    def requests(self) -> int:
        result = self.tick()
        return len(result.run_requests or []) if isinstance(result, dg.SensorResult) else 0

    def skips_because(self) -> str:
        result = self.tick()
        reason = result.skip_reason if isinstance(result, dg.SensorResult) else result
        assert isinstance(reason, dg.SkipReason)
        return str(reason.skip_message)


@pytest.fixture
def daemon(sandbox: Platform) -> Daemon:
    return Daemon(sandbox)


def test_many_days_become_one_refresh_and_then_there_is_nothing_to_do(daemon: Daemon) -> None:
    assert "daily_prices has no stored day" in daemon.skips_because()
    store(daemon.sandbox.lake, DAYS)
    assert daemon.requests() == 1
    result = daemon.sandbox.run(assets=["price_series"])
    metadata = metadata_of(result, "price_series")
    assert metadata["days new"] == len(DAYS)
    assert metadata["dagster/row_count"] == len(DAYS) * len(SHARES)
    assert metadata["bytes"] == metadata["bytes written"] > 0
    series = Series.open(daemon.sandbox.lake.root, DAILY_PRICES)
    assert metadata["generation"] == series.generation
    assert series.days == DAYS
    assert "holds what the lake holds" in daemon.skips_because()


def test_rewritten_and_removed_days_are_seen_without_any_notice(daemon: Daemon) -> None:
    lake = daemon.sandbox.lake
    store(lake, DAYS)
    daemon.sandbox.run(assets=["price_series"])
    store(lake, DAYS[:1])
    assert daemon.requests() == 0
    store(lake, DAYS[:1], version=1)
    lake.path(DAILY_PRICES, DAYS[2]).unlink()
    assert daemon.requests() == 1
    metadata = metadata_of(daemon.sandbox.run(assets=["price_series"]), "price_series")
    assert (metadata["days rewritten"], metadata["days removed"]) == (1, 1)
    assert daemon.requests() == 0


def test_a_series_that_was_lost_is_requested_again(daemon: Daemon) -> None:
    lake = daemon.sandbox.lake
    store(lake, DAYS)
    assert daemon.requests() == 1
    daemon.sandbox.run(assets=["price_series"])
    assert daemon.requests() == 0
    (lake.root / "series" / "daily_prices" / "generation.json").unlink()
    assert daemon.requests() == 1


def test_no_second_refresh_while_one_is_under_way(daemon: Daemon) -> None:
    store(daemon.sandbox.lake, DAYS)
    job = daemon.sandbox.definitions.resolve_job_def("series_refresh")
    run = daemon.sandbox.instance.create_run_for_job(job)
    assert "is being refreshed" in daemon.skips_because()
    daemon.sandbox.instance.delete_run(run.run_id)
    assert daemon.requests() == 1


def test_a_refresh_that_fails_is_requested_again_when_the_lake_has_changed(
    daemon: Daemon,
) -> None:
    lake = daemon.sandbox.lake
    store(lake, DAYS)
    lake.path(DAILY_PRICES, DAYS[1]).write_bytes(b"no parquet")
    assert daemon.requests() == 1
    result = daemon.sandbox.run(assets=["price_series"])
    assert "damaged" in failure_text(result, "price_series")
    assert "did not succeed" in daemon.skips_because()
    store(lake, [DAYS[1]], version=1)
    assert daemon.requests() == 1
    assert daemon.sandbox.run(assets=["price_series"]).success


def test_each_series_is_refreshed_by_a_run_of_its_own_factors_first(daemon: Daemon) -> None:
    lake = daemon.sandbox.lake
    store_everything(lake)
    assert daemon.requests() == 0
    store_shares(lake, SESSIONS[:1], version=1)
    store_factors(lake, SESSIONS[:1], version=1)
    result = daemon.tick()
    wanted = {
        one.asset_selection[0].path[-1]: int(one.tags["dagster/priority"])
        for one in result.run_requests
    }
    assert sorted(wanted, key=wanted.__getitem__, reverse=True) == [
        "adj_factor_series",
        "price_series",
    ]
    # One that fails does not hold up the other.
    lake.path(ADJ_FACTOR, SESSIONS[0]).write_bytes(b"no parquet")
    assert not daemon.sandbox.run(assets=["adj_factor_series"]).success
    assert daemon.sandbox.run(assets=["price_series"]).success
    assert daemon.requests() == 1
    assert "adj_factor_series for what differs has been requested" in daemon.skips_because()
