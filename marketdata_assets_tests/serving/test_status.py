"""How the platform is, told from its files and from Dagster's databases."""

import datetime as dt
import shutil
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
)

from marketdata_assets import trading_calendar
from marketdata_assets.allowance_counter import shared_path
from marketdata_assets.resources.rate_limit import Allowance
from marketdata_assets.serving.status import Evening, status
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import refresh
from marketdata_assets.tables import DAILY_PRICES, ETF_PREMIUM
from marketdata_assets.trading_calendar import FIRST_SESSION, SHANGHAI, sessions_between
from marketdata_assets_tests.dagster_home import shipped_instance
from marketdata_assets_tests.serving.stored import SESSIONS, store_funds, store_shares

# In the evening of the session after those that are stored, which is not over yet.
NOW = dt.datetime(2025, 1, 27, 20, 0, tzinfo=SHANGHAI)
TOKEN = "secret-token-91c4"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    start = SESSIONS[0].isoformat()
    return {"MARKETDATA_HOME": str(tmp_path), "DEFAULT_START_DATE": start}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    (tmp_path / "sandbox").mkdir()
    return Lake(tmp_path / "sandbox", "sandbox")


def stocks(env: dict[str, str]) -> Evening:
    return status(env, NOW).evenings[0]


def test_a_folder_without_anything_lacks_every_session_that_is_due(
    env: dict[str, str], lake: Lake
) -> None:
    known = status(env, NOW)
    shares, funds = known.evenings
    assert shares.late == tuple(SESSIONS)
    assert shares.last_stored is shares.last_published is shares.series_to is None
    # Not every account may ask for them.
    assert funds.late == ()
    assert (known.bytes_on_disk, known.calls, known.dev_runs) == ({}, None, False)


def test_what_is_stored_published_and_copied_is_told_with_what_is_not(
    env: dict[str, str], lake: Lake
) -> None:
    store_shares(lake, [day for day in SESSIONS if day != SESSIONS[3]])
    refresh(lake, DAILY_PRICES)
    with shipped_instance(lake.root / "dagster") as instance:
        for day in SESSIONS[:-1]:
            made = dg.AssetMaterialization("hf_dataset", partition=day.isoformat())
            instance.report_runless_asset_event(made)
    shares = stocks(env)
    assert shares.late == (SESSIONS[3],)
    assert shares.unpublished == (SESSIONS[-1],)
    assert (shares.last_stored, shares.last_published) == (SESSIONS[-1], SESSIONS[-2])
    assert shares.series_to == SESSIONS[-1]
    assert shares.stored_at is not None
    assert shares.published_at is not None
    assert abs(shares.published_at - shares.stored_at) < dt.timedelta(minutes=10)
    assert status(env, NOW).bytes_on_disk.keys() == {"lake", "series", "dagster"}


def test_a_series_that_is_damaged_is_none_and_all_else_is_told(
    env: dict[str, str], lake: Lake
) -> None:
    store_shares(lake, SESSIONS)
    refresh(lake, DAILY_PRICES)
    (lake.root / "series" / DAILY_PRICES.name / "generation.json").write_bytes(b"{")
    shares = stocks(env)
    assert (shares.last_stored, shares.series_to) == (SESSIONS[-1], None)


def test_funds_whose_days_have_all_vanished_are_late(env: dict[str, str], lake: Lake) -> None:
    assert status(env, NOW).evenings[1].late == ()
    store_funds(lake, SESSIONS)
    refresh(lake, ETF_PREMIUM)
    shutil.rmtree(lake.path(ETF_PREMIUM, None).parent)
    assert set(SESSIONS) <= set(status(env, NOW).evenings[1].late)


def test_what_somebody_switched_off_is_told_as_off(env: dict[str, str], lake: Lake) -> None:
    here = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "here")
    origin = RemoteInstigatorOrigin(here, "etf_chain_schedule")
    data = ScheduleInstigatorData(["30 21 * * *"])
    off = InstigatorState(origin, InstigatorType.SCHEDULE, InstigatorStatus.STOPPED, data)
    with shipped_instance(lake.root / "dagster") as instance:
        instance.add_instigator_state(off)
    runs = status(env, NOW).next_runs
    assert [run.schedule for run in runs if not run.is_on] == ["etf_chain_schedule"]
    assert runs[0].schedule == "calendar_check_schedule"
    assert runs[0].at == dt.datetime(2025, 1, 27, 20, 30, tzinfo=SHANGHAI)


def test_the_calls_of_the_last_minute_are_those_of_all_processes(
    env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The user's state folder, which is where all processes of a user meet.
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    env |= {"TUSHARE_TOKEN": TOKEN, "TUSHARE_CALLS_PER_MINUTE": "500"}
    (tmp_path / "live").mkdir()
    assert status(env, NOW).calls == 0
    allowance = Allowance(500, shared_path(TOKEN, "https://api.tushare.pro/dataapi"))
    for _ in range(3):
        allowance.acquire()
    known = status(env, NOW)
    allowance.close()
    assert (known.calls, known.calls_per_minute) == (3, 500)
    assert TOKEN not in repr(known)


def test_after_the_end_of_the_calendar_what_is_known_is_told(
    env: dict[str, str], lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_shares(lake, SESSIONS[:-1])
    published = tuple(sessions_between(FIRST_SESSION, SESSIONS[-1]))
    monkeypatch.setattr(trading_calendar, "_sessions", lambda: published)
    assert not status(env, NOW).calendar_has_ended
    known = status(env, NOW.replace(year=SESSIONS[-1].year + 1, month=1, day=4))
    assert known.calendar_has_ended
    assert known.evenings[0].late == (SESSIONS[-1],)
    assert {run.schedule for run in known.next_runs if run.at is None} >= {"daily_chain_schedule"}
