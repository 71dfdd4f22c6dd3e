"""One stored world, one server and one browser for all tests of the page."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import COVERAGE, RESTATEMENTS, SUSPENDED
from marketdata_assets_tests.api.serving import Client, served
from marketdata_assets_tests.api.stored_world import DAYS, SHARES, rows_of, store_world
from marketdata_assets_tests.page.visiting import PATIENCE, Visits

CHROMIUM = Path("/usr/bin/chromium")
# Nothing of it asks anybody for anything.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HALT, GAP = DAYS[-10], DAYS[-5]
SEEN = dt.datetime(2024, 9, 26, 13, 0, tzinfo=dt.UTC)


def store_doubts(lake: Lake) -> None:
    """A halt, a value that was restated, a row that lacks without a reason."""
    code = SHARES[2]
    halted = rows_of(SUSPENDED, 1, trade_date=[HALT], ts_code=[code], reason=["suspended"])
    lake.write(SUSPENDED, HALT, halted)
    restated = rows_of(
        RESTATEMENTS,
        1,
        trade_date=[HALT],
        table_name=["daily_kline"],
        ts_code=[code],
        column_name=["close"],
        old=["9.9"],
        new=["10.1"],
        first_seen=[SEEN],
        replaced_at=[SEEN],
    )
    lake.write(RESTATEMENTS, HALT, restated)
    ledger = rows_of(
        COVERAGE,
        1,
        trade_date=[GAP],
        ts_code=[code],
        daily_kline=[False],
        missing=["daily_kline"],
        reason=["unexplained"],
    )
    lake.write(COVERAGE, GAP, ledger)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world") / "sandbox"
    store_doubts(store_world(root))
    return root


@pytest.fixture(scope="module")
def api(world: Path) -> Iterator[Client]:
    with served(world, default_wait=0.1) as client:
        yield client


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}: install Debian's package chromium")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def visits(browser: Browser) -> Iterator[Visits]:
    visits = Visits(browser)
    yield visits
    visits.close()
