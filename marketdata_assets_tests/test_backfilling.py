"""Backfills from the shell: what they ask for, what they leave as it is, and how they end."""

import datetime as dt
import os
import signal
import subprocess
import sys
from collections import deque
from pathlib import Path

import dagster as dg
import pytest

from marketdata_assets import trading_calendar
from marketdata_assets.automation.chains import FUNDS, STOCKS
from marketdata_assets.backfilling import (
    Stretch,
    backfill,
    lacking,
    sessions_to_make,
    wanted_datasets,
)
from marketdata_assets.settings import SettingError
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import STORED_TABLES
from marketdata_assets.tables.declaration import Chain
from marketdata_assets.trading_calendar import (
    CalendarExhausted,
    last_closed_session,
    sessions_between,
)
from marketdata_assets_tests import PROJECT
from marketdata_assets_tests.small_market import SmallMarket
from marketdata_sandbox import faults
from marketdata_sandbox.protocol import TushareProtocol
from marketdata_sandbox.server import TushareServer

YEAR = sessions_between(dt.date(2005, 1, 4), dt.date(2005, 12, 30))
TOKEN = "secret-token-91c4"


def stretches(
    instance: dg.DagsterInstance, lake: Lake, tables: tuple[str, ...] = ()
) -> list[Stretch]:
    return list(lacking(instance, lake, YEAR, wanted_datasets(tables)))


def test_a_year_is_made_in_runs_of_a_quarter_funds_from_their_first_day_on(
    instance: dg.DagsterInstance, lake: Lake
) -> None:
    made = stretches(instance, lake)
    of_stocks = [one for one in made if one.names == frozenset(STOCKS.names)]
    of_funds = [one for one in made if one not in of_stocks]
    assert [len(one.days) for one in of_stocks] == [60, 60, 60, 60, 2]
    assert [day for one in of_stocks for day in one.days] == YEAR
    assert of_funds[0].days[0] == dt.date(2005, 2, 23)
    # Of what is found on a day there is one table, for shares and funds.
    assert of_funds[0].names == {*FUNDS.names, "findings"}


def test_what_is_stored_is_not_asked_for_again(instance: dg.DagsterInstance, lake: Lake) -> None:
    stored = YEAR[10:20]
    for name in STOCKS.names:
        for day in stored:
            if name in STORED_TABLES:
                lake.write(STORED_TABLES[name], day, STORED_TABLES[name].schema.empty_table())
            else:
                made = dg.AssetMaterialization(name, partition=day.isoformat())
                instance.report_runless_asset_event(made)
    days = [day for one in stretches(instance, lake)[:6] for day in one.days]
    assert days[:232] == [day for day in YEAR if day not in stored]


def test_tables_are_made_alone_where_they_are_named_extras_too(
    instance: dg.DagsterInstance, lake: Lake
) -> None:
    made = stretches(instance, lake, ("daily_kline", "dividends"))
    assert {one.names for one in made} == {frozenset({"daily_kline"}), frozenset({"dividends"})}
    assert wanted_datasets(()).keys() == {Chain.STOCKS, Chain.FUNDS}
    # What is published is no table.
    published = stretches(instance, lake, ("hf_dataset",))
    assert [day for one in published for day in one.days] == YEAR
    with pytest.raises(SettingError, match="'dayly_kline': write some of adj_factor"):
        wanted_datasets(["dayly_kline"])


@pytest.mark.parametrize(
    ("first", "last"),
    [(dt.date(1991, 1, 2), dt.date(1991, 2, 1)), (dt.date(2024, 2, 1), dt.date(2024, 1, 2))],
)
def test_a_range_without_trading_days_is_told_between_which_there_are_some(
    first: dt.date, last: dt.date, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETDATA_HOME", str(tmp_path))
    closed = last_closed_session(dt.datetime.now(dt.UTC))
    with pytest.raises(SettingError, match=f"trading days between 2005-01-04 and {closed}"):
        backfill(first, last, ())


def backfilling(server: TushareServer, home: Path, *arguments: str) -> subprocess.Popen[str]:
    """The command, at work with an account of the server."""
    clean = {name: value for name, value in os.environ.items() if "TUSHARE" not in name}
    settings = {
        "MARKETDATA_HOME": str(home),
        "XDG_STATE_HOME": str(home),
        "PYTHONPATH": str(PROJECT),
        "TUSHARE_URL": server.url,
        "TUSHARE_TOKEN": TOKEN,
        "NO_PROXY": "127.0.0.1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "marketdata_assets", "backfill", *arguments],
        env={**clean, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_what_the_vendor_says_of_a_failure_is_shown_as_it_is(tmp_path: Path) -> None:
    said = "no [/such] call, nor [of this name]"
    with TushareServer(TushareProtocol(SmallMarket())).running() as server:
        server.faults = {"adj_factor": deque([faults.refusal(40101, said)])}
        day = ("2024-01-02", "2024-01-02", "--tables", "adj_factor")
        out, err = backfilling(server, tmp_path, *day).communicate(timeout=60)
    assert said in out
    assert "go on with: marketdata backfill" in out
    assert err == ""


def test_an_interrupt_ends_a_backfill_at_once_and_says_how_to_go_on(tmp_path: Path) -> None:
    protocol = TushareProtocol(SmallMarket(), points=2_000)
    with TushareServer(protocol, latency_seconds=0.2).running() as server:
        backfill = backfilling(server, tmp_path, "2024-01-02", "2024-01-31")
        assert backfill.stdout
        said = [backfill.stdout.readline() for _ in range(2)]
        backfill.send_signal(signal.SIGINT)
        out, err = backfill.communicate(timeout=60)
    assert "The funds are left out: fund_basic takes 2,000 points" in said[0]
    assert "22 of 22 sessions lack something" in said[1]
    assert out.endswith("go on with: marketdata backfill 2024-01-02 2024-01-31\n")
    assert err == ""
    assert backfill.returncode == 130


def test_the_range_that_the_calendar_knows_is_made_after_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A package of exchange_calendars that nobody has upgraded since.
    published = tuple(sessions_between(dt.date(2005, 1, 4), dt.date(2024, 12, 31)))
    monkeypatch.setattr(trading_calendar, "_sessions", lambda: published)
    assert sessions_to_make(dt.date(2024, 12, 30), dt.date(2024, 12, 31)) == list(published[-2:])
    with pytest.raises(CalendarExhausted, match="2025-01-02 lies beyond it"):
        sessions_to_make(dt.date(2024, 12, 30), dt.date(2025, 1, 2))
