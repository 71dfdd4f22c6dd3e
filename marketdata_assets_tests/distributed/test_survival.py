"""What dies and comes back while hosts work: every day is made once, and no run is left."""

import datetime as dt
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

pytest.importorskip("obstore", reason="the extra `distributed` is not installed")

from marketdata_assets.celery_steps import MOST_DELIVERIES, STEPS_AT_ONCE
from marketdata_assets.hosts import FORMS, Hosts
from marketdata_assets.resources.rate_limit import Allowance
from marketdata_assets.storage.dagster_postgres import of_this_process
from marketdata_assets.storage.lake import Lake, Outcome
from marketdata_assets.storage.shared_lake import SharedLake
from marketdata_assets.tables import PRICE_LIMITS, STORED_TABLES
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.conftest import CHAIN, Platform, repeats, unhurried_tushare
from marketdata_assets_tests.distributed.programs import SECONDS_TO_FINISH, Fork, Program
from marketdata_assets_tests.distributed.running import (
    ends_of,
    events,
    is_the_same,
    last_event,
    run,
    run_at_work,
    settings_of,
    worker,
)
from marketdata_assets_tests.distributed.servers import BUCKET, Broker, Server
from marketdata_assets_tests.distributed.store_proxy import StoreProxy
from marketdata_assets_tests.instance_in_memory import instance_in_memory
from marketdata_assets_tests.small_market import SmallMarket
from marketdata_assets_tests.storage.tables_for_tests import limits
from marketdata_sandbox.protocol import TushareProtocol
from marketdata_sandbox.server import Request, TushareServer

pytestmark = pytest.mark.slow

DAYS_OF_A_RUN = 2
# Ten kills. A step that ends as many workers as there are deliveries has failed, as it should.
KILLS_OF_A_RUN = MOST_DELIVERIES - 1
SEEDS = range(repeats(5, 20))
SESSIONS = sessions_between(dt.date(2024, 7, 1), dt.date(2024, 9, 27))
SESSIONS = SESSIONS[: DAYS_OF_A_RUN * (len(SEEDS) + 1)]
# Long enough that a step is in hand at most moments.
LATENCY = 0.3


class AtWork(NamedTuple):
    """Two workers before a proxy of the store, their lake, and one machine's of the same vendor."""

    settings: Mapping[str, str]
    workers: tuple[Program, Program]
    store: StoreProxy
    lake: SharedLake
    vendor: TushareServer
    alone: Lake


@pytest.fixture(scope="module")
def at_work(
    database: str,
    object_store: None,
    broker: str,
    forked: Callable[..., Fork],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[AtWork]:
    here, market = tmp_path_factory.mktemp("survival"), TushareProtocol(SmallMarket())
    with TushareServer(market).running() as vendor, instance_in_memory() as instance:
        alone = Platform(here / "alone", unhurried_tushare(vendor.url, here), instance)
        assert alone.run(SESSIONS[0], SESSIONS[-1]).success
    shared = Hosts(database, f"s3://{BUCKET}/survival", broker)
    with (
        StoreProxy(os.environ["AWS_ENDPOINT_URL"]).running() as store,
        TushareServer(market, latency_seconds=LATENCY).running() as vendor,
    ):
        settings = settings_of(shared, vendor.url, AWS_ENDPOINT_URL=store.url)
        with (
            worker(here / "one", settings, forked) as one,
            worker(here / "other", settings, forked) as other,
        ):
            lake = SharedLake(here / "reader" / "live-127.0.0.1", "reader", shared)
            yield AtWork(settings, (one, other), store, lake, vendor, alone.lake)


@pytest.fixture
def before(database: str) -> int:
    return last_event(database)


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_workers_cost_the_steps_that_they_had_in_hand(
    seed: int,
    at_work: AtWork,
    forked: Callable[..., Fork],
    database: str,
    before: int,
    tmp_path: Path,
) -> None:
    """Twice all processes of one of two workers are killed at a random moment; it comes back."""
    chance, days = random.Random(seed), SESSIONS[seed * DAYS_OF_A_RUN :][:DAYS_OF_A_RUN]
    at_work.vendor.requests.clear()
    with run(tmp_path / "run", at_work.settings, days, forked) as made:
        until(lambda: events(database, "STEP_START", before), made)
        for done in sorted(chance.sample(range(len(CHAIN) - 1), KILLS_OF_A_RUN)):
            until(partial(are_done, done, database, before), made)
            time.sleep(chance.uniform(0, 1))
            victim = chance.choice(at_work.workers)
            victim.kill()
            victim.start()
    assert is_the_same(at_work.lake, at_work.alone, days)
    assert ends_of(database, run_at_work(database, before)) == ["SUCCESS"]
    started = events(database, "STEP_START", before)
    assert started.keys() == set(CHAIN)
    assert (started - Counter(CHAIN)).total() <= KILLS_OF_A_RUN * STEPS_AT_ONCE, started
    for call, times in asked_more_than_once(at_work.vendor.requests).items():
        assert times <= started[step_of(call)], (call, started)


def test_servers_that_start_again_or_refuse_for_a_while_cost_no_step(
    at_work: AtWork,
    forked: Callable[..., Fork],
    postgres_server: Server,
    broker_server: Broker,
    database: str,
    before: int,
    tmp_path: Path,
) -> None:
    """The broker, the database and the store, one after the other in one run."""
    days = SESSIONS[-DAYS_OF_A_RUN:]
    at_work.vendor.requests.clear()
    with run(tmp_path / "run", at_work.settings, days, forked) as made:
        until(lambda: events(database, "STEP_START", before), made)
        broker_server.restart()
        until(partial(are_done, 2, database, before), made)
        postgres_server.restart()
        until(partial(are_done, 5, database, before), made)
        at_work.store.refuse_for(10)
    assert at_work.store.refused
    assert is_the_same(at_work.lake, at_work.alone, days)
    assert ends_of(database, run_at_work(database, before)) == ["SUCCESS"]
    # An event whose answer was lost with the server is stored twice; a step done twice asks twice.
    assert events(database, "STEP_START", before).keys() == set(CHAIN)
    assert asked_more_than_once(at_work.vendor.requests) == {}


def are_done(steps: int, database: str, before: int) -> bool:
    return events(database, "STEP_SUCCESS", before).total() >= steps


def asked_more_than_once(requests: list[Request]) -> dict[str, int]:
    """The calls that were made for a day again, and how often at most."""
    asked = Counter((request.call, day) for request in requests for day in days_of(request.params))
    times: dict[str, int] = {}
    for (call, _), count in asked.items():
        if count > 1:
            times[call] = max(count, times.get(call, 0))
    return times


def days_of(params: Mapping[str, object]) -> list[str]:
    """The days that a call asks for; what it asks besides, where it asks for none."""
    if "trade_date" in params:
        return [str(params["trade_date"])]
    if "start_date" in params:
        first, last = str(params["start_date"]), str(params["end_date"])
        return [f"{day:%Y%m%d}" for day in SESSIONS if first <= f"{day:%Y%m%d}" <= last]
    return [str(sorted(params.items()))]


def step_of(call: str) -> str:
    sources = {name: STORED_TABLES[name].source for name in CHAIN}
    names = {source.call: name for name, source in sources.items() if source}
    return names.get(call, "stock_list")


def test_a_database_that_starts_again_is_waited_for_by_whoever_has_a_connection(
    shared: Hosts, postgres_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in zip(FORMS, shared, strict=True):
        monkeypatch.setenv(name, value)
    lake = SharedLake(tmp_path / "sandbox", "test", shared)
    allowance = Allowance(50_000, tmp_path / "one-token.sqlite")
    _, event_log, _ = of_this_process(shared.database_of_dagster)
    day, restart = SESSIONS[0], threading.Thread(target=postgres_server.restart)
    asked = {"before": 0, "meanwhile": 0, "after": 0}
    for moment in asked:
        if moment == "meanwhile":
            restart.start()
        while asked[moment] < 2 or (moment == "meanwhile" and restart.is_alive()):
            allowance.acquire()
            assert event_log.get_logs_for_run("nobody") == []
            rows = limits(day, a=float(sum(asked.values())))
            assert lake.write(PRICE_LIMITS, day, rows).outcome is not Outcome.UNCHANGED
            asked[moment] += 1
    restart.join()
    assert len(lake.earlier_versions(PRICE_LIMITS, day)) == sum(asked.values()) - 1
    allowance.close()


def until(is_so: Callable[[], object], run: Program) -> None:
    """Wait for what is to come while the run goes on."""
    end = time.monotonic() + SECONDS_TO_FINISH
    while not is_so() and run.is_alive():
        assert time.monotonic() < end
        time.sleep(0.05)
