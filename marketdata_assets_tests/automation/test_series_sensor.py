import datetime as dt
import os
import shutil

import dagster as dg
import pytest

from marketdata_assets.automation.series_sensor import (
    TRY_TAG,
    price_series_sensor,
    refreshes_due,
)
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.storage.series import DamagedSeries, Series, WithdrawnSeries
from marketdata_assets.tables import ADJ_FACTOR, DAILY_PRICES
from marketdata_assets_tests.conftest import Platform, failure_text, metadata_of
from marketdata_assets_tests.publishing.prices import SHARES, store
from marketdata_assets_tests.serving.stored import (
    SESSIONS,
    store_everything,
    store_factors,
    store_shares,
)

SHARE = next(iter(SHARES))
DAYS = [dt.date(2024, 1, 2), dt.date(2024, 1, 3), dt.date(2024, 1, 4)]


class Daemon:
    """Looks as the sensor does, some minutes after the last run, and runs what it asks for."""

    def __init__(self, sandbox: Platform) -> None:
        self.sandbox = sandbox

    def look(self, minutes: float = 0) -> dg.SensorResult:
        ended = [run.end_time for run in self.sandbox.instance.get_run_records(limit=1)]
        now = dt.datetime.fromtimestamp(ended[0] if ended and ended[0] else 0, dt.UTC)
        then = now + dt.timedelta(minutes=minutes)
        return refreshes_due(self.sandbox.instance, self.sandbox.lake, then)

    def requests(self, minutes: float = 0) -> int:
        return len(self.look(minutes).run_requests or [])

    def skips_because(self, minutes: float = 0) -> str:
        reason = self.look(minutes).skip_reason
        assert isinstance(reason, dg.SkipReason)
        return str(reason.skip_message)

    def run_what_is_due(self, minutes: float = 0) -> list[dg.ExecuteInProcessResult]:
        job = self.sandbox.definitions.resolve_job_def("series_refresh")
        return [
            job.execute_in_process(
                instance=self.sandbox.instance,
                asset_selection=list(request.asset_selection or []),
                tags=dict(request.tags),
                raise_on_error=False,
            )
            for request in self.look(minutes).run_requests or []
        ]


@pytest.fixture
def daemon(sandbox: Platform) -> Daemon:
    return Daemon(sandbox)


def test_many_days_become_one_refresh_and_then_there_is_nothing_to_do(daemon: Daemon) -> None:
    assert "daily_prices has no stored day" in daemon.skips_because()
    store(daemon.sandbox.lake, DAYS)
    context = dg.build_sensor_context(
        instance=daemon.sandbox.instance,
        definitions=daemon.sandbox.definitions,
        sensor_name="price_series_sensor",
    )
    lake = LakeResource(root=str(daemon.sandbox.lake.root), origin="test")
    found = price_series_sensor(context, lake=lake)
    assert isinstance(found, dg.SensorResult)
    assert len(found.run_requests or []) == 1
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


def test_a_table_that_has_vanished_is_refused_by_its_series_and_its_run_says_so(
    daemon: Daemon,
) -> None:
    lake = daemon.sandbox.lake
    store(lake, DAYS)
    daemon.run_what_is_due()
    reader = PriceReader(lake.root)
    assert reader.ohlcv(SHARE).rows.num_rows == len(DAYS)
    shutil.rmtree(lake.path(DAILY_PRICES, None).parent)
    [failed] = daemon.run_what_is_due()
    assert "daily_prices is not stored" in failure_text(failed, "price_series")
    # So it is told at once, not after an hour of trying.
    assert TRY_TAG not in failed.dagster_run.tags
    with pytest.raises(WithdrawnSeries, match="materialize daily_prices again, then price_series"):
        reader.ohlcv(SHARE)
    assert "daily_prices has no stored day" in daemon.skips_because(minutes=61)
    store(lake, DAYS[:1])
    daemon.run_what_is_due(minutes=61)
    assert reader.ohlcv(SHARE).rows.num_rows == 1


def test_no_second_refresh_while_one_is_under_way(daemon: Daemon) -> None:
    store(daemon.sandbox.lake, DAYS)
    job = daemon.sandbox.definitions.resolve_job_def("series_refresh")
    run = daemon.sandbox.instance.create_run_for_job(job)
    assert "is being refreshed" in daemon.skips_because()
    daemon.sandbox.instance.delete_run(run.run_id)
    assert daemon.requests() == 1


def test_a_refresh_that_fails_is_tried_again_by_itself_ever_later(daemon: Daemon) -> None:
    lake = daemon.sandbox.lake
    store(lake, DAYS)
    # As an overload: nothing of what is stored is wrong, and nothing of it changes.
    folder = lake.root / "series"
    folder.write_text("no folder", "utf-8")
    for number, wait in enumerate((1, 2, 4, 8, 16, 32, 60, 60), start=1):
        [failed] = daemon.run_what_is_due(minutes=61)
        assert not failed.success
        assert failed.dagster_run.tags[TRY_TAG] == str(number)
        assert "price_series did not succeed" in daemon.skips_because(wait - 0.1)
        assert daemon.requests(wait) == 1
    folder.unlink()
    [mended] = daemon.run_what_is_due(minutes=61)
    assert mended.success
    assert "holds what the lake holds" in daemon.skips_because()
    # What failed once is forgotten then.
    store(lake, DAYS[:1], version=1)
    [request] = daemon.look().run_requests or []
    assert request.tags[TRY_TAG] == "1"


def test_something_new_is_tried_sooner_but_never_without_a_wait(daemon: Daemon) -> None:
    lake = daemon.sandbox.lake
    store(lake, DAYS)
    lake.path(DAILY_PRICES, DAYS[1]).write_bytes(b"no parquet")
    for _ in range(5):
        [failed] = daemon.run_what_is_due(minutes=61)
        assert "damaged" in failure_text(failed, "price_series")
    assert daemon.requests(minutes=5) == 0
    store(lake, [DAYS[1]], version=1)
    assert daemon.requests(minutes=4.9) == 0
    [mended] = daemon.run_what_is_due(minutes=5)
    assert mended.success


def test_a_series_that_is_lost_is_made_again_without_a_flood(daemon: Daemon) -> None:
    store(daemon.sandbox.lake, DAYS)
    for wait in (0, 1, 2):
        [done] = daemon.run_what_is_due(wait)
        assert done.success
        (daemon.sandbox.lake.root / "series" / "daily_prices" / "generation.json").unlink()
        assert daemon.requests() == 0


def test_damage_that_a_reader_meets_is_mended_by_the_next_look(daemon: Daemon) -> None:
    lake = daemon.sandbox.lake
    store(lake, DAYS)
    assert daemon.run_what_is_due()[0].success
    expected = Series.open(lake.root, DAILY_PRICES).slice(SHARE)
    assert daemon.requests() == 0
    [segment] = (lake.root / "series" / "daily_prices").glob("*.arrow")
    raw = bytearray(segment.read_bytes())
    raw[len(raw) // 2] ^= 0x10
    segment.write_bytes(raw)
    with pytest.raises(DamagedSeries, match=r"daily_prices is damaged.*Materialize price_series"):
        Series.open(lake.root, DAILY_PRICES)
    [mended] = daemon.run_what_is_due()
    assert metadata_of(mended, "price_series")["files damaged"] == 1
    assert Series.open(lake.root, DAILY_PRICES).slice(SHARE).equals(expected)
    assert daemon.requests() == 0


def test_each_series_is_refreshed_by_a_run_of_its_own_factors_first(daemon: Daemon) -> None:
    lake = daemon.sandbox.lake
    store_everything(lake)
    assert daemon.requests() == 0
    store_shares(lake, SESSIONS[:1], version=1)
    store_factors(lake, SESSIONS[:1], version=1)
    result = daemon.look()
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
    assert [one.success for one in daemon.run_what_is_due()] == [False, True]
    assert "adj_factor_series did not succeed" in daemon.skips_because()


def age_folders(daemon: Daemon) -> None:
    """As if all that is stored had been there for a while."""
    for folder in [path for path in daemon.sandbox.lake.root.rglob("*") if path.is_dir()]:
        os.utime(folder, (0, 0))


def test_what_is_renamed_into_its_place_is_seen_at_once_and_all_else_within_the_hour(
    daemon: Daemon,
) -> None:
    lake = daemon.sandbox.lake
    store(lake, DAYS[:2])
    daemon.run_what_is_due()
    age_folders(daemon)
    assert daemon.requests() == 0
    store(lake, DAYS[2:])
    assert daemon.requests(minutes=1) == 1
    daemon.run_what_is_due(minutes=1)
    age_folders(daemon)
    assert daemon.requests() == 0
    written_over = lake.path(DAILY_PRICES, DAYS[0])
    written_over.write_bytes(written_over.read_bytes())
    assert daemon.requests(minutes=30) == 0
    assert daemon.requests(minutes=61) == 1
