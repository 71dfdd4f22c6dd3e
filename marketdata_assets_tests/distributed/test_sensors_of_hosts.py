"""What sensors ask the store of several hosts for, all day long."""

import datetime as dt
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

pytest.importorskip("obstore", reason="the extra `distributed` is not installed")

from marketdata_assets.assets.price_series import SERIES
from marketdata_assets.automation.evenings import missing_partitions_sensor
from marketdata_assets.automation.series_sensor import WANTED_TAG, refreshes_due
from marketdata_assets.hosts import FORMS, Hosts
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets_tests.api.stored_world import DAYS, prices_of
from marketdata_assets_tests.conftest import CHAIN
from marketdata_assets_tests.distributed.store_proxy import StoreProxy

NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def store(shared: Hosts, monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreProxy]:
    with StoreProxy(os.environ["AWS_ENDPOINT_URL"]).running() as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL", store.url)
        for name, value in zip(FORMS, shared, strict=True):
            monkeypatch.setenv(name, value)
        yield store


@pytest.fixture
def lake(store: StoreProxy, tmp_path: Path) -> LakeResource:
    return LakeResource(root=str(tmp_path / "sandbox"), origin="test")


def kinds(store: StoreProxy) -> Counter[str]:
    """The calls since the last question."""
    asked = Counter(one.kind for one in store.asked)
    store.asked.clear()
    return asked


def test_copies_by_code_that_nothing_was_made_for_cost_a_list_a_look(
    lake: LakeResource, store: StoreProxy, instance: dg.DagsterInstance
) -> None:
    stored = lake.open()
    stored.write(DAILY_PRICES, DAYS[0], prices_of(DAYS[0]))

    def wanted(now: dt.datetime = NOW) -> str:
        store.asked.clear()
        [request] = refreshes_due(instance, stored, now).run_requests or []
        return request.tags[WANTED_TAG]

    first = wanted()
    assert wanted() == first
    assert kinds(store) == {"LIST": len(SERIES)}
    # As a step does that fails later.
    stored.write(DAILY_PRICES, DAYS[1], prices_of(DAYS[1]))
    assert wanted() == first
    second = wanted(NOW + dt.timedelta(hours=1))
    assert second != first
    stored.write(DAILY_PRICES, DAYS[2], prices_of(DAYS[2]))
    made = dg.AssetMaterialization(DAILY_PRICES.name, partition=str(DAYS[2]))
    instance.report_runless_asset_event(made)
    assert wanted() not in (first, second)


def test_missing_days_are_looked_for_by_lists_of_years(
    lake: LakeResource, store: StoreProxy, instance: dg.DagsterInstance
) -> None:
    context = dg.build_sensor_context(instance=instance)
    found = missing_partitions_sensor(context, lake=lake)
    assert isinstance(found, dg.SensorResult)
    asked = kinds(store)
    assert not asked["HEAD"]
    # Sixty sessions may be of two years; who is missing where is a table, too.
    assert asked["LIST"] <= 2 * len(CHAIN)
